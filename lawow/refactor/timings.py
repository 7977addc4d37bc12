"""A profile: how long methods took where somebody measured them, in a file of commas.

::

    method,calls,seconds,elements
    com.example.Fft.run([D[D)V,120,3.41,4096

`seconds` is the time of all calls together, on the device or scaled to it; `elements` the mean number of
elements in one array of a call. `calls` and `elements` may be empty, where they are not known. Lines may
stand in any order, ``#`` starts a comment. Refused: other columns, numbers that are none, a method that
stands twice. `lawow profile` writes such files.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lawow.errors import FormatError

__all__ = ["MethodTime", "Timings", "profile_text", "read_timings"]

COLUMNS = ["method", "calls", "seconds", "elements"]
MOST_ELEMENTS = 1 << 30
MOST_CALLS = 1 << 53
_UNFIT = frozenset(',#"\r\n')
"""Not in names that Android allows; a trace may hold anything."""


@dataclass(frozen=True, slots=True)
class MethodTime:
    """The time of all calls of a method, whose label is ``com.example.Fft.run([D[D)V``.

    `calls` is None if they were not counted (a sampled trace), `elements` if nobody looked at the arrays.
    """

    method: str
    calls: int | None
    seconds: float
    elements: int | None = None

    @property
    def seconds_each(self) -> float | None:
        """The time of one call."""
        return None if self.calls is None else self.seconds / self.calls


@dataclass(frozen=True, slots=True)
class Timings:
    """What was measured, by the method's label."""

    by_method: Mapping[str, MethodTime] = field(default_factory=dict)

    @classmethod
    def of_times(cls, times: Iterable[MethodTime]) -> Timings:
        """Return the timings of methods that all differ."""
        return cls({item.method: item for item in times})

    def of(self, *labels: str) -> MethodTime | None:
        """Return what is known of a method, by the first of its labels that stands here."""
        return next((self.by_method[label] for label in labels if label in self.by_method), None)


def profile_text(times: Iterable[MethodTime]) -> str:
    """Return a profile that `read_timings` reads; methods that can't be any app's are left out."""
    to = io.StringIO()
    rows = csv.writer(to, lineterminator="\n")
    rows.writerow(COLUMNS)
    for item in times:
        if not _UNFIT & set(item.method):
            rows.writerow([item.method, _shown(item.calls), f"{item.seconds:.9g}", _shown(item.elements)])
    return to.getvalue()


def _shown(count: int | None) -> str:
    return "" if count is None else str(count)


def read_timings(data: bytes, *, name: str) -> Timings:
    """Read a profile. Raises `FormatError` naming `name` and the line."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError("is not UTF-8 text", file=name) from None
    found: dict[str, MethodTime] = {}
    try:
        rows = list(_rows(text))
        for number, row in rows[:1]:
            _require(row == COLUMNS, number, "must name the columns", row, ",".join(COLUMNS))
        for number, row in rows[1:]:
            time = _method_time(number, row)
            _require(time.method not in found, number, "stands twice", row, "one line for each method")
            found[time.method] = time
    except csv.Error as error:
        raise FormatError(f"is not a file of commas: {error}", file=name) from None
    except FormatError as error:
        raise error.within(name) from None
    return Timings(found)


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that hold something, with their numbers."""
    for number, line in enumerate(text.splitlines(), start=1):
        row = [cell.strip() for cell in next(csv.reader([line.partition("#")[0]]), [])]
        if any(row):
            yield number, row


def _method_time(number: int, row: list[str]) -> MethodTime:
    """Return what a line says. A descriptor has no comma."""
    _require(
        len(row) == len(COLUMNS) and bool(row[0]), number, "must have every column", row, ",".join(COLUMNS)
    )
    calls, seconds, elements = (_number(cell) if cell else None for cell in row[1:])
    sound = (
        (calls is None or 1 <= calls <= MOST_CALLS)
        and (seconds is not None and 0 <= seconds < 1e12)
        and (elements is None or 0 <= elements <= MOST_ELEMENTS)
    )
    _require(sound, number, "holds no such numbers", row, "1 call or more, and numbers that are not negative")
    assert seconds is not None  # a line without is not sound
    return MethodTime(
        row[0], None if calls is None else int(calls), seconds, None if elements is None else int(elements)
    )


def _number(text: str) -> float:
    """Return a number; NaN for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _require(holds: bool, number: int, why: str, row: list[str], allowed: str) -> None:
    if not holds:
        found = repr(",".join(row)[:80])
        raise FormatError(why, structure="line", index=number, found=found, allowed=allowed)
