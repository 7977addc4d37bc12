"""Two ends joined by a wire: handshake, calls, outcomes, however the bytes are cut."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from lawow.channel import events
from lawow.channel.client import ClientConnection
from lawow.channel.frames import MAGIC, Op, frame
from lawow.channel.payloads import Hello, write_payload
from lawow.channel.server import ServerConnection
from lawow.channel.sessions import KeptOutcomes, ServerSession
from lawow.channel.states import ConnectionState
from lawow.errors import LocalProtocolError, RemoteProtocolError
from lawow.limits import CHANNEL
from tests.channel.wires import CUTS, Cut, Pair, whole


@pytest.fixture(params=CUTS, ids=["whole", "byte-by-byte", "anywhere-1", "anywhere-2"])
def cut(request: pytest.FixtureRequest) -> Cut:
    found: Cut = request.param
    return found


def test_a_call_comes_back_with_its_result(cut: Cut) -> None:
    pair = Pair(cut)
    pair.greet()
    function = pair.client.send_bind("sha256:00", "fib", "i>i")
    call = pair.client.send_call(function, b"\x0a" + bytes(7), deadline_us=5)
    _, asked = pair.run()
    assert asked == [
        events.FunctionAsked(function, "sha256:00", "fib", "i>i"),
        events.Called(call, function, 5, b"\x0a" + bytes(7)),
    ]
    pair.server.send_bound(function, 12)
    pair.server.send_result(call, b"\x37" + bytes(7), 3, 4)
    told, _ = pair.run()
    assert told == [events.Bound(function, 12), events.Returned(call, 3, 4, b"\x37" + bytes(7))]
    assert not pair.client.session.calls
    assert not pair.server.session.calls


SMALL = replace(CHANNEL, frame_bytes=16 << 10, call_bytes=200_000, result_bytes=200_000, calls=4, bindings=2)


def opened(cut: Cut = whole, **options: Any) -> tuple[Pair, int]:
    """A pair after the handshake, and a function that is bound."""
    pair = Pair(cut, **options)
    pair.greet()
    function = pair.client.send_bind("sha256:00", "f", "i>i")
    pair.run()
    pair.server.send_bound(function)
    pair.run()
    return pair, function


def test_payloads_beyond_a_frame_travel_in_parts(cut: Cut) -> None:
    pair, function = opened(cut, client_limits=SMALL, server_limits=SMALL)
    arguments, results = bytes(range(256)) * 300, bytes(reversed(range(256))) * 301
    call = pair.client.send_call(function, arguments)
    _, asked = pair.run()
    assert [bytes(event.arguments) for event in asked if isinstance(event, events.Called)] == [arguments]
    pair.server.send_result(call, results)
    told, _ = pair.run()
    assert [bytes(event.results) for event in told if isinstance(event, events.Returned)] == [results]
    assert not pair.client.session.calls
    assert not pair.server.session.calls
    assert pair.client.session.call_bytes == pair.server.session.call_bytes == 0


def test_parts_of_several_calls_alternate() -> None:
    pair, function = opened(server_limits=SMALL)
    calls = [pair.client.send_call(function, bytes([number]) * 60_000) for number in range(3)]
    first = pair.server.receive_data(pair.client.data_to_send())
    assert first == []
    pair.client.send_cancel(calls[1])
    _, asked = pair.run()
    assert events.Cancelled(calls[1]) in asked
    done = [event.id for event in asked if isinstance(event, events.Called)]
    assert done == [calls[0], calls[2]]


@pytest.mark.parametrize("payload", ["whole", "in parts"])
@pytest.mark.parametrize("straight", [True, False])
def test_large_arguments_go_into_the_memory_that_is_named(payload: str, straight: bool) -> None:
    memory: dict[int, bytearray] = {}

    def buffer(call_id: int, function: int, size: int) -> memoryview:
        memory[call_id] = bytearray(size)
        return memoryview(memory[call_id])

    limits = CHANNEL if payload == "whole" else replace(CHANNEL, frame_bytes=40 << 10)
    pair, function = opened(server_limits=limits, payload_buffer=buffer)
    arguments = random.Random(1).randbytes(100_000)
    call = pair.client.send_call(function, arguments)
    asked: list[events.Event] = []
    while pair.client.has_to_send:
        asked += receive_in_place(pair.server, pair.client.data_to_send(), straight)
    assert len(asked) == 1
    assert isinstance(asked[0], events.Called)
    assert bytes(asked[0].arguments) == arguments
    assert memory[call] == arguments
    pair.server.send_result(call, b"")
    assert pair.run()[0] == [events.Returned(call, 0, 0, b"")]


def receive_in_place(server: ServerConnection, data: bytes, straight: bool) -> list[events.Event]:
    """Feed pieces of 1,000 bytes, into the buffer that the server names where it names one."""
    told: list[events.Event] = []
    at = 0
    while at < len(data):
        target = server.receive_buffer() if straight else None
        size = min(1_000, len(data) - at, len(target) if target is not None else 1_000)
        piece = data[at : at + size]
        if target is None:
            told += server.receive_data(piece)
        else:
            target[:size] = piece
            told += server.bytes_received(size)
        at += size
    return told


def test_a_call_that_is_refused_while_its_arguments_come_ends_at_both_ends() -> None:
    pair, function = opened(server_limits=SMALL)
    call = pair.client.send_call(function, bytes(100_000))
    pair.server.receive_data(pair.client.data_to_send())
    pair.server.send_refused(call, "busy", "later", 5)
    told, _ = pair.run()
    assert told == [events.Refused(call, 5, "busy", "later")]
    assert not pair.client.session.calls
    assert not pair.server.session.calls
    assert pair.client.can_call(200_000)


def test_refused_memory_is_not_written_any_more() -> None:
    memory = bytearray(100_000)
    pair, function = opened(payload_buffer=lambda *_: memoryview(memory))
    call = pair.client.send_call(function, b"x" * 100_000)
    data = pair.client.data_to_send()
    pair.server.receive_data(data[:50_000])
    pair.server.send_refused(call, "busy", "")
    memory[:] = bytes(100_000)
    assert pair.server.receive_data(data[50_000:]) == []
    assert not any(memory)


def test_every_outcome_reaches_the_client_once(cut: Cut) -> None:
    pair, function = opened(cut)
    calls = [pair.client.send_call(function, b"") for _ in range(4)]
    pair.run()
    pair.server.send_trap(calls[3], "unreachable", "it trapped", ("f", "g"), run_us=9)
    pair.server.send_failed(calls[1], "deadline", "stopped")
    pair.server.send_refused(calls[2], "busy", "later", 100)
    pair.server.send_result(calls[0], b"")
    told, _ = pair.run()
    assert told == [
        events.Trapped(calls[3], 0, 9, 0, "unreachable", "it trapped", ("f", "g")),
        events.Failed(calls[1], 0, "deadline", "stopped"),
        events.Refused(calls[2], 100, "busy", "later"),
        events.Returned(calls[0], 0, 0, b""),
    ]
    with pytest.raises(LocalProtocolError, match="has its outcome already"):
        pair.server.send_result(calls[0], b"")


def test_acknowledged_outcomes_are_not_kept() -> None:
    pair, function = opened()
    for _ in range(200):
        call = pair.client.send_call(function, b"")
        pair.run()
        pair.server.send_result(call, b"1234")
        pair.run()
    assert len(pair.server.session.kept) < 64


def test_what_is_kept_for_a_client_that_never_acknowledges_is_bounded() -> None:
    limits = replace(CHANNEL, kept_results=10, kept_bytes=1_000)
    kept = KeptOutcomes(limits)
    for number in range(100):
        kept.keep(number, Op.RESULT, bytes(50), 0.0)
    assert len(kept) == 10
    for number in range(100, 110):
        kept.keep(number, Op.RESULT, bytes(200), 5.0)
    assert kept.kept_bytes == 1_000
    assert 109 in kept
    kept.expire(5.0 + limits.kept_seconds)
    assert len(kept) == 5
    kept.expire(6.0 + limits.kept_seconds)
    assert kept.kept_bytes == len(kept) == 0


def test_the_client_stays_within_what_the_server_takes() -> None:
    pair, function = opened(server_limits=SMALL)
    with pytest.raises(LocalProtocolError, match="200000 in all"):
        pair.client.send_call(function, bytes(200_001))
    for _ in range(4):
        assert pair.client.can_call(0)
        pair.client.send_call(function, b"")
    assert not pair.client.can_call(0)
    with pytest.raises(LocalProtocolError, match="4 calls without an outcome"):
        pair.client.send_call(function, b"")
    with pytest.raises(LocalProtocolError, match="not a u32"):
        pair.client.send_call(function, b"", deadline_us=1 << 32)


def test_wrong_use_raises_and_sends_nothing() -> None:
    client, server = ClientConnection(), ServerConnection()
    for wrong in (
        lambda: client.send_call(1, b""),
        lambda: client.send_bind("t", "e", ">"),
        lambda: client.send_goodbye("done"),
        lambda: server.send_welcome(ServerSession(b"s")),
        lambda: server.send_result(1, b""),
        lambda: client.send_message(1, b""),
        lambda: server.send_drain("drain"),
    ):
        with pytest.raises(LocalProtocolError):
            wrong()
    assert not client.has_to_send
    assert not server.has_to_send


@pytest.mark.promise("F12")
def test_versions_that_have_nothing_in_common_part() -> None:
    server = ServerConnection()
    hello = Hello(MAGIC, 2, 9, 1 << 20, 1 << 20, b"", b"", (), ())
    assert server.receive_data(frame(0, Op.HELLO, write_payload(hello))) == [events.Lost("version")]
    assert server.state is ConnectionState.CLOSED
    client = ClientConnection()
    client.send_hello(b"")
    told = client.receive_data(server.data_to_send())
    assert isinstance(told[0], events.Goodbye)
    assert told[0].code == "version"
    assert client.state is ConnectionState.CLOSED


@pytest.mark.promise("F12")
def test_a_later_version_that_speaks_this_one_is_welcome_whatever_it_adds() -> None:
    server = ServerConnection()
    hello = write_payload(Hello(MAGIC, 1, 9, 1 << 20, 1 << 20, b"t", b"", (), ()))
    told = server.receive_data(frame(0, Op.HELLO, hello + b"something new"))
    assert told == [events.Greeted(1, b"t", b"")]


@pytest.mark.promise("F12")
def test_unknown_operations_are_skipped_if_they_say_so() -> None:
    pair, function = opened()
    assert pair.server.receive_data(frame(7, 0x8123, b"what?", 0x00FF)) == []
    call = pair.client.send_call(function, b"")
    assert pair.run()[1] == [events.Called(call, function, 0, b"")]
    with pytest.raises(RemoteProtocolError, match="0x123 is not one of this version"):
        pair.server.receive_data(frame(7, 0x0123, b"what?"))


def test_draining_finishes_what_was_seen_and_tells_what_was_not() -> None:
    pair, function = opened()
    seen = pair.client.send_call(function, b"")
    pair.run()
    late = pair.client.send_call(function, b"")
    crossing = pair.client.data_to_send()
    pair.server.send_drain("drain", "restart", retry_after_ms=500)
    assert pair.server.receive_data(crossing) == []
    pair.server.send_result(seen, b"")
    told, _ = pair.run()
    assert told == [
        events.Draining(seen, 500, "drain", "restart"),
        events.NotStarted(late),
        events.Returned(seen, 0, 0, b""),
    ]
    with pytest.raises(LocalProtocolError):
        pair.client.send_call(function, b"")
    pair.server.send_goodbye("drain")
    assert pair.run()[0] == [events.Goodbye(seen, 0, "drain", "")]


def test_silence_is_broken_by_pings_and_ends() -> None:
    pair, _ = opened()
    for now in range(60):
        assert pair.client.tick(float(now)) == []
    assert not pair.client.has_to_send
    pair.client.tick(61.0)
    pair.run()
    for now in range(62, 121):
        assert pair.client.tick(float(now)) == []
    assert not pair.client.has_to_send
    for now in range(121, 243):
        assert pair.client.tick(float(now)) == []
    assert pair.client.tick(303.0) == [events.Lost("idle")]
    assert pair.client.state is ConnectionState.CLOSED


def test_a_frame_that_comes_too_slowly_ends_the_connection() -> None:
    pair, function = opened()
    pair.client.send_call(function, bytes(50))
    data = pair.client.data_to_send()
    pair.server.tick(0.0)
    told: list[events.Event] = []
    for second, at in enumerate(range(20)):
        pair.server.receive_data(data[at : at + 1])
        told += pair.server.tick(float(second))
    assert told == [events.Lost("too-slow")]
    assert pair.server.receive_data(data[20:]) == []


def test_a_client_that_never_greets_is_let_go() -> None:
    server = ServerConnection()
    assert server.tick(10.0) == []
    assert server.tick(15.0) == []
    assert server.tick(15.1) == [events.Lost("too-slow")]
