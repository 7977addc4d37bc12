"""What an operator's tools see: metrics, traces, readiness, the log as JSON, a stop under load."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from lawow.edge.call_windows import SLOT_ERROR
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.meter import Meter
from lawow.edge.policies import SCOPES
from lawow.edge.supervisor import Load
from lawow.edge.tenants import Tenants, TokenTerms
from lawow.errors import GuestTrap, Refused
from lawow.server.metrics import Metrics
from lawow.server.observing import CallFacts, tenant_label
from lawow.server.tracing import Tracing, otlp_processor
from tests.conftest import lawow
from tests.edge.builders import all_sorts, numbered
from tests.server.planes import open_plane, slots
from tests.server.running import RunningEdge, issue_token, running_edge, until

NUMBER = numbered(7)
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


def serve(data: Path, *options: str) -> list[str]:
    command = [sys.executable, "-m", "lawow", "serve", "--port", "0", "--json", "--data", str(data)]
    return [*command, *options]


def samples(text: str) -> dict[tuple[str, str], float]:
    """Return values by name and last label, as Prometheus's own parser reads them."""
    return {
        (sample.name, ",".join(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_tell_calls_their_parts_refusals_and_what_runs(edge: RunningEdge, tenant: str) -> None:
    sorts = all_sorts()
    edge.tokens["operator"] = issue_token(edge.data, tenant, TokenTerms(tuple(SCOPES)))
    before = samples(edge.ask("GET", "/v1/metrics", "operator").body.decode())
    edge.put(tenant, sorts.wasm, sorts.digest)
    edge.open_session(tenant, sorts.digest)
    edge.call(tenant, sorts.digest, "nothing")
    edge.call(tenant, sorts.digest, "unreachable")
    reply = edge.ask("GET", "/v1/metrics", "operator")
    assert reply.headers["Content-Type"].startswith("text/plain")
    after = samples(reply.body.decode())
    label = tenant_label(tenant)
    assert after["lawow_calls_total", f"{label},ok"] == 1
    assert after["lawow_calls_total", f"{label},trap"] == 1
    for part, count in {"transfer": 1, "prepare": 1, "run": 1, "whole": 2}.items():
        key = ("lawow_call_seconds_count", f"http,{part}")
        assert after[key] == before.get(key, 0) + count
    assert after["lawow_workers", ""] >= 1
    assert after["lawow_instances", ""] >= 1
    assert after["lawow_memory_bytes", ""] > 10 << 20
    assert after["lawow_connections", ""] >= 1
    assert tenant not in reply.body.decode()


def test_times_of_calls_over_the_data_plane_are_in_the_same_histogram(edge: RunningEdge, tenant: str) -> None:
    edge.tokens["operator"] = issue_token(edge.data, tenant, TokenTerms(tuple(SCOPES)))

    def seen() -> dict[tuple[str, str], float]:
        return samples(edge.ask("GET", "/v1/metrics", "operator").body.decode())

    before = seen()
    plane = open_plane(edge, tenant)
    with plane.client() as client:
        work = client.bind(plane.target, "work", "i>i")
        started = time.perf_counter()
        for _ in range(20):
            client.call(work, slots(100_000))
        taken = time.perf_counter() - started
        with pytest.raises(GuestTrap):
            client.call(client.bind(plane.target, "unreachable", ">"), b"")
    count, total = ("lawow_call_seconds_count", "data,whole"), ("lawow_call_seconds_sum", "data,whole")
    until(lambda: seen()[count] == before[count] + 21)
    after = seen()
    assert 0 < after[total] - before[total] < taken * (1 + SLOT_ERROR) + 0.1
    buckets = [value for key, value in after.items() if key[0] == "lawow_call_seconds_bucket"]
    assert len(buckets) == 5 * 13
    assert after["lawow_call_seconds_bucket", "+Inf,data,whole"] == after[count]


def test_labels_are_bounded_whatever_calls(tmp_path: Path) -> None:
    database = Database(DataFolder(tmp_path / "data").database)
    meter = Meter(database, Tenants(database).policy)
    metrics = Metrics(lambda: Load(0, 0, 0, 0), lambda: 0, meter)
    for number in range(300):
        metrics.observe_call(facts(f"tenant-{number}"))
    found = [key for key in samples(metrics.render().decode()) if key[0] == "lawow_calls_total"]
    assert len(found) == 101


def facts(tenant: str, outcome: str = "ok", traceparent: str | None = None) -> CallFacts:
    run = 0.3 if outcome == "ok" else None
    return CallFacts(tenant, "ab" * 32, outcome, 1000.0, 0.1, run, run, 0.8, traceparent)


def test_the_metrics_own_listener_is_on_loopback_and_gives_nothing_else(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_edge(data, command=serve(data, "--metrics-port", "0")) as edge:
        url = edge.announced["metrics"]
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=10) as response:
            assert ("lawow_workers", "") in samples(response.read().decode())
        for path in ("", "/v1/modules", "/openapi.json"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(url.removesuffix("/metrics") + path, timeout=10)


def test_a_call_is_a_span_below_the_devices_with_its_three_parts() -> None:
    memory = InMemorySpanExporter()
    tracing = Tracing(SimpleSpanProcessor(memory))
    tracing.observe_call(facts("acme", traceparent=TRACEPARENT))
    spans = {span.name: span for span in memory.get_finished_spans()}
    call = spans["lawow.call"]
    assert call.parent is not None
    assert (f"{call.context.trace_id:032x}", f"{call.parent.span_id:016x}") == (TRACE, PARENT)
    seconds = {name: (span.start_time / 1e9, span.end_time / 1e9) for name, span in spans.items()}
    assert seconds["lawow.transfer"] == pytest.approx((1000.0, 1000.1))
    assert seconds["lawow.prepare"] == pytest.approx((1000.1, 1000.4))
    assert seconds["lawow.run"] == pytest.approx((1000.4, 1000.7))
    assert {span.parent.span_id for name, span in spans.items() if name != "lawow.call"} == {
        call.context.span_id
    }
    assert "acme" not in call.to_json()


@pytest.mark.parametrize("header", [None, "", "garbage", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_without_a_valid_parent_a_call_begins_a_trace_and_a_failure_is_an_error(header: str | None) -> None:
    memory = InMemorySpanExporter()
    Tracing(SimpleSpanProcessor(memory)).observe_call(facts("acme", "trap", header))
    names = [span.name for span in memory.get_finished_spans()]
    assert names == ["lawow.transfer", "lawow.call"]
    call = memory.get_finished_spans()[-1]
    assert call.parent is None
    assert call.status.description == "trap"


@contextmanager
def receiver() -> Iterator[tuple[str, list[bytes]]]:
    """An OTLP/HTTP receiver on loopback."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers.get("Content-Encoding") is None
            bodies.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", bodies
    finally:
        server.shutdown()
        server.server_close()


def test_traces_reach_a_receiver_before_the_edge_has_stopped(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with receiver() as (url, bodies), running_edge(data, command=serve(data, "--otlp", url)) as edge:
        edge.put("acme", NUMBER.wasm, NUMBER.digest)
        path = f"/v1/modules/sha256:{NUMBER.digest}/exports/number/calls"
        headers = {"Content-Type": "application/json", "traceparent": TRACEPARENT}
        assert edge.ask("POST", path, "acme", b'{"arguments": []}', headers).status == 200
        assert edge.stop() == 0
        spans = [
            span
            for body in bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        assert {span.name for span in spans} == {f"lawow.{n}" for n in ("call", "transfer", "prepare", "run")}
        assert {span.trace_id.hex() for span in spans} == {TRACE}


def test_plain_http_to_a_collector_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="in clear"):
        otlp_processor("http://192.0.2.1:4318/v1/traces")
    done = lawow("serve", "--data", tmp_path / "d", "--otlp", "http://192.0.2.1/v1/traces", check=False)
    assert done.returncode == 4
    assert not (tmp_path / "d").exists()


def test_without_the_option_neither_sdk_nor_exporter_is_loaded() -> None:
    """FastAPI itself looks at OpenTelemetry's API where that is installed; that starts nothing."""
    code = "import json, sys, lawow.server.app; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    parts = ("opentelemetry.sdk", "opentelemetry.exporter", "lawow.server.tracing")
    assert not [name for name in json.loads(done.stdout) if name.startswith(parts)]


def test_an_edge_with_a_full_disk_is_live_and_not_ready(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data", ready_free_bytes=1 << 60) as edge:
        assert edge.ask("GET", "/v1/health").status == 200
        reply = edge.ask("GET", "/v1/ready")
        assert reply.refused_with(503, "not-ready")
        assert "ready_free_bytes" in str(reply.json["detail"])


def test_an_edge_is_ready_until_it_is_told_to_stop_and_serves_on_while_it_drains(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_edge(data, command=serve(data, "--drain", "1.5")) as edge:
        edge.put("acme", NUMBER.wasm, NUMBER.digest)
        assert edge.ask("GET", "/v1/ready").json == {"status": "ready"}
        edge.process.send_signal(signal.SIGTERM)
        until(lambda: edge.ask("GET", "/v1/ready").status == 503)
        assert edge.call("acme", NUMBER.digest, "number").status == 200
        assert edge.process.wait(timeout=20) == 0


@pytest.mark.promise("F8")
def test_no_call_that_was_begun_is_lost_when_the_edge_stops_under_load(tmp_path: Path) -> None:
    """Each request ends with its answer, or with a connection that gave not one byte of one."""
    sorts = all_sorts()
    with running_edge(tmp_path / "data") as edge:
        for tenant in ("one", "two"):
            edge.put(tenant, sorts.wasm, sorts.digest)
        answered: list[int] = []
        torn: list[object] = []
        threads = [
            threading.Thread(target=keep_calling, args=(edge, tenant, sorts.digest, answered, torn))
            for tenant in ("one", "two")
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        until(lambda: len(answered) > 50)
        assert edge.stop() == 0
        for thread in threads:
            thread.join(timeout=20)
        assert not torn
        assert set(answered) == {200}
        log = edge.log.read_text()
        assert log.count(" method=POST ") == len(answered)
        assert "status=aborted" not in log


def keep_calling(
    edge: RunningEdge, tenant: str, digest: str, answered: list[int], torn: list[object]
) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            reply = edge.call(tenant, digest, "count")
        except (ConnectionError, http.client.RemoteDisconnected):
            return
        except http.client.HTTPException as error:
            torn.append(error)
            return
        answered.append(reply.status)
        if reply.json["results"] != [1001]:
            torn.append(reply.json)


def test_the_log_as_json_is_one_object_a_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_edge(data, command=serve(data, "--log-format", "json")) as edge:
        edge.ask("GET", "/v1/modules/%0a%22forged", "acme")
        edge.stop()
        events = [json.loads(line) for line in edge.log.read_text().splitlines()]
        assert [event["event"] for event in events] == ["recovered", "request", "stopped"]
        assert events[1]["tenant"] == "acme"
        assert isinstance(events[1]["ms"], float)
