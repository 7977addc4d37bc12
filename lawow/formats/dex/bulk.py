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
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import accumulate, islice, repeat
from operator import or_
from typing import Literal

from lawow.errors import FormatError

__all__ = ["Numbers", "decode_uleb128", "put_units", "u16_view", "u32_view"]

_LEB128 = re.compile(rb"[\x80-\xff]*+[\x00-\x7f]", re.DOTALL)
_MOST_BYTES = 5
_LANE_BYTES = 4  # of all numbers but those of 5 bytes, which nothing here needs
_BLOCK_BYTES = 1 << 16  # an object for each number of a block, not of a section: that would take megabytes
_TOO_LARGE = 1 << 32  # stands for a number that no reader accepts; every bounds check finds it


def decode_uleb128(raw: Sequence[bytes]) -> Iterable[int]:
    """Return the values of ULEB128 numbers; one that no reader accepts has a value too large for everything.

    All at once: each number gets four bytes of one long integer, and its groups of seven bits close up in all
    of them together.
    """
    lanes = b"".join(map(bytes.ljust, raw, repeat(_LANE_BYTES), repeat(b"\0")))
    if len(lanes) != _LANE_BYTES * len(raw):
        return map(_decode, raw)
    bits = int.from_bytes(lanes, "little")
    groups = (bits >> place & _in_all_lanes(0x7F << 7 * place, len(raw)) for place in range(_LANE_BYTES))
    values = array("I", reduce(or_, groups).to_bytes(len(lanes), "little"))
    if sys.byteorder == "big":
        values.byteswap()
    return values.tolist()  # of Python's numbers: they fit any array


def _in_all_lanes(mask: int, count: int) -> int:
    return int.from_bytes(mask.to_bytes(_LANE_BYTES, "little") * count, "little")


def _decode(raw: bytes) -> int:
    if len(raw) > _MOST_BYTES:
        return _TOO_LARGE
    value = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(raw))
    return min(value, _TOO_LARGE)


class Numbers:
    """All ULEB128 numbers of a range that holds nothing else: `values`, and the offsets where they start.

    `starts` has one more element, the end of the last number. A number that is malformed has a value that is
    too large for everything; so does none that is cut off by the end: it is missing.
    """

    __slots__ = ("starts", "values")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self.values: array[int] = array("Q")
        self.starts: array[int] = array("I", (start,))
        while start < end:
            stop = min(start + _BLOCK_BYTES, end)
            while stop < end and data[stop - 1] >= 0x80:
                stop += 1
            raw = _LEB128.findall(data, start, stop)
            self.values.extend(decode_uleb128(raw))
            self.starts.extend(islice(accumulate(map(len, raw), initial=start), 1, None))
            start = stop

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
