"""Metrics for Prometheus. Labels are bounded: codes of a fixed table, and at most 100 tenants by hash.

The hundred are those that called first since the start; all others are together as ``other``. The registry is
one edge's own, so nothing of the interpreter or of other edges in the process gets in.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from lawow.edge.call_windows import slot_seconds
from lawow.edge.meter import Meter
from lawow.edge.supervisor import Load
from lawow.edge.usage import Usage
from lawow.server.observing import CallFacts, tenant_label
from lawow.server.problems import Problem

__all__ = ["Metrics"]

TENANTS_SHOWN = 100
BUCKETS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Seconds; a call takes 0.1 ms to the edge's deadline."""
PARTS = ("transfer", "prepare", "run")
TIMES = (*(("http", part) for part in PARTS), ("http", "whole"), ("data", "whole"))
"""Labels of times: plane and part."""
GAUGES = {
    "workers": "Worker processes of tenants",
    "instances": "Open sessions and running calls",
    "waiting": "Calls that wait for their tenant's turn",
    "memory_bytes": "Resident memory of all workers",
}
"""Fields of `Load`, each a gauge ``lawow_NAME``."""


class _Now(Collector):
    """What is asked for when somebody scrapes."""

    def __init__(self, load: Callable[[], Load], connections: Callable[[], int], meter: Meter) -> None:
        self._load = load
        self._connections = connections
        self._meter = meter

    def collect(self) -> Iterator[Metric]:
        """Return the gauges as they are now."""
        load = self._load()
        for name, meaning in GAUGES.items():
            yield GaugeMetricFamily(f"lawow_{name}", meaning, value=getattr(load, name))
        yield GaugeMetricFamily("lawow_connections", "Open connections", value=self._connections())
        refusals = CounterMetricFamily("lawow_quota_refusals", "Requests beyond a quota", labels=["quota"])
        for quota, count in self._meter.refusals.items():
            refusals.add_metric([quota], count)
        yield refusals


class _CallSeconds(Collector):
    """The histogram ``lawow_call_seconds``, to which many equal times can be added at once.

    prometheus_client's own takes times one by one, and a worker tells of tens of thousands in a second.
    """

    def __init__(self) -> None:
        self._counts = {labels: [0] * (len(BUCKETS) + 1) for labels in TIMES}
        self._sums = dict.fromkeys(TIMES, 0.0)

    def add(self, plane: str, part: str, seconds: float, count: int = 1) -> None:
        """Count so many calls of which this part took so long."""
        self._counts[plane, part][bisect_left(BUCKETS, seconds)] += count
        self._sums[plane, part] += seconds * count

    def collect(self) -> Iterator[Metric]:
        """Return the histogram."""
        bounds = [*map(str, BUCKETS), "+Inf"]
        family = HistogramMetricFamily("lawow_call_seconds", "Times of calls", labels=["plane", "part"])
        for labels, counts in self._counts.items():
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            family.add_metric(labels, buckets, self._sums[labels])
        yield family


class Metrics:
    """Everything that is counted. For one event loop."""

    def __init__(self, load: Callable[[], Load], connections: Callable[[], int], meter: Meter) -> None:
        registry = self._registry = CollectorRegistry()
        self._tenants: set[str] = set()
        self._calls = Counter("lawow_calls", "Calls", ["tenant", "outcome"], registry=registry)
        self._requests = Counter("lawow_requests", "Requests by outcome", ["outcome"], registry=registry)
        self._seconds = _CallSeconds()
        registry.register(self._seconds)
        registry.register(_Now(load, connections, meter))

    def observe_call(self, facts: CallFacts) -> None:
        """Count a call."""
        self._calls.labels(self._label(facts.tenant), facts.outcome).inc()
        self._seconds.add("http", "whole", facts.whole_seconds)
        if facts.prepare_seconds is None or facts.run_seconds is None:
            return
        times = (facts.transfer_seconds, facts.prepare_seconds, facts.run_seconds)
        for part, seconds in zip(PARTS, times, strict=True):
            self._seconds.add("http", part, seconds)

    def observe_usage(self, tenant: str, usage: Usage) -> None:
        """Count the calls that ended on the data plane, whose whole times are known within `SLOT_ERROR`."""
        for outcome, count in usage.outcomes.items():
            self._calls.labels(self._label(tenant), outcome).inc(count)
        for slot, count in usage.slots.items():
            self._seconds.add("data", "whole", slot_seconds(slot), count)

    def count_request(self, status: int | None, problem: Problem | None) -> None:
        """Count a request of any kind; `status` None if its answer never began."""
        answered = "ok" if status is not None else "aborted"
        self._requests.labels(problem.code if problem is not None else answered).inc()

    def render(self) -> bytes:
        """Return the text format, version 0.0.4."""
        return generate_latest(self._registry)

    def _label(self, tenant: str) -> str:
        if tenant not in self._tenants:
            if len(self._tenants) >= TENANTS_SHOWN:
                return "other"
            self._tenants.add(tenant)
        return tenant_label(tenant)
