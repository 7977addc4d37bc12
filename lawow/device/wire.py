"""What carries the data plane: a socket, one with TLS, or a WebSocket (`lawow.device.websocket`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lawow.errors import HostLost

__all__ = ["Dial", "Ways", "Wire", "has_pending"]


class Wire(Protocol):
    """The part of a socket that is used here, with the manners of `ssl.SSLSocket` where it does not block.

    What cannot be done now raises `BlockingIOError` or one of the `ssl` module's; whoever could not send
    gives the same bytes again.
    """

    def fileno(self) -> int:
        """Return the descriptor to wait for."""

    def setblocking(self, flag: bool, /) -> None:
        """Choose whether to wait."""

    def send(self, data: bytes | memoryview, /) -> int:
        """Send, and return how much of it was sent. Raises `OSError` when the connection is over."""

    def recv(self, count: int, /) -> bytes:
        """Receive; empty when the other end has closed. Raises `OSError`, `RemoteProtocolError`."""

    def close(self) -> None:
        """Close it, as far as may be in good order."""


Dial = Callable[[], Wire]
"""Opens a connection, blocking. Raises `HostLost`, and `Refused` for another certificate than the pinned."""


class Ways:
    """Several ways to one host, of which the one that worked last is tried first."""

    def __init__(self, *dials: Dial) -> None:
        self._dials = list(dials)

    def __call__(self) -> Wire:
        """Connect by the first way that works. Raises the last one's `HostLost`, and `Refused` at once."""
        for dial in list(self._dials):
            try:
                wire = dial()
            except HostLost as error:
                lost = error
                continue
            self._dials.remove(dial)
            self._dials.insert(0, dial)
            return wire
        raise lost


def has_pending(wire: Wire) -> bool:
    """Tell whether something can be received that the descriptor does not announce any more."""
    pending = getattr(wire, "pending", None)  # of TLS and WebSocket; a plain socket has none
    return pending is not None and pending() > 0
