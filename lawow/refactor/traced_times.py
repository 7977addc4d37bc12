"""What a method trace says: how often each method was called, and how long it took with all that it called.

A call inside a call of the same method belongs to it: moved to the edge, it would stay there. Calls that had
begun before the trace or did not end in it are left out. Time is the processor's where the trace has it. Each
record made the method slower that it was taken in, by two clocks that were read; the trace says by how much,
and that is taken off again.

A *sampled* trace (``--sampling``) looks at the stacks from time to time. It tells where the time went, and
nothing of calls: a hundred that follow each other look like one. In such a trace no two records of a thread
are closer than its interval, by which it is known.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from lawow.errors import LimitExceeded
from lawow.formats.method_trace import Action, MethodTrace, Record
from lawow.limits import TRACE
from lawow.refactor.timings import MethodTime

__all__ = ["TracedTimes", "traced_times"]

SHORTEST_INTERVAL_US = 100
"""Nobody samples more often: stopping all threads takes as long. Calls that are recorded are closer."""
FEWEST_GAPS = 20
"""Fewer tell nothing about how a trace was made."""
_WRAP = 1 << 32


@dataclass(frozen=True, slots=True)
class TracedTimes:
    """Methods by the time they took, the longest first. `sampled_us` is the interval of a sampled trace."""

    times: tuple[MethodTime, ...]
    sampled_us: int | None = None


def traced_times(trace: MethodTrace, sampled_us: int | None = None) -> TracedTimes:
    """Return what a trace says. `sampled_us`: 0 if every call was recorded; None lets the records tell.

    Raises `FormatError` for damaged records, `LimitExceeded` for a trace that opens too many calls.
    """
    stacks = _Stacks()
    gaps = _Gaps()
    calls: Counter[int] = Counter()
    elapsed: Counter[int] = Counter()
    inside: Counter[int] = Counter()
    for record in trace.records():
        gaps.note(record)
        for call in stacks.ended_by(record):
            calls[call.method] += 1
            elapsed[call.method] += call.microseconds
            inside[call.method] += call.records
    interval = gaps.interval if sampled_us is None else sampled_us or None
    overhead = 0 if interval else trace.overhead_ns
    found = [
        MethodTime(
            str(trace.methods[method]),
            None if interval else count,
            max(0.0, elapsed[method] / 1e6 - inside[method] * overhead / 1e9),
        )
        for method, count in calls.items()
    ]
    return TracedTimes(tuple(sorted(_merged(found), key=lambda item: (-item.seconds, item.method))), interval)


def _merged(times: list[MethodTime]) -> Iterator[MethodTime]:
    """Yield each name once: two class loaders may have classes of one name."""
    by_name: dict[str, list[MethodTime]] = defaultdict(list)
    for item in times:
        by_name[item.method].append(item)
    for name, items in by_name.items():
        calls = None if items[0].calls is None else sum(item.calls or 0 for item in items)
        yield MethodTime(name, calls, sum(item.seconds for item in items))


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that has ended. `records` were taken while it ran."""

    method: int
    microseconds: int
    records: int


@dataclass(slots=True)
class _Thread:
    """The open calls of a thread: method, time and number of records at its begin."""

    stack: list[tuple[int, int, int]] = field(default_factory=list)
    open: Counter[int] = field(default_factory=Counter)
    records: int = 0


class _Stacks:
    """Follows the stacks of all threads."""

    def __init__(self) -> None:
        self._threads: dict[int, _Thread] = defaultdict(_Thread)
        self._open = 0

    def ended_by(self, record: Record) -> Iterator[_Call]:
        """Yield the outermost calls that end with a record."""
        thread = self._threads[record.thread]
        thread.records += 1
        if record.action == Action.ENTERED:
            self._open += 1
            if self._open > TRACE.open_calls:
                raise LimitExceeded("open_calls", self._open, TRACE.open_calls)
            thread.stack.append((record.method, record.cpu_us, thread.records))
            thread.open[record.method] += 1
        elif thread.open[record.method]:
            yield from self._leave(thread, record)

    def _leave(self, thread: _Thread, record: Record) -> Iterator[_Call]:
        """Close calls up to the one that the record names: what lies above it has ended, too."""
        method = None
        while method != record.method:
            method, began_us, records = thread.stack.pop()
            self._open -= 1
            thread.open[method] -= 1
            if not thread.open[method]:
                yield _Call(method, _microseconds(began_us, record.cpu_us), thread.records - records)


def _microseconds(start: int, end: int) -> int:
    """Return the time between two readings of a clock that begins anew after 71 minutes."""
    elapsed = (end - start) % _WRAP
    return elapsed if elapsed < _WRAP // 2 else 0


class _Gaps:
    """The shortest time between two moments at which something of the same thread was recorded."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}
        self._count = 0
        self._least = _WRAP

    def note(self, record: Record) -> None:
        gap = record.wall_us - self._last.get(record.thread, record.wall_us)
        self._last[record.thread] = record.wall_us
        if gap > 0:
            self._count += 1
            self._least = min(self._least, gap)

    @property
    def interval(self) -> int | None:
        """How often the stacks were looked at; None if every call was recorded."""
        is_sampled = self._count >= FEWEST_GAPS and self._least >= SHORTEST_INTERVAL_US
        return self._least if is_sampled else None
