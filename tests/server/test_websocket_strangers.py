"""WebSockets that no honest client opens, and what they get: a reason, an end, and nobody else's time."""

from __future__ import annotations

import json
import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lawow.limits import CHANNEL, EDGE
from tests.server.planes import Plane, number, open_plane, slots
from tests.server.raw_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawWebSocket,
    handshake,
)
from tests.server.running import RunningEdge, running_edge, until
from tests.server.test_transport import is_cut_off

PAGE = "https://app.example"
SMALL = {
    "origins": [PAGE],
    "websocket_seconds": 1.0,
    "websocket_controls_per_second": 20,
    "body_seconds": 1.0,
    "connections_per_tenant": 8,
}
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """An edge with little patience."""
    with running_edge(tmp_path_factory.mktemp("small") / "data", **SMALL) as running:
        yield running


@pytest.fixture(scope="module")
def plane(small: RunningEdge) -> Plane:
    """A lease with an instance of the counter, for all tests that leave its worker as it is."""
    return open_plane(small, "strangers")


def opened(
    small: RunningEdge, plane: Plane, changed: dict[str, str | None] | None = None, **more: int
) -> RawWebSocket:
    """Ask for the WebSocket of a lease."""
    return RawWebSocket(small.address, f"/v1/leases/{plane.lease}/channel", changed, **more)


def text(value: bytes) -> bytes:
    """Return bytes as the protocol has them."""
    return struct.pack("<H", len(value)) + value


def frame(frame_id: int, operation: int, payload: bytes) -> bytes:
    """Return one frame of the channel."""
    return struct.pack("<IIHH", 8 + len(payload), frame_id, operation, 0) + payload


def hello(plane: Plane) -> bytes:
    """Return HELLO with the lease's token."""
    return frame(
        0, 1, b"LWOW" + struct.pack("<HHII", 1, 1, 1 << 20, 8 << 20) + text(plane.token.encode()) + bytes(6)
    )


def bind(plane: Plane, export: bytes, signature: bytes) -> bytes:
    """Return BIND of an export, with the id 1."""
    return frame(1, 0x10, text(plane.target.encode()) + text(export) + text(signature))


def call(call_id: int, arguments: bytes) -> bytes:
    """Return CALL of it."""
    return frame(call_id, 0x12, struct.pack("<II", 1, 0) + arguments)


def frames(websocket: RawWebSocket, count: int) -> list[tuple[int, bytes]]:
    """Read so many frames of the channel: operation and payload."""
    found: list[tuple[int, bytes]] = []
    held = b""
    while len(found) < count:
        kind, data = websocket.receive()
        assert kind == BINARY, (kind, data)
        held += data
        while len(held) >= 4 and len(held) >= 4 + (length := struct.unpack_from("<I", held)[0]):
            found.append((struct.unpack_from("<H", held, 8)[0], held[12 : 4 + length]))
            held = held[4 + length :]
    return found


def greet(websocket: RawWebSocket, plane: Plane) -> None:
    """Say HELLO and be welcome."""
    websocket.send(hello(plane))
    assert frames(websocket, 1)[0][0] == 0x02


def is_served(small: RunningEdge, plane: Plane) -> bool:
    """Tell whether an honest client is served."""
    with opened(small, plane) as websocket:
        greet(websocket, plane)
        websocket.send(bind(plane, b"add", b"i>i") + call(2, slots(0)))
        return [operation for operation, _ in frames(websocket, 2)] == [0x11, 0x13]


def test_a_client_written_from_the_specifications_is_served_without_compression(
    small: RunningEdge, plane: Plane
) -> None:
    offered = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    with opened(small, plane, offered) as websocket:  # type: ignore[arg-type]
        assert websocket.status == 101
        assert f"sec-websocket-accept: {websocket.accept.lower()}" in websocket.head
        assert "sec-websocket-protocol: lawow.v1" in websocket.head
        assert "extensions" not in websocket.head
        greet(websocket, plane)
        websocket.send(bind(plane, b"add", b"i>i") + call(2, slots(7)))
        answers = frames(websocket, 2)
        assert [operation for operation, _ in answers] == [0x11, 0x13]
        assert number(answers[1][1][8:]) == 7
        websocket.send(struct.pack(">H", 1000), CLOSE)
        assert websocket.close_code() == 1000


def test_any_cut_of_the_frames_will_do_fragments_and_pings_between(small: RunningEdge, plane: Plane) -> None:
    with opened(small, plane) as websocket:
        data = hello(plane)
        for at in range(20):
            websocket.send(data[at : at + 1])
        websocket.send(data[20:40], last=False)
        websocket.send(b"are you there?", PING)
        websocket.send(data[40:], CONTINUATION)
        assert websocket.receive() == (PONG, b"are you there?")
        assert frames(websocket, 1)[0][0] == 0x02


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Sec-WebSocket-Version": "12"}, 400),
        ({"Sec-WebSocket-Key": None}, 400),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Sec-WebSocket-Protocol": None}, 400),
        ({"Sec-WebSocket-Protocol": "lawow.v9, chat"}, 400),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": PAGE + ".elsewhere.example"}, 403),
        ({"Origin": PAGE}, 101),
        ({"Sec-WebSocket-Protocol": "chat, lawow.v1"}, 101),
    ],
)
def test_what_is_no_handshake_or_of_another_origin_is_refused(
    small: RunningEdge, plane: Plane, changed: dict[str, str | None], status: int
) -> None:
    with opened(small, plane, changed) as websocket:
        assert websocket.status == status
        assert status == 101 or "lawow-error: " in websocket.head


def test_a_page_cannot_make_its_origin_the_edges_by_naming_it_as_host(
    small: RunningEdge, plane: Plane
) -> None:
    """As after DNS rebinding, where the page's own name leads to this machine."""
    rebound = {"Host": "evil.example", "Origin": "http://evil.example"}
    with opened(small, plane, rebound) as websocket:  # type: ignore[arg-type]
        assert websocket.status == 403


@pytest.mark.parametrize(
    "path", ["/v1/leases/" + "0" * 32 + "/channel", "/v1/channel", "/v1/health", "/v1/leases/../channel", "*"]
)
def test_other_paths_and_leases_are_not_found(small: RunningEdge, path: str) -> None:
    with RawWebSocket(small.address, path) as websocket:
        assert websocket.status in (400, 404)


def test_the_path_without_an_upgrade_is_no_route(small: RunningEdge, plane: Plane) -> None:
    assert small.ask("GET", f"/v1/leases/{plane.lease}/channel", "strangers").refused_with(404, "not-found")


UNMASKED = b"\x82\x04abcd"
VIOLATIONS = {
    "text": (RawWebSocket.frame(b"hello", TEXT), 1003),
    "a message beyond the limit": (RawWebSocket.frame(bytes(CHANNEL.websocket_bytes + 1)), 1009),
    "a claim of 2**62 bytes": (b"\x82\xff" + struct.pack(">Q", 1 << 62) + bytes(4), 1009),
    "fragments beyond the limit": (
        RawWebSocket.frame(bytes(40_000), last=False) + RawWebSocket.frame(bytes(40_000), CONTINUATION),
        1009,
    ),
    "compressed": (RawWebSocket.frame(b"abcd", bits=0x40), 1002),
    "without a mask": (UNMASKED, 1002),
    "a continuation of nothing": (RawWebSocket.frame(b"abcd", CONTINUATION), 1002),
    "a message in a message": (RawWebSocket.frame(b"a", last=False) + RawWebSocket.frame(b"b"), 1002),
    "a ping of 126 bytes": (RawWebSocket.frame(bytes(126), PING), 1002),
    "a ping in fragments": (RawWebSocket.frame(b"", PING, last=False), 1002),
    "an unknown kind": (RawWebSocket.frame(b"", 5), 1002),
    "a flood of pings": (RawWebSocket.frame(b"", PING) * 3_000, 1008),
    "a flood of pongs": (RawWebSocket.frame(b"", PONG) * 3_000, 1008),
    "empty fragments without end": (
        RawWebSocket.frame(b"", last=False) + RawWebSocket.frame(b"", CONTINUATION, last=False) * 3_000,
        1008,
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_ends_the_connection_with_its_code_and_no_other(
    small: RunningEdge, plane: Plane, name: str
) -> None:
    data, code = VIOLATIONS[name]
    with opened(small, plane) as other, opened(small, plane) as websocket:
        greet(other, plane)
        greet(websocket, plane)
        websocket.socket.sendall(data)
        assert websocket.close_code() == code
        other.send(bind(plane, b"add", b"i>i"))
        assert frames(other, 1)[0][0] == 0x11


def test_garbage_in_messages_is_the_workers_business_and_its_goodbye_arrives(
    small: RunningEdge, plane: Plane
) -> None:
    with opened(small, plane) as websocket:
        websocket.send(b"\xff" * 64)
        kind, data = websocket.receive()
        assert kind == BINARY
        assert b"protocol-error" in data
        assert websocket.close_code() == 1000
    assert is_served(small, plane)


def test_random_bytes_end_their_own_connection_alone(small: RunningEdge, plane: Plane) -> None:
    chance = random.Random(3)
    for _ in range(30):
        with opened(small, plane) as websocket:
            websocket.socket.sendall(chance.randbytes(chance.randrange(1, 200)))
            websocket.socket.shutdown(socket.SHUT_WR)
            assert websocket.close_code() in (0, 1000, 1002, 1003, 1006, 1007, 1009)
    assert is_served(small, plane)


def test_who_says_nothing_is_sent_away_after_five_seconds(small: RunningEdge, plane: Plane) -> None:
    started = time.monotonic()
    with opened(small, plane) as websocket:
        assert websocket.close_code() == 1000
    assert 4 < time.monotonic() - started < 9


def test_a_connection_that_breaks_off_in_a_message_leaves_its_session(
    small: RunningEdge, plane: Plane
) -> None:
    data = RawWebSocket.frame(hello(plane))
    for cut in (1, 5, len(data) - 1):
        with opened(small, plane) as websocket:
            websocket.socket.sendall(data[:cut])
    with opened(small, plane) as websocket:
        greet(websocket, plane)
        websocket.socket.sendall(
            RawWebSocket.frame(bind(plane, b"add", b"i>i") + call(2, slots(1))) + data[:20]
        )
    assert is_served(small, plane)


def memory_bytes(process: int) -> int:
    """Return what a process has resident."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096


def test_a_reader_that_takes_nothing_is_bounded_and_cut_off(small: RunningEdge, plane: Plane) -> None:
    body = struct.pack("<II", 500_000, 0) + bytes(500_000)
    calls = b"".join(call(number, body) for number in range(2, 12))
    with opened(small, plane, receive_bytes=16 << 10) as slow:
        greet(slow, plane)
        before = memory_bytes(small.process.pid)
        slow.send(bind(plane, b"echo", b"[b>[b"))
        try:
            for at in range(0, len(calls), CHANNEL.websocket_bytes):
                slow.send(calls[at : at + CHANNEL.websocket_bytes])
        except OSError:  # cut off, or not read any more
            pass
        assert is_served(small, plane)
        assert memory_bytes(small.process.pid) - before < 8 << 20  # of 5 MB each way
        assert is_cut_off(slow.socket, bytes(1 << 16))


def test_strangers_take_no_clients_place_and_the_oldest_makes_room(small: RunningEdge, plane: Plane) -> None:
    """Counted where their HELLO is awaited, by the address that they come from."""
    with opened(small, plane) as client, ExitStack() as stack:
        greet(client, plane)
        strangers = [
            stack.enter_context(opened(small, plane)) for _ in range(2 * EDGE.data_strangers_per_network)
        ]
        assert is_served(small, plane)
        assert all(item.close_code() == 1000 for item in strangers[: EDGE.data_strangers_per_network])
        client.send(bind(plane, b"add", b"i>i"))
        assert frames(client, 1)[0][0] == 0x11


def test_clients_count_among_the_connections_of_their_tenant(small: RunningEdge, tenant: str) -> None:
    plane = open_plane(small, tenant)
    with ExitStack() as stack:
        for _ in range(int(SMALL["connections_per_tenant"])):  # type: ignore[call-overload]
            greet(stack.enter_context(opened(small, plane)), plane)
        with opened(small, plane) as late:
            late.send(hello(plane))
            assert late.close_code() == 1013

    def has_room_again() -> bool:
        try:
            return is_served(small, plane)
        except AssertionError:  # the edge has not seen yet that the others have gone
            return False

    until(has_room_again)


def test_a_handshake_behind_an_unanswered_request_is_cut_off(small: RunningEdge, plane: Plane) -> None:
    request = handshake(f"/v1/leases/{plane.lease}/channel", KEY)
    with socket.create_connection(small.address, timeout=10) as connection:
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: edge\r\n\r\n" + request)
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except ConnectionResetError:
            pass
        assert b" 101 " not in received


def test_a_connection_that_served_requests_may_become_a_websocket(small: RunningEdge, plane: Plane) -> None:
    request = handshake(f"/v1/leases/{plane.lease}/channel", KEY)
    with socket.create_connection(small.address, timeout=10) as connection:
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: edge\r\n\r\n")
        received = b""
        while b'"ok"' not in received:
            received += connection.recv(65536)
        connection.sendall(request)
        assert connection.recv(65536).startswith(b"HTTP/1.1 101 ")


def test_the_log_tells_of_clients_and_not_of_strangers(small: RunningEdge, tenant: str) -> None:
    plane = open_plane(small, tenant)
    with opened(small, plane) as websocket:
        assert websocket.status == 101
    assert is_served(small, plane)

    def lines() -> list[str]:
        return [
            line
            for line in small.log.read_text().splitlines()
            if f" websocket peer=127.0.0.1 tenant={tenant} " in line
        ]

    until(lambda: len(lines()) == 1)
    assert plane.token not in json.dumps(lines())
