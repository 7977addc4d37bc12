"""Removes ids that nothing in a dex file uses, so that strings and names of dropped classes go too.

Ids only become smaller and keep their order: no instruction and no number changes its length. So everything
is renumbered in place, and then the unused rows are cut like any other bytes. Markers that compilers
leave for their own tools (``~~D8{...}``) are used by nobody and stay.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import accumulate, compress

from lawow.errors import FormatError
from lawow.formats.dex.bulk import put_units
from lawow.formats.dex.layout import Cuts, item_cuts, proto_type_lists, row_cuts, shift
from lawow.formats.dex.leb128 import read_uleb128, replace_uleb128
from lawow.formats.dex.mark import ID_TABLES, Marks, mark_ids
from lawow.formats.dex.members import Column
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.reach import find_reach
from lawow.formats.dex.reader import Dex, read_dex
from lawow.formats.dex.scan import Places
from lawow.formats.dex.spec import ID_BYTES, NO_INDEX, ItemType
from lawow.formats.dex.tables import handle_rows

__all__ = ["collect_garbage", "orphan_cuts", "renumber"]

_MARKERS = (b"~~D8{", b"~~R8{", b"~~L8{")
_U32 = struct.Struct("<I")


def collect_garbage(data: bytes | memoryview) -> bytes:
    """Return the dex file without unused strings, types, protos, fields and methods.

    A file that uses all its ids comes back as it is. `drop_classes` can do both in one pass.
    """
    dex = read_dex(data)
    classes = range(len(dex.class_defs))
    marks = mark_ids(dex, find_reach(dex, classes), classes)
    cuts = orphan_cuts(marks)
    return shift(dex, marks.reach, cuts, renumber(marks)) if any(cuts.values()) else dex.data


def orphan_cuts(marks: Marks) -> Cuts:
    """Return what nobody uses: rows of id tables, strings, parameter lists. Empty if all ids are used."""
    dex = marks.dex
    _keep_markers(marks)
    if all(all(used) for used in marks.used):
        return {}
    cuts: Cuts = {}
    for item, used in zip(ID_TABLES, marks.used, strict=True):
        cuts[item] = row_cuts(dex, item, _unused(used))
    cuts[ItemType.STRING_DATA_ITEM] = _string_cuts(dex, marks.used[IndexKind.STRING])
    live = marks.reach.of(ItemType.TYPE_LIST)
    cuts[ItemType.TYPE_LIST] = item_cuts(dex, ItemType.TYPE_LIST, proto_type_lists(dex), live)
    return cuts


def renumber(marks: Marks) -> bytearray:
    """Return a copy of the file in which every index has its new value; nothing has moved yet."""
    return _Renumbering(marks).run()


def _unused(used: bytearray) -> Iterable[int]:
    place = used.find(0)
    while place >= 0:
        yield place
        place = used.find(0, place + 1)


def _keep_markers(marks: Marks) -> None:
    dex, used = marks.dex, marks.used[IndexKind.STRING]
    for index in list(_unused(used)):
        if dex.data.startswith(_MARKERS, read_uleb128(dex.data, dex.string_offsets[index])[1]):
            used[index] = 1


def _string_cuts(dex: Dex, used: bytearray) -> list[tuple[int, int]]:
    dead: dict[int, int] = {}
    room = len(dex.data)
    for index in _unused(used):
        start, end, _ = dex.string_extent(index)
        dead[dex.string_offsets[index]] = end + 1
        room -= end - start
        if room < 0:
            raise FormatError("items overlap", structure="string_data_item", index=index)
    return item_cuts(dex, ItemType.STRING_DATA_ITEM, dead, compress(dex.string_offsets, used), dead)


class _Renumbering:
    """Overwrites every index in a copy of the file with its new value, in place."""

    def __init__(self, marks: Marks) -> None:
        self.dex = marks.dex
        self.marks = marks
        self.out = bytearray(marks.dex.data)
        # new[kind][old index]: how many used ids stand before it
        self.new = tuple(list(accumulate(used, initial=0)) for used in marks.used)
        self.changing = [kind for kind in IndexKind if kind < len(ID_TABLES) and not all(marks.used[kind])]

    def run(self) -> bytearray:
        self._code()
        self._id_rows()
        self._class_defs()
        self._type_lists()
        self._members(IndexKind.FIELD, self.marks.reach.members.fields)
        self._members(IndexKind.METHOD, self.marks.reach.members.methods)
        for kind in self.changing:
            self._numbers(self.marks.uses.plain[kind], self.new[kind], 0)
            self._numbers(self.marks.uses.plus_one[kind], self.new[kind], 1)
            self._fixed(self.marks.uses.fixed[kind], self.new[kind])
        self._directories()
        self._method_handles()
        return self.out

    def _code(self) -> None:
        section = self.dex.sections.get(ItemType.CODE_ITEM)
        if section is None:
            return
        code = self.marks.code
        for kind in self.changing:
            put_units(self.out, section.offset, code.by_kind[kind], self.new[kind].__getitem__)
        strings = self.new[IndexKind.STRING]
        for position in code.jumbo:
            place = section.offset + 2 * position
            _U32.pack_into(self.out, place, strings[_U32.unpack_from(self.dex.data, place)[0]])

    def _id_rows(self) -> None:
        strings, types, protos = (self.new[kind].__getitem__ for kind in list(IndexKind)[:3])
        shorties, returned, parameters = self.marks.protos
        self._rows(IndexKind.TYPE, "<I", map(strings, self.dex.type_ids))
        self._rows(IndexKind.PROTO, "<III", map(strings, shorties), map(types, returned), parameters)
        owners, field_types, names = self.marks.fields
        self._rows(IndexKind.FIELD, "<HHI", map(types, owners), map(types, field_types), map(strings, names))
        owners, descriptors, names = self.marks.methods
        self._rows(
            IndexKind.METHOD, "<HHI", map(types, owners), map(protos, descriptors), map(strings, names)
        )

    def _rows(self, kind: IndexKind, layout: str, *columns: Iterable[int]) -> None:
        """Overwrite an id table, the rows that will be cut included."""
        start = self._row(ID_TABLES[kind])
        try:
            rows = b"".join(map(struct.Struct(layout).pack, *columns))
        except IndexError:
            raise FormatError("index past its table", structure=ID_TABLES[kind].name.lower()) from None
        self.out[start : start + len(rows)] = rows

    def _row(self, item: ItemType) -> int:
        section = self.dex.sections.get(item)
        return section.offset if section else 0

    def _class_defs(self) -> None:
        strings, types = self.new[IndexKind.STRING], self.new[IndexKind.TYPE]
        first = self._row(ItemType.CLASS_DEF_ITEM)
        for index in self.marks.classes:
            definition = self.dex.class_defs[index]
            place = first + ID_BYTES[ItemType.CLASS_DEF_ITEM] * index
            _U32.pack_into(self.out, place, types[definition.class_idx])
            if definition.superclass_idx != NO_INDEX:
                _U32.pack_into(self.out, place + 8, types[definition.superclass_idx])
            if definition.source_file_idx != NO_INDEX:
                _U32.pack_into(self.out, place + 16, strings[definition.source_file_idx])

    def _type_lists(self) -> None:
        types = self.new[IndexKind.TYPE]
        for offset in self.marks.reach.of(ItemType.TYPE_LIST):
            renumbered = [types[index] for index in self.dex.type_list(offset)]
            struct.pack_into(f"<{len(renumbered)}H", self.out, offset + 4, *renumbered)

    def _members(self, kind: IndexKind, members: Column) -> None:
        new = self.new[kind]
        base = [*new[:-1], 0]  # for a first member, whose previous one is -1: it counts from 0
        for place, index, previous in zip(members.places, members.indexes, members.previous, strict=True):
            difference = new[index] - base[previous]
            if difference != index - max(previous, 0):  # nearly all stay as they were
                replace_uleb128(self.out, place, difference)

    def _numbers(self, places: Places, new: Sequence[int], first: int) -> None:
        """Overwrite ULEB128 indexes that count from `first`."""
        for offset, index in zip(places.offsets, places.values, strict=True):
            if new[index] != index:
                replace_uleb128(self.out, offset, new[index] + first)

    def _fixed(self, places: Places, new: Sequence[int]) -> None:
        out = self.out
        for offset, index in zip(places.offsets, places.values, strict=True):
            if new[index] != index:
                length = (out[offset - 1] >> 5) + 1
                out[offset : offset + length] = new[index].to_bytes(length, "little")

    def _directories(self) -> None:
        fields, methods = self.new[IndexKind.FIELD], self.new[IndexKind.METHOD]
        for offset, directory in self.marks.reach.directories.items():
            place = offset + 16
            for rows, new in (
                (directory.fields, fields),
                (directory.methods, methods),
                (directory.parameters, methods),
            ):
                for index, _ in rows:
                    _U32.pack_into(self.out, place, new[index])
                    place += 8

    def _method_handles(self) -> None:
        place = self._row(ItemType.METHOD_HANDLE_ITEM) + 4
        for row in handle_rows(self.dex):
            new = self.new[IndexKind.FIELD if row.names_field else IndexKind.METHOD]
            struct.pack_into("<H", self.out, place, new[row.field_or_method_id])
            place += ID_BYTES[ItemType.METHOD_HANDLE_ITEM]
