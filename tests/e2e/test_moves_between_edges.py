"""A channel's end moves between two edges by the ticket that its client carries.

Each edge is a `lawow serve` with TLS; the stationary end is in this process. An edge's guest answers a number
with itself, times 20, and the mark of the edge, so an answer tells where it was made.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lawow.device.data_session import DataSession, dial
from lawow.device.edge_client import EdgeClient
from lawow.device.elastic_channel import ElasticChannel
from lawow.device.offload_handler import OffloadHandler
from tests.e2e.conftest import relay_of, serving_edge
from tests.server.planes import CuttingProxy, Plane, grant_channels
from tests.server.running import RunningEdge

SECONDS = 30.0
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


def plane_of(edge: RunningEdge, mark: int, stack: ExitStack) -> Plane:
    """Go through the offload sequence as a device does."""
    grant_channels(edge, "walker")
    token, pin = edge.token("walker"), edge.announced["pin"]
    handler = OffloadHandler(stack.enter_context(EdgeClient(edge.url, token, certificate_sha256=pin)))
    offers = handler.request(relay_of(mark).data)
    item = handler.select(offers, offers.offers[0])
    assert item.endpoint is not None
    host, port, certificate = (str(item.endpoint[key]) for key in ("host", "port", "certificate_sha256"))
    return Plane(item.lease, item.token, host, int(port), certificate)


class Flow:
    """Numbers go out and their answers come back, one thread for each, for as long as the block lasts."""

    def __init__(self, channel: ElasticChannel) -> None:
        self.channel = channel
        self.answers: list[int] = []
        self._is_over = threading.Event()
        self._has_answered = threading.Condition()
        self._threads = [threading.Thread(target=work) for work in (self._send, self._receive)]

    def __enter__(self) -> Flow:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(SECONDS)

    def _send(self) -> None:
        for number in itertools.count():
            self.channel.send(number, timeout_seconds=SECONDS)
            if self._is_over.wait(0.0005):
                break
        self.channel.send(-1, timeout_seconds=SECONDS)

    def _receive(self) -> None:
        while (answer := int(str(self.channel.receive(timeout_seconds=SECONDS)))) >= 0:
            with self._has_answered:
                self.answers.append(answer)
                self._has_answered.notify_all()

    def await_answer_of(self, mark: int) -> None:
        """Wait for a new answer from there."""
        with self._has_answered:
            seen = len(self.answers)
            assert self._has_answered.wait_for(
                lambda: any(answer % 20 == mark for answer in self.answers[seen:]), SECONDS
            )

    def require_all_in_order(self) -> None:
        """Check that each number was answered, once, in its turn."""
        assert [answer // 20 for answer in self.answers] == list(range(len(self.answers)))
        assert {answer % 20 for answer in self.answers} == set(MARKS.values())


def session_of(plane: Plane) -> DataSession:
    """Connect."""
    return DataSession(lambda: dial(plane.host, plane.port, plane.pin), plane.token.encode())


def test_messages_flow_while_the_end_moves_from_one_edge_to_the_other(planes: dict[str, Plane]) -> None:
    with ExitStack() as stack:
        sessions = {name: stack.enter_context(session_of(plane)) for name, plane in planes.items()}
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
        sessions = {name: stack.enter_context(session_of(proxy.plane)) for name, proxy in proxies.items()}
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
