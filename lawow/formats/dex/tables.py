"""Rows of the id tables, as numbers with the format's names."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from lawow.formats.dex.bulk import u16_view, u32_view
from lawow.formats.dex.spec import ID_BYTES, ItemType

if TYPE_CHECKING:
    from lawow.formats.dex.reader import Dex

__all__ = [
    "Columns",
    "FieldId",
    "MethodHandle",
    "MethodId",
    "ProtoId",
    "field_columns",
    "field_rows",
    "handle_rows",
    "method_columns",
    "method_rows",
    "proto_columns",
    "proto_rows",
]

Columns: TypeAlias = "tuple[array[int], array[int], array[int]]"

_FIRST_INVOKE = 4


class ProtoId(NamedTuple):
    """A proto_id_item."""

    shorty_idx: int
    return_type_idx: int
    parameters_off: int


class FieldId(NamedTuple):
    """A field_id_item."""

    class_idx: int
    type_idx: int
    name_idx: int


class MethodId(NamedTuple):
    """A method_id_item."""

    class_idx: int
    proto_idx: int
    name_idx: int


class MethodHandle(NamedTuple):
    """A method_handle_item."""

    method_handle_type: int
    unused_1: int
    field_or_method_id: int
    unused_2: int

    @property
    def names_field(self) -> bool:
        """Whether it reads or writes a field; otherwise it calls a method."""
        return self.method_handle_type < _FIRST_INVOKE


def _rows(dex: Dex, item: ItemType, layout: str) -> Iterable[tuple[int, ...]]:
    section = dex.sections.get(item)
    if section is None:
        return ()
    end = section.offset + ID_BYTES[item] * section.size
    return struct.iter_unpack(layout, memoryview(dex.data)[section.offset : end])


def proto_rows(dex: Dex) -> list[ProtoId]:
    """Return proto_ids."""
    return list(map(ProtoId._make, _rows(dex, ItemType.PROTO_ID_ITEM, "<III")))


def field_rows(dex: Dex) -> list[FieldId]:
    """Return field_ids."""
    return list(map(FieldId._make, _rows(dex, ItemType.FIELD_ID_ITEM, "<HHI")))


def method_rows(dex: Dex) -> list[MethodId]:
    """Return method_ids."""
    return list(map(MethodId._make, _rows(dex, ItemType.METHOD_ID_ITEM, "<HHI")))


def handle_rows(dex: Dex) -> list[MethodHandle]:
    """Return method_handles."""
    return list(map(MethodHandle._make, _rows(dex, ItemType.METHOD_HANDLE_ITEM, "<HHHH")))


def proto_columns(dex: Dex) -> Columns:
    """Return the columns of proto_ids: shorty_idx, return_type_idx, parameters_off."""
    words = u32_view(dex.data, *_extent(dex, ItemType.PROTO_ID_ITEM))
    return array("I", words[0::3]), array("I", words[1::3]), array("I", words[2::3])


def field_columns(dex: Dex) -> Columns:
    """Return the columns of field_ids: class_idx, type_idx, name_idx."""
    return _member_columns(dex, ItemType.FIELD_ID_ITEM)


def method_columns(dex: Dex) -> Columns:
    """Return the columns of method_ids: class_idx, proto_idx, name_idx."""
    return _member_columns(dex, ItemType.METHOD_ID_ITEM)


def _member_columns(dex: Dex, item: ItemType) -> Columns:
    start, end = _extent(dex, item)
    halves, words = u16_view(dex.data, start, end), u32_view(dex.data, start, end)
    return array("H", halves[0::4]), array("H", halves[1::4]), array("I", words[1::2])


def _extent(dex: Dex, item: ItemType) -> tuple[int, int]:
    section = dex.sections.get(item)
    return (section.offset, section.offset + ID_BYTES[item] * section.size) if section else (0, 0)
