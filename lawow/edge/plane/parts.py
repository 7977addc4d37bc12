"""What a worker's data plane is made of before the fences stand, and what it asks of the worker."""

from __future__ import annotations

import os
import select
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lawow.edge.messages import Message, Request

if TYPE_CHECKING:
    from lawow.edge.plane.burst import Burst

__all__ = ["PlaneParts", "Serves"]


class Serves(Protocol):
    """What the data plane needs of the worker. One thread at a time, but for what says otherwise."""

    def answer(self, request: Request, result_bytes: int | None = None) -> Message:
        """Do what is asked."""

    def call_core(self, name: str, export: str, arguments: bytes, seconds: float) -> Message:
        """Call a function with numbers alone in the instance `name`."""

    def call_burst(self, name: str, export: str, burst: Burst, seconds: float) -> Message:
        """Answer calls of a burst in the instance `name` until one of them is left; the burst is told."""

    def part(self, burst: Burst) -> None:
        """Let no further call of the burst begin that another thread is at. On any thread."""

    def load(self, digest: str, code: bytes) -> None:
        """Keep a compiled module."""

    def keep(self, digest: str) -> bool:
        """Never let go of a module; False if it is not there."""

    def require_function(self, digest: str, export: str, signature: str) -> None:
        """Raise `LawowError` unless a kept module has the export with that signature. On any thread."""

    def has_session(self, session: str) -> bool:
        """Whether an instance lives. On any thread."""

    def interrupt(self) -> None:
        """Stop the call that runs on another thread."""


@dataclass(frozen=True, slots=True)
class PlaneParts:
    """What only a process without fences can make. `context`: of TLS, or None on loopback.

    Over `handed` come connections that the edge hands over (`lawow.edge.plane.handing`).
    """

    poll: select.epoll
    wakes: int
    context: ssl.SSLContext | None
    connections: int
    handed: socket.socket

    @classmethod
    def make(cls, context: ssl.SSLContext | None, connections: int, handed: socket.socket) -> PlaneParts:
        """Make them."""
        wakes = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return cls(select.epoll(), wakes, context, connections, handed)
