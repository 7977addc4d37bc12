"""Elastic calls within elastic calls: who calls whom is known, in time, in the trace and in a simulation."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lawow.device import elastic_function
from lawow.device.elastic import ElasticFunction, elastic
from lawow.device.elastic_module import ElasticModule
from lawow.device.nesting import DEEPEST, current, nested
from lawow.device.offload_handler import OffloadHandler
from lawow.device.policy import Automatic, CallGraph, ElasticCall, Place
from lawow.device.profiles import load_device, load_network
from lawow.device.simulate import Scenario, compare, read_trace
from lawow.device.tracing import Recorder
from lawow.errors import FormatError, LimitExceeded
from tests.edge.builders import all_sorts
from tests.server.running import RunningEdge

WASM = all_sorts().wasm


class Heard(Automatic):
    """Runs all here, and remembers what it learned."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[ElasticCall, float]] = []

    def learn(self, call: ElasticCall, place: Place, seconds: float) -> None:
        self.calls.append((call, seconds))


def family(
    policy: Heard | CallGraph, module: ElasticModule | None = None
) -> tuple[ElasticFunction, ElasticFunction]:
    """Return two functions, of which the second calls the first three times."""
    home = module or ElasticModule(WASM)

    @elastic(home, export="fib", policy=policy)
    def inner(number: int) -> int:
        time.sleep(0.002)
        return 55 if number == 10 else 0

    @elastic(home, export="divide", policy=policy)
    def outer(number: int, other: int) -> int:
        time.sleep(0.004)
        return sum(int(str(inner(10))) for _ in range(3)) // other

    return inner, outer


def test_the_policy_learns_who_called_and_what_time_was_the_callers_own() -> None:
    heard = Heard()
    inner, outer = family(heard)
    assert (outer(1, 1), inner(10)) == (165, 55)
    paths = [(call.export, call.path) for call, _ in heard.calls]
    assert paths == [("fib", ("divide",))] * 3 + [("divide", ()), ("fib", ())]
    within = sum(seconds for _, seconds in heard.calls[:3])
    call, seconds = heard.calls[3]
    assert within <= call.inner_seconds <= seconds - 0.004
    assert current() is None


def test_calls_of_an_event_loops_task_and_of_a_batch_know_their_caller() -> None:
    heard = Heard()
    inner, _ = family(heard)

    @elastic(inner.module, export="divide", policy=heard)
    def outer(number: int, other: int) -> int:
        asyncio.run(_gathered(inner))
        return len(inner.map([(10,), (10,)]))

    assert outer(1, 1) == 2
    assert {call.path for call, _ in heard.calls[:-1]} == {("divide",)}
    assert len(heard.calls) == 5


async def _gathered(inner: ElasticFunction) -> None:
    await asyncio.gather(inner.call_async(10), inner.call_async(10))


def test_recursion_and_depth_do_not_lengthen_a_path_without_end() -> None:
    with nested("f") as top, nested("f") as again, nested("g") as deeper:
        assert (top.path, again.path, deeper.path) == (("f",), ("f",), ("f", "g"))
        time.sleep(0.002)
    assert top.inner_seconds == again.inner_seconds >= 0.002
    assert _deep(100) == DEEPEST


def _deep(count: int) -> int:
    with nested(f"f{count}") as frame:
        return len(frame.path) if count == 0 else _deep(count - 1)


def test_the_call_graph_of_real_calls_is_solved(edge: RunningEdge, tenant: str) -> None:
    """Both are slower here than on an edge on this machine: the outer one goes, and takes the inner along."""
    policy = CallGraph(every=10)
    with edge.client(tenant) as client:
        module = ElasticModule(WASM)
        _, outer = family(policy, module)
        module.offload(OffloadHandler(client))
        places = []
        for _ in range(30):
            assert outer(165, 1) == 165
            places.append(outer.last_place)
        module.recall()
    assert {("divide",), ("divide", "fib")} <= set(policy._nodes)
    assert places[-10:].count(Place.REMOTE) >= 8


def test_a_recorded_trace_tells_who_called_whom_and_is_replayed_as_a_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "trace"
    recorder = Recorder(path)
    monkeypatch.setattr(elastic_function, "recorder", lambda: recorder)
    inner, outer = family(Heard())
    for _ in range(30):
        outer(1, 1)
    inner(10)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert ["within" in line for line in lines[:5]] == [True, True, True, False, True]
    assert {line["within"] for line in lines[:3]} == {lines[3]["call"]}
    assert "call" not in lines[-1]
    calls = read_trace(path.read_bytes(), "trace", 1.0)
    own = [call.edge_seconds for call in calls if call.export == "divide"]
    assert 0.004 <= min(own) <= 0.03
    result = compare(calls, Scenario(load_device("pi3b"), load_network("lan")), ["call-graph"])
    outcomes = result.outcomes
    assert outcomes["call-graph"].remote_calls >= 28  # all but the two of each that it profiles here
    assert (outcomes["local"].calls, outcomes["remote"].calls) == (121, 31)
    assert all(result.over_oracle(name) >= 1 - 1e-9 for name in outcomes)


LINE = {"export": "f", "place": "local", "seconds": 0.2, "size": 1, "at_seconds": 5.0}


def trace(*entries: dict[str, object]) -> bytes:
    return "\n".join(json.dumps({**LINE, **entry}) for entry in entries).encode()


@contextmanager
def refused(match: str) -> Iterator[None]:
    with pytest.raises((FormatError, LimitExceeded), match=match):
        yield


def test_nonsense_about_who_called_whom_is_refused() -> None:
    with refused("one name"):
        read_trace(trace({"call": "a"}, {"call": "a"}), "t", 1.0)
    with refused("ends before"):
        read_trace(trace({"call": "a"}, {"within": "a", "at_seconds": 6.0}), "t", 1.0)
    with refused("ends before"):
        read_trace(trace({"call": "a", "within": "a"}), "t", 1.0)
    with refused("are texts"):
        read_trace(trace({"call": 7}), "t", 1.0)
    chain = [{"call": f"c{index}", "within": f"c{index + 1}"} for index in range(102)]
    with refused("MOST_NESTED"):
        read_trace(trace(*chain, {"call": "c102"}), "t", 1.0)
    (orphan,) = read_trace(trace({"within": "gone"}), "t", 2.0)
    assert orphan.edge_seconds == 0.1
