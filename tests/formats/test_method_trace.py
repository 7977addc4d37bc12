"""Android's method traces are read in all their versions, and by what another program makes of them."""

from __future__ import annotations

import random
import re
import struct
from pathlib import Path

import pytest

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.method_trace import MethodTrace, Record, TracedMethod, is_method_trace, read_method_trace
from tests.formats.method_traces import CUT_HEADER, Event, Trace, enter, leave
from tests.tools import run

EVENTS = (
    enter(0, 10, 100),
    enter(1, 20, 200),
    leave(1, 50, 260),
    enter(2, 60, 300, thread=7),
    leave(0, 90, 400),
)


def records(data: bytes) -> list[Record]:
    return list(read_method_trace(data).records())


@pytest.mark.parametrize(
    ("version", "clock"), [(1, "thread-cpu"), (1, "global"), (2, "thread-cpu"), (2, "wall"), (3, "dual")]
)
def test_every_version_gives_the_same_events(version: int, clock: str) -> None:
    trace = Trace(EVENTS, version=version, clock=clock, overhead_ns=321)
    forms = [trace.whole()] if version == 1 else [trace.whole(), trace.streamed()]
    for data in forms:
        found = read_method_trace(data)
        assert is_method_trace(data[:16])
        assert (found.clock, found.overhead_ns, found.is_cut) == (clock, 321, False)
        assert found.methods[4] == TracedMethod("a.A", "g", "(I)I")
        assert found.threads == {1: "thread-1", 7: "thread-7"}
        assert [(item.thread, item.method >> 2, item.action) for item in found.records()] == [
            (event.thread, event.method, event.action) for event in EVENTS
        ]
        cpu, wall = [event.cpu_us for event in EVENTS], [event.wall_us for event in EVENTS]
        assert [item.cpu_us for item in found.records()] == (wall if clock == "wall" else cpu)
        assert [item.wall_us for item in found.records()] == (wall if clock in ("wall", "dual") else cpu)


def test_a_stream_that_was_not_ended_says_that_it_is_cut() -> None:
    found = read_method_trace(Trace(EVENTS).streamed(with_summary=False))
    assert found.is_cut
    assert len(list(found.records())) == len(EVENTS)
    assert read_method_trace(Trace(EVENTS, overflow=True).whole()).is_cut


def test_records_may_be_longer_than_what_is_known_of_them() -> None:
    whole = Trace(EVENTS).whole()
    at = whole.index(b"SLOW")
    longer = bytearray(whole[: at + 32])
    struct.pack_into("<H", longer, at + 16, 20)
    for start in range(at + 32, len(whole), 14):
        longer += whole[start : start + 14] + b"\xff" * 6
    assert records(bytes(longer)) == records(whole)


GOOD = Trace(EVENTS).whole()
START = GOOD.index(b"SLOW")
STREAM = Trace(EVENTS).streamed()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no method trace"),
        (b"PK\3\4", "is no method trace"),
        (b"*version\n3\n", "has no end"),
        (GOOD[:START], "magic: ends too early|ends too early"),
        (GOOD[:-1], "cut off in the middle of a record"),
        (GOOD[:-14], r"is cut off, or two files in one \(found 4, allowed 5"),
        (GOOD[: START + 4] + b"\4" + GOOD[START + 5 :], "has version 4 .*--profiler-output-version"),
        (GOOD[: START + 6] + b"\xff\xff" + GOOD[START + 8 :], "lies outside of the file"),
        (GOOD[: START + 16] + b"\1" + GOOD[START + 17 :], "record size: is too small"),
        (GOOD.replace(b"SLOW", b"FAST"), "magic: is not where it must be"),
        (GOOD.replace(b"clock=dual", b"clock=moon"), r"clock: is not known \(found 'moon'"),
        (GOOD.replace(b"0x4\ta.A\tg", b"0xg\ta.A\tg"), r"line\[13\]: is no number \(found '0xg'"),
        (GOOD.replace(b"\t(I)I\tA.java", b""), r"line\[13\]: names no method"),
        (GOOD.replace(b"0x4\t", b"0x40\t"), "is of no known method or action"),
        (GOOD[:-14] + struct.pack("<HIII", 1, 3, 0, 0), "is of no known method or action"),
        (CUT_HEADER, "has no text in front, and is not streamed|ends too early|lies outside"),
        (STREAM[:-3], "ends too early"),
        (STREAM + b"\0", "goes on behind its end"),
        (STREAM[:32] + b"\0\0\4" + STREAM[32:], r"is of no known kind \(found 4"),
        (Trace(EVENTS).streamed(with_summary=False) + b"\1", "cut off in the middle of a record"),
        (Trace(EVENTS).streamed(with_summary=False) + b"\1\0\0", "ends too early"),
        (STREAM.replace(b"clock=dual", b"clock=wall"), "clock: does not fit its records"),
    ],
)
def test_damaged_traces_are_refused_with_the_place(data: bytes, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        records(data)


def test_random_damage_is_a_refusal_or_a_trace_and_nothing_else() -> None:
    source, survived = random.Random(20261128), 0
    for data in (GOOD, STREAM, Trace(EVENTS, version=1, clock="thread-cpu").whole()):
        for _ in range(400):
            damaged = bytearray(data)
            for _ in range(source.randrange(1, 4)):
                damaged[source.randrange(len(data))] = source.randrange(256)
            try:
                records(bytes(damaged[: source.randrange(len(data)) if source.randrange(4) == 0 else None]))
                survived += 1
            except (FormatError, LimitExceeded):
                continue
    assert survived > 100


def test_a_file_beyond_the_limit_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    import lawow.formats.method_trace as module
    from lawow.limits import TraceLimits

    monkeypatch.setattr(module, "TRACE", TraceLimits(trace_bytes=100))
    with pytest.raises(LimitExceeded, match="trace_bytes is"):
        read_method_trace(GOOD)
    monkeypatch.setattr(module, "TRACE", TraceLimits(methods=2))
    with pytest.raises(LimitExceeded, match="methods is"):
        read_method_trace(GOOD)


def dumped(path: Path) -> list[tuple[str, str, int]]:
    """Return what Android's dmtracedump reads: for each event the method, the action, the microseconds."""
    lines = run("dmtracedump", "-o", path).stdout.splitlines()
    found = [re.match(r"\s*(\d+) (ent|xit|unr)\s+(\d+)[ .+-]*(\S+)", line) for line in lines]
    return [(item[4], item[2], int(item[3])) for item in found if item]


@pytest.mark.parametrize(("version", "clock"), [(1, "thread-cpu"), (2, "thread-cpu"), (3, "dual")])
def test_androids_own_reader_sees_the_same_events(tmp_path: Path, version: int, clock: str) -> None:
    source = random.Random(version)
    events: list[Event] = []
    stack: list[int] = []
    for at in range(0, 3000, 3):
        if stack and (len(stack) > 8 or source.randrange(2)):
            events.append(leave(stack.pop(), at, at + 7))
        else:
            stack.append(source.randrange(3))
            events.append(enter(stack[-1], at, at + 7))
    (tmp_path / "app.trace").write_bytes(Trace(events, version=version, clock=clock).whole())
    found: MethodTrace = read_method_trace((tmp_path / "app.trace").read_bytes())
    actions = ("ent", "xit", "unr")
    ours = [
        (
            f"{found.methods[item.method].class_name}.{found.methods[item.method].name}",
            actions[item.action],
            item.cpu_us,
        )
        for item in found.records()
    ]
    assert dumped(tmp_path / "app.trace") == ours
