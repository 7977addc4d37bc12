"""Where the instructions of each code_item lie, found by walking through the section once.

Code items follow each other, so no class is read for this. Raises `FormatError` where they cannot.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from lawow.errors import FormatError
from lawow.formats.dex.leb128 import read_sleb128, read_uleb128
from lawow.formats.dex.spec import CODE_ITEM, ItemType

if TYPE_CHECKING:
    from lawow.formats.dex.reader import Dex

__all__ = ["CodeExtents"]

_TRY_BYTES = 8


class CodeExtents:
    """Offsets of all code_items of a file, ascending, and where their instructions end."""

    __slots__ = ("insns_ends", "starts")

    def __init__(self, dex: Dex) -> None:
        self.starts = array("I")
        self.insns_ends = array("I")
        section = dex.sections.get(ItemType.CODE_ITEM)
        if section is not None:
            self._walk(dex.data, section.offset, section.size, section.end)

    def items_with(self, places: Iterable[int]) -> Iterator[tuple[int, list[int]]]:
        """Yield the items among whose instructions some of these offsets (ascending) are, with those."""
        for index, inside in groupby(places, key=lambda place: bisect_right(self.starts, place) - 1):
            if index >= 0:
                start, end = self.starts[index] + CODE_ITEM.size, self.insns_ends[index]
                if found := [place for place in inside if start <= place < end]:
                    yield self.starts[index], found

    def _walk(self, data: bytes, position: int, count: int, end: int) -> None:
        unpack = CODE_ITEM.unpack_from
        for _ in range(count):
            if position + CODE_ITEM.size > end:
                raise FormatError("is cut off", structure="code_item", offset=position)
            _, _, _, tries_size, _, insns_size = unpack(data, position)
            insns_end = position + CODE_ITEM.size + 2 * insns_size
            if insns_end > end:
                raise FormatError("insns_size is too large", structure="code_item", offset=position)
            self.starts.append(position)
            self.insns_ends.append(insns_end)
            position = _skip_handlers(data, insns_end, tries_size) if tries_size else insns_end
            position = position + 3 & ~3


def _skip_handlers(data: bytes, insns_end: int, tries_size: int) -> int:
    position = (insns_end + 3 & ~3) + _TRY_BYTES * tries_size
    lists, position = read_uleb128(data, position)
    if lists > tries_size:
        raise FormatError("more handlers than try_items", structure="code_item", offset=position, found=lists)
    for _ in range(lists):
        size, position = read_sleb128(data, position)
        numbers = 2 * abs(size) + (size <= 0)
        if numbers > len(data) - position:
            raise FormatError("too many handlers", structure="code_item", offset=position, found=size)
        for _ in range(numbers):
            while position < len(data) and data[position] >= 0x80:
                position += 1
            position += 1
    return position
