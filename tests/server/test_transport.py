"""Bytes on the wire that no honest client sends: everything is bounded, and nobody else notices."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.edge.builders import numbered
from tests.server.running import RunningEdge, running_edge, until

SMALL = {
    "head_seconds": 0.6,
    "body_seconds": 0.6,
    "body_bytes_per_second": 1000,
    "keep_alive_seconds": 2,
    "connections_per_address": 20,
    "module_bytes": 100_000,
    "call_bytes": 5_000,
}
MODULE = numbered(2000)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """An edge with little patience."""
    with running_edge(tmp_path_factory.mktemp("small") / "data", **SMALL) as running:
        running.put("acme", MODULE.wasm, MODULE.digest)
        yield running


@contextmanager
def connected(edge: RunningEdge) -> Iterator[socket.socket]:
    with socket.create_connection(edge.address, timeout=10) as connection:
        yield connection


def everything(connection: socket.socket) -> bytes:
    """Read until the edge closes; a reset counts as closing."""
    data = b""
    try:
        while part := connection.recv(65536):
            data += part
    except ConnectionResetError:
        return data
    return data


def is_cut_off(connection: socket.socket, piece: bytes) -> bool:
    """Send a piece again and again; tell whether the edge stops taking it within 200 KB."""
    try:
        for _ in range(200):
            connection.sendall(piece)
            time.sleep(0.005)
    except OSError:
        return True
    return False


def put_head(edge: RunningEdge, *headers: str) -> bytes:
    lines = [
        f"PUT /v1/modules/sha256:{MODULE.digest} HTTP/1.1",
        "Host: edge",
        f"Authorization: Bearer {edge.token('acme')}",
        "Content-Type: application/wasm",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.promise("N1")
def test_a_header_that_never_ends_is_cut_off_by_the_clock(small: RunningEdge) -> None:
    with connected(small) as connection:
        connection.sendall(b"GET /v1/health HTTP/1.1\r\n")
        started = time.monotonic()
        assert everything(connection) == b""
        assert 0.4 < time.monotonic() - started < 5


def test_a_connection_that_says_nothing_is_closed(small: RunningEdge) -> None:
    with connected(small) as connection:
        assert everything(connection) == b""


@pytest.mark.promise("N2")
def test_a_header_of_endless_bytes_is_cut_off_by_size(small: RunningEdge) -> None:
    with connected(small) as connection:
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nX: " + b"a" * 20_000)
        assert everything(connection).startswith(b"HTTP/1.1 431 ")


def test_a_large_header_in_one_piece_is_refused(small: RunningEdge) -> None:
    with connected(small) as connection:
        many = b"".join(b"X-%d: y\r\n" % number for number in range(3000))
        connection.sendall(b"GET /v1/health HTTP/1.1\r\n" + many + b"\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 431 ")


def test_trailers_without_end_are_cut_off(small: RunningEdge) -> None:
    with connected(small) as connection:
        connection.sendall(put_head(small, "Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\n")
        assert is_cut_off(connection, b"Trailer: " + b"t" * 1000 + b"\r\n")


def test_chunk_extensions_without_end_are_cut_off(small: RunningEdge) -> None:
    with connected(small) as connection:
        connection.sendall(put_head(small, "Transfer-Encoding: chunked"))
        assert is_cut_off(connection, b"1;" + b"e" * 1000 + b"\r\na\r\n")


@pytest.mark.promise("N1")
def test_a_body_that_trickles_is_answered_408(small: RunningEdge) -> None:
    with connected(small) as connection:
        connection.sendall(put_head(small, "Content-Length: 1000"))
        with suppress(BrokenPipeError, ConnectionResetError):  # it is answered before the last of them
            for _ in range(8):
                connection.sendall(b"x")
                time.sleep(0.1)
        connection.settimeout(30)
        assert b" 408 " in everything(connection).split(b"\r\n")[0]


def test_a_body_that_keeps_its_pace_is_taken_however_long_it_lasts(small: RunningEdge) -> None:
    """2,000 bytes in two seconds: longer than `body_seconds`, but fast enough."""
    with connected(small) as connection:
        connection.sendall(put_head(small, "Content-Length: 2000", "Connection: close"))
        for _ in range(20):
            connection.sendall(b"x" * 100)
            time.sleep(0.06)
        assert b" 422 " in everything(connection).split(b"\r\n")[0]  # no module, but all of it was read


@pytest.mark.promise("N2")
def test_an_announced_length_beyond_the_limit_is_refused_before_the_body(small: RunningEdge) -> None:
    with connected(small) as connection:
        connection.sendall(put_head(small, "Content-Length: 100001", "Expect: 100-continue"))
        answer = everything(connection)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"100 Continue" not in answer


def test_chunks_beyond_the_limit_are_refused_although_nothing_was_announced(small: RunningEdge) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(11):
            yield b"x" * 10_000

    path = f"/v1/modules/sha256:{MODULE.digest}"
    reply = small.ask("PUT", path, "acme", chunks(), {"Content-Type": "application/wasm"})
    assert reply.refused_with(413, "too-large")
    assert not list((small.data / "incoming").iterdir())


def test_a_call_beyond_its_limit_is_refused(small: RunningEdge) -> None:
    body = b'{"arguments": [' + b" " * 5_000 + b"]}"
    path = f"/v1/modules/sha256:{MODULE.digest}/exports/number/calls"
    reply = small.ask("POST", path, "acme", body, {"Content-Type": "application/json"})
    assert reply.refused_with(413, "too-large")


@pytest.mark.promise("N2")
@pytest.mark.parametrize(
    "head",
    [
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: -1",),
        ("Content-Length: 18446744073709551617",),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked, gzip",),
        ("Bad Header",),
        ("X: \x00",),
    ],
)
def test_contradictory_or_malformed_heads_are_refused(small: RunningEdge, head: tuple[str, ...]) -> None:
    with connected(small) as connection:
        connection.sendall(put_head(small, *head) + b"hello")
        assert everything(connection).split(b" ")[1] in (b"400", b"411", b"413")


@pytest.mark.promise("N2")
@pytest.mark.parametrize("size", [b"-1", b"zz", b"ffffffffffffffffff", b""])
def test_chunk_sizes_that_lie_are_refused(small: RunningEdge, size: bytes) -> None:
    with connected(small) as connection:
        connection.sendall(put_head(small, "Transfer-Encoding: chunked") + size + b"\r\nabc\r\n0\r\n\r\n")
        assert b" 400 " in everything(connection).split(b"\r\n")[0]


@pytest.mark.parametrize(
    "line",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET \xff\xfe HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0" * 100,
        b"PRI * HTTP/2.0",
    ],
)
def test_bytes_that_are_no_http_get_a_problem_or_nothing(small: RunningEdge, line: bytes) -> None:
    with connected(small) as connection:
        connection.sendall(line + b"\r\n\r\n")
        answer = everything(connection)
        assert not answer or b" 400 " in answer.split(b"\r\n")[0] or b" 505 " in answer.split(b"\r\n")[0]


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(small: RunningEdge) -> None:
    with connected(small) as connection:
        connection.sendall(put_head(small, "Content-Length: 50000") + b"x" * 20_000)
    end = time.monotonic() + 5
    while list((small.data / "incoming").iterdir()) and time.monotonic() < end:
        time.sleep(0.02)
    assert not list((small.data / "incoming").iterdir())


def test_a_flood_of_pipelined_requests_is_cut_off(small: RunningEdge) -> None:
    with connected(small) as connection:
        request = b"GET /v1/health HTTP/1.1\r\nHost: edge\r\n\r\n"
        connection.sendall(request * 500)
        answers = everything(connection)
        assert answers.count(b'"status":"ok"') < 100
        assert b"too many requests" in answers


@pytest.mark.promise("L6")
def test_too_many_connections_of_one_address_are_cut_and_places_come_back(small: RunningEdge) -> None:
    held = [socket.create_connection(small.address, timeout=10) for _ in range(20)]
    try:
        with connected(small) as one_more:
            assert everything(one_more) == b""
    finally:
        for connection in held:
            connection.close()

    def is_served() -> bool:
        try:
            return small.ask("GET", "/v1/health").status == 200
        except OSError:  # the edge has not seen yet that the others have gone
            return False

    until(is_served)


def test_the_edge_still_serves_after_all_of_this(small: RunningEdge) -> None:
    assert small.call("acme", MODULE.digest, "number").json["results"] == [2000]
    log = small.log.read_text()
    assert "Traceback" not in log
    assert " defect " not in log
