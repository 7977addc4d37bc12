"""A client needs a socket and the layouts of docs/PROTOCOL.md; that page is as drawn."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

from docs import draw_protocol
from lawow.channel import events
from lawow.channel.server import ServerConnection
from lawow.channel.sessions import ServerSession

ROOT = Path(__file__).resolve().parents[2]


def plain_call(connection: socket.socket, token: bytes, number: int) -> int:
    """Call fib once: the client of twenty lines."""

    def send(frame_id: int, operation: int, payload: bytes) -> None:
        connection.sendall(struct.pack("<IIHH", 8 + len(payload), frame_id, operation, 0) + payload)

    def text(value: bytes) -> bytes:
        return struct.pack("<H", len(value)) + value

    def receive() -> tuple[int, bytes]:
        length, _, operation, _ = struct.unpack("<IIHH", stream.read(12))
        return operation, stream.read(length - 8)

    stream = connection.makefile("rb")
    send(0, 0x01, b"LWOW" + struct.pack("<HHII", 1, 1, 1 << 20, 8 << 20) + text(token) + bytes(6))
    assert receive()[0] == 0x02
    send(1, 0x10, text(b"sha256:00") + text(b"fib") + text(b"i>i"))
    send(2, 0x12, struct.pack("<IIq", 1, 0, number))
    assert receive()[0] == 0x11
    operation, payload = receive()
    assert operation == 0x13
    return int(struct.unpack_from("<q", payload, 8)[0])


def serve(connection: socket.socket) -> None:
    """Answer every call with twice its number."""
    server = ServerConnection()
    while data := connection.recv(65536):
        for event in server.receive_data(data):
            if isinstance(event, events.Greeted):
                server.send_welcome(ServerSession(b"session"))
            elif isinstance(event, events.FunctionAsked):
                server.send_bound(event.id)
            elif isinstance(event, events.Called):
                (number,) = struct.unpack("<q", event.arguments)
                server.send_result(event.id, struct.pack("<q", 2 * number))
        connection.sendall(server.data_to_send())


def test_a_client_of_twenty_lines_is_enough() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        theirs.settimeout(10)
        thread = threading.Thread(target=serve, args=(theirs,), daemon=True)
        thread.start()
        assert plain_call(ours, b"lease", 21) == 42
        ours.shutdown(socket.SHUT_WR)
        thread.join(10)
        assert not thread.is_alive()


def test_the_page_is_drawn_from_the_tables() -> None:
    page = (ROOT / "docs" / "PROTOCOL.md").read_text()
    assert draw_protocol.draw(page) == page
    for name in draw_protocol.blocks():
        assert f"<!-- drawn: {name} -->" in page
