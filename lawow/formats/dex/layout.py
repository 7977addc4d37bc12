"""Cuts byte ranges out of a dex file and shifts everything that stays: the second half of "cut and shift".

Sections keep their order; an empty one loses its entry in map_list. Offsets go through "old to new". The code
offsets inside of class_data_items are ULEB128: they only shrink, so they are written padded to their old
length; no size changes and one pass is enough. Item and section alignment is kept, the link section goes.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from lawow.errors import FormatError
from lawow.formats.bytes import align_up
from lawow.formats.dex.header import Section, seal
from lawow.formats.dex.leb128 import replace_uleb128
from lawow.formats.dex.reach import Reach, require_inside
from lawow.formats.dex.spec import ALIGNMENT, ID_BYTES, ID_SECTIONS, ItemType, item_name
from lawow.formats.dex.walk import END_OF

if TYPE_CHECKING:
    from lawow.formats.dex.reader import Dex

__all__ = ["Cuts", "item_cuts", "proto_type_lists", "row_cuts", "shift"]

Range: TypeAlias = tuple[int, int]
Cuts: TypeAlias = "dict[ItemType, list[Range]]"
Mover: TypeAlias = "Callable[[int], int]"

_U32 = struct.Struct("<I")
_FIRST_DATA_ITEM = ItemType.MAP_LIST
_CLASS_DEF_FIELDS = (
    (12, "interfaces_off", ItemType.TYPE_LIST),
    (20, "annotations_off", ItemType.ANNOTATIONS_DIRECTORY_ITEM),
    (24, "class_data_off", ItemType.CLASS_DATA_ITEM),
    (28, "static_values_off", ItemType.ENCODED_ARRAY_ITEM),
)


def row_cuts(dex: Dex, item: ItemType, rows: Iterable[int]) -> list[Range]:
    """Return the byte ranges of rows of an id section, ascending."""
    size = ID_BYTES[item]
    starts = [dex.row_offset(item, row) for row in sorted(rows)]
    return [(start, start + size) for start in starts]


def item_cuts(
    dex: Dex, item: ItemType, dead: Iterable[int], live: Iterable[int], ends: Mapping[int, int] | None = None
) -> list[Range]:
    """Return the byte ranges of the data items that are dead and not live, ascending.

    Raises `FormatError` if a dead item overlaps another one: cutting it would damage what stays.
    """
    keep = sorted(live)
    doomed = sorted(set(dead).difference(keep))
    if not doomed:
        return []
    section_end = dex.sections[item].end
    alignment = ALIGNMENT[item]
    end_of = ends.__getitem__ if ends is not None else lambda offset: END_OF[item](dex.data, offset)
    ranges: list[Range] = []
    for start in doomed:
        end = align_up(end_of(start), alignment)
        place = bisect_left(keep, start)
        follower = keep[place] if place < len(keep) else section_end + alignment
        overlaps = (
            (ranges and start < ranges[-1][1]) or end > follower or end > align_up(section_end, alignment)
        )
        if overlaps or (place and start == keep[place - 1]):
            raise FormatError("items overlap", structure=item_name(item), offset=start)
        ranges.append((start, min(end, section_end)))
    return ranges


def shift(dex: Dex, reach: Reach, cuts: Cuts, source: bytes | bytearray | None = None) -> bytes:
    """Return the file without the ranges in `cuts`. `reach` is that of all classes whose rows stay.

    `source` replaces the file's bytes and has its layout: the same file with some numbers overwritten.
    """
    work = _Shift(dex, reach, cuts, dex.data if source is None else source)
    del source  # a copy of the whole file, of which the last part of the work has no more need
    return work.run()


def proto_type_lists(dex: Dex) -> set[int]:
    """Return the offsets of the type_lists that proto_ids name as parameters."""
    section = dex.sections.get(ItemType.PROTO_ID_ITEM)
    if section is None:
        return set()
    numbers = struct.unpack_from(f"<{3 * section.size}I", dex.data, section.offset)
    return set(numbers[2::3]) - {0}


class _Shift:
    def __init__(self, dex: Dex, reach: Reach, cuts: Cuts, source: bytes | bytearray) -> None:
        self.dex = dex
        self.reach = reach
        self.cuts = cuts
        self.source = memoryview(source)
        self.out = bytearray()
        self.sections: dict[ItemType, tuple[int, int]] = {}  # new size and offset
        self.movers: dict[ItemType, Mover] = {}

    def run(self) -> bytes:
        require_inside(self.dex, ItemType.STRING_DATA_ITEM, self.dex.string_offsets)
        require_inside(self.dex, ItemType.TYPE_LIST, proto_type_lists(self.dex))
        require_inside(self.dex, ItemType.ENCODED_ARRAY_ITEM, self.dex.call_site_offsets)
        self._copy_sections()
        self.source = memoryview(b"")
        self._write_header_and_map()
        self._move_id_offsets()
        self._move_class_defs()
        self._move_code()
        self._move_annotations()
        seal(self.out)
        return bytes(self.out)

    def _copy_sections(self) -> None:
        remaining = sum(section.size > len(self.cuts.get(section.item, ())) for section in self.dex.map_list)
        out = self.out
        for section in self.dex.map_list:
            item = section.item
            end = section.end
            if item in ID_BYTES:  # dx leaves gaps behind id sections; they aren't copied
                end = section.offset + ID_BYTES[item] * section.size
            elif item == ItemType.MAP_LIST:
                end = section.offset + 4 + 12 * remaining
            cuts = self.cuts.get(item, [])
            self._require_room(section, section.size - len(cuts))
            offset = align_up(len(out), ALIGNMENT[item])
            self.movers[item] = _make_mover(section.offset, offset, cuts)
            if section.size <= len(cuts):
                continue
            out += bytes(offset - len(out))
            self.sections[item] = (section.size - len(cuts), offset)
            position = section.offset
            for start, stop in cuts:
                out += self.source[position:start]
                position = stop
            out += self.source[position:end]
        out += bytes(align_up(len(out), 4) - len(out))

    def _require_room(self, section: Section, size: int) -> None:
        """Check that map_list counts no fewer items than classes and strings need."""
        needed = len(self.reach.of(section.item))
        if section.item == ItemType.STRING_DATA_ITEM:
            needed = len(self._kept_rows(ItemType.STRING_ID_ITEM))
        if size < needed:
            raise FormatError("fewer items than are used", structure=item_name(section.item), found=size)

    def _write_header_and_map(self) -> None:
        out = self.out
        map_off = self.sections[ItemType.MAP_LIST][1]
        rows = b"".join(
            struct.pack("<HHII", item, 0, size, offset) for item, (size, offset) in self.sections.items()
        )
        out[map_off : map_off + 4 + len(rows)] = _U32.pack(len(self.sections)) + rows
        struct.pack_into("<III", out, 0x2C, 0, 0, map_off)
        for place, item in enumerate(ID_SECTIONS):
            struct.pack_into("<II", out, 0x38 + 8 * place, *self.sections.get(item, (0, 0)))
        data_off = min(offset for item, (_, offset) in self.sections.items() if item >= _FIRST_DATA_ITEM)
        _U32.pack_into(out, 0x20, len(out))
        struct.pack_into("<II", out, 0x68, len(out) - data_off, data_off)

    def _mover(self, item: ItemType) -> Mover:
        return self.movers.get(item, int)

    def _kept_rows(self, item: ItemType) -> Sequence[int]:
        """Indexes of the rows that stay, in order."""
        size = self.dex.size_of(item)
        cuts = self.cuts.get(item)
        if not cuts:
            return range(size)
        first, row_bytes = self.dex.sections[item].offset, ID_BYTES[item]
        gone = {(start - first) // row_bytes for start, _ in cuts}
        return [row for row in range(size) if row not in gone]

    def _move_id_offsets(self) -> None:
        dex, out = self.dex, self.out
        move = self._mover(ItemType.STRING_DATA_ITEM)
        kept = self._kept_rows(ItemType.STRING_ID_ITEM)
        if kept:
            moved = [move(dex.string_offsets[row]) for row in kept]
            struct.pack_into(f"<{len(moved)}I", out, self.sections[ItemType.STRING_ID_ITEM][1], *moved)
        move = self._mover(ItemType.TYPE_LIST)
        place = self.sections.get(ItemType.PROTO_ID_ITEM, (0, 0))[1] + 8
        for row in self._kept_rows(ItemType.PROTO_ID_ITEM):
            parameters_off = _U32.unpack_from(dex.data, dex.row_offset(ItemType.PROTO_ID_ITEM, row) + 8)[0]
            if parameters_off:
                _U32.pack_into(out, place, move(parameters_off))
            place += ID_BYTES[ItemType.PROTO_ID_ITEM]
        if dex.call_site_offsets:
            moved = list(map(self._mover(ItemType.ENCODED_ARRAY_ITEM), dex.call_site_offsets))
            struct.pack_into(f"<{len(moved)}I", out, self.sections[ItemType.CALL_SITE_ID_ITEM][1], *moved)

    def _move_class_defs(self) -> None:
        row_offset = self.sections.get(ItemType.CLASS_DEF_ITEM, (0, 0))[1]
        for row in self._kept_rows(ItemType.CLASS_DEF_ITEM):
            definition = self.dex.class_defs[row]
            for place, name, item in _CLASS_DEF_FIELDS:
                offset = getattr(definition, name)
                if offset:
                    _U32.pack_into(self.out, row_offset + place, self._mover(item)(offset))
            row_offset += ID_BYTES[ItemType.CLASS_DEF_ITEM]

    def _move_code(self) -> None:
        out, members = self.out, self.reach.members
        move_place = self._mover(ItemType.CLASS_DATA_ITEM)
        move_code = self._mover(ItemType.CODE_ITEM)
        for place, code_off in zip(members.code_places, members.code_offs, strict=True):
            if code_off:
                replace_uleb128(out, move_place(place), move_code(code_off))
        move_debug = self._mover(ItemType.DEBUG_INFO_ITEM)
        put = _U32.pack_into
        for code_off, debug_info_off in self.reach.debug_info_of.items():
            put(out, move_code(code_off) + 8, move_debug(debug_info_off))

    def _move_annotations(self) -> None:
        move_set = self._mover(ItemType.ANNOTATION_SET_ITEM)
        move_list = self._mover(ItemType.ANNOTATION_SET_REF_LIST)
        for offset, directory in self.reach.directories.items():
            place = self._mover(ItemType.ANNOTATIONS_DIRECTORY_ITEM)(offset)
            if directory.class_annotations_off:
                _U32.pack_into(self.out, place, move_set(directory.class_annotations_off))
            place += 20  # behind the sizes, at the offset of the first row
            for rows, move in (
                (directory.fields, move_set),
                (directory.methods, move_set),
                (directory.parameters, move_list),
            ):
                for _, target in rows:
                    _U32.pack_into(self.out, place, move(target) if target else 0)
                    place += 8
        self._move_lists(self.reach.ref_lists, move_list, move_set)
        self._move_lists(self.reach.sets, move_set, self._mover(ItemType.ANNOTATION_ITEM))

    def _move_lists(self, lists: Mapping[int, tuple[int, ...]], move: Mover, move_entry: Mover) -> None:
        for offset, entries in lists.items():
            moved = [move_entry(entry) if entry else 0 for entry in entries]
            struct.pack_into(f"<{len(moved)}I", self.out, move(offset) + 4, *moved)


def _make_mover(old_start: int, new_start: int, cuts: Sequence[Range]) -> Mover:
    """Return the function from an old offset in a section to the new one."""
    distance = new_start - old_start
    if not cuts:
        return lambda offset: offset + distance
    ends = [end for _, end in cuts]
    distances = [distance]
    for start, end in cuts:
        distances.append(distances[-1] - (end - start))
    return lambda offset: offset + distances[bisect_right(ends, offset)]
