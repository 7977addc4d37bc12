"""Marks the ids that a dex file uses, and remembers every place where one stands.

One pass over all classes: signatures, code, catch clauses, debug information, annotations, constants, call
sites. Ids that used ids are made of are used too. `collect_garbage` takes it from there.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from itertools import compress
from typing import NamedTuple

from lawow.errors import FormatError
from lawow.formats.dex.code import IndexPlaces, find_indexes
from lawow.formats.dex.leb128 import read_uleb128
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.reach import Reach, disjoint, find_reach
from lawow.formats.dex.reader import Dex
from lawow.formats.dex.spec import NO_INDEX, ItemType, item_name
from lawow.formats.dex.tables import field_rows, handle_rows, method_rows, proto_rows
from lawow.formats.dex.walk import Place, walk_annotation, walk_array, walk_debug_info, walk_handlers

__all__ = ["ID_TABLES", "Marks", "MemberPlace", "code_units_of_file", "mark_ids"]

# The tables whose rows can go, in the order of IndexKind. Call sites and method handles always stay.
ID_TABLES = (
    ItemType.STRING_ID_ITEM,
    ItemType.TYPE_ID_ITEM,
    ItemType.PROTO_ID_ITEM,
    ItemType.FIELD_ID_ITEM,
    ItemType.METHOD_ID_ITEM,
)


class MemberPlace(NamedTuple):
    """An index difference in a class_data_item; `previous` is the index that it counts from, -1 for none."""

    offset: int
    length: int
    member_idx: int
    previous: int


class Marks:
    """Which ids are used (`used[kind][index]` is 1), and where they stand."""

    def __init__(self, dex: Dex) -> None:
        self.dex = dex
        self.used = tuple(bytearray(dex.size_of(item)) for item in ID_TABLES)
        self.reach: Reach = find_reach(dex, range(len(dex.class_defs)))
        self.units = code_units_of_file(dex.data)
        self.operands = IndexPlaces()
        self.places: list[Place] = []
        self.fields: list[MemberPlace] = []
        self.methods: list[MemberPlace] = []
        self.proto_rows = proto_rows(dex)
        self.field_rows = field_rows(dex)
        self.method_rows = method_rows(dex)

    def use(self, kind: IndexKind, indexes: Iterable[int]) -> None:
        """Mark indexes as used. Raises `FormatError` for one past the end of its table."""
        used = self.used[kind]
        try:
            for index in indexes:
                used[index] = 1
        except IndexError:
            raise FormatError(
                "index is past the end of the table",
                structure=item_name(ID_TABLES[kind]),
                index=index,
                allowed=len(used),
            ) from None


def mark_ids(dex: Dex) -> Marks:
    """Mark what all classes of the file use. Raises `FormatError` for an index or item out of place."""
    marks = Marks(dex)
    _mark_class_defs(marks)
    _mark_members(marks)
    _mark_code(marks)
    _mark_items(marks)
    _mark_method_handles(marks)
    _mark_rows(marks)
    return marks


def code_units_of_file(data: bytes) -> array[int]:
    """Return the whole file as 16-bit units; code is aligned, so unit i stands at byte 2 * i."""
    units = array("H", data[: len(data) & ~1])
    if sys.byteorder == "big":
        units.byteswap()
    return units


def _mark_class_defs(marks: Marks) -> None:
    definitions = marks.dex.class_defs
    marks.use(IndexKind.TYPE, (item.class_idx for item in definitions))
    marks.use(
        IndexKind.TYPE, (item.superclass_idx for item in definitions if item.superclass_idx != NO_INDEX)
    )
    marks.use(
        IndexKind.STRING, (item.source_file_idx for item in definitions if item.source_file_idx != NO_INDEX)
    )


def _mark_members(marks: Marks) -> None:
    """Find the fields and methods that classes define. `find_reach` has seen that the items are whole."""
    data = marks.dex.data
    for offset in marks.reach.class_data_end:
        position = offset
        sizes = []
        for _ in range(4):
            size, position = read_uleb128(data, position)
            sizes.append(size)
        for group, size in enumerate(sizes):
            members = marks.fields if group < 2 else marks.methods
            index, previous = 0, -1
            for _ in range(size):
                start = position
                difference, position = read_uleb128(data, position)
                index += difference
                members.append(MemberPlace(start, position - start, index, previous))
                previous = index
                for _ in range(1 if group < 2 else 2):  # access_flags, code_off
                    while data[position] >= 0x80:
                        position += 1
                    position += 1
    marks.use(IndexKind.FIELD, (member.member_idx for member in marks.fields))
    marks.use(IndexKind.METHOD, (member.member_idx for member in marks.methods))


def _mark_code(marks: Marks) -> None:
    dex, units = marks.dex, marks.units

    def walk(offset: int) -> int:
        code = dex.code_item(offset)
        first = code.insns_off >> 1
        find_indexes(units, first, first + code.insns_size, marks.operands)
        if not code.tries_size:
            return code.insns_end
        return walk_handlers(dex.data, (code.insns_end + 3 & ~3) + 8 * code.tries_size, marks.places)

    disjoint(dex, ItemType.CODE_ITEM, marks.reach.of(ItemType.CODE_ITEM), walk)
    for kind in IndexKind:
        if kind < len(ID_TABLES):
            marks.use(kind, set(map(units.__getitem__, marks.operands.by_kind[kind])))
    marks.use(IndexKind.STRING, (units[at] | units[at + 1] << 16 for at in marks.operands.jumbo))


def _mark_items(marks: Marks) -> None:
    dex, data, places = marks.dex, marks.dex.data, marks.places
    arrays = marks.reach.of(ItemType.ENCODED_ARRAY_ITEM)
    arrays.update(dex.call_site_offsets)
    for item, walk in (
        (ItemType.DEBUG_INFO_ITEM, lambda offset: walk_debug_info(data, offset, places)),
        (ItemType.ANNOTATION_ITEM, lambda offset: walk_annotation(data, offset + 1, places)),
        (ItemType.ENCODED_ARRAY_ITEM, lambda offset: walk_array(data, offset, places)),
    ):
        disjoint(dex, item, marks.reach.of(item), walk)
    by_kind: dict[IndexKind, set[int]] = {kind: set() for kind in IndexKind}
    for _, _, kind, index, _ in places:
        by_kind[kind].add(index)
    for directory in marks.reach.directories.values():
        by_kind[IndexKind.FIELD].update(index for index, _ in directory.fields)
        by_kind[IndexKind.METHOD].update(index for index, _ in directory.methods + directory.parameters)
    for kind, indexes in by_kind.items():
        if kind < len(ID_TABLES):
            marks.use(kind, indexes)


def _mark_method_handles(marks: Marks) -> None:
    for row in handle_rows(marks.dex):
        marks.use(IndexKind.FIELD if row.names_field else IndexKind.METHOD, (row.field_or_method_id,))


def _mark_rows(marks: Marks) -> None:
    """Ids are made of ids: members of protos and types, those of types, all of strings."""
    dex, used = marks.dex, marks.used
    methods = list(compress(marks.method_rows, used[IndexKind.METHOD]))
    fields = list(compress(marks.field_rows, used[IndexKind.FIELD]))
    marks.use(IndexKind.TYPE, {row.class_idx for row in fields} | {row.class_idx for row in methods})
    marks.use(IndexKind.TYPE, {row.type_idx for row in fields})
    marks.use(IndexKind.PROTO, {row.proto_idx for row in methods})
    protos = list(compress(marks.proto_rows, used[IndexKind.PROTO]))
    marks.use(IndexKind.TYPE, {row.return_type_idx for row in protos})
    lists = marks.reach.of(ItemType.TYPE_LIST)
    lists.update(row.parameters_off for row in protos if row.parameters_off)
    for offset in lists:
        marks.use(IndexKind.TYPE, dex.type_list(offset))
    marks.use(IndexKind.STRING, {row.name_idx for row in fields} | {row.name_idx for row in methods})
    marks.use(IndexKind.STRING, {row.shorty_idx for row in protos})
    marks.use(IndexKind.STRING, compress(dex.type_ids, used[IndexKind.TYPE]))
