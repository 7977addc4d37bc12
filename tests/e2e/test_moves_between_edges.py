"""A channel's end moves between two edges by the ticket that its client carries.

Each edge is a `lawow serve` with TLS; the stationary end is in this process. An edge's guest answers a number
with itself, times 20, and the mark of the edge, so an answer tells where it was made.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lawow.device.elastic_channel import ElasticChannel
from tests.e2e.conftest import serving_edge
from tests.e2e.moving import SECONDS, Flow, plane_of
from tests.server.planes import CuttingProxy, Plane

MARKS = {"edge-a": 4, "edge-b": 5}
CUTS = range(1, 200, 11)
"""Bytes of one direction after which a connection is cut: up to more than what a move needs of any."""


@pytest.fixture(scope="module")
def planes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Plane]]:
    """A lease with an instance on each of two edges."""
    folder = tmp_path_factory.mktemp("edges")
    with ExitStack() as stack:
        yield {
            name: plane_of(stack.enter_context(serving_edge(folder / name)), mark, stack)
            for name, mark in MARKS.items()
        }


def test_messages_flow_while_the_end_moves_from_one_edge_to_the_other(planes: dict[str, Plane]) -> None:
    with ExitStack() as stack:
        sessions = {name: stack.enter_context(plane.session()) for name, plane in planes.items()}
        channel = stack.enter_context(ElasticChannel("numbers", "s64", sessions, "edge-a"))
        with Flow(channel) as flow:
            for place in ("edge-b", "edge-a") * 6:
                channel.move(place)
                flow.await_answer_of(MARKS[place])
        flow.require_all_in_order()


@pytest.mark.parametrize("is_inward", [True, False])
@pytest.mark.parametrize("at", ["former", "next"])
def test_a_connection_that_is_lost_in_the_middle_of_a_move_costs_no_message(
    planes: dict[str, Plane], at: str, is_inward: bool
) -> None:
    """Cut at each of `CUTS`, counted from the move on, there is no message missing, and the end is there."""
    with ExitStack() as stack:
        proxies = {name: stack.enter_context(CuttingProxy(plane)) for name, plane in planes.items()}
        sessions = {name: stack.enter_context(proxy.plane.session()) for name, proxy in proxies.items()}
        channel = stack.enter_context(ElasticChannel("numbers", "s64", sessions, "edge-a"))
        numbers = itertools.count()
        for cut, place in zip(CUTS, itertools.cycle(("edge-b", "edge-a")), strict=False):
            proxies[place if at == "next" else channel.host].cut_after(cut, is_inward=is_inward)
            sent = [next(numbers) for _ in range(3)]
            channel.send(sent[0])
            channel.send(sent[1])
            channel.move(place)
            channel.send(sent[2])
            answers = [int(str(channel.receive(timeout_seconds=SECONDS))) for _ in sent]
            assert [answer // 20 for answer in answers] == sent
            assert answers[-1] % 20 == MARKS[place]
        assert sum(proxy.cuts for proxy in proxies.values()) > len(CUTS) // 2  # the last ones may be to come
