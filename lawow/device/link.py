"""One connection of the data plane on one socket, in one thread: bytes in both directions, time, and the end.

Everything that touches the connection holds `lock`; only the thread in `run` touches the socket, because a
TLS socket is not for two threads. Others change the connection and call `wake`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable

from lawow.channel.connection import Connection
from lawow.channel.events import Event
from lawow.channel.states import ConnectionState
from lawow.device.wire import Wire, has_pending
from lawow.errors import RemoteProtocolError

__all__ = ["Link"]

RECEIVE_BYTES = 64 << 10
READS_IN_A_ROW = 16  # then it is again the turn of what is to be sent
TICK_SECONDS = 1.0
PENDING = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Link:
    """A wire that is connected (and whose handshakes are done) and its connection."""

    def __init__(
        self,
        wire: Wire,
        connection: Connection,
        lock: threading.RLock,
        handle: Callable[[Event], None],
    ) -> None:
        """`handle` is called in the thread of `run` with `lock` held, and must not block."""
        self.connection = connection
        self._wire = wire
        self._lock = lock
        self._handle = handle
        self._rest = memoryview(b"")
        self._is_closed = False
        self._waker, self._woken = socket.socketpair()
        for end in (wire, self._waker, self._woken):
            end.setblocking(False)

    def wake(self) -> None:
        """Let the thread see what there is to send."""
        with contextlib.suppress(OSError):  # full: it will wake; closed: it has ended
            self._waker.send(b"\0")

    def close(self) -> None:
        """Let the thread end; what waits is sent as far as the socket takes it at once."""
        self._is_closed = True
        self.wake()

    def run(self) -> None:
        """Carry bytes until the connection or the link is closed or lost, then close the socket."""
        try:
            while not self._is_closed and self.connection.state is not ConnectionState.CLOSED:
                if not self._write():
                    return
                self._wait()
                if not self._read():
                    return
                self._tick()
            self._write()
        except (OSError, RemoteProtocolError):
            with contextlib.suppress(OSError):  # the other end's violation is answered, a dead socket not
                self._write()
        finally:
            self._end()

    def _end(self) -> None:
        for end in (self._wire, self._waker, self._woken):
            end.close()

    def _write(self) -> bool:
        """Send what there is and the socket takes; False if nothing can be sent any more."""
        while True:
            if not self._rest:
                with self._lock:
                    self._rest = memoryview(self.connection.data_to_send())
            if not self._rest:
                return True
            try:
                self._rest = self._rest[self._wire.send(self._rest) :]
            except PENDING:
                return True

    def _wait(self) -> None:
        """Wait until something can be done, at most a second."""
        if has_pending(self._wire):
            return
        writers = [self._wire] if self._rest else []
        readable, _, _ = select.select([self._wire, self._woken], writers, [], TICK_SECONDS)
        if self._woken in readable:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(RECEIVE_BYTES)

    def _read(self) -> bool:
        """Receive what has come; False if the other end has closed."""
        for _ in range(READS_IN_A_ROW):
            try:
                data = self._wire.recv(RECEIVE_BYTES)
            except PENDING:
                return True
            if not data:
                return False
            with self._lock:
                for event in self.connection.receive_data(data):
                    self._handle(event)
        return True

    def _tick(self) -> None:
        with self._lock:
            for event in self.connection.tick(time.monotonic()):
                self._handle(event)
