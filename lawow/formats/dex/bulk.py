"""Decodes whole sections at once, in the loops of the interpreter instead of ours.

An id table is a few columns of numbers; the LEB128 numbers of a section fall out of one regular expression;
all strings lie between NULs. What is decoded one by one elsewhere costs microseconds, here it costs tens of
nanoseconds. Nothing here checks what the numbers mean.
"""

from __future__ import annotations

import re
import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Literal

from lawow.errors import FormatError

__all__ = ["Numbers", "put_units", "u16_view", "u32_view"]

_LEB128 = re.compile(rb"[\x80-\xff]*[\x00-\x7f]", re.DOTALL)
_MOST_BYTES = 5
_TOO_LARGE = 1 << 32  # stands for a number that no reader accepts; every bounds check finds it


class _Values(dict[bytes, int]):
    """ULEB128 numbers by their bytes; each spelling is decoded once."""

    def __missing__(self, raw: bytes) -> int:
        bits = int.from_bytes(raw, "little")
        value = bits & 0x7F | bits >> 1 & 0x3F80 | bits >> 2 & 0x1FC000 | bits >> 3 & 0xFE00000
        if len(raw) == _MOST_BYTES:
            value |= bits >> 4 & 0x7F0000000
        self[raw] = value = _TOO_LARGE if len(raw) > _MOST_BYTES else min(value, _TOO_LARGE)
        return value


class Numbers:
    """All ULEB128 numbers of a range that holds nothing else: `values`, and the offsets where they start.

    `starts` has one more element, the end of the last number. A number that is malformed has a value that is
    too large for everything; so does none that is cut off by the end: it is missing.
    """

    __slots__ = ("starts", "values")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        raw = _LEB128.findall(data, start, end)
        self.values: list[int] = list(map(_Values().__getitem__, raw))
        self.starts: array[int] = array("I", accumulate(map(len, raw), initial=start))

    def index_at(self, offset: int) -> int:
        """Return which number starts at `offset`. Raises `FormatError` if none does."""
        index = bisect_left(self.starts, offset)
        if index >= len(self.values) or self.starts[index] != offset:
            raise FormatError("offset misses the start of a number", offset=offset)
        return index


def u16_view(data: bytes | bytearray, start: int = 0, end: int | None = None) -> Sequence[int]:
    """Return the 16-bit units from `start` (even) to `end`, without a copy where the machine allows."""
    return _view(data, start, len(data) if end is None else end, "H")


def u32_view(data: bytes | bytearray, start: int = 0, end: int | None = None) -> Sequence[int]:
    """Return the 32-bit numbers from `start` (a multiple of 4) to `end`, without a copy where possible."""
    return _view(data, start, len(data) if end is None else end, "I")


def _view(data: bytes | bytearray, start: int, end: int, code: Literal["H", "I"]) -> Sequence[int]:
    size = array(code).itemsize
    part = memoryview(data)[start : max(start, end - (end - start) % size)]
    if sys.byteorder == "little":
        return part.cast(code)
    swapped = array(code, bytes(part))
    swapped.byteswap()
    return swapped


def put_units(out: bytearray, start: int, positions: Sequence[int], new: Callable[[int], int]) -> None:
    """Replace each 16-bit unit at `positions`, counted from byte `start`, by `new` of its value."""
    if sys.byteorder == "little":
        units = memoryview(out)[start : len(out) - (len(out) - start) % 2].cast("H")
        for position in positions:
            units[position] = new(units[position])
        return
    for position in positions:
        place = start + 2 * position
        out[place : place + 2] = new(int.from_bytes(out[place : place + 2], "little")).to_bytes(2, "little")
