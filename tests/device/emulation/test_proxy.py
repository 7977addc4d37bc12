"""The emulated link: bytes arrive whole and late, and a cut is a cut."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from lawow.device.emulation.link import LinkShape
from lawow.device.emulation.proxy import ShapingProxy
from lawow.errors import UsageError


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets, to the end."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(1 << 16):
                        connection.sendall(data)
                except OSError:
                    return

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def exchange(port: int, data: bytes) -> bytes:
    """Send all of it, then the end, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
        sender.start()
        found = bytearray()
        while part := client.recv(1 << 16):
            found += part
        sender.join()
    return bytes(found)


def received_until_reset(client: socket.socket) -> int:
    """Return how many bytes came before the connection was reset."""
    got = 0
    try:
        while part := client.recv(4096):
            got += len(part)
    except ConnectionResetError:
        return got
    raise AssertionError("the connection was closed, not reset")


@pytest.mark.parametrize("shape", [LinkShape(), LinkShape(0.001, 0.002, 80e6, 0.02, 0.005)])
def test_bytes_arrive_whole_and_in_order(echo: int, shape: LinkShape) -> None:
    data = random.Random(1).randbytes(1 << 20)
    with ShapingProxy("127.0.0.1", echo, shape) as link:
        found = exchange(link.port, data)
        assert hashlib.sha256(found).digest() == hashlib.sha256(data).digest()
        assert (link.sent_bytes, link.received_bytes) == (len(data), len(data))


def test_nothing_arrives_before_the_latency_of_both_ways(echo: int) -> None:
    with ShapingProxy("127.0.0.1", echo, LinkShape(latency_seconds=0.05)) as link:
        started = time.monotonic()
        assert exchange(link.port, b"x") == b"x"
        assert time.monotonic() - started >= 0.1


def test_nothing_arrives_faster_than_the_bandwidth(echo: int) -> None:
    """100,000 bytes at 4 Mbit/s take 0.2 s; the way back overlaps with it."""
    with ShapingProxy("127.0.0.1", echo, LinkShape(bits_per_second=4e6)) as link:
        started = time.monotonic()
        assert len(exchange(link.port, bytes(100_000))) == 100_000
        assert time.monotonic() - started >= 0.2


def test_a_lost_segment_waits_for_its_retry(echo: int) -> None:
    with ShapingProxy("127.0.0.1", echo, LinkShape(loss=0.9, retry_seconds=0.02), seed=3) as link:
        started = time.monotonic()
        assert exchange(link.port, b"x") == b"x"
        assert time.monotonic() - started >= 0.02


def test_a_connection_is_cut_after_exactly_the_bytes_it_was_given(echo: int) -> None:
    with (
        ShapingProxy("127.0.0.1", echo, cut_after=lambda: 1000) as link,
        socket.create_connection(("127.0.0.1", link.port), timeout=10) as client,
    ):
        client.sendall(bytes(600))
        assert received_until_reset(client) <= 400
        assert link.sent_bytes + link.received_bytes == 1000
        assert link.cuts == 1


def test_a_target_that_is_not_there_resets_the_client() -> None:
    """The reset may come as early as in the client's own connect."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with (
        ShapingProxy("127.0.0.1", port) as link,
        pytest.raises(ConnectionResetError),
        socket.create_connection(("127.0.0.1", link.port), timeout=10) as client,
    ):
        client.recv(1)


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ({"loss": 1.0}, "loss is 1.0"),
        ({"latency_seconds": -1.0}, "latency_seconds is -1.0"),
        ({"latency_seconds": float("nan")}, "latency_seconds is nan"),
        ({"bits_per_second": 10.0}, "bits_per_second is 10.0"),
    ],
)
def test_links_that_cannot_be_are_refused(figures: dict[str, float], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        LinkShape(**figures)
