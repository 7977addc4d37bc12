"""The data plane's protocol in the stub: the vectors, the same tables, byte for byte what Python's does."""

from __future__ import annotations

import json
import random
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from lawow.channel.client import ClientConnection
from lawow.channel.frames import PART, Op, frame
from lawow.channel.sequences import ChannelEnd, Position
from lawow.channel.server import ServerConnection
from lawow.channel.sessions import ClientSession, ServerSession
from lawow.channel.states import (
    CALL,
    CHANNEL,
    CONNECTION,
    CallState,
    ChannelState,
    ConnectionState,
    Direction,
    Role,
)
from lawow.errors import RemoteProtocolError
from tests.android.builders import Jvm

VECTORS = json.loads((Path(__file__).parents[2] / "fixtures" / "channel" / "vectors.json").read_text())
FOR_CLIENTS = [item for kind in ("good", "bad") for item in VECTORS[kind] if item["role"] == "client"]
TABLES: dict[str, tuple[dict[Any, Any], Any]] = {
    "connection": (CONNECTION, ConnectionState),
    "call": (CALL, CallState),
    "channel": (CHANNEL, ChannelState),
}
WHOLE = 1 << 30


class JavaEnd:
    """The stub's connection in a JVM."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, *words: object) -> str:
        """Say one line and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\t".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip("\n")

    def feed(self, data: bytes, piece_bytes: int = WHOLE) -> Any:
        """Feed bytes; return the events, or the word ``violated`` and the state."""
        answer = self.ask("in", data.hex(), piece_bytes)
        return json.loads(answer) if answer.startswith("[") else answer


@pytest.fixture(scope="module")
def java(jvm: Jvm) -> Iterator[JavaEnd]:
    with jvm.started("dev.lawow.ChannelDriver") as process:
        yield JavaEnd(process)


def play(java: JavaEnd, step: dict[str, Any], piece_bytes: int) -> None:
    if "do" in step:
        answer = java.ask("do", step["do"], *step["arguments"])
        assert not answer.startswith(("violated", "misused")), answer
    elif "sends" in step:
        assert java.ask("out") == step["sends"]
    elif step.get("violates"):
        assert java.feed(bytes.fromhex(step["receives"]), piece_bytes) == "violated closed"
        assert b"protocol-error" in bytes.fromhex(java.ask("out"))
    else:
        assert java.feed(bytes.fromhex(step["receives"]), piece_bytes) == step["tells"]


@pytest.mark.parametrize("piece_bytes", [WHOLE, 1, 7])
@pytest.mark.parametrize("vector", FOR_CLIENTS, ids=lambda item: str(item["name"]))
def test_every_vector_is_read_as_it_says(java: JavaEnd, vector: dict[str, Any], piece_bytes: int) -> None:
    java.ask("new")
    for step in vector["steps"]:
        play(java, step, piece_bytes)


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_are_those_of_the_protocol_in_every_entry(java: JavaEnd, name: str) -> None:
    table, states = TABLES[name]
    events = sorted({event for _, _, _, event in table})
    for state in states:
        for direction in Direction:
            for event in events:
                then = table.get((Role.CLIENT, state, direction, event))
                answer = java.ask("may", name, direction.value, state.value, event)
                assert answer == (then.value if then else "none"), (state, direction, event)


class Both:
    """The stub's client and Python's, which are told the same and must say the same."""

    def __init__(self, java: JavaEnd) -> None:
        self.java = java
        self.session = ClientSession()
        self.python = ClientConnection(self.session)
        java.ask("new")

    def do(self, method: str, *arguments: object) -> None:
        """Call a method of both."""
        getattr(self.python, method)(*arguments)
        shown = [item.hex() if isinstance(item, bytes) else item for item in arguments]
        answer = self.java.ask("do", method, *shown)
        assert not answer.startswith("misused"), answer

    def lose(self) -> None:
        """Lose the connection of both and begin another one."""
        self.python.connection_lost()
        self.python = ClientConnection(self.session)
        self.java.ask("again")

    def out(self) -> bytes:
        """Return what both have to send."""
        data = self.python.data_to_send()
        assert self.java.ask("out") == data.hex()
        return data

    def feed(self, data: bytes, piece_bytes: int = WHOLE) -> bool:
        """Feed both; tell whether it was a violation."""
        told = self.java.feed(data, piece_bytes)
        try:
            pieces = [data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes)]
            expected = [as_json(event) for piece in pieces for event in self.python.receive_data(piece)]
        except RemoteProtocolError:
            assert told == f"violated {self.python.state.value}"
            return True
        assert told == expected
        return False


def as_json(event: object) -> dict[str, object]:
    shown: dict[str, object] = {"event": type(event).__name__}
    for field in fields(event):  # type: ignore[arg-type]
        value = getattr(event, field.name)
        if isinstance(value, bytes | bytearray | memoryview):
            value = bytes(value).hex()
        elif isinstance(value, Position):
            value = [value.received, value.sent]
        elif isinstance(value, tuple):
            value = list(value)
        if not isinstance(value, ChannelEnd):
            shown[field.name] = value
    return shown


def greeted(java: JavaEnd) -> tuple[Both, ServerConnection, ServerSession]:
    both, server, session = Both(java), ServerConnection(), ServerSession(b"session")
    both.do("send_hello", b"lease")
    server.receive_data(both.out())
    server.send_welcome(session)
    both.feed(server.data_to_send())
    return both, server, session


def test_calls_and_results_in_parts_are_sent_and_read_as_python_does(java: JavaEnd) -> None:
    both, server, _ = greeted(java)
    both.do("send_bind", "sha256:00", "f", "[b>[b")
    both.do("send_call", 1, bytes(range(256)) * 9_000, 7)
    both.do("send_call", 1, b"\1" * 8, 0)
    called = []
    while data := both.out():
        called += server.receive_data(data)
    assert [getattr(event, "id", 0) for event in called] == [1, 3, 2]
    server.send_bound(1, 1)
    server.send_result(2, bytes(range(256)) * 10_000, 1, 2)
    server.send_result(3, b"\2" * 8, 1, 2)
    while server.has_to_send:
        both.feed(server.data_to_send(), 50_000)
    both.do("send_call", 1, bytes(3 << 20), 0)
    both.do("send_cancel", 4)
    both.out()


def test_a_session_that_is_resumed_asks_and_takes_the_answers_as_python_does(java: JavaEnd) -> None:
    both, server, session = greeted(java)
    both.do("send_bind", "sha256:00", "f", ">")
    for _ in range(4):
        both.do("send_call", 1, b"", 0)
    both.do("send_open", "sensor", "s64")
    server.receive_data(both.out())
    server.send_bound(1, 0)
    server.send_opened(6)
    server.send_result(2, b"", 0, 0)
    both.feed(server.data_to_send())
    both.do("send_message", 6, b"12345678")
    both.do("send_call", 1, bytes(2 << 20), 0)  # in parts: its rest is lost
    both.out()
    server.send_result(3, b"", 0, 0)  # and its outcome is lost as well
    server.data_to_send()
    server.connection_lost()
    both.lose()
    both.do("send_hello", b"lease")
    again = ServerConnection()
    again.receive_data(both.out())
    again.send_welcome(session)
    both.feed(again.data_to_send(), 3)
    assert b"12345678" in both.out()


def test_damaged_and_random_bytes_are_read_as_python_reads_them(java: JavaEnd) -> None:
    chance, violations = random.Random(5), 0
    for _ in range(400):
        both, server, _ = greeted(java)
        both.do("send_bind", "sha256:00", "f", ">")
        both.do("send_call", 1, b"", 0)
        both.do("send_open", "sensor", "s64")
        server.receive_data(both.out())
        server.send_bound(1, 9)
        server.send_trap(2, "unreachable", "détail", ("f",), -3, run_us=2)
        server.send_opened(3)
        server.send_message(3, b"12345678") if server.can_send(3, 8) else None
        data = bytearray(server.data_to_send() + random_frame(chance))
        for _ in range(chance.randrange(3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if both.feed(bytes(data), chance.choice((WHOLE, 1, 5))):
            violations += 1
            assert b"protocol-error" in bytes.fromhex(java.ask("out"))  # the rest is in each one's own words
        else:
            both.out()
    assert 100 < violations < 400


def random_frame(chance: random.Random) -> bytes:
    number = chance.choice((0, 1, 2, 3, 4))
    payload = b"".join(
        struct.pack("<I", chance.choice((0, 1, 2, 3, 9, 1 << 20))) for _ in range(chance.randrange(6))
    )
    flags = chance.choice((0, 0, 0, PART, 0x100))
    return frame(number, chance.choice((*Op, 0x8001, 0x30)), payload, flags)


CLAIMS = {
    "four gigabytes": struct.pack("<IIHH", 0xFFFFFFFF, 9, Op.RESULT, 0),
    "nothing": struct.pack("<IIHH", 0, 9, Op.RESULT, 0),
    "one byte beyond a frame": struct.pack("<IIHH", 8 + (1 << 20) + 1, 9, Op.RESULT, 0),
    "a number of messages beyond 2^63": frame(1, Op.MESSAGE, b"\xff" * 8),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_false_length_is_refused_by_its_head(java: JavaEnd, claim: str) -> None:
    both, _, _ = greeted(java)
    assert both.feed(CLAIMS[claim])


def test_memory_comes_with_the_bytes_and_not_before(jvm: Jvm) -> None:
    """A hundred frames of 1 MiB and results of 8 MiB are claimed in a JVM that has 24 MiB."""
    head = struct.pack("<IIHH", 8 + (1 << 20), 2, Op.RESULT, PART) + struct.pack("<III", 1, 0, 8 << 20)
    with jvm.started("dev.lawow.ChannelDriver", options=("-Xmx24m",)) as process:
        java = JavaEnd(process)
        for _ in range(100):
            both, _, _ = greeted(java)
            both.do("send_bind", "sha256:00", "f", ">")
            both.do("send_call", 1, b"", 0)
            assert java.feed(head) == []


def test_silence_is_answered_by_ping_and_then_by_the_end(java: JavaEnd) -> None:
    both, _, _ = greeted(java)
    pings = []
    for now in range(0, 400_000, 1_000):
        told = json.loads(java.ask("tick", now))
        data = bytes.fromhex(java.ask("out"))
        if data:
            pings.append((now, data[8]))
        if told:
            assert told == [{"event": "Lost", "code": "idle"}]
            break
    assert [operation for _, operation in pings] == [Op.PING, Op.PING, Op.GOODBYE]
    assert both.java.feed(b"anything") == []


def test_a_frame_that_is_never_whole_ends_the_connection(java: JavaEnd) -> None:
    greeted(java)
    java.ask("tick", 0)
    java.feed(frame(0, Op.PING, bytes(8))[:5])
    told = [java.ask("tick", now) for now in (1_000, 10_000, 12_000)]
    assert json.loads(told[-1]) == [{"event": "Lost", "code": "too-slow"}]
    assert told[:2] == ["[]", "[]"]
