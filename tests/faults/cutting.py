"""A proxy on loopback that cuts a connection behind a byte of one's choice, by an end or by a reset."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

__all__ = ["CuttingProxy"]

ANY_LENGTH = 1 << 40


class CuttingProxy:
    """Serves one connection after the other. Use as a context manager."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._limits = {"request": ANY_LENGTH, "answer": ANY_LENGTH}
        self._resets = False
        self._active = 0
        self._lock = threading.Lock()
        self.recorded = bytearray()
        """What the client sent on the last connection."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def is_idle(self) -> bool:
        """Whether no connection is open, so that the edge has seen the end of all."""
        return self._active == 0

    def cut_at(self, direction: str, offset: int, *, resets: bool) -> None:
        """Pass `offset` bytes of the ``request`` or ``answer`` of the next connection on, and no more."""
        self._limits = {"request": ANY_LENGTH, "answer": ANY_LENGTH, direction: offset}
        self._resets = resets

    def __enter__(self) -> CuttingProxy:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._active += 1
            server = socket.create_connection(self._target)
            self.recorded = bytearray()
            for source, sink, direction in ((client, server, "request"), (server, client, "answer")):
                threading.Thread(
                    target=self._pass_on, args=(source, sink, self._limits[direction], direction), daemon=True
                ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, limit: int, direction: str) -> None:
        passed = 0
        with suppress(OSError):
            while passed < limit and (data := source.recv(min(65536, limit - passed))):
                if direction == "request":
                    self.recorded += data
                sink.sendall(data)
                passed += len(data)
        for connection in (source, sink):
            if self._resets:
                with suppress(OSError):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        if direction == "answer":
            source.close()
            sink.close()
            with self._lock:
                self._active -= 1
