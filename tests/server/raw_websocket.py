"""A WebSocket client that sends whatever a test wants, written from RFC 6455 without our code."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import struct
from contextlib import suppress
from types import TracebackType

__all__ = ["BINARY", "CLOSE", "CONTINUATION", "PING", "PONG", "TEXT", "RawWebSocket", "handshake"]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SUBPROTOCOL = "lawow.v1"


def handshake(path: str, key: str, changed: dict[str, str | None] | None = None) -> bytes:
    """Return a request; headers in `changed` are added, replaced, or left out where they are None."""
    headers: dict[str, str | None] = {
        "Host": "edge",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": SUBPROTOCOL,
        **(changed or {}),
    }
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()


class RawWebSocket:
    """One connection. `head` is the answer to the request, in lower case."""

    def __init__(
        self,
        address: tuple[str, int],
        path: str,
        changed: dict[str, str | None] | None = None,
        receive_bytes: int | None = None,
    ) -> None:
        """`receive_bytes`: how much the kernel takes for a client that does not read."""
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(10)
        self.socket.connect(address)
        self.stream = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16))
        self.socket.sendall(handshake(path, key.decode(), changed))
        lines = []
        while (line := self.stream.readline()) not in (b"", b"\r\n"):
            lines.append(line)
        self.head = b"".join(lines).decode().lower()
        self.accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()

    def __enter__(self) -> RawWebSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stream.close()
        self.socket.close()

    @property
    def status(self) -> int:
        """The status of the answer."""
        return int(self.head.split()[1])

    def send(self, payload: bytes, kind: int = BINARY, *, last: bool = True, bits: int = 0) -> None:
        """Send one frame, under a mask; `bits` are reserved ones."""
        self.socket.sendall(self.frame(payload, kind, last=last, bits=bits))

    @staticmethod
    def frame(payload: bytes, kind: int = BINARY, *, last: bool = True, bits: int = 0) -> bytes:
        """Return one frame."""
        size = len(payload)
        length = (
            bytes([0x80 | size])
            if size < 126
            else struct.pack(">BH", 0xFE, size)
            if size < 65536
            else struct.pack(">BQ", 0xFF, size)
        )
        mask = os.urandom(4)
        covered = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        return bytes([0x80 * last | bits | kind]) + length + mask + covered

    def receive(self) -> tuple[int, bytes]:
        """Return kind and payload of the next frame; (-1, b"") when the edge has closed the connection."""
        try:
            head = self.stream.read(2)
        except ConnectionResetError:
            return -1, b""
        if len(head) < 2:
            return -1, b""
        assert not head[1] & 0x80, "a server does not mask"
        assert head[0] & 0x70 == 0, "no extension was agreed upon"
        size = head[1]
        if size == 126:
            size = struct.unpack(">H", self.stream.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.stream.read(8))[0]
        return head[0] & 0x0F, self.stream.read(size)

    def close_code(self) -> int:
        """Read until the edge closes, and return its close code; 0: it gave none."""
        code = 0
        while (received := self.receive())[0] != -1:
            if received[0] == CLOSE:
                code = struct.unpack(">H", received[1][:2])[0]
                with suppress(OSError):  # this end may have said already that it sends no more
                    self.send(received[1], CLOSE)
        return code
