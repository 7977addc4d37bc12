"""Reads a dex file: opens it in microseconds per kilobyte, decodes items when they are asked for.

`read_dex` checks the header and the map; every index and offset below is checked where it is followed, so a
damaged corner of a file hurts only those who look there. `verify_dex` looks everywhere.

Hostile files: whatever the bytes are, only `FormatError` comes out, and the work stays linear in the size
of the file. Items of a section can't overlap, so the bytes decoded in it can't exceed its size;
`Dex.claim` keeps that account. Source: "Dalvik executable format" of the Android Open Source Project.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple, TypeVar

from lawow.errors import FormatError, UsageError
from lawow.formats.dex.bulk import Numbers
from lawow.formats.dex.code import IndexPlaces, find_indexes
from lawow.formats.dex.code_extents import CodeExtents
from lawow.formats.dex.header import Header, Section, read_header, read_map_list
from lawow.formats.dex.leb128 import read_uleb128
from lawow.formats.dex.mutf8 import decode_mutf8, utf16_length
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.spec import ALIGNMENT, CODE_ITEM, ID_BYTES, ItemType, item_name
from lawow.formats.dex.symbols import FieldRef, MethodRef, References, is_type_descriptor
from lawow.formats.dex.views import ClassView, MethodView

__all__ = ["ClassDef", "CodeItem", "Dex", "read_dex"]

_PROTO_ID = struct.Struct("<III")
_MEMBER_ID = struct.Struct("<HHI")
_CLASS_DEF = struct.Struct("<8I")

# Allowances for what may be shared: R8 lets methods share code items, classes share lists of interfaces,
# protos the types that they are spelled with. More than this is an attack on whoever reads all of a file.
_CODE_SHARING = 16
_INTERFACES_PER_CLASS = 1_000
_PROTO_TEXT_PER_BYTE = 64

_Value = TypeVar("_Value")


class ClassDef(NamedTuple):
    """A class_def_item: indexes and offsets as they stand in the file."""

    class_idx: int
    access_flags: int
    superclass_idx: int
    interfaces_off: int
    source_file_idx: int
    annotations_off: int
    class_data_off: int
    static_values_off: int


class CodeItem(NamedTuple):
    """The fixed part of a code_item; instructions are `insns_size` units from byte offset `insns_off` on."""

    registers_size: int
    ins_size: int
    outs_size: int
    tries_size: int
    debug_info_off: int
    insns_size: int
    insns_off: int

    @property
    def insns_end(self) -> int:
        """Offset of the byte behind the last instruction."""
        return self.insns_off + 2 * self.insns_size


def read_dex(data: bytes | memoryview) -> Dex:
    """Open a dex file. Raises `FormatError` unless header, map and the sizes of all tables are sound."""
    return Dex(bytes(data))


class Dex:
    """A dex file, read only. Made by `read_dex`.

    Lookups by index (`string`, `type`, `proto`, `field`, `method`) give symbols; `classes` and
    `class_def` give views. Everything decoded is kept, so asking twice costs nothing.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.header: Header = read_header(data)
        self.map_list: tuple[Section, ...] = read_map_list(data, self.header)
        self.sections = {section.item: section for section in self.map_list}
        self.string_offsets: tuple[int, ...] = self._numbers(ItemType.STRING_ID_ITEM)
        self.type_ids: tuple[int, ...] = self._numbers(ItemType.TYPE_ID_ITEM)
        self.call_site_offsets: tuple[int, ...] = self._numbers(ItemType.CALL_SITE_ID_ITEM)
        self.class_defs: tuple[ClassDef, ...] = tuple(
            map(ClassDef._make, self._rows(ItemType.CLASS_DEF_ITEM))
        )
        self._unclaimed = {section.item: section.end - section.offset for section in self.map_list}
        self._unclaimed[ItemType.CODE_ITEM] = _CODE_SHARING * self._unclaimed.get(ItemType.CODE_ITEM, 0)
        self._unclaimed[ItemType.CLASS_DEF_ITEM] = _INTERFACES_PER_CLASS * len(self.class_defs)
        self._unclaimed[ItemType.PROTO_ID_ITEM] = _PROTO_TEXT_PER_BYTE * len(data)
        self._strings: dict[int, str] = {}
        self._types: dict[int, str] = {}
        self._protos: dict[int, str] = {}
        self._fields: dict[int, FieldRef] = {}
        self._methods: dict[int, MethodRef] = {}
        self._type_lists: dict[int, tuple[int, ...]] = {0: ()}
        self._decoded: dict[tuple[ItemType, int], object] = {}

    def __repr__(self) -> str:
        return f"<Dex {self.version}, {len(self.data)} bytes, {len(self.class_defs)} classes>"

    @property
    def version(self) -> str:
        """Format version: three digits."""
        return self.header.version

    # Tables

    def size_of(self, item: ItemType) -> int:
        """Return how many items the section has; 0 without one."""
        section = self.sections.get(item)
        return section.size if section else 0

    def row_offset(self, item: ItemType, index: int) -> int:
        """Return the offset of a row of an id section. Raises `FormatError` for an index past its end."""
        section = self.sections.get(item)
        size = section.size if section else 0
        if section is None or not 0 <= index < size:
            raise FormatError(
                "index is past the end of the table", structure=item_name(item), index=index, allowed=size
            )
        return section.offset + ID_BYTES[item] * index

    def _rows(self, item: ItemType) -> list[tuple[int, ...]]:
        section = self.sections.get(item)
        if section is None or not section.size:
            return []
        end = section.offset + ID_BYTES[item] * section.size
        return list(_CLASS_DEF.iter_unpack(memoryview(self.data)[section.offset : end]))

    def _numbers(self, item: ItemType) -> tuple[int, ...]:
        section = self.sections.get(item)
        return struct.unpack_from(f"<{section.size}I", self.data, section.offset) if section else ()

    # Accounts and caches

    def claim(self, item: ItemType, size_bytes: int) -> None:
        """Account for `size_bytes` decoded in a section. Raises `FormatError` when its items must overlap.

        Once that is so, even a claim of 0 fails: call it before decoding too.
        """
        left = self._unclaimed.get(item, 0) - size_bytes
        self._unclaimed[item] = left
        if left < 0:
            raise FormatError("items overlap", structure=item_name(item))

    def require_item(self, item: ItemType, offset: int) -> Section:
        """Return the section of `item`; raise `FormatError` unless `offset` lies in it and is aligned."""
        section = self.sections.get(item)
        if section is None or not section.offset <= offset < section.end or offset % ALIGNMENT[item]:
            found = f"offset {offset:#x}"
            allowed = f"{section.offset:#x} to {section.end:#x}" if section else "no such section in map_list"
            raise FormatError(
                "offset does not hit an item", structure=item_name(item), found=found, allowed=allowed
            )
        return section

    def decoded(
        self, item: ItemType, offset: int, decode: Callable[[Dex, int], tuple[_Value, int]]
    ) -> _Value:
        """Return the item at `offset`, decoded once. `decode(dex, offset)` gives value and end."""
        key = (item, offset)
        if key not in self._decoded:
            section = self.require_item(item, offset)
            self.claim(item, 0)
            value, end = decode(self, offset)
            if end > section.end:
                raise FormatError("item runs past its section", structure=item_name(item), offset=offset)
            self.claim(item, end - offset)
            self._decoded[key] = value
        return self._decoded[key]  # type: ignore[return-value]

    @cached_property
    def code_extents(self) -> CodeExtents:
        """Where the code of the file lies."""
        return CodeExtents(self)

    @cached_property
    def class_data_numbers(self) -> Numbers:
        """All numbers of the class_data section."""
        section = self.sections.get(ItemType.CLASS_DATA_ITEM)
        return Numbers(self.data, section.offset, section.end) if section else Numbers(b"", 0, 0)

    # Lookups by index

    def string(self, index: int) -> str:
        """Return string_ids[index]."""
        text = self._strings.get(index)
        if text is None:
            self.row_offset(ItemType.STRING_ID_ITEM, index)
            text = self._strings[index] = self._read_string(index)
        return text

    def _read_string(self, index: int) -> str:
        start, end, size = self.string_extent(index)
        self.claim(ItemType.STRING_DATA_ITEM, end - start)
        try:
            text = decode_mutf8(self.data[start:end])
        except FormatError as error:
            error.index = index
            raise
        if utf16_length(text) != size:
            raise FormatError(
                "utf16_size is wrong",
                structure="string_data_item",
                index=index,
                found=size,
                allowed=utf16_length(text),
            )
        return text

    def string_extent(self, index: int) -> tuple[int, int, int]:
        """Return where the bytes of a string start and end (at its NUL), and its length in UTF-16 units."""
        offset = self.string_offsets[index]
        section = self.require_item(ItemType.STRING_DATA_ITEM, offset)
        size, start = read_uleb128(self.data, offset)
        # A UTF-16 code unit takes up to 3 bytes; most strings are ASCII and end where their size says.
        ascii_end = start + size
        end = ascii_end
        if ascii_end >= section.end or self.data[ascii_end] or 0 in self.data[start:ascii_end]:
            end = self.data.find(0, start, min(start + 3 * size + 1, section.end))
        if end < 0:
            raise FormatError(
                "string is not terminated", structure="string_data_item", index=index, offset=offset
            )
        return start, end, size

    def type(self, index: int) -> str:
        """Return the descriptor of type_ids[index]."""
        descriptor = self._types.get(index)
        if descriptor is None:
            self.row_offset(ItemType.TYPE_ID_ITEM, index)
            descriptor = self.string(self.type_ids[index])
            if not is_type_descriptor(descriptor):
                raise FormatError(
                    "not a type descriptor", structure="type_ids", index=index, found=repr(descriptor)
                )
            self._types[index] = descriptor
        return descriptor

    def proto(self, index: int) -> str:
        """Return proto_ids[index] as a method descriptor: ``(IJ)V``."""
        descriptor = self._protos.get(index)
        if descriptor is None:
            row = self.row_offset(ItemType.PROTO_ID_ITEM, index)
            _, return_type, parameters_off = _PROTO_ID.unpack_from(self.data, row)
            parameters = list(map(self.type, self.type_list(parameters_off)))
            self.claim(ItemType.PROTO_ID_ITEM, sum(map(len, parameters)))
            descriptor = self._protos[index] = f"({''.join(parameters)}){self.type(return_type)}"
        return descriptor

    def field(self, index: int) -> FieldRef:
        """Return field_ids[index]."""
        field = self._fields.get(index)
        if field is None:
            row = self.row_offset(ItemType.FIELD_ID_ITEM, index)
            owner, field_type, name = _MEMBER_ID.unpack_from(self.data, row)
            field = self._fields[index] = FieldRef(self.type(owner), self.string(name), self.type(field_type))
        return field

    def method(self, index: int) -> MethodRef:
        """Return method_ids[index]."""
        method = self._methods.get(index)
        if method is None:
            row = self.row_offset(ItemType.METHOD_ID_ITEM, index)
            owner, proto, name = _MEMBER_ID.unpack_from(self.data, row)
            method = self._methods[index] = MethodRef(self.type(owner), self.string(name), self.proto(proto))
        return method

    def type_list(self, offset: int) -> tuple[int, ...]:
        """Return the type indexes of the type_list at `offset`; none for offset 0."""
        listed = self._type_lists.get(offset)
        if listed is None:
            listed = self.decoded(ItemType.TYPE_LIST, offset, _read_type_list)
            self._type_lists[offset] = listed
        return listed

    def code_item(self, offset: int) -> CodeItem:
        """Return the fixed part of the code_item at `offset`; its instructions lie inside of the section."""
        section = self.require_item(ItemType.CODE_ITEM, offset)
        if offset + CODE_ITEM.size > section.end:
            raise FormatError("is cut off", structure="code_item", offset=offset)
        code = CodeItem._make((*CODE_ITEM.unpack_from(self.data, offset), offset + CODE_ITEM.size))
        if code.insns_end > section.end:
            raise FormatError(
                "insns_size is too large", structure="code_item", offset=offset, found=code.insns_size
            )
        return code

    def code_units(self, code: CodeItem) -> array[int]:
        """Return the instructions of a method as 16-bit code units."""
        return array("H", struct.unpack_from(f"<{code.insns_size}H", self.data, code.insns_off))

    def symbol(self, kind: IndexKind, index: int) -> str | FieldRef | MethodRef:
        """Return what an index of an instruction stands for. Raises `KeyError` for call sites and handles."""
        return _LOOKUPS[kind](self, index)

    # Classes

    @cached_property
    def classes(self) -> tuple[ClassView, ...]:
        """Views of all classes, in the order of class_defs."""
        return tuple(ClassView(self, index) for index in range(len(self.class_defs)))

    @cached_property
    def _class_indexes(self) -> dict[str, list[int]]:
        indexes: dict[str, list[int]] = {}
        for index, class_def in enumerate(self.class_defs):
            indexes.setdefault(self.type(class_def.class_idx), []).append(index)
        return indexes

    def class_names(self) -> list[str]:
        """Return the descriptors of all classes, in the order of class_defs."""
        return [self.type(class_def.class_idx) for class_def in self.class_defs]

    def class_indexes(self, descriptor: str) -> list[int]:
        """Return every index in class_defs that defines `descriptor`: none, one, or more in a faulty file."""
        return self._class_indexes.get(descriptor, [])

    def class_def(self, descriptor: str) -> ClassView:
        """Return the (first) class with this descriptor. Raises `UsageError` if there is none."""
        indexes = self.class_indexes(descriptor)
        if not indexes:
            raise UsageError(f"the dex file defines no class {descriptor}")
        return self.classes[indexes[0]]

    def references_of(self, item: ClassView | MethodView) -> References:
        """Return what a class (signatures, code, catch clauses) or one method names.

        Annotations are not looked into; they are at `annotations` of the views. Cost: about 1 µs per
        instruction.
        """
        methods = item.methods if isinstance(item, ClassView) else (item,)
        used: tuple[set[int], ...] = tuple(set() for _ in IndexKind)
        types: set[str] = set(item.signature_types())
        for method in methods:
            self._add_references(method, used, types)
        return References(
            types=frozenset(types.union(map(self.type, used[IndexKind.TYPE]))),
            fields=frozenset(map(self.field, used[IndexKind.FIELD])),
            methods=frozenset(map(self.method, used[IndexKind.METHOD])),
            strings=frozenset(map(self.string, used[IndexKind.STRING])),
        )

    def _add_references(self, method: MethodView, used: tuple[set[int], ...], types: set[str]) -> None:
        code = method.code
        if code is None:
            return
        units = self.code_units(code)
        places = IndexPlaces()
        find_indexes(units, 0, len(units), places)
        for indexes, positions in zip(used, places.by_kind, strict=True):
            indexes.update(map(units.__getitem__, positions))
        used[IndexKind.STRING].update(units[place] | units[place + 1] << 16 for place in places.jumbo)
        types.update(handler.type for entry in method.tries for handler in entry.handlers if handler.type)


def _read_type_list(dex: Dex, offset: int) -> tuple[tuple[int, ...], int]:
    end = dex.sections[ItemType.TYPE_LIST].end
    size = int.from_bytes(dex.data[offset : offset + 4], "little")
    if offset + 4 + 2 * size > end:
        raise FormatError("size is too large", structure="type_list", offset=offset, found=size)
    return struct.unpack_from(f"<{size}H", dex.data, offset + 4), offset + 4 + 2 * size


_LOOKUPS: dict[IndexKind, Callable[[Dex, int], str | FieldRef | MethodRef]] = {
    IndexKind.STRING: Dex.string,
    IndexKind.TYPE: Dex.type,
    IndexKind.PROTO: Dex.proto,
    IndexKind.FIELD: Dex.field,
    IndexKind.METHOD: Dex.method,
}
