"""Elastic functions with a Notifier on a real edge, over a link that changes while they are called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lawow.device import data_session
from lawow.device.data_session import dial
from lawow.device.edge_client import EdgeClient
from lawow.device.elastic import ElasticFunction, elastic, functions_of_bundle
from lawow.device.elastic_module import ElasticModule
from lawow.device.emulation.link import LinkShape
from lawow.device.emulation.proxy import ShapingProxy
from lawow.device.notifier import Informed, Metric, Notifier
from lawow.device.offload_handler import OffloadHandler
from lawow.device.policy import Adaptive, Place, Remote
from tests.conftest import ROOT
from tests.device.notifier.builders import Told
from tests.edge.builders import all_sorts, bundle_of
from tests.server.running import RunningEdge

ARRAYS = (ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes()
QUICK, COLLAPSED = LinkShape(), LinkShape(bits_per_second=400_000)
NUMBERS = list(range(8_000))  # 32 kB each way: more than a second over the collapsed link


@pytest.fixture
def link(edge: RunningEdge, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ShapingProxy]]:
    """The link that data planes are dialled over; it is begun with the first connection."""
    made: list[ShapingProxy] = []
    with ExitStack() as stack:

        def over_link(host: str, port: int, pin: str | None, *_: float) -> object:
            if not made:
                made.append(stack.enter_context(ShapingProxy(host, port, QUICK)))
            return dial("127.0.0.1", made[0].port, pin)

        monkeypatch.setattr(data_session, "dial", over_link)
        yield made


def test_calls_turn_local_when_the_bandwidth_collapses_and_come_back_on_another_network(
    edge: RunningEdge, tenant: str, link: list[ShapingProxy]
) -> None:
    """Nobody tells of the collapse: the calls measure it. Of the better network the Notifier tells."""
    told = Told()
    told.values[Metric.NETWORK_KIND] = "cellular"
    notifier = Notifier([told])
    module = ElasticModule(ARRAYS)

    @elastic(module, signature="&[i>", notifier=notifier)
    def reverse(numbers: list[int]) -> None:
        for _ in range(100):  # odd and slow, as a weak device is
            numbers[:] = [numbers[-index] for index in range(1, len(numbers) + 1)]
        numbers.reverse()

    def places(count: int) -> list[Place | None]:
        found = []
        for _ in range(count):
            numbers = list(NUMBERS)
            reverse(numbers)
            assert numbers == NUMBERS[::-1]
            found.append(reverse.last_place)
            print(reverse.last_place, reverse.explain(numbers))
        return found

    notifier.sample()
    with edge.client(tenant) as client:
        module.offload(OffloadHandler(client, notifier=notifier))
        places(10)
        assert places(20).count(Place.REMOTE) >= 15
        link[0].shape = COLLAPSED
        places(4)
        assert places(20).count(Place.LOCAL) >= 15
        link[0].shape, told.values[Metric.NETWORK_KIND] = QUICK, "wifi"
        notifier.sample()
        places(6)
        assert places(20).count(Place.REMOTE) >= 15
        assert "here" in reverse.explain(list(NUMBERS))
        sample = notifier.sample()
        module.recall()
    for metric in (Metric.ROUND_TRIP, Metric.THROUGHPUT):
        assert sample.readings[metric].source == "calls of elastic functions"


def test_the_round_trip_of_a_slow_way_is_measured_by_the_calls(
    edge: RunningEdge, tenant: str, link: list[ShapingProxy]
) -> None:
    """Running on the edge is no part of it, and calls over HTTP are measured as those of the data plane."""
    module, notifier = ElasticModule(all_sorts().wasm), Notifier([])
    adaptive = Adaptive()
    fib = ElasticFunction(module, "fib", policy=Remote())
    fib.policy = Informed(_Always(adaptive), notifier)
    with edge.client(tenant) as client:
        module.offload(OffloadHandler(client))
        link[0].shape = LinkShape(latency_seconds=0.05)
        for number in (5, 5, 5, 27, 27):
            fib(number)
        assert 0.1 <= adaptive.link.round_trip_seconds < 0.2
        module.recall()


class _Always(Remote):
    """Always on the edge, and hands on what it hears."""

    def __init__(self, hearer: Adaptive) -> None:
        self.notice = hearer.notice


def test_functions_of_a_bundle_share_what_is_noticed() -> None:
    methods = [("fib", "all.wasm", "fib", "i>i"), ("divide", "all.wasm", "divide", "ii>i")]
    jar = bundle_of({"all.wasm": all_sorts()}, methods)
    functions = functions_of_bundle(jar, notifier=Notifier([]))
    fib, divide = (functions[f"com.example.Compute.{name}"] for name in ("fib", "divide"))
    assert isinstance(fib.policy, Informed)
    assert fib.policy is divide.policy
    assert (fib(10), divide(9, 3)) == (55, 3)


def test_the_handler_reports_the_round_trip_and_the_throughput_of_a_long_transfer(
    edge: RunningEdge, tenant: str
) -> None:
    notifier = Notifier([])
    host, port = edge.address
    with (
        ShapingProxy(host, port, LinkShape(bits_per_second=4e6)) as way,
        EdgeClient(f"http://127.0.0.1:{way.port}", edge.token(tenant)) as client,
    ):
        module = ElasticModule(_padded(all_sorts().wasm, 300_000))
        module.offload(OffloadHandler(client, notifier=notifier))
        module.recall()
    readings = notifier.sample().readings
    assert 0 < float(readings[Metric.THROUGHPUT].value) < 510_000
    assert 0 < float(readings[Metric.ROUND_TRIP].value) < 1
    assert readings[Metric.ROUND_TRIP].source == f"HTTP to 127.0.0.1:{way.port}"


def _padded(wasm: bytes, size: int) -> bytes:
    """Return the module with a custom section of so many bytes, three of LEB128 for its length."""
    body = b"\x03pad" + bytes(size)
    length = len(body)
    return wasm + bytes([0, length & 127 | 128, length >> 7 & 127 | 128, length >> 14]) + body
