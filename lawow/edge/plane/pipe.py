"""One accepted socket of the data plane, with TLS or without, that never blocks.

Received bytes go into memory that the caller names. What the other end does not take waits here; the owner
looks at `waiting_bytes` and takes no more work from somebody who does not take its results. OpenSSL gives its
buffers back between records, so an idle connection has none.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Sequence

__all__ = ["Pipe"]

SEND_BYTES = 256 << 10
"""Handed to the socket at once; TLS must be given the same bytes again after it could not write them."""
JOIN_BYTES = 256 << 10  # below that one copy costs less than a system call for each buffer


class Pipe:
    """A connection's bytes."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        connection.setblocking(False)
        self._shakes_hands = context is not None
        self._socket = connection if context is None else _wrapped(connection, context)
        self._waiting: deque[memoryview] = deque()
        self.waiting_bytes = 0
        self.wants_write = False

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def receive_into(self, buffer: memoryview) -> int:
        """Receive into the start of `buffer`; return how many bytes, or -1 if there are none yet.

        Raises `OSError` when the connection is over.
        """
        try:
            if self._shakes_hands:
                self._shake_hands()
            count = self._socket.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return -1
        except ssl.SSLWantWriteError:
            self.wants_write = True
            return -1
        if not count:
            raise ConnectionResetError("the other end has closed the connection")
        return count

    @property
    def has_decrypted(self) -> bool:
        """Whether bytes can be received that the socket does not announce any more."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def send(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Send, or keep what cannot be sent now. Raises `OSError` when the connection is over."""
        size = sum(map(len, buffers))
        if size <= JOIN_BYTES:
            buffers = buffers if len(buffers) == 1 else (b"".join(buffers),)
            if not self._waiting and size:  # the common case: all of it goes at once
                sent = self._try_send(buffers[0])
                if sent == size:
                    return
                buffers, size = (memoryview(buffers[0])[sent:],), size - sent
        self._waiting.extend(map(memoryview, buffers))
        self.waiting_bytes += size
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as it goes. Raises `OSError` when the connection is over."""
        waiting, self.wants_write = self._waiting, False
        while waiting:
            view = waiting[0]
            sent = self._try_send(view[:SEND_BYTES])
            if not sent and len(view):
                return
            self.waiting_bytes -= sent
            if sent == len(view):
                waiting.popleft()
            else:
                waiting[0] = view[sent:]

    def _try_send(self, data: bytes | memoryview) -> int:
        """Return how much of it was sent, 0 if the socket takes nothing now."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError):
            self.wants_write = True
            return 0
        except ssl.SSLWantReadError:  # the loop waits for that anyway
            return 0

    def close(self) -> None:
        """Close the connection, without a word."""
        self._waiting.clear()
        self._socket.close()

    def _shake_hands(self) -> None:
        assert isinstance(self._socket, ssl.SSLSocket)  # else there is no handshake
        self._socket.do_handshake()
        self._shakes_hands = False


def _wrapped(connection: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(
        connection, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
    )
