"""Hostile peers (threats N2 and N3): nothing is kept for what a head only claims, and work is linear."""

from __future__ import annotations

import struct
import tracemalloc

import pytest

from lawow.channel.frames import MAGIC, PART, Op, frame
from lawow.channel.payloads import Hello, Mark, write_payload
from lawow.channel.server import ServerConnection
from lawow.errors import RemoteProtocolError
from tests.channel.test_connection import opened
from tests.channel.wires import Cut, byte_by_byte, feed, whole
from tests.work import MOST_GROWTH, calls_in

CLAIMS = {
    "four gigabytes": struct.pack("<IIHH", 0xFFFFFFFF, 9, Op.CALL, 0),
    "a negative length": struct.pack("<iIHH", -1, 9, Op.CALL, 0),
    "nothing": struct.pack("<IIHH", 0, 9, Op.CALL, 0),
    "one byte beyond a frame": struct.pack("<IIHH", 8 + (1 << 20) + 1, 9, Op.CALL, 0),
    "a long operation without values": struct.pack("<IIHH", 8 + (16 << 10) + 1, 0, Op.GOODBYE, 0),
    "parts of four gigabytes": frame(9, Op.CALL, struct.pack("<III", 1, 0, 0xFFFFFFFF) + b"x", PART),
}


@pytest.mark.promise("N2")
@pytest.mark.parametrize("claim", CLAIMS)
def test_n2_a_false_length_is_refused_by_its_head(claim: str) -> None:
    server = opened()[0].server
    tracemalloc.start()
    with pytest.raises(RemoteProtocolError):
        server.receive_data(CLAIMS[claim])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 64 << 10


@pytest.mark.promise("N2")
@pytest.mark.parametrize("flags", [0, PART])
def test_n2_memory_comes_with_the_bytes_and_not_before(flags: int) -> None:
    server = opened()[0].server
    head = struct.pack("<IIHH", 8 + (1 << 20), 9, Op.CALL, flags) + struct.pack("<III", 1, 0, 2 << 20)
    tracemalloc.start()
    assert server.receive_data(head) == []
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 64 << 10


@pytest.mark.promise("N3")
def test_n3_nothing_but_hello_is_taken_before_the_welcome() -> None:
    for operation in Op:
        if operation is Op.HELLO:
            continue
        server = ServerConnection()
        with pytest.raises(RemoteProtocolError, match="not allowed while the connection is new"):
            server.receive_data(frame(0, operation))
        assert server.receive_data(b"anything") == []


def test_a_hello_that_asks_for_one_outcome_many_times_is_refused() -> None:
    calls, marks = (7,) * 3_000, (Mark(7, 0),) * 2
    for asked in ((calls, ()), ((), marks)):
        hello = Hello(MAGIC, 1, 1, 1 << 20, 1 << 20, b"t", b"session", *asked)
        with pytest.raises(RemoteProtocolError, match="twice"):
            ServerConnection().receive_data(frame(0, Op.HELLO, write_payload(hello)))


def test_a_client_that_knows_no_end_hits_every_limit() -> None:
    """Each of these goes on for ever; none of it is kept beyond its limit."""
    bind = struct.pack("<H", 0) * 3
    call = struct.pack("<II", 1, 0)
    channel = struct.pack("<IBBQ", 1, 0, 0, 0) + bytes(6)
    for operation, payload, limit in (
        (Op.BIND, bind, 256),
        (Op.CALL, call, 256),
        (Op.OPEN, channel, 64),
        (Op.CALL, call + bytes(1 << 19), 17),
    ):
        server = opened()[0].server
        frames = b"".join(frame(number, operation, payload) for number in range(2, limit + 1))
        server.receive_data(frames)
        with pytest.raises(RemoteProtocolError):
            server.receive_data(frame(limit + 1, operation, payload) + frame(limit + 2, operation, payload))


@pytest.mark.parametrize("cut", [whole, byte_by_byte])
def test_work_grows_as_the_bytes_do(cut: Cut) -> None:
    def work(size: int) -> int:
        server = opened()[0].server
        data = frame(2, Op.CALL, bytes(8 + size * 16)) + frame(0, Op.PING, bytes(8)) * size
        return calls_in(lambda: feed(server, data, cut))

    assert work(800) < work(100) * 8**MOST_GROWTH
