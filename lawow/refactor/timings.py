"""A profile: how long methods took where somebody measured them, in a file of commas.

::

    method,calls,seconds,elements
    com.example.Fft.run([D[D)V,120,3.41,4096

`seconds` is the time of all calls together, on the device or scaled to it; `elements` the mean number of elements
in one array of a call (empty: 0). Lines may stand in any order, ``#`` starts a comment. Refused: other
columns, numbers that are none, a method that stands twice.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
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
    lines = [line.partition("#")[0] for line in text.splitlines()]
    found: dict[str, tuple[float, int]] = {}
    header = False
    try:
        for number, line in enumerate(lines, start=1):
            row = [cell.strip() for cell in next(csv.reader(io.StringIO(line)), [])]
            if not any(row):
                continue
            if not header:
                _require_header(row, number)
                header = True
                continue
            method, timing = _row(row, number)
            if method in found:
                raise FormatError("stands twice", structure="line", index=number, found=method)
            found[method] = timing
    except csv.Error as error:
        raise FormatError(f"is not a file of commas: {error}", file=name) from None
    except FormatError as error:
        raise error.within(name) from None
    return Timings(found)


def _require_header(row: list[str], number: int) -> None:
    if row != COLUMNS:
        raise FormatError(
            "must name the columns",
            structure="line",
            index=number,
            found=",".join(row)[:80],
            allowed=",".join(COLUMNS),
        )


def _row(row: list[str], number: int) -> tuple[str, tuple[float, int]]:
    """Return a method with seconds and elements of one call. A descriptor has no comma."""
    if len(row) != len(COLUMNS) or not row[0]:
        raise FormatError(
            "must have a value for each column",
            structure="line",
            index=number,
            found=len(row),
            allowed=len(COLUMNS),
        )
    calls, seconds, elements = (_number(text, number) for text in row[1:])
    if calls < 1 or elements > MOST_ELEMENTS:
        raise FormatError(
            "can't be", structure="line", index=number, found=",".join(row[1:]), allowed="at least one call"
        )
    return row[0], (seconds / calls, int(elements))


def _number(text: str, number: int) -> float:
    try:
        value = float(text or 0)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1e12:
        raise FormatError(
            "must be a number, 0 or more", structure="line", index=number, found=repr(text[:40])
        )
    return value
