"""Traces by OpenTelemetry (extra `otel`): for each call a span, and in it transfer, prepare and run.

The parent is the device's span if the request has a valid W3C ``traceparent``. Spans are made when the call
is over, from the times that the answer tells as well. The SDK's queue is bounded; what is beyond it is
dropped, and no call waits. Nothing here is imported unless ``lawow serve --otlp`` asks for it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from lawow import __version__
from lawow.server.listener import require_tls_beyond_loopback
from lawow.server.observing import CallFacts, tenant_label

__all__ = ["Tracing", "otlp_processor"]

NANOS = 1_000_000_000
EXPORT_SECONDS = 5.0


def otlp_processor(url: str) -> SpanProcessor:
    """Return what sends spans to an OTLP/HTTP receiver. Raises `Refused` for plain HTTP beyond loopback."""
    parts = urlsplit(url)
    require_tls_beyond_loopback(parts.hostname or "", has_tls=parts.scheme == "https")
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=EXPORT_SECONDS))


class Tracing:
    """Turns calls into spans."""

    def __init__(self, processor: SpanProcessor) -> None:
        resource = Resource.create({"service.name": "lawow-edge", "service.version": __version__})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("lawow.edge", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def observe_call(self, facts: CallFacts) -> None:
        """Record the spans of a call."""
        headers = {"traceparent": facts.traceparent} if facts.traceparent else {}
        start = int(facts.started_unix * NANOS)
        call = self._tracer.start_span(
            "lawow.call",
            context=self._propagator.extract(headers),
            kind=SpanKind.SERVER,
            start_time=start,
            attributes={
                "lawow.tenant": tenant_label(facts.tenant),
                "lawow.module": f"sha256:{facts.digest}",
                "lawow.outcome": facts.outcome,
            },
        )
        if facts.outcome != "ok":
            call.set_status(Status(StatusCode.ERROR, facts.outcome))
        inside = trace.set_span_in_context(call)
        at = start
        for name, seconds in (
            ("transfer", facts.transfer_seconds),
            ("prepare", facts.prepare_seconds),
            ("run", facts.run_seconds),
        ):
            if seconds is not None:
                end = at + int(seconds * NANOS)
                self._tracer.start_span(f"lawow.{name}", context=inside, start_time=at).end(end)
                at = end
        call.end(max(at, start + int(facts.whole_seconds * NANOS)))

    def close(self) -> None:
        """Send the rest and end; takes as long as an export does, at most."""
        self._provider.shutdown()
