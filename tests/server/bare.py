"""The data plane as bare bytes: sockets and frames by hand, without the product's protocol."""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import closing, suppress

from lawow.device.trust import pinned_context
from tests.server.planes import Plane

__all__ = ["greet", "is_closed", "open_socket", "read_frames", "send_frame", "text"]


def open_socket(plane: Plane) -> socket.socket:
    """Connect, without a word of the protocol."""
    plain = socket.create_connection((plane.host, plane.port), timeout=10)
    return pinned_context().wrap_socket(plain) if plane.pin else plain


def is_closed(connection: socket.socket) -> bool:
    """Wait for the other end to close, whatever it says before."""
    with suppress(ConnectionResetError, ssl.SSLEOFError):
        while connection.recv(65536):
            pass
    return True


def text(value: bytes) -> bytes:
    """Return bytes as the protocol has them."""
    return struct.pack("<H", len(value)) + value


def greet(connection: socket.socket, plane: Plane) -> None:
    """Say HELLO and be welcome."""
    head = b"LWOW" + struct.pack("<HHII", 1, 1, 1 << 20, 8 << 20)
    send_frame(connection, 0, 1, head + text(plane.token.encode()) + bytes(6))
    assert read_frames(connection, 1)[0][0] == 0x02


def send_frame(connection: socket.socket, frame_id: int, operation: int, payload: bytes) -> None:
    """Send one frame."""
    connection.sendall(struct.pack("<IIHH", 8 + len(payload), frame_id, operation, 0) + payload)


def read_frames(connection: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """Return operation and payload of so many frames."""
    with closing(connection.makefile("rb", buffering=0)) as stream:
        found = []
        for _ in range(count):
            length, _, operation, _ = struct.unpack("<IIHH", stream.read(12))
            found.append((operation, stream.read(length - 8)))
        return found
