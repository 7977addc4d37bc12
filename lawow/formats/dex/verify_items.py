"""Scans all data items of a dex file in file order, as Android's verifier does.

An offset is sound only if it hits the start of an item that was met here; and every item is checked by
itself: order and range of what it holds, and where a method may have code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from lawow.errors import FormatError
from lawow.formats.bytes import align_up
from lawow.formats.dex.bulk import u16_view
from lawow.formats.dex.code import IndexPlaces, find_indexes
from lawow.formats.dex.items import (
    EncodedMember,
    read_annotation_item,
    read_annotations_directory,
    read_class_data,
    read_encoded_array,
    read_offset_list,
    read_tries,
)
from lawow.formats.dex.leb128 import read_uleb128
from lawow.formats.dex.mutf8 import utf16_sort_key
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.reader import CodeItem, Dex
from lawow.formats.dex.spec import (
    ACC_ABSTRACT,
    ACC_CONSTRUCTOR,
    ACC_NATIVE,
    ACC_PRIVATE,
    ACC_STATIC,
    ALIGNMENT,
    HEADER_BYTES,
    ID_BYTES,
    ItemType,
    ValueType,
    item_name,
)
from lawow.formats.dex.symbols import EncodedAnnotation, EncodedValue
from lawow.formats.dex.walk import END_OF, Place, walk_debug_info

__all__ = ["Items", "scan_items"]

_TABLE_OF = {
    IndexKind.STRING: ItemType.STRING_ID_ITEM,
    IndexKind.TYPE: ItemType.TYPE_ID_ITEM,
    IndexKind.PROTO: ItemType.PROTO_ID_ITEM,
    IndexKind.FIELD: ItemType.FIELD_ID_ITEM,
    IndexKind.METHOD: ItemType.METHOD_ID_ITEM,
    IndexKind.CALL_SITE: ItemType.CALL_SITE_ID_ITEM,
    IndexKind.METHOD_HANDLE: ItemType.METHOD_HANDLE_ITEM,
}
_WORDS_35C = 5


@dataclass(slots=True)
class Items:
    """Where the items of each section start, as far as the section could be scanned."""

    offsets: dict[ItemType, set[int]] = field(default_factory=dict)
    empty_class_data: set[int] = field(default_factory=set)

    def starts(self, item: ItemType) -> set[int]:
        """Return the offsets at which an item of this type starts."""
        return self.offsets.get(item, set())


def scan_items(dex: Dex) -> tuple[Items, list[FormatError]]:
    """Scan all sections. Returns the starts of items, and the first fault of each section that has one."""
    scanner = _Scanner(dex)
    steps = [(section.item, scanner.scan) for section in dex.map_list]
    steps += [(item, scanner.check_wanted) for item in scanner.wanted]
    faults = []
    for item, step in steps:
        try:
            step(item)
        except FormatError as error:
            error.structure = error.structure or item_name(item)
            faults.append(error)
    return scanner.items, faults


class _Scanner:
    def __init__(self, dex: Dex) -> None:
        self.dex = dex
        self.items = Items()
        self.units = u16_view(dex.data)
        self.annotation_types: dict[int, int] = {}
        self.walkers: dict[ItemType, Callable[[int], int]] = {
            ItemType.TYPE_LIST: self._type_list,
            ItemType.ANNOTATION_SET_REF_LIST: self._ref_list,
            ItemType.ANNOTATION_SET_ITEM: self._annotation_set,
            ItemType.CLASS_DATA_ITEM: self._class_data,
            ItemType.CODE_ITEM: self._code,
            ItemType.STRING_DATA_ITEM: self._string_data,
            ItemType.DEBUG_INFO_ITEM: self._debug_info,
            ItemType.ANNOTATION_ITEM: self._annotation,
            ItemType.ENCODED_ARRAY_ITEM: self._encoded_array,
            ItemType.ANNOTATIONS_DIRECTORY_ITEM: self._directory,
        }
        # Offsets met on the way that have to be starts of items
        self.wanted: dict[ItemType, set[int]] = {
            ItemType.CODE_ITEM: set(),
            ItemType.DEBUG_INFO_ITEM: set(),
            ItemType.ANNOTATION_ITEM: set(),
            ItemType.ANNOTATION_SET_ITEM: set(),
            ItemType.ANNOTATION_SET_REF_LIST: set(),
        }

    def check_wanted(self, item: ItemType) -> None:
        """Raise `FormatError` for an offset that misses the start of an item."""
        missed = self.wanted[item] - self.items.starts(item)
        if missed:
            raise FormatError("an offset misses the start of an item", found=hex(min(missed)))
        if item == ItemType.ANNOTATION_ITEM:
            self._check_set_order()

    def scan(self, item: ItemType) -> None:
        """Walk over a section; the space between and behind its items has to be zero."""
        section = self.dex.sections[item]
        if item not in self.walkers:
            self._require_zero(_table_end(self.dex, item), section.end)
            return
        starts = self.items.offsets.setdefault(item, set())
        position = section.offset
        for index in range(section.size):
            offset = align_up(position, ALIGNMENT[item])
            self._require_zero(position, offset)
            if offset >= section.end:
                raise FormatError("fewer items than map_list says", found=index, allowed=section.size)
            position = self.walkers[item](offset)
            if position > section.end:
                raise FormatError("item runs past its section", index=index, offset=offset)
            starts.add(offset)
        self._require_zero(position, section.end)

    def _require_zero(self, start: int, end: int) -> None:
        if self.dex.data.count(0, start, end) != max(0, end - start):
            raise FormatError("padding is not zero", offset=start)

    # One walker for each kind of item: checks it and returns its end

    def _type_list(self, offset: int) -> int:
        listed = self.dex.type_list(offset)
        for index in listed:
            self.dex.type(index)
        return offset + 4 + 2 * len(listed)

    def _string_data(self, offset: int) -> int:
        # Content and length are checked where string_ids name it; the end is enough here.
        size, start = read_uleb128(self.dex.data, offset)
        end = self.dex.data.find(0, start, start + 3 * size + 1)
        if end < 0:
            raise FormatError("string is not terminated", offset=offset)
        return end + 1

    def _class_data(self, offset: int) -> int:
        class_data, end = read_class_data(self.dex, offset)
        for members, is_static in ((class_data.static_fields, True), (class_data.instance_fields, False)):
            self._ascending(members, ItemType.FIELD_ID_ITEM)
            for member in members:
                if bool(member.access_flags & ACC_STATIC) != is_static:
                    raise FormatError("field is in the wrong list", found=member, offset=offset)
        for members, is_direct in ((class_data.direct_methods, True), (class_data.virtual_methods, False)):
            self._ascending(members, ItemType.METHOD_ID_ITEM)
            for member in members:
                self._method(member, is_direct, offset)
        if end == offset + 4:
            self.items.empty_class_data.add(offset)
        return end

    def _ascending(self, members: tuple[EncodedMember, ...], item: ItemType) -> None:
        for member in members:
            self.dex.row_offset(item, member.member_idx)
        for before, after in pairwise(members):
            if before.member_idx >= after.member_idx:
                raise FormatError("members are not in ascending order", found=after)

    def _method(self, member: EncodedMember, is_direct: bool, offset: int) -> None:
        flags = member.access_flags
        is_constructor = bool(flags & ACC_CONSTRUCTOR)
        if (bool(flags & (ACC_STATIC | ACC_PRIVATE)) or is_constructor) != is_direct:
            raise FormatError("method is in the wrong list", found=member, offset=offset)
        if self.dex.method(member.member_idx).name.startswith("<") != is_constructor:
            raise FormatError("constructor flag and name disagree", found=member, offset=offset)
        if bool(flags & (ACC_ABSTRACT | ACC_NATIVE)) == bool(member.code_off):
            raise FormatError("method lacks code or may not have any", found=member, offset=offset)
        if member.code_off:
            self.wanted[ItemType.CODE_ITEM].add(member.code_off)

    def _code(self, offset: int) -> int:
        code = self.dex.code_item(offset)
        if code.ins_size > code.registers_size:
            raise FormatError("ins_size", offset=offset, found=code.ins_size, allowed=code.registers_size)
        if code.outs_size > max(_WORDS_35C, code.registers_size):
            raise FormatError("outs_size", offset=offset, found=code.outs_size, allowed=code.registers_size)
        if not code.insns_size:
            raise FormatError("holds no instructions", offset=offset)
        if code.debug_info_off:
            self.wanted[ItemType.DEBUG_INFO_ITEM].add(code.debug_info_off)
        first = code.insns_off >> 1
        places = IndexPlaces()
        find_indexes(self.units, first, first + code.insns_size, places)
        for kind, positions in zip(IndexKind, places.by_kind, strict=True):
            if positions:
                self._require_index(kind, max([self.units[at] for at in positions]), offset)
        for at in places.jumbo:
            self._require_index(IndexKind.STRING, self.units[at] | self.units[at + 1] << 16, offset)
        if not code.tries_size:
            return code.insns_end
        self._tries(code, offset)
        return END_OF[ItemType.CODE_ITEM](self.dex.data, offset)

    def _require_index(self, kind: IndexKind, index: int, offset: int) -> None:
        size = self.dex.size_of(_TABLE_OF[kind])
        if index >= size:
            raise FormatError(
                f"{kind.name.lower()} index is past its table", offset=offset, found=index, allowed=size
            )

    def _tries(self, code: CodeItem, offset: int) -> None:
        self._require_zero(code.insns_end, align_up(code.insns_end, 4))
        last = 0
        for entry in read_tries(self.dex, code):
            if entry.start_addr < last or not entry.insn_count:
                raise FormatError("try_items overlap or are empty", offset=offset, found=entry.start_addr)
            last = entry.start_addr + entry.insn_count
            for handler in entry.handlers:
                if handler.address >= code.insns_size:
                    raise FormatError("handler is outside of the code", offset=offset, found=handler.address)

    def _debug_info(self, offset: int) -> int:
        places: list[Place] = []
        end = walk_debug_info(self.dex.data, offset, places)
        for _, _, kind, index, _ in places:
            self._require_index(kind, index, offset)
        return end

    def _annotation(self, offset: int) -> int:
        annotation, end = read_annotation_item(self.dex, offset)
        _require_sorted_elements(annotation.annotation)
        self.annotation_types[offset] = read_uleb128(self.dex.data, offset + 1)[0]
        return end

    def _encoded_array(self, offset: int) -> int:
        values, end = read_encoded_array(self.dex, offset)
        for value in values:
            _require_sorted_values(value)
        for value in values:
            if value.kind == ValueType.METHOD_HANDLE and isinstance(value.value, int):
                self._require_index(IndexKind.METHOD_HANDLE, value.value, offset)
        return end

    def _annotation_set(self, offset: int) -> int:
        listed = read_offset_list(self.dex, ItemType.ANNOTATION_SET_ITEM, offset)
        self.wanted[ItemType.ANNOTATION_ITEM].update(listed)
        return offset + 4 + 4 * len(listed)

    def _check_set_order(self) -> None:
        for offset in self.items.starts(ItemType.ANNOTATION_SET_ITEM):
            listed = read_offset_list(self.dex, ItemType.ANNOTATION_SET_ITEM, offset)
            for before, after in pairwise(listed):
                if self.annotation_types[before] >= self.annotation_types[after]:
                    raise FormatError(
                        "annotations are not in the order of their types",
                        structure="annotation_set_item",
                        offset=offset,
                    )

    def _ref_list(self, offset: int) -> int:
        listed = read_offset_list(self.dex, ItemType.ANNOTATION_SET_REF_LIST, offset)
        self.wanted[ItemType.ANNOTATION_SET_ITEM].update(filter(None, listed))
        return offset + 4 + 4 * len(listed)

    def _directory(self, offset: int) -> int:
        directory, end = read_annotations_directory(self.dex, offset)
        sets = self.wanted[ItemType.ANNOTATION_SET_ITEM]
        if directory.class_annotations_off:
            sets.add(directory.class_annotations_off)
        for rows, item, targets in (
            (directory.fields, ItemType.FIELD_ID_ITEM, sets),
            (directory.methods, ItemType.METHOD_ID_ITEM, sets),
            (directory.parameters, ItemType.METHOD_ID_ITEM, self.wanted[ItemType.ANNOTATION_SET_REF_LIST]),
        ):
            for index, target in rows:
                self.dex.row_offset(item, index)
                targets.add(target)
            for (before, _), (after, _) in pairwise(rows):
                if before >= after:
                    raise FormatError("members are not in ascending order", offset=offset, found=after)
        return end


def _table_end(dex: Dex, item: ItemType) -> int:
    section = dex.sections[item]
    if item == ItemType.HEADER_ITEM:
        return HEADER_BYTES
    if item == ItemType.MAP_LIST:
        return section.offset + 4 + 12 * len(dex.map_list)
    return section.offset + ID_BYTES[item] * section.size


def _values_of(annotation: EncodedAnnotation) -> Iterator[EncodedValue]:
    return (value for _, value in annotation.elements)


def _require_sorted_elements(annotation: EncodedAnnotation) -> None:
    names = [utf16_sort_key(name) for name, _ in annotation.elements]
    if any(before >= after for before, after in pairwise(names)):
        raise FormatError(f"elements of {annotation.type} are not in the order of their names")
    for value in _values_of(annotation):
        _require_sorted_values(value)


def _require_sorted_values(value: EncodedValue) -> None:
    """Check the annotations inside of a value; the reader has bounded how deep they are nested."""
    if isinstance(value.value, EncodedAnnotation):
        _require_sorted_elements(value.value)
    elif value.kind == ValueType.ARRAY and isinstance(value.value, tuple):
        for element in value.value:
            if isinstance(element, EncodedValue):
                _require_sorted_values(element)
