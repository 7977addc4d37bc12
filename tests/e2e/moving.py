"""Ends that move while messages flow: leases with a relay (`tests.e2e.conftest.relay_of`), and the flow."""

from __future__ import annotations

import itertools
import threading
from contextlib import ExitStack

from lawow.device.edge_client import EdgeClient
from lawow.device.elastic_channel import ElasticChannel
from lawow.device.offload_handler import OffloadHandler
from tests.e2e.conftest import relay_of
from tests.server.planes import Plane, grant_channels
from tests.server.running import RunningEdge

__all__ = ["SECONDS", "Flow", "plane_of"]

SECONDS = 30.0


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
        self.end()

    def end(self) -> None:
        """Send no more, and wait for all answers."""
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
