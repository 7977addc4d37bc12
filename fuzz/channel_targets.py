"""The ends of the data plane under damaged bytes: whole and byte by byte must be the same.

The invariant: events, or `RemoteProtocolError`, and nothing else, whichever way the bytes are cut. The first
half is fed, then everything asked is answered, then the second half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from lawow.channel import events
from lawow.channel.client import ClientConnection
from lawow.channel.connection import Connection
from lawow.channel.exchange import ExchangingConnection
from lawow.channel.frames import PART, Op, frame
from lawow.channel.payloads import Bind, Kind, Mark, Open, Policy, Welcome, write_payload
from lawow.channel.payloads import Hello as HelloPayload
from lawow.channel.sequences import Position
from lawow.channel.server import ServerConnection
from lawow.channel.sessions import ServerSession
from lawow.channel.states import CallState
from lawow.errors import LocalProtocolError, RemoteProtocolError
from lawow.limits import CHANNEL

__all__ = ["clients", "feed_client", "feed_fresh", "feed_server", "hellos", "outcome", "servers"]

LIMITS = replace(CHANNEL, frame_bytes=16 << 10, call_bytes=40_000, window_bytes=20_000, calls=8, channels=4)
Make = Callable[[], Connection]


def servers() -> list[bytes]:
    """What a client sends that has a channel and a function: calls, in parts, cancelled; messages, a move."""
    client = opened_client()
    channel, function = client.send_open("a", "s32", kind=Kind.TOPIC, policy=Policy.DROP_OLDEST), 2
    client.send_bind("sha256:00", "fib", "i>i")
    client.receive_data(frame(channel, Op.OPENED, b"\x20\x4e\0\0" + bytes(8)))
    client.data_to_send()
    client.send_call(function, bytes(8), 1_000)
    calls = client.data_to_send() + frame(0, Op.ACK, b"\x02\0\1\0\0\0\2\0\0\0") + frame(0, Op.PING, bytes(8))
    large = client.send_call(function, bytes(36_000))
    part = client.data_to_send()
    rest = client.data_to_send()
    client.session.calls[large].state = CallState.SENDING
    client.send_cancel(large)
    cancel = client.data_to_send()
    client.send_message(channel, b"1234")
    client.send_message(channel, bytes(17_000))
    messages = client.data_to_send()
    client.send_move(channel, "edge-2")
    client.send_credit(channel, 0)
    client.send_goodbye("done")
    moving = client.data_to_send()
    closing = frame(channel, Op.CLOSE, b"\1" + bytes(7)) + frame(channel, Op.CREDIT, bytes(12))
    return [calls, calls + part + rest, part + cancel, messages + moving, closing, calls + messages + closing]


def clients() -> list[bytes]:
    """What servers send: outcomes of the calls that `opened_client` made, and a channel's frames."""
    result = frame(2, Op.RESULT, bytes(8) + b"\x37" + bytes(7))
    parts = frame(3, Op.RESULT, bytes(8) + b"\x10\0\0\0" + bytes(8), PART) + frame(3, Op.CONTINUE, bytes(8))
    trap = frame(2, Op.TRAP, bytes(12) + b"\x01\0a\x01\0b\x01\0\x01\0f")
    opened = frame(4, Op.OPENED, b"\x20\x4e\0\0" + bytes(8))
    message = frame(4, Op.MESSAGE, b"\x01" + bytes(7) + b"1234") + frame(4, Op.CREDIT, bytes(12))
    moved = frame(4, Op.MOVED, bytes(8) + b"\x01" + bytes(7) + b"\x01\0e\x01\0t")
    close = frame(4, Op.CLOSE, b"\x02" + bytes(7))
    refused = frame(3, Op.REFUSED, bytes(4) + b"\x04\0busy\0\0")
    bound, drain = frame(1, Op.BOUND, bytes(4)), frame(0, Op.DRAIN, b"\x02" + bytes(11))
    return [
        bound + result + parts,
        trap + refused,
        opened + message + moved,
        opened + message + close + drain,
    ]


def hellos() -> list[bytes]:
    """First frames of both ends."""
    hello = HelloPayload(b"LWOW", 1, 1, 1 << 20, 1 << 20, b"t", b"s", (1, 2), (Mark(3, 4),))
    welcome = Welcome(1, 1, 1 << 20, 1 << 20, 8, 8, 8, b"s", b"\0\1\2", (Mark(4, 0),))
    return [
        frame(0, Op.HELLO, write_payload(hello)),
        frame(0, Op.WELCOME, write_payload(welcome)),
        frame(0, Op.GOODBYE, bytes(12)),
    ]


def opened_client() -> ClientConnection:
    """A client after the handshake."""
    client = ClientConnection(None, LIMITS)
    client.send_hello(b"")
    client.data_to_send()
    welcome = Welcome(1, 0, 16 << 10, 40_000, 8, 8, 4, b"s", b"", ())
    client.receive_data(frame(0, Op.WELCOME, write_payload(welcome)))
    return client


def feed_server(data: bytes) -> None:
    """Feed a server after the handshake, with and without memory for arguments."""
    _compare(_opened_server, data)
    _compare(_placing_server, data)


def feed_client(data: bytes) -> None:
    """Feed a client that has a binding, two calls and a channel on their way."""
    _compare(_busy_client, data)


def feed_fresh(data: bytes) -> None:
    """Feed a server before the handshake and a client that waits for WELCOME, anew and to go on."""
    _compare(lambda: ServerConnection(LIMITS), data)
    _compare(_greeting_client, data)


def _opened_server() -> ServerConnection:
    return _welcomed(ServerConnection(LIMITS))


def _placing_server() -> ServerConnection:
    return _welcomed(ServerConnection(LIMITS, lambda _id, _function, size: memoryview(bytearray(size))))


def _welcomed(server: ServerConnection) -> ServerConnection:
    hello = HelloPayload(b"LWOW", 1, 1, 16 << 10, 40_000, b"t", b"", (), ())
    server.receive_data(frame(0, Op.HELLO, write_payload(hello)))
    server.send_welcome(ServerSession(b"s", LIMITS))
    asked = Open(20_000, Kind.TOPIC, Policy.DROP_OLDEST, 0, "a", "s32", b"")
    server.receive_data(frame(1, Op.OPEN, write_payload(asked)))
    server.send_opened(1)
    server.send_message(1, b"1234")
    server.receive_data(frame(2, Op.BIND, write_payload(Bind("sha256:00", "fib", "i>i"))))
    server.send_bound(2)
    server.data_to_send()
    return server


def _busy_client() -> ClientConnection:
    client = opened_client()
    function = client.send_bind("t", "e", "i>i")
    client.send_call(function, bytes(8))
    client.send_call(function, bytes(36_000))
    client.send_open("a", "s32")
    return client


def _greeting_client() -> ClientConnection:
    former = _busy_client()
    former.connection_lost()
    client = ClientConnection(former.session, LIMITS)
    client.send_hello(b"t")
    return client


def _compare(make: Make, data: bytes) -> None:
    small = 1 if len(data) < 2_000 else 37
    whole, cut = outcome(make(), data, len(data) or 1), outcome(make(), data, small)
    if whole[1] != cut[1] or (not whole[1] and whole[0] != cut[0]):
        raise AssertionError(f"whole: {whole!r:.500}; byte by byte: {cut!r:.500}")


def outcome(end: Connection, data: bytes, size: int) -> tuple[list[str], bool]:
    """Return the events as text, and whether the data was refused."""
    told: list[str] = []
    half = len(data) // 2
    try:
        for part in (data[:half], data[half:]):
            news = [event for piece in _pieces(part, size) for event in end.receive_data(piece)]
            told += map(_shown, news)
            for event in news:
                _answer(end, event)
            while end.has_to_send:
                end.data_to_send()
    except RemoteProtocolError:
        return told, True
    end.connection_lost()
    return told, False


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def _shown(event: events.Event) -> str:
    if isinstance(event, events.Called):
        return f"Called {event.id} {event.function} {bytes(event.arguments)!r}"
    if isinstance(event, events.Returned):
        return f"Returned {event.id} {bytes(event.results)!r}"
    if isinstance(event, events.Message):
        return f"Message {event.id} {event.sequence} {event.missed} {bytes(event.value)!r}"
    return f"Moved {event.id} {event.position}" if isinstance(event, events.Moved) else repr(event)


def _answer(end: Connection, event: events.Event) -> None:
    """Do what an owner would do; that may be too late, if a later event has ended what this one began."""
    with suppress(LocalProtocolError):
        if isinstance(event, events.Message) and isinstance(end, ExchangingConnection):
            end.send_credit(event.id, event.sequence)
        elif isinstance(end, ServerConnection):
            _serve(end, event)


def _serve(server: ServerConnection, event: events.Event) -> None:
    if isinstance(event, events.FunctionAsked):
        server.send_bound(event.id)
    elif isinstance(event, events.Called):
        server.send_result(event.id, bytes(event.arguments))
    elif isinstance(event, events.ChannelAsked):
        server.send_opened(event.id, Position(3, event.received))
        server.send_message(event.id, b"1234")
    elif isinstance(event, events.MoveAsked):
        server.send_moved(event.id, "edge-2", b"ticket")
