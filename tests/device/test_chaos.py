"""Connections cut at random points: every call has an answer, and none that counts is done twice."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from lawow.channel.documents import Value
from lawow.device import data_session
from lawow.device.data_session import DataSession, dial
from lawow.device.elastic import ElasticFunction
from lawow.device.elastic_module import ElasticModule
from lawow.device.emulation.proxy import ShapingProxy
from lawow.device.offload_handler import OffloadHandler
from lawow.device.policy import Place, Remote
from lawow.device.resilience import Breaker, Hedge, Resilience
from lawow.errors import HostLost
from tests.runtime.builders import wat
from tests.server.running import RunningEdge, running_edge

CALLS = 1000
COUNTER = wat("""(module (memory (export "memory") 1) (global $sum (export "sum") (mut i32) (i32.const 0))
  (func (export "add") (param i32) (result i32)
    (global.set $sum (i32.add (global.get $sum) (local.get 0))) (global.get $sum)))""")
SQUARE = wat("""(module (func (export "square") (param i32) (result i32)
  (i32.mul (local.get 0) (local.get 0))))""")
LONGEST_LIFE_BYTES = 4_000  # of a connection; a call and its answer take about 60


def dial_over_link(
    way: ExitStack, dice: random.Random, links: list[ShapingProxy]
) -> Callable[[str, int, str | None, float], socket.socket]:
    """Return a `dial` over a link that is cut at random; the link is begun with the first call of it."""

    def dial_it(host: str, port: int, pin: str | None, timeout_seconds: float) -> socket.socket:
        if not links:
            link = ShapingProxy(host, port, cut_after=lambda: dice.randrange(200, LONGEST_LIFE_BYTES))
            links.append(way.enter_context(link))
        return dial("127.0.0.1", links[0].port, pin, timeout_seconds)

    return dial_it


def counted(data: DataSession, target: str) -> Value:
    """Call until the call was begun: `HostLost` says that it was not, anything else ends the test."""
    while True:
        try:
            return data.call(target, "add", "i>i", [1])[0][0]
        except HostLost:
            continue


def test_a_thousand_calls_that_count_are_each_done_once_whatever_is_cut(
    edge: RunningEdge, tenant: str
) -> None:
    """A counter shows a call that is lost as well as one that is done twice."""
    dice = random.Random(5)
    with edge.client(tenant) as client:
        handler = OffloadHandler(client)
        offers = handler.request(COUNTER)
        item = handler.select(offers, offers.offers[0])
        assert item.endpoint is not None
        port = item.endpoint["port"]
        assert isinstance(port, int)
        pin = item.endpoint["certificate_sha256"] or None
        with (
            ShapingProxy(
                "127.0.0.1", port, cut_after=lambda: dice.randrange(200, LONGEST_LIFE_BYTES)
            ) as link,
            DataSession(
                lambda: dial("127.0.0.1", link.port, pin),  # type: ignore[arg-type]  # text or None
                item.token.encode(),
            ) as data,
        ):
            sums = [counted(data, f"session:{item.lease}") for _ in range(CALLS)]
            assert link.cuts > 20
    assert sums == list(range(1, CALLS + 1))


@pytest.mark.parametrize("is_guarded", [False, True], ids=["plain", "hedged"])
def test_a_thousand_idempotent_calls_are_answered_while_connections_are_cut_and_when_the_edge_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_guarded: bool
) -> None:
    """Half of them over a link that is cut again and again, half of them after the edge was killed."""
    dice, module, hedge = random.Random(6), ElasticModule(SQUARE), Hedge()
    resilience = Resilience(hedge=hedge, breaker=Breaker()) if is_guarded else None
    function = ElasticFunction(module, "square", policy=Remote(), resilience=resilience)
    with ExitStack() as stack, ExitStack() as way:
        edge = stack.enter_context(running_edge(tmp_path / "data"))
        client = stack.enter_context(edge.client("walker"))
        links: list[ShapingProxy] = []

        monkeypatch.setattr(data_session, "dial", dial_over_link(way, dice, links))
        module.offload(OffloadHandler(client))
        first = [(function(number), function.last_place) for number in range(CALLS // 2)]
        assert links[0].cuts > 10
        edge.kill()
        client.close()
        way.close()  # or it would go on taking connections for an edge that is gone
        rest = [function(number) for number in range(CALLS // 2, CALLS)]
        module.close()  # or its session would go on looking for the edge, over the next test's link
    assert [value for value, _ in first] + rest == [number * number for number in range(CALLS)]
    assert sum(place is Place.REMOTE for _, place in first) > CALLS // 4
    assert function.last_place is Place.LOCAL
    assert (hedge.hedged > 0) is is_guarded


def test_a_thousand_calls_that_count_are_each_done_once_behind_a_breaker(
    edge: RunningEdge, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An elastic function with state over a link that is cut; what was not begun, the program calls again."""
    dice, module = random.Random(7), ElasticModule(COUNTER, keeps_state=True)
    breaker = Breaker(losses=2, first_seconds=0.05, longest_seconds=0.1)
    add = ElasticFunction(module, "add", policy=Remote(), resilience=Resilience(breaker=breaker))
    with edge.client(tenant) as client, ExitStack() as way:
        links: list[ShapingProxy] = []
        monkeypatch.setattr(data_session, "dial", dial_over_link(way, dice, links))
        module.offload(OffloadHandler(client))
        sums: list[object] = []
        while len(sums) < CALLS:
            with contextlib.suppress(HostLost):
                sums.append(add(1))
        assert links[0].cuts > 20
        assert (module.newest, sums) == (Place.REMOTE, list(range(1, CALLS + 1)))
        module.recall()
