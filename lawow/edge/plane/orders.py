"""What the supervisor asks of a worker that serves a data plane, over the socket that it has always used.

It asks one thing at a time. What concerns leases alone is answered at once, everything else is work that
waits for its turn.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from lawow.edge.messages import (
    NEEDS_CODE,
    NO_SESSION,
    Admit,
    Dismiss,
    Failure,
    Message,
    Report,
    Request,
    Result,
    write_message,
)
from lawow.edge.plane.leases import LeaseTable, OwnLease
from lawow.edge.plane.parts import Serves
from lawow.edge.usage import write_usage

__all__ = ["Order", "Orders", "Received"]

Received = tuple[Request, bytes | None]
DONE = Result(0.0, 0.0, b"")


@dataclass(frozen=True, slots=True)
class Order:
    """Work for the supervisor; `code` is the compiled module that came along."""

    request: Request
    code: bytes | None
    until: ClassVar[float] = float("inf")

    def work(self, worker: Serves) -> Message:
        """Do it, as far as it does not concern leases."""
        if self.code is not None:
            worker.load(self.request.digest, self.code)
        return DONE if isinstance(self.request, Admit) else worker.answer(self.request)


class Orders:
    """The supervisor's socket. `next` is the work that waits."""

    def __init__(
        self,
        worker: Serves,
        leases: LeaseTable,
        supervisor: socket.socket,
        receive: Callable[[], Received | None],
        send_away: Callable[[OwnLease, str], object],
    ) -> None:
        """`receive` takes the next request, None at the end. `send_away` ends a lease's sessions."""
        self._worker = worker
        self._leases = leases
        self._supervisor = supervisor
        self._receive = receive
        self._send_away = send_away
        self.next: Order | None = None

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._supervisor.fileno()

    def take(self) -> bool:
        """Take what the supervisor asks; False at the end."""
        received = self._receive()
        if received is None:
            return False
        request, code = received
        if isinstance(request, Report):
            self.reply(Result(0.0, 0.0, write_usage(self._leases.take_usage())))
        elif isinstance(request, Dismiss):
            own = self._leases.dismiss(request.lease)
            if own is not None:
                self._send_away(own, request.code)
            self.reply(DONE)
        else:
            self.next = Order(request, code)
        return True

    def conclude(self, order: Order, message: Message) -> None:
        """Answer an order that was worked on."""
        is_admission = isinstance(order.request, Admit) and message is DONE
        self.reply(self._admit(order.request) if is_admission else message)

    def reply(self, message: Message) -> None:
        """Send an answer."""
        self._supervisor.sendall(write_message(message))

    def _admit(self, request: Request) -> Message:
        assert isinstance(request, Admit)
        if not self._worker.has_session(request.session):
            return Failure(NO_SESSION, "")
        if not self._worker.keep(request.digest):
            return Failure(NEEDS_CODE, "")
        self._leases.admit(request)
        return DONE
