"""Bursts of calls against the calls one by one: same frames in, same outcomes out, same things remembered."""

from __future__ import annotations

import struct
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.channel.bursts import (
    ANSWERS_PLACE,
    FRAMES_PLACE,
    PROGRESS,
    burst_module,
    shape_of,
    wanted_calls,
)
from lawow.channel.client import ClientConnection
from lawow.channel.events import Called, Returned
from lawow.channel.frames import HEAD, Op, frame
from lawow.channel.server import ServerConnection
from lawow.channel.sessions import ServerSession
from lawow.errors import GuestTrap, LimitExceeded, RemoteProtocolError
from lawow.formats.interface import FuncType
from lawow.formats.signature import parse_typed_signature
from lawow.limits import CHANNEL
from lawow.runtime.annex import Annex
from lawow.runtime.libwasmtime import wat_to_wasm
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine, WasmtimeInstance
from tests.edge.builders import module_of
from tests.edge.plane.loops import served

FUNCTION = 9
GUEST = """(module (memory (export "memory") 1)
  (func (export "i>i") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func (export ">"))
  (func (export "I>iI") (param i64) (result i32 i64) (i32.wrap_i64 (local.get 0)) (local.get 0))
  (func (export "fFi>fF") (param f32 f64 i32) (result f32 f64) (local.get 0) (local.get 1))
  (func (export "if>if") (param i32 f32) (result i32 f32)
    (if (i32.eqz (local.get 0)) (then (unreachable)))
    (loop $l (br_if $l (i32.eq (local.get 0) (i32.const 7)))) (local.get 0) (local.get 1)))"""
SIGNATURES = ("i>i", ">", "I>iI", "fFi>fF", "if>if")
ENGINE = WasmtimeEngine(EDGE_PROFILE)
MODULE = ENGINE.compile(wat_to_wasm(GUEST.encode()))


class Bench:
    """An instance with an annex for one of its exports."""

    def __init__(self, signature: str) -> None:
        self.function: FuncType = parse_typed_signature(signature).flat
        self.shape = shape_of(self.function)
        self.instance: WasmtimeInstance = MODULE.instantiate(memory_bytes=1 << 20, deadline_seconds=5.0)
        text = burst_module(self.function)
        self.annex: Annex = self.instance.attach(ENGINE.compile(wat_to_wasm(text.encode())), signature)

    def run(self, data: bytes, last_id: int = 0, most: int = 256, seconds: float = 5.0) -> bytes:
        """Run the annex on frames; return the answers."""
        memory = self.annex.memory
        memory[FRAMES_PLACE : FRAMES_PLACE + len(data)] = data
        PROGRESS.pack_into(memory, 0, 0, 0, 0, ANSWERS_PLACE)
        arguments = (FRAMES_PLACE + len(data), wanted_calls(FUNCTION), last_id, most)
        self.instance.run_annex(self.annex, arguments, seconds)
        return self.answers()

    def answers(self) -> bytes:
        """Return what stands there."""
        _, _, answered, end = PROGRESS.unpack_from(self.annex.memory)
        assert end == ANSWERS_PLACE + answered * self.shape.answer_bytes
        return bytes(self.annex.memory[ANSWERS_PLACE:end])


def one_by_one(signature: str, data: bytes, last_id: int) -> bytes:
    """Return the RESULT frames for the calls of `FUNCTION` that `data` begins with, by the slower way.

    It ends where a burst may: before a call with flags, a near deadline or wrong arguments, or anything else.
    """
    function = parse_typed_signature(signature).flat
    server = opened(last_id)
    found = b""
    with MODULE.instantiate(memory_bytes=1 << 20, deadline_seconds=5.0) as instance:
        shape = shape_of(function)
        for at in range(0, len(data), shape.call_bytes):
            try:
                events = server.receive_data(data[at : at + shape.call_bytes])
            except RemoteProtocolError:
                break
            call = events[0] if events and not any(data[at + 10 : at + 12]) else None
            if not isinstance(call, Called) or call.function != FUNCTION or 0 < call.deadline_us < 1_000_000:
                break
            body = bytes(call.arguments)
            words = struct.unpack(f"<{len(body) // 4}I", body[: len(body) // 4 * 4])
            tops = [words[2 * i + 1] for i, kind in enumerate(function.params) if kind in ("i32", "f32")
                    if 2 * i + 1 < len(words)]  # fmt: skip
            if len(body) != 8 * len(function.params) or any(tops):
                break
            results = instance.call_raw(signature, body, deadline_seconds=5.0)
            found += frame(call.id, Op.RESULT, bytes(8) + results)
    return found


def opened(last_id: int) -> ServerConnection:
    """Return a server's end of an open connection, which has seen calls up to an id."""
    client, server = ClientConnection(), ServerConnection(CHANNEL)
    client.send_hello(b"token")
    server.receive_data(client.data_to_send())
    server.send_welcome(ServerSession(b"session-of-16-by", CHANNEL))
    server.session.last_id = last_id
    return server


@st.composite
def call_frames(draw: st.DrawFn, signature: str) -> bytes:
    """Frames of calls with rising ids, of which some are damaged anywhere."""
    size = 8 * len(signature.partition(">")[0])
    parts, call_id = [], 5
    for _ in range(draw(st.integers(0, 12))):
        call_id += draw(st.sampled_from([1, 1, 1, 2, 1 << 20]))
        deadline = draw(st.sampled_from([0, 0, 1_000_000, 999_999, 1, 0xFFFFFFFF]))
        body = bytearray(draw(st.binary(min_size=size, max_size=size)))
        for index, letter in enumerate(signature.partition(">")[0]):
            if letter in "if" and draw(st.integers(0, 20)):
                body[8 * index + 4 : 8 * index + 8] = bytes(4)
            if letter == "i" and signature == "if>if":
                body[8 * index : 8 * index + 4] = b"\x01\0\0\0"
        parts.append(frame(call_id, Op.CALL, struct.pack("<II", FUNCTION, deadline) + body))
    data = bytearray(b"".join(parts))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))
    cut = draw(st.integers(0, len(data))) if draw(st.booleans()) else len(data)
    return bytes(data[:cut])


@pytest.mark.parametrize("signature", SIGNATURES[:4])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_burst_answers_what_the_calls_one_by_one_answer(signature: str, data: st.DataObject) -> None:
    frames = data.draw(call_frames(signature))
    last_id = data.draw(st.sampled_from([0, 5, 6, 7, 1 << 31]))
    assert Bench(signature).run(frames, last_id) == one_by_one(signature, frames, last_id)


def test_a_burst_stops_at_the_most_and_where_its_answers_have_no_more_room() -> None:
    bench = Bench("I>iI")
    calls = [frame(key, Op.CALL, struct.pack("<IIQ", FUNCTION, 0, key)) for key in range(1, 1100)]
    assert len(bench.run(b"".join(calls[:20]), most=7)) == 7 * bench.shape.answer_bytes
    answers = bench.run(b"".join(calls), most=5000)
    assert len(answers) == (64 * 1024 - ANSWERS_PLACE) // bench.shape.answer_bytes * bench.shape.answer_bytes


def test_a_trap_leaves_the_answers_before_it_and_names_the_guest_alone_but_for_the_annex() -> None:
    bench = Bench("if>if")
    bodies = [struct.pack("<QQ", number, 0) for number in (1, 2, 0, 3)]
    calls = [
        frame(key + 1, Op.CALL, struct.pack("<II", FUNCTION, 0) + body) for key, body in enumerate(bodies)
    ]
    with pytest.raises(GuestTrap) as caught:
        bench.run(b"".join(calls))
    assert caught.value.code == "unreachable"
    assert len(caught.value.frames) == 2
    assert [key for key, _ in bench.shape.outcomes(bench.answers())] == [1, 2]
    _, place, _, _ = PROGRESS.unpack_from(bench.annex.memory)
    assert place == FRAMES_PLACE + 2 * bench.shape.call_bytes


def test_an_errand_stops_a_burst_behind_the_call_that_runs_and_a_deadline_ends_it() -> None:
    bench = Bench("if>if")
    calls = [frame(key, Op.CALL, struct.pack("<IIQQ", FUNCTION, 0, number, 0)) for key, number in
             enumerate((1, 7, 1), start=1)]  # fmt: skip
    seen: list[tuple[int, ...]] = []

    def errand() -> None:
        seen.append(PROGRESS.unpack_from(bench.annex.memory))
        bench.annex.memory[0] = 1
        bench.instance.extend(0.05)

    threading.Timer(0.2, lambda: bench.instance.send(errand)).start()
    with pytest.raises(LimitExceeded, match=r"0\.05"):
        bench.run(b"".join(calls), seconds=20.0)
    assert [(place, answered) for _, place, answered, _ in seen] == [
        (FRAMES_PLACE + bench.shape.call_bytes, 1)
    ]
    assert [key for key, _ in bench.shape.outcomes(bench.answers())] == [1]


def test_the_guests_limits_do_not_count_what_is_beside_it() -> None:
    module = ENGINE.compile(
        wat_to_wasm(
            b'(module (memory (export "memory") 1) (func (export "i>i") (param i32) (result i32)'
            b" (memory.grow (local.get 0))))"
        )
    )
    with module.instantiate(memory_bytes=2 << 16) as instance:
        text = burst_module(FuncType(("i32",), ("i32",)))
        instance.attach(ENGINE.compile(wat_to_wasm(text.encode())), "i>i")
        assert instance.call("i>i", (1,)) == (1,)
        assert instance.call("i>i", (1,)) == (-1,)
        assert instance.memory_bytes == 2 << 16


def test_calls_answered_in_bursts_are_counted_kept_and_timed_like_others() -> None:
    with served(module_of(GUEST)) as (plane, client, worker):
        plane.usage()
        function = client.bind("i>i", "i>i")
        before = 0
        while not worker.bursting_functions:  # a call during which another process ran does not count
            client.link.send_call(function, bytes(8))
            client.exchange(1)
            before += 1
            assert before < 10_000
        ids = [client.link.send_call(function, bytes(8)) for _ in range(200)]
        events = [event for event in client.exchange(200) if isinstance(event, Returned)]
        assert [event.id for event in events] == ids
        assert {event.results for event in events} == {struct.pack("<Q", 1)}
        assert worker.bursting_functions == 1
        usage, count = plane.usage(), before + 200
        assert usage.calls == count
        assert usage.outcomes == {"ok": count}
        assert sum(usage.slots.values()) == count


def test_a_worker_calls_only_so_many_functions_in_bursts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lawow.edge.worker_guests.BURST_CALLERS", 1)
    with served(module_of(GUEST)) as (_, client, worker):
        for signature, argument in (("i>i", bytes(8)), ("I>iI", bytes(8)), (">", b"")):
            function = client.bind(signature, signature)
            for _ in range(60):
                client.link.send_call(function, argument)
                assert isinstance(client.exchange(1)[0], Returned)
        assert worker.bursting_functions == 1


def test_calls_are_answered_where_no_module_for_bursts_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lawow.edge.burst_caller.burst_module", lambda _: "(module")
    with served(module_of(GUEST)) as (plane, client, worker):
        function = client.bind("i>i", "i>i")
        for _ in range(3):
            for _ in range(40):
                client.link.send_call(function, bytes(8))
            events = client.exchange(40)
            assert [event.results for event in events if isinstance(event, Returned)] == [
                struct.pack("<Q", 1)
            ] * 40
        assert worker.bursting_functions == 0
        assert plane.usage().outcomes == {"ok": 120}


def test_heads_of_frames_are_as_the_module_writes_them() -> None:
    shape = shape_of(FuncType(("i32", "f64"), ("f32",)))
    call = frame(1, Op.CALL, bytes(8 + 16))
    assert (shape.call_bytes, shape.answer_bytes) == (len(call), len(frame(1, Op.RESULT, bytes(8 + 8))))
    assert struct.unpack_from("<Q", call, 8)[0] | FUNCTION << 32 == wanted_calls(FUNCTION)
    assert HEAD.size == 12
