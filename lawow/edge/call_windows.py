"""How fast calls come and how long they take, over the last two minutes, in memory of a fixed size.

A window is a ring of buckets of one or some seconds; each counts its calls by latency, in slots that grow by
a sixteenth (16 in each power of two, as HdrHistogram has them). So a quantile is right within `SLOT_ERROR` of
its value, whatever the values are, and a call costs a few increments. Nothing here reads a clock: seconds
come from whoever calls, and never go back.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

__all__ = ["SLOT_ERROR", "CallWindow", "Quantiles", "Series", "latency_slot", "slot_seconds"]

MICROS = 1_000_000
LONGEST_MICROS = (1 << 30) - 1
"""18 minutes; what takes longer counts as that."""
FIRST_BITS = 5
"""Values of so many bits, below 32 us, have a slot of their own; from then on the leading bits choose it."""
HALF = 1 << (FIRST_BITS - 1)
SLOTS = HALF * (LONGEST_MICROS.bit_length() - FIRST_BITS + 2)
SLOT_ERROR = 1 / (2 * HALF)
"""A slot is known by its middle, and half of it is at most so much of any value in it: 3.125 %."""
RATE_SECONDS = 10


def latency_slot(seconds: float) -> int:
    """Return the number of the slot for a time; less than a microsecond counts as none."""
    micros = int(seconds * MICROS)
    if micros < 1 << FIRST_BITS:
        return max(micros, 0)
    if micros > LONGEST_MICROS:
        micros = LONGEST_MICROS
    shift = micros.bit_length() - FIRST_BITS
    return HALF * shift + (micros >> shift)


def slot_seconds(slot: int) -> float:
    """Return the middle of a slot."""
    if slot < 1 << FIRST_BITS:
        return slot / MICROS
    shift = slot // HALF - 1
    return ((slot - HALF * shift) * 2 + 1 << shift) / 2 / MICROS


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Seconds that half, and 99 of 100 calls, did not exceed (nearest rank); None without calls."""

    p50: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One value for each bucket that is complete, oldest first."""

    calls: list[int]
    p99_seconds: list[float | None]
    memory_bytes: list[int]


@dataclass(slots=True)
class _Bucket:
    """What happened in one step of time; `number` counts steps."""

    number: int = -1
    calls: int = 0
    memory_bytes: int = 0
    slots: array[int] = field(default_factory=lambda: array("I"))  # `SLOTS` of them once it is entered
    p99: float | None = None


class CallWindow:
    """A ring of `buckets` steps of `step_seconds` each."""

    def __init__(self, step_seconds: int, buckets: int) -> None:
        self.step_seconds = step_seconds
        self._ring = [_Bucket() for _ in range(buckets)]
        self._current = self._ring[0]
        self._current_end = 0  # the second in which another step begins
        self._total = array("Q", bytes(8 * SLOTS))

    def record(self, second: int, slot: int) -> None:
        """Count a call that ended in that second, with the slot of its latency."""
        if second >= self._current_end:
            self._enter(second // self.step_seconds)
        bucket = self._current
        bucket.calls += 1
        bucket.slots[slot] += 1
        self._total[slot] += 1

    def note_memory(self, second: int, memory_bytes: int) -> None:
        """Remember the most memory that was seen in that step."""
        bucket = self._enter(second // self.step_seconds)
        bucket.memory_bytes = max(bucket.memory_bytes, memory_bytes)

    def calls_per_second(self, second: int) -> float:
        """Return the rate over the last ten seconds whose steps are complete."""
        now, steps = second // self.step_seconds, RATE_SECONDS // self.step_seconds
        calls = sum(item.calls for item in self._ring if now - steps <= item.number < now)
        return calls / RATE_SECONDS

    def quantiles(self, second: int) -> Quantiles:
        """Return those of the whole window, the step that has begun among it."""
        self._forget(second // self.step_seconds)
        return _quantiles(self._total)

    def series(self, second: int) -> Series:
        """Return what the steps before this one held."""
        found = list(self._complete(second // self.step_seconds))
        return Series(
            [item.calls for item in found],
            [item.p99 for item in found],
            [item.memory_bytes for item in found],
        )

    def _complete(self, now: int) -> Iterator[_Bucket]:
        """Return the buckets of the steps before `now`; an empty one where nothing happened."""
        self._forget(now)
        for number in range(now - len(self._ring) + 1, now):
            bucket = self._ring[number % len(self._ring)]
            if bucket.number != number:
                bucket = _Bucket(number)
            elif bucket.p99 is None and bucket.calls:
                bucket.p99 = _quantiles(bucket.slots).p99
            yield bucket

    def _enter(self, number: int) -> _Bucket:
        """Return the bucket of a step, and make room for it."""
        place = number % len(self._ring)
        if self._ring[place].number != number:
            self._forget(number)
            self._ring[place] = _Bucket(number, slots=array("I", bytes(4 * SLOTS)))
        self._current = self._ring[place]
        self._current_end = (number + 1) * self.step_seconds
        return self._current

    def _forget(self, now: int) -> None:
        """Take what is older than the window out of it."""
        for place, bucket in enumerate(self._ring):
            if bucket.calls and bucket.number <= now - len(self._ring):
                for slot, count in enumerate(bucket.slots):
                    if count:
                        self._total[slot] -= count
                self._ring[place] = _Bucket()


def _quantiles(slots: array[int]) -> Quantiles:
    calls = sum(slots)
    if not calls:
        return Quantiles()
    ranks = [-(-calls * percent // 100) for percent in (50, 99)]
    found: list[float] = []
    for slot, count in enumerate(accumulate(slots)):
        while len(found) < len(ranks) and count >= ranks[len(found)]:
            found.append(slot_seconds(slot))
    return Quantiles(*found)
