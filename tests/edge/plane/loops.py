"""A data plane in this process: a worker with one instance, its loop on a thread, and what it counted."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lawow.channel.client import ClientConnection
from lawow.channel.events import Bound, Event, Welcomed
from lawow.edge.messages import (
    HEADER,
    Admit,
    Listen,
    Message,
    Open,
    Report,
    Request,
    Result,
    read_header,
    read_message,
)
from lawow.edge.plane.handing import handing_pair
from lawow.edge.plane.loop import PlaneLoop
from lawow.edge.plane.parts import PlaneParts
from lawow.edge.usage import Usage, read_usage
from lawow.edge.worker_guests import Limits, Worker
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.edge.builders import Module

__all__ = ["PlaneClient", "ServedPlane", "served"]

TOKEN = b"token-of-the-lease"
MEMORY_BYTES = 16 << 20


class ServedPlane:
    """Plays the supervisor of a loop; `address` is where its clients connect."""

    def __init__(self, worker: Worker, digest: str) -> None:
        self._requests: list[Request] = []
        self._ours, self._theirs = socket.socketpair()
        self._handed = handing_pair()
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = listener.getsockname()
        parts = PlaneParts.make(None, 100, self._handed[1])
        terms = Listen(5.0, 8)
        self._loop = PlaneLoop(worker, parts, self._theirs, self._next_request, listener, terms)
        self._thread = threading.Thread(target=self._loop.run)
        self._thread.start()
        self.ask(Admit(digest, False, "lease", hashlib.sha256(TOKEN).hexdigest(), "session", True))

    def _next_request(self) -> tuple[Request, None] | None:
        return (self._requests.pop(0), None) if self._theirs.recv(1) else None

    def ask(self, request: Request) -> Message:
        """Let the loop take a request, and return the answer."""
        self._requests.append(request)
        self._ours.sendall(b"!")
        length, kind = read_header(self._received(HEADER.size))
        return read_message(kind, self._received(length))

    def _received(self, count: int) -> bytes:
        return self._ours.recv(count, socket.MSG_WAITALL) if count else b""

    def usage(self) -> Usage:
        """Return what was counted since this was last asked."""
        answer = self.ask(Report())
        assert isinstance(answer, Result)
        return read_usage(answer.results)[0]

    def close(self) -> None:
        """End the loop."""
        self._ours.close()
        self._thread.join(20)
        for end in (self._theirs, *self._handed):
            end.close()
        assert not self._thread.is_alive()


class PlaneClient:
    """A connection to it."""

    def __init__(self, plane: ServedPlane) -> None:
        self.connection = socket.create_connection(plane.address, timeout=10)
        self.link = ClientConnection()
        self.link.send_hello(TOKEN)
        assert isinstance(self.exchange(1)[0], Welcomed)

    def bind(self, export: str, signature: str) -> int:
        """Bind a function of the instance."""
        function = self.link.send_bind("session:lease", export, signature)
        assert isinstance(self.exchange(1)[0], Bound)
        return function

    def exchange(self, count: int) -> list[Event]:
        """Send what is due, and return so many events."""
        self.connection.sendall(self.link.data_to_send())
        events: list[Event] = []
        while len(events) < count:
            events += self.link.receive_data(self.connection.recv(65536))
        return events


@contextmanager
def served(module: Module) -> Iterator[tuple[ServedPlane, PlaneClient, Worker]]:
    """Serve an instance of a module; gives the supervisor, a client of the lease, and the worker."""
    engine = WasmtimeEngine(EDGE_PROFILE)
    worker = Worker(engine, Limits(MEMORY_BYTES, 1 << 20, 1 << 16, 1 << 20))
    with engine.compile(module.wasm) as compiled:
        worker.load(module.digest, compiled.serialize())
    assert isinstance(worker.answer(Open(module.digest, False, "session", 5.0)), Result)
    plane = ServedPlane(worker, module.digest)
    try:
        client = PlaneClient(plane)
        with client.connection:
            yield plane, client, worker
    finally:
        plane.close()
