"""A profile: how long methods took where somebody measured them, in a file of commas.

::

    method,calls,seconds,elements
    com.example.Fft.run([D[D)V,120,3.41,4096

`seconds` is the time of all calls together, on the device or scaled to it; `elements` the mean number of
elements in one array of a call (empty: 0). Lines may stand in any order, ``#`` starts a comment. Refused:
other columns, numbers that are none, a method that stands twice.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lawow.errors import FormatError

__all__ = ["Timings", "read_timings"]

COLUMNS = ["method", "calls", "seconds", "elements"]
MOST_ELEMENTS = 1 << 30


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds and elements of one call, by the method's label ``com.example.Fft.run([D[D)V``."""

    by_method: Mapping[str, tuple[float, int]] = field(default_factory=dict)

    def of(self, label: str) -> tuple[float, int] | None:
        """Return what is known of a method."""
        return self.by_method.get(label)


def read_timings(data: bytes, *, name: str) -> Timings:
    """Read a profile. Raises `FormatError` naming `name` and the line."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError("is not UTF-8 text", file=name) from None
    found: dict[str, tuple[float, int]] = {}
    try:
        rows = list(_rows(text))
        for number, row in rows[:1]:
            _require(row == COLUMNS, number, "must name the columns", row, ",".join(COLUMNS))
        for number, row in rows[1:]:
            method, timing = _timing(number, row)
            _require(method not in found, number, "stands twice", row, "one line for each method")
            found[method] = timing
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


def _timing(number: int, row: list[str]) -> tuple[str, tuple[float, int]]:
    """Return a method with seconds and elements of one call. A descriptor has no comma."""
    _require(
        len(row) == len(COLUMNS) and bool(row[0]), number, "must have every column", row, ",".join(COLUMNS)
    )
    calls, seconds, elements = map(_number, row[1:])
    sound = calls >= 1 and 0 <= seconds < 1e12 and 0 <= elements <= MOST_ELEMENTS
    _require(sound, number, "holds no such numbers", row, "1 call or more, and numbers that are not negative")
    return row[0], (seconds / calls, int(elements))


def _number(text: str) -> float:
    """Return a number; 0 for nothing, NaN for what is none."""
    try:
        return float(text or 0)
    except ValueError:
        return math.nan


def _require(holds: bool, number: int, why: str, row: list[str], allowed: str) -> None:
    if not holds:
        found = repr(",".join(row)[:80])
        raise FormatError(why, structure="line", index=number, found=found, allowed=allowed)
