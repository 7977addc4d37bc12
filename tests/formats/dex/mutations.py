"""Names every field of a sound dex file that holds a size, an offset or an index, to plant faults in it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from lawow.formats.dex.reader import Dex, read_dex
from lawow.formats.dex.spec import ALIGNMENT, ID_BYTES, ItemType
from lawow.formats.dex.walk import END_OF
from tests.formats.dex.builders import reseal


class Field(NamedTuple):
    """A number in the file: where, how wide, what it is."""

    offset: int
    width: int
    name: str


_LAYOUT = {
    ItemType.STRING_ID_ITEM: "I",
    ItemType.TYPE_ID_ITEM: "I",
    ItemType.PROTO_ID_ITEM: "III",
    ItemType.FIELD_ID_ITEM: "HHI",
    ItemType.METHOD_ID_ITEM: "HHI",
    ItemType.CLASS_DEF_ITEM: "IIIIIIII",
    ItemType.CALL_SITE_ID_ITEM: "I",
    ItemType.METHOD_HANDLE_ITEM: "HHHH",
    ItemType.CODE_ITEM: "HHHHII",
    ItemType.ANNOTATIONS_DIRECTORY_ITEM: "IIIIII",
    ItemType.ANNOTATION_SET_ITEM: "II",
    ItemType.ANNOTATION_SET_REF_LIST: "II",
    ItemType.TYPE_LIST: "IH",
}
_WIDTH = {"I": 4, "H": 2}


def _fields_at(offset: int, letters: str, name: str, end: int) -> Iterator[Field]:
    for number, letter in enumerate(letters):
        if offset + _WIDTH[letter] <= end:
            yield Field(offset, _WIDTH[letter], f"{name}[{number}]")
        offset += _WIDTH[letter]


def item_starts(dex: Dex, item: ItemType) -> list[int]:
    """Return the offsets of the items of a section of a sound file."""
    section = dex.sections[item]
    if item in ID_BYTES:
        return [section.offset + ID_BYTES[item] * index for index in range(section.size)]
    starts, position = [], section.offset
    for _ in range(section.size):
        position = (position + ALIGNMENT[item] - 1) & -ALIGNMENT[item]
        starts.append(position)
        position = END_OF[item](dex.data, position)
    return starts


def fields(data: bytes, most_items: int = 1 << 16) -> list[Field]:
    """Return the numeric fields of header, map_list, and of the first and last items of every other kind."""
    dex = read_dex(data)
    found = list(_fields_at(0x20, "I" * 20, "header", len(data)))
    for index in range(len(dex.map_list)):
        row = dex.header.map_off + 4 + 12 * index
        found += _fields_at(row, "HHII", f"map_list[{index}]", len(data))
    found.append(Field(dex.header.map_off, 4, "map_list.size"))
    for item, letters in _LAYOUT.items():
        if item in dex.sections:
            starts = list(enumerate(item_starts(dex, item)))
            half = most_items // 2
            for index, start in starts if len(starts) <= most_items else starts[:half] + starts[-half:]:
                found += _fields_at(start, letters, f"{item.name}[{index}]", dex.sections[item].end)
    return found


def values(data: bytes) -> tuple[int, ...]:
    """Return what every field is set to in turn."""
    return (0, 1, len(data) - 1, len(data), 1 << 31, (1 << 32) - 1)


def mutations(data: bytes, most_items: int = 1 << 16) -> Iterator[tuple[str, bytes]]:
    """Yield (what was done, file with repaired checksum) for every field and value."""
    for place in fields(data, most_items):
        for value in values(data):
            cut = value & ((1 << 8 * place.width) - 1)
            new = struct.pack("<I" if place.width == 4 else "<H", cut)
            if data[place.offset : place.offset + place.width] != new:
                out = bytearray(data)
                out[place.offset : place.offset + place.width] = new
                yield f"{place.name} at {place.offset:#x} = {cut:#x}", reseal(out)
