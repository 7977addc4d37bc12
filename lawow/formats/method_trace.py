"""Reads Android's method traces: the files of ``Debug.startMethodTracing`` and ``am profile start``.

Versions 1 to 3, both as they are written at the end of a trace (a text with clock, threads and methods, then
the records) and as they are streamed (``--streaming``: names stand between the records, the text at the end).
A record says that a thread entered or left a method, and when. Refused: the packed format that Android 15
writes on request (versions 4 and up), a file that is cut off, records of methods without a name. Source: the
comment at the head of ART's ``runtime/trace.cc``, and what that file writes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.bytes import ByteReader
from lawow.limits import TRACE

__all__ = ["Action", "MethodTrace", "Record", "TracedMethod", "is_method_trace", "read_method_trace"]

MAGIC = b"SLOW"
_TEXT = b"*version"
_STREAMED = 0xF0
_VERSIONS = (1, 2, 3)
_HEADER_BYTES = 32
_ACTION_MASK = 0x3
_METHOD_INFO, _THREAD_INFO, _SUMMARY = 1, 2, 3
_CLOCKS = {"thread-cpu": 1, "wall": 1, "global": 1, "dual": 2}
"""Number of times in a record; ``global`` is what Dalvik called ``wall``."""


class Action(IntEnum):
    """What a thread did. `UNWOUND`: an exception left the method."""

    ENTERED = 0
    LEFT = 1
    UNWOUND = 2


class TracedMethod(NamedTuple):
    """A method's names, the class with dots: ``com.example.Fft``, ``run``, ``([D[D)V``."""

    class_name: str
    name: str
    descriptor: str

    def __str__(self) -> str:
        return f"{self.class_name}.{self.name}{self.descriptor}"


class Record(NamedTuple):
    """One event. Times are microseconds since the trace began, modulo 2^32; with one clock both are its."""

    thread: int
    method: int
    action: int
    cpu_us: int
    wall_us: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the records lie in the file."""

    thread: str
    times: int
    size: int

    @property
    def struct(self) -> struct.Struct:
        plain = f"<{self.thread}I{'I' * self.times}"
        return struct.Struct(f"{plain}{self.size - struct.calcsize(plain)}x")


@dataclass(frozen=True, slots=True)
class MethodTrace:
    """A trace. `overhead_ns` is the time that reading the clocks took for each record, by the tracer itself.

    `is_cut`: the buffer was full, or the trace was not ended, and what came later is missing.
    """

    clock: str
    overhead_ns: int
    is_cut: bool
    methods: Mapping[int, TracedMethod]
    threads: Mapping[int, str]
    _data: memoryview = field(repr=False)
    _runs: tuple[tuple[int, int], ...] = field(repr=False)
    _layout: _Layout = field(repr=False)

    def records(self) -> Iterator[Record]:
        """Yield the events in the order of the file, which is that of time for each thread.

        Raises `FormatError` for an action or a method that is not known.
        """
        for start, end in self._runs:
            for at, (thread, code, *times) in enumerate(
                self._layout.struct.iter_unpack(self._data[start:end])
            ):
                method, action = code & ~_ACTION_MASK, code & _ACTION_MASK
                if action == _ACTION_MASK or method not in self.methods:
                    offset = start + at * self._layout.size
                    raise FormatError("is of no known method or action", structure="record", offset=offset)
                yield Record(thread, method, action, times[0], times[-1])


def is_method_trace(head: bytes) -> bool:
    """Tell whether a file that begins so claims to be a method trace."""
    return head.startswith((MAGIC, _TEXT))


def read_method_trace(data: bytes) -> MethodTrace:
    """Read a trace but for its records, which `MethodTrace.records` reads.

    Raises `FormatError` for what is no such file, `LimitExceeded` for one that is too large.
    """
    if len(data) > TRACE.trace_bytes:
        raise LimitExceeded("trace_bytes", len(data), TRACE.trace_bytes, hint="trace a shorter time")
    text = _Text()
    if data.startswith(MAGIC):
        return _read_streamed(data, text)
    if not data.startswith(_TEXT):
        raise FormatError("is no method trace", offset=0, allowed="*version or SLOW at the start")
    end = data.find(b"*end\n")
    if end < 0:
        raise FormatError("has no end", structure="header", allowed="a line *end")
    text.read(data[:end])
    return _read_whole(data, end + len(b"*end\n"), text)


class _Text:
    """Collects what is said in lines of text, wherever it stands."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.methods: dict[int, TracedMethod] = {}
        self.threads: dict[int, str] = {}

    def read(self, text: bytes) -> None:
        """Read the sections ``*version``, ``*threads`` and ``*methods``."""
        add: Callable[[str, int], None] = self._add_value
        sections = {"*version": self._add_value, "*threads": self._add_thread, "*methods": self.add_method}
        for number, line in enumerate(text.decode("utf-8", "replace").split("\n"), start=1):
            if line in sections:
                add = sections[line]
            elif line.strip() and line != "*end":
                add(line, number)

    def _add_value(self, line: str, number: int) -> None:
        key, equals, value = line.partition("=")
        self.values[key if equals else "version"] = value if equals else line

    def _add_thread(self, line: str, number: int) -> None:
        key, *name = line.split(None, 1)
        self.threads[_integer(key, 10, number)] = "".join(name)

    def add_method(self, line: str, number: int | None = None) -> None:
        """Take a line ``id, class, name, descriptor, ...`` with tabs between."""
        columns = line.split("\t")
        if len(columns) < 4:
            raise FormatError(
                "names no method", structure="line", index=number, found=repr(line[:80]), allowed="4 columns"
            )
        self.methods[_integer(columns[0], 16, number)] = TracedMethod(*columns[1:4])
        if len(self.methods) > TRACE.methods:
            raise LimitExceeded("methods", "more", TRACE.methods)

    def number(self, key: str) -> int | None:
        value = self.values.get(key)
        return None if value is None else _integer(value, 10)


def _integer(text: str, base: int, line: int | None = None) -> int:
    """Return a number of at most 64 bits, which is not negative."""
    try:
        value = int(text[:40], base)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 64:
        raise FormatError("is no number", structure="line", index=line, found=repr(text[:40]))
    return value


def _read_whole(data: bytes, start: int, text: _Text) -> MethodTrace:
    """Read a trace whose text stands in front."""
    version, begin, size = _read_header(data, start)
    if version & _STREAMED:
        raise FormatError("is streamed, behind a text", structure="header", offset=start + 4)
    layout = _layout(version, size, text)
    if (len(data) - begin) % layout.size:
        raise FormatError("is cut off in the middle of a record", structure="records", offset=len(data))
    count = (len(data) - begin) // layout.size
    if (said := text.number("num-method-calls")) is not None and said != count:
        raise FormatError(
            "is cut off, or two files in one",
            structure="records",
            found=count,
            allowed=f"{said}, as *version says",
        )
    return _trace(data, ((begin, len(data)),), layout, text)


def _read_header(data: bytes, start: int) -> tuple[int, int, int]:
    """Return the version, the offset of the first record, and the size of one (0: that of its version)."""
    reader = ByteReader(data, start, structure="header")
    if (magic := reader.read_bytes(4)) != MAGIC:
        raise FormatError(
            "is not where it must be", structure="magic", offset=start, found=magic, allowed=MAGIC
        )
    version, offset = reader.read_u16(), reader.read_u16()
    if version & ~_STREAMED not in _VERSIONS:
        raise FormatError(
            f"has version {version & ~_STREAMED}",
            structure="header",
            offset=start + 4,
            allowed="1 to 3; trace again without --profiler-output-version",
        )
    reader.skip(8)
    size = reader.read_u16() if offset >= reader.offset - start + 2 and version & ~_STREAMED > 1 else 0
    begin = start + offset
    ByteReader(data, begin, structure="records")
    return version, begin, size


def _layout(version: int, size: int, text: _Text) -> _Layout:
    version &= ~_STREAMED
    clock = text.values.get("clock", "dual" if version == 3 else "thread-cpu")
    if clock not in _CLOCKS:
        raise FormatError(
            "is not known", structure="clock", found=repr(clock[:40]), allowed=", ".join(_CLOCKS)
        )
    thread = "B" if version == 1 else "H"
    least = struct.calcsize(f"<{thread}I") + 4 * _CLOCKS[clock]
    if size and size < least:
        raise FormatError("is too small", structure="record size", found=size, allowed=f"{least} or more")
    return _Layout(thread, _CLOCKS[clock], size or least)


def _read_streamed(data: bytes, text: _Text) -> MethodTrace:
    """Read a trace whose names stand between its records, behind the thread id 0."""
    version, begin, size = _read_header(data, 0)
    if not version & _STREAMED or version & ~_STREAMED == 1:
        raise FormatError("has no text in front, and is not streamed", structure="header", offset=4)
    expected = _layout(version, size, text)
    reader = ByteReader(data, begin, structure="records")
    runs, start = [], begin
    while reader.remaining >= 2:
        if int.from_bytes(data[reader.offset : reader.offset + 2], "little"):
            reader.skip(expected.size)
            continue
        runs.append((start, reader.offset))
        _read_info(reader, text)
        start = reader.offset
    if reader.remaining:
        raise reader.fail("is cut off in the middle of a record")
    runs.append((start, reader.offset))
    layout = _layout(version, size, text)
    if layout != expected:
        raise FormatError(
            "does not fit its records", structure="clock", found=layout.times, allowed=expected.times
        )
    return _trace(data, tuple(run for run in runs if run[0] < run[1]), layout, text)


def _read_info(reader: ByteReader, text: _Text) -> None:
    """Read what stands between records: a method, a thread, or the text at the end."""
    at = reader.offset
    reader.skip(2)
    kind = reader.read_u8()
    if kind == _METHOD_INFO:
        line = reader.read_bytes(reader.read_u16())
        text.add_method(line.decode("utf-8", "replace").rstrip("\n"))
    elif kind == _THREAD_INFO:
        thread = reader.read_u16()
        text.threads[thread] = reader.read_bytes(reader.read_u16()).decode("utf-8", "replace")
    elif kind == _SUMMARY:
        text.read(reader.read_bytes(reader.read_u32()))
        if reader.remaining:
            raise reader.fail("goes on behind its end", found=f"{reader.remaining} bytes")
    else:
        raise FormatError("is of no known kind", structure="records", offset=at, found=kind, allowed="1 to 3")


def _trace(data: bytes, runs: tuple[tuple[int, int], ...], layout: _Layout, text: _Text) -> MethodTrace:
    has_text = "version" in text.values
    return MethodTrace(
        clock=text.values.get("clock", "dual" if layout.times == 2 else "unknown"),
        overhead_ns=text.number("clock-call-overhead-nsec") or 0,
        is_cut=not has_text or text.values.get("data-file-overflow") == "true",
        methods=text.methods,
        threads=text.threads,
        _data=memoryview(data),
        _runs=runs,
        _layout=layout,
    )
