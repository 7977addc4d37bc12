"""The device's end of a WebSocket: the same bytes whatever the messages, and edges that answer nonsense."""

from __future__ import annotations

import json
import random
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

from lawow.device.edge_client import EdgeClient
from lawow.device.websocket import NOT_NOW, WebSocketWire, dial_websocket
from lawow.device.wire import Ways, Wire, has_pending
from lawow.errors import HostLost, LawowError, Refused, RemoteProtocolError
from lawow.limits import CHANNEL
from tests.conftest import ROOT

BINARY, TEXT, CLOSE, PING, PONG, CONTINUATION = 2, 1, 8, 9, 10, 0
VECTORS = json.loads((ROOT / "fixtures" / "channel" / "vectors.json").read_text())


@pytest.fixture
def ends() -> Iterator[tuple[WebSocketWire, socket.socket]]:
    """A wire behind its handshake, and the socket of the edge's end."""
    near, far = socket.socketpair()
    for end in (near, far):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    near.setblocking(False)
    far.settimeout(10)
    protocol = ClientProtocol(parse_uri("wss://edge/"), state=State.OPEN, max_size=CHANNEL.websocket_bytes)
    wire = WebSocketWire(near, protocol)
    yield wire, far
    wire.close()
    far.close()


def message(payload: bytes, kind: int = BINARY, *, last: bool = True) -> bytes:
    """Return a server's frame."""
    head = bytes([0x80 * last | kind])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    return head + struct.pack(">BQ", 127, len(payload)) + payload


def read_message(far: socket.socket) -> tuple[int, bytes]:
    """Return kind and payload of a client's frame."""
    with far.makefile("rb", buffering=0) as stream:
        head = exactly(stream.read, 2)
        size = head[1] & 0x7F
        assert head[1] & 0x80, "a client masks"
        if size > 125:
            size = int.from_bytes(exactly(stream.read, 2 if size == 126 else 8))
        mask = exactly(stream.read, 4)
        covered = exactly(stream.read, size)
    pad = (mask * (size // 4 + 1))[:size]
    return head[0] & 0x0F, (int.from_bytes(covered) ^ int.from_bytes(pad)).to_bytes(size)


def exactly(read: Callable[[int], bytes | None], count: int) -> bytes:
    """Read so many bytes."""
    data = b""
    while len(data) < count:
        part = read(count - len(data))
        assert part, "the wire was closed"
        data += part
    return data


def received(wire: WebSocketWire, count: int) -> bytes:
    """Receive so many bytes, as a loop that does not block does."""
    data = b""
    while len(data) < count:
        if not has_pending(wire):
            assert select.select([wire], [], [], 10)[0]
        try:
            part = wire.recv(1000)
        except NOT_NOW:
            continue
        assert part
        data += part
    return data


def test_bytes_are_the_same_however_they_were_cut_into_messages_and_fragments(
    ends: tuple[WebSocketWire, socket.socket],
) -> None:
    wire, far = ends
    chance = random.Random(1)
    scripts = [item["steps"] for item in VECTORS["good"] if item["role"] == "client"]
    data = b"".join(
        bytes.fromhex(step["receives"]) for steps in scripts for step in steps if "receives" in step
    )
    sent, pings = b"", 0
    for at in range(0, len(data), 20):
        piece = data[at : at + 20]
        cut = chance.randrange(len(piece) + 1)
        sent += message(piece[:cut], last=False)
        if at % 400 == 0:
            sent, pings = sent + message(struct.pack("<I", at), PING), pings + 1
        sent += message(piece[cut:], CONTINUATION)
    feeding = threading.Thread(target=far.sendall, args=(sent,))
    feeding.start()
    assert received(wire, len(data)) == data
    feeding.join()
    assert [read_message(far) for _ in range(pings)] == [
        (PONG, struct.pack("<I", at)) for at in range(0, len(data), 400)
    ]


def test_what_the_socket_does_not_take_is_sent_when_the_same_bytes_are_given_again(
    ends: tuple[WebSocketWire, socket.socket],
) -> None:
    wire, far = ends
    data = random.Random(2).randbytes(300_000)
    arrived: list[bytes] = []

    def read() -> None:
        while sum(map(len, arrived)) < len(data):
            kind, payload = read_message(far)
            assert kind == BINARY
            arrived.append(payload)

    reading = threading.Thread(target=read)
    left, waits = memoryview(data), 0
    while left:
        try:
            left = left[wire.send(left) :]
        except NOT_NOW:
            waits += 1
            if waits == 1:
                reading.start()
            select.select([], [wire], [], 10)
    reading.join()
    assert b"".join(arrived) == data
    assert waits
    assert max(map(len, arrived)) == CHANNEL.websocket_bytes


@pytest.mark.parametrize(
    "sent",
    [
        message(b"hello", TEXT),
        b"\x82\x7f" + struct.pack(">Q", CHANNEL.websocket_bytes + 1) + b"the first of it",
        b"\xc2\x01a",
        message(b"a", CONTINUATION),
        message(bytes(126), PING),
    ],
    ids=["text", "too large", "compressed", "a continuation of nothing", "a ping of 126 bytes"],
)
def test_a_violation_of_the_edge_is_one_of_the_protocol(
    ends: tuple[WebSocketWire, socket.socket], sent: bytes
) -> None:
    wire, far = ends
    far.sendall(sent)
    with pytest.raises(RemoteProtocolError):
        wire.recv(1000)


def test_pings_whose_answers_nobody_takes_end_the_connection(
    ends: tuple[WebSocketWire, socket.socket],
) -> None:
    wire, far = ends
    far.settimeout(0.2)
    with pytest.raises(RemoteProtocolError, match="takes no answers"):  # noqa: PT012  # until it is so
        for _ in range(1_000):
            far.sendall(message(b"?" * 100, PING) * 10)
            with suppress(*NOT_NOW):
                wire.recv(1000)


def test_what_came_before_the_close_is_received_and_then_the_end(
    ends: tuple[WebSocketWire, socket.socket],
) -> None:
    wire, far = ends
    far.sendall(message(b"goodbye") + message(struct.pack(">H", 1000), CLOSE))
    assert wire.recv(3) == b"goo"
    assert has_pending(wire)
    assert wire.recv(1000) == b"dbye"
    assert has_pending(wire)
    assert wire.recv(1000) == b""
    assert read_message(far) == (CLOSE, struct.pack(">H", 1000))
    with pytest.raises(OSError):
        wire.send(b"late")


def test_closing_says_so(ends: tuple[WebSocketWire, socket.socket]) -> None:
    wire, far = ends
    wire.close()
    assert read_message(far) == (CLOSE, struct.pack(">H", 1000))


ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", HostLost),
        (b"HTTP/1.1 404 Not Found\r\nLawow-Error: not-found\r\nContent-Length: 0\r\n\r\n", HostLost),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\n\x1b[2J", HostLost),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", HostLost),
        (
            ACCEPTED + b"Sec-WebSocket-Accept: AAAA\r\nSec-WebSocket-Protocol: lawow.v1\r\n\r\n",
            RemoteProtocolError,
        ),
        (ACCEPTED + b"\r\n", RemoteProtocolError),
        (b"HTTP/1.1 101 Switching Protocols\r\n" * 300 + b"\r\n", RemoteProtocolError),
        (b"\xff" * 100 + b"\r\n\r\n", RemoteProtocolError),
    ],
    ids=["nothing", "404", "502", "200", "another key", "no key", "no end", "garbage"],
)
def test_an_answer_that_opens_no_websocket_is_an_error(answer: bytes, error: type[LawowError]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            near, _ = listener.accept()
            with near:
                near.recv(1 << 16)
                near.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with EdgeClient(url, "token", timeout_seconds=5) as edge, pytest.raises(error) as caught:
            dial_websocket(edge, "/v1/leases/x/channel")
        assert str(caught.value).isprintable()
        thread.join()


@pytest.mark.parametrize("path", ["", "v1", "/a b", "/a\r\nX: y", "/" + "a" * 300, "/\u00e9"])
def test_a_path_that_is_none_is_not_asked_for(path: str) -> None:
    with EdgeClient("http://127.0.0.1:1", "token") as edge, pytest.raises(RemoteProtocolError):
        dial_websocket(edge, path)


def test_the_way_that_worked_last_is_tried_first() -> None:
    tried: list[str] = []
    working = {"port": False, "websocket": True}

    def way(name: str) -> Callable[[], Wire]:
        def dial() -> Wire:
            tried.append(name)
            if not working[name]:
                raise HostLost(name)
            near, far = socket.socketpair()
            far.close()
            return near

        return dial

    ways = Ways(way("port"), way("websocket"))
    for expected in (["port", "websocket"], ["websocket"]):
        tried.clear()
        ways().close()
        assert tried == expected
    working.update(port=True, websocket=False)
    tried.clear()
    ways().close()
    assert tried == ["websocket", "port"]
    working["port"] = False
    with pytest.raises(HostLost, match="websocket"):
        ways()


def test_another_certificate_is_no_reason_to_try_another_way() -> None:
    def refused() -> Wire:
        raise Refused("another certificate")

    def never() -> Wire:
        raise AssertionError

    with pytest.raises(Refused):
        Ways(refused, never)()
