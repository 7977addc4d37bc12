"""Writes method traces as the head of ART's ``trace.cc`` describes them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = ["CUT_HEADER", "Event", "Trace", "enter", "leave"]

CUT_HEADER = struct.pack("<4sHHQ", b"SLOW", 3, 32, 0)


@dataclass(frozen=True)
class Event:
    """One record: the method's number, the action, and both clocks in microseconds."""

    method: int
    action: int
    cpu_us: int
    wall_us: int | None = None
    thread: int = 1


def enter(method: int, cpu_us: int, wall_us: int | None = None, thread: int = 1) -> Event:
    return Event(method, 0, cpu_us, wall_us, thread)


def leave(method: int, cpu_us: int, wall_us: int | None = None, thread: int = 1) -> Event:
    return Event(method, 1, cpu_us, wall_us, thread)


@dataclass(frozen=True)
class Trace:
    """A trace of methods that are named by their number in `methods`, each ``class, name, descriptor``."""

    events: Sequence[Event]
    methods: Sequence[tuple[str, str, str]] = (
        ("a.A", "f", "()V"),
        ("a.A", "g", "(I)I"),
        ("b.B", "h", "([D)V"),
    )
    version: int = 3
    clock: str = "dual"
    overhead_ns: int = 0
    overflow: bool = False
    lines: tuple[str, ...] = ()

    def replace(self, **changes: object) -> Trace:
        return replace(self, **changes)  # type: ignore[arg-type]

    def whole(self) -> bytes:
        """Return the file that is written when tracing ends."""
        return self._text() + self._header() + b"".join(map(self._record, self.events))

    def streamed(self, *, with_summary: bool = True) -> bytes:
        """Return the file that is written as the app runs: names stand in front of their first record."""
        parts, seen = [self._header(streamed=True)], set()
        for event in self.events:
            if ("thread", event.thread) not in seen:
                name = f"thread-{event.thread}".encode()
                parts.append(struct.pack("<HBHH", 0, 2, event.thread, len(name)) + name)
            if event.method not in seen:
                line = self._method(event.method).encode()
                parts.append(struct.pack("<HBH", 0, 1, len(line)) + line)
            seen |= {("thread", event.thread), event.method}
            parts.append(self._record(event))
        if with_summary:
            text = self._text(with_methods=False)
            parts.append(struct.pack("<HBI", 0, 3, len(text)) + text)
        return b"".join(parts)

    def _text(self, *, with_methods: bool = True) -> bytes:
        threads = sorted({event.thread for event in self.events})
        count = [f"num-method-calls={len(self.events)}"] if with_methods else []
        lines = [
            "*version",
            str(self.version),
            f"data-file-overflow={'true' if self.overflow else 'false'}",
            f"clock={self.clock}",
            *count,
            f"clock-call-overhead-nsec={self.overhead_ns}",
            "vm=art",
            *self.lines,
            "*threads",
            *(f"{thread}\tthread-{thread}" for thread in threads),
            "*methods\n",
        ]
        methods = "".join(map(self._method, range(len(self.methods)))) if with_methods else ""
        return ("\n".join(lines) + methods + "*end\n").encode()

    def _method(self, number: int) -> str:
        return "\t".join((f"{4 * number:#x}", *self.methods[number], "A.java")) + "\n"

    def _size(self) -> int:
        return {1: 9, 2: 10}.get(self.version, 14 if self.clock == "dual" else 10)

    def _header(self, *, streamed: bool = False) -> bytes:
        version = self.version | (0xF0 if streamed else 0)
        size = self._size() if version >= 3 else 0  # ART leaves it out below
        return struct.pack("<4sHHQH", b"SLOW", version, 32, 1_700_000_000_000_000, size).ljust(32, b"\0")

    def _record(self, event: Event) -> bytes:
        wall = event.cpu_us if event.wall_us is None else event.wall_us
        times = (
            (event.cpu_us, wall)
            if self.clock == "dual"
            else (wall if self.clock == "wall" else event.cpu_us,)
        )
        thread = "B" if self.version == 1 else "H"
        values = (event.thread, 4 * event.method | event.action, *times)
        return struct.pack(f"<{thread}I{'I' * len(times)}", *values).ljust(self._size(), b"\0")
