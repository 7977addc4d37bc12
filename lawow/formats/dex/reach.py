"""Which data items a set of classes reaches, and where the offsets stand that lead to them.

This is the first half of "cut and shift": what only dropped classes reach can go, and every offset that is
collected here for the classes that stay is rewritten. One pass, dominated by the code offsets of class_data.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from lawow.errors import FormatError
from lawow.formats.dex.leb128 import read_uleb128
from lawow.formats.dex.spec import ALIGNMENT, ItemType, item_name

if TYPE_CHECKING:
    from lawow.formats.dex.reader import Dex

__all__ = ["CodeOffset", "Directory", "Reach", "find_reach", "require_inside"]

_U32 = struct.Struct("<I")
_DEBUG_INFO_OFF = 8  # in a code_item


class CodeOffset(NamedTuple):
    """Where a class_data_item names a code_item: the bytes from `start` to `end` hold `value`."""

    start: int
    end: int
    value: int


class Directory(NamedTuple):
    """An annotations_directory_item; rows are (member index, offset of a set or of a ref list)."""

    class_annotations_off: int
    fields: list[tuple[int, int]]
    methods: list[tuple[int, int]]
    parameters: list[tuple[int, int]]


@dataclass(slots=True)
class Reach:
    """Offsets of all reached items, by section, and what they point to."""

    code_offsets: dict[int, list[CodeOffset]] = field(default_factory=dict)  # by class_data_item
    class_data_end: dict[int, int] = field(default_factory=dict)
    debug_info_of: dict[int, int] = field(default_factory=dict)  # by code_item
    directories: dict[int, Directory] = field(default_factory=dict)
    ref_lists: dict[int, tuple[int, ...]] = field(default_factory=dict)
    sets: dict[int, tuple[int, ...]] = field(default_factory=dict)
    items: dict[ItemType, set[int]] = field(default_factory=dict)

    def of(self, item: ItemType) -> set[int]:
        """Return the offsets of the reached items of a section."""
        return self.items.setdefault(item, set())


def find_reach(dex: Dex, class_indexes: Iterable[int]) -> Reach:
    """Collect what the classes at these places in class_defs reach."""
    reach = Reach()
    definitions = [dex.class_defs[index] for index in class_indexes]
    for item, name in _CLASS_DEF_OFFSETS:
        reach.of(item).update(getattr(definition, name) for definition in definitions)
        reach.of(item).discard(0)
        require_inside(dex, item, reach.of(item))
    _reach_code(dex, reach)
    _reach_annotations(dex, reach)
    return reach


_CLASS_DEF_OFFSETS = (
    (ItemType.TYPE_LIST, "interfaces_off"),
    (ItemType.ANNOTATIONS_DIRECTORY_ITEM, "annotations_off"),
    (ItemType.CLASS_DATA_ITEM, "class_data_off"),
    (ItemType.ENCODED_ARRAY_ITEM, "static_values_off"),
)


def require_inside(dex: Dex, item: ItemType, offsets: Collection[int]) -> None:
    """Raise `FormatError` unless all offsets lie in the section of `item` and are aligned."""
    if offsets:
        dex.require_item(item, min(offsets))
        dex.require_item(item, max(offsets))
        if ALIGNMENT[item] > 1:
            for offset in offsets:
                if offset & 3:
                    dex.require_item(item, offset)


def _reach_code(dex: Dex, reach: Reach) -> None:
    spent = 0
    section = dex.sections.get(ItemType.CLASS_DATA_ITEM)
    for offset in reach.of(ItemType.CLASS_DATA_ITEM):
        try:
            places, end = _class_data_code(dex.data, offset)
        except IndexError:
            raise FormatError(
                "item ends behind the file", structure="class_data_item", offset=offset
            ) from None
        spent += end - offset
        if section is None or end > section.end or spent > section.end - section.offset:
            raise FormatError("items overlap", structure="class_data_item", offset=offset)
        reach.code_offsets[offset] = places
        reach.class_data_end[offset] = end
    codes = reach.of(ItemType.CODE_ITEM)
    for places in reach.code_offsets.values():
        codes.update([place.value for place in places])
    require_inside(dex, ItemType.CODE_ITEM, reach.of(ItemType.CODE_ITEM))
    for offset in codes:
        if offset + 16 > len(dex.data):
            raise FormatError("is cut off", structure="code_item", offset=offset)
        debug_info_off: int = _U32.unpack_from(dex.data, offset + _DEBUG_INFO_OFF)[0]
        if debug_info_off:
            reach.debug_info_of[offset] = debug_info_off
    reach.of(ItemType.DEBUG_INFO_ITEM).update(reach.debug_info_of.values())
    require_inside(dex, ItemType.DEBUG_INFO_ITEM, reach.of(ItemType.DEBUG_INFO_ITEM))


def _class_data_code(data: bytes, offset: int) -> tuple[list[CodeOffset], int]:
    """Find the code offsets of a class_data_item. The loop runs once per method: numbers are skipped inline."""
    sizes = []
    position = offset
    for _ in range(4):
        size, position = read_uleb128(data, position)
        sizes.append(size)
    if sum(sizes) > len(data):
        raise FormatError("too many members", structure="class_data_item", offset=offset, found=sizes)
    for _ in range(2 * (sizes[0] + sizes[1])):
        while data[position] >= 0x80:
            position += 1
        position += 1
    places = []
    for _ in range(sizes[2] + sizes[3]):
        while data[position] >= 0x80:
            position += 1
        position += 1
        while data[position] >= 0x80:
            position += 1
        position += 1
        if data[position]:
            value, end = read_uleb128(data, position)
            places.append(CodeOffset(position, end, value))
            position = end
        else:
            position += 1
    return places, position


def _reach_annotations(dex: Dex, reach: Reach) -> None:
    sets = reach.of(ItemType.ANNOTATION_SET_ITEM)
    lists = reach.of(ItemType.ANNOTATION_SET_REF_LIST)
    budget = len(dex.data)
    for offset in reach.of(ItemType.ANNOTATIONS_DIRECTORY_ITEM):
        directory = reach.directories[offset] = _read_directory(dex, offset)
        sets.add(directory.class_annotations_off)
        sets.update([place for _, place in directory.fields + directory.methods])
        lists.update([place for _, place in directory.parameters])
        budget -= 16 + 8 * (len(directory.fields) + len(directory.methods) + len(directory.parameters))
        _require_budget(budget, ItemType.ANNOTATIONS_DIRECTORY_ITEM)
    require_inside(dex, ItemType.ANNOTATION_SET_REF_LIST, reach.of(ItemType.ANNOTATION_SET_REF_LIST))
    for offset in lists:
        reach.ref_lists[offset] = _read_offsets(dex, ItemType.ANNOTATION_SET_REF_LIST, offset)
        sets.update(reach.ref_lists[offset])
        budget -= 4 * len(reach.ref_lists[offset])
        _require_budget(budget, ItemType.ANNOTATION_SET_REF_LIST)
    sets.discard(0)
    require_inside(dex, ItemType.ANNOTATION_SET_ITEM, reach.of(ItemType.ANNOTATION_SET_ITEM))
    annotations = reach.of(ItemType.ANNOTATION_ITEM)
    for offset in sets:
        reach.sets[offset] = _read_offsets(dex, ItemType.ANNOTATION_SET_ITEM, offset)
        annotations.update(reach.sets[offset])
        budget -= 4 * len(reach.sets[offset])
        _require_budget(budget, ItemType.ANNOTATION_SET_ITEM)
    require_inside(dex, ItemType.ANNOTATION_ITEM, reach.of(ItemType.ANNOTATION_ITEM))


def _require_budget(budget: int, item: ItemType) -> None:
    if budget < 0:
        raise FormatError("items overlap", structure=item_name(item))


def _read_directory(dex: Dex, offset: int) -> Directory:
    end = dex.sections[ItemType.ANNOTATIONS_DIRECTORY_ITEM].end
    if offset + 16 > end:
        raise FormatError("is cut off", structure="annotations_directory_item", offset=offset)
    class_off, *sizes = struct.unpack_from("<4I", dex.data, offset)
    if offset + 16 + 8 * sum(sizes) > end:
        raise FormatError(
            "too many entries", structure="annotations_directory_item", offset=offset, found=sizes
        )
    numbers = struct.unpack_from(f"<{2 * sum(sizes)}I", dex.data, offset + 16)
    rows = list(zip(numbers[::2], numbers[1::2], strict=True))
    fields, methods = sizes[0], sizes[0] + sizes[1]
    return Directory(class_off, rows[:fields], rows[fields:methods], rows[methods:])


def _read_offsets(dex: Dex, item: ItemType, offset: int) -> tuple[int, ...]:
    end = dex.sections[item].end
    size = int.from_bytes(dex.data[offset : offset + 4], "little")
    if offset + 4 + 4 * size > end:
        raise FormatError("size is too large", structure=item_name(item), offset=offset, found=size)
    return struct.unpack_from(f"<{size}I", dex.data, offset + 4)
