"""Walks over data items without decoding them: where they end, and where in them indexes stand.

Cutting needs the ends, id garbage collection the places, copying both. A place is
(offset, length in bytes, kind, index, form); its bytes can be overwritten with a smaller index, padded to the
same length.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

from lawow.errors import FormatError
from lawow.formats.dex.leb128 import read_sleb128, read_uleb128
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.spec import DEBUG_OPERANDS, ItemType, ValueType, item_name

__all__ = [
    "END_OF",
    "Form",
    "Place",
    "skip_code",
    "walk_annotation",
    "walk_array",
    "walk_debug_info",
    "walk_handlers",
]

_MAX_NESTING = 64


class Form(IntEnum):
    """How an index is written."""

    ULEB128 = 0
    ULEB128P1 = 1  # plus one; 0 is "none" and is no place
    FIXED = 2  # little-endian, as wide as the place is long


Place: TypeAlias = tuple[int, int, IndexKind, int, Form]

_VALUE_INDEX = {
    ValueType.METHOD_TYPE: IndexKind.PROTO,
    ValueType.METHOD_HANDLE: IndexKind.METHOD_HANDLE,
    ValueType.STRING: IndexKind.STRING,
    ValueType.TYPE: IndexKind.TYPE,
    ValueType.FIELD: IndexKind.FIELD,
    ValueType.METHOD: IndexKind.METHOD,
    ValueType.ENUM: IndexKind.FIELD,
}
_P1_INDEX = {"S": IndexKind.STRING, "T": IndexKind.TYPE}


def walk_array(data: bytes, offset: int, places: list[Place], depth: int = 0) -> int:
    """Walk over an encoded_array; return its end."""
    if depth > _MAX_NESTING:
        raise FormatError("values are nested too deeply", structure="encoded_array_item", offset=offset)
    size, position = read_uleb128(data, offset)
    for _ in range(size):
        position = _walk_value(data, position, places, depth + 1)
    return position


def walk_annotation(data: bytes, offset: int, places: list[Place], depth: int = 0) -> int:
    """Walk over an encoded_annotation (behind the visibility of an annotation_item); return its end."""
    if depth > _MAX_NESTING:
        raise FormatError("values are nested too deeply", structure="annotation_item", offset=offset)
    position = _walk_uleb128(data, offset, IndexKind.TYPE, places)
    size, position = read_uleb128(data, position)
    for _ in range(size):
        position = _walk_uleb128(data, position, IndexKind.STRING, places)
        position = _walk_value(data, position, places, depth + 1)
    return position


def _walk_value(data: bytes, offset: int, places: list[Place], depth: int) -> int:
    if offset >= len(data):
        raise FormatError("value lies behind the file", structure="encoded_value", offset=offset)
    head = data[offset]
    kind = head & 0x1F
    position = offset + 1
    if kind == ValueType.ARRAY:
        return walk_array(data, position, places, depth)
    if kind == ValueType.ANNOTATION:
        return walk_annotation(data, position, places, depth)
    if kind >= ValueType.NULL:
        return position
    end = position + (head >> 5) + 1
    index_kind = _VALUE_INDEX.get(kind)  # type: ignore[call-overload]
    if index_kind is not None:
        index = int.from_bytes(data[position:end], "little")
        places.append((position, end - position, index_kind, index, Form.FIXED))
    return end


def _walk_uleb128(data: bytes, offset: int, kind: IndexKind, places: list[Place]) -> int:
    index, end = read_uleb128(data, offset)
    places.append((offset, end - offset, kind, index, Form.ULEB128))
    return end


def _walk_uleb128p1(data: bytes, offset: int, kind: IndexKind, places: list[Place]) -> int:
    number, end = read_uleb128(data, offset)
    if number:
        places.append((offset, end - offset, kind, number - 1, Form.ULEB128P1))
    return end


def walk_debug_info(data: bytes, offset: int, places: list[Place]) -> int:
    """Walk over a debug_info_item; return its end."""
    _, position = read_uleb128(data, offset)
    size, position = read_uleb128(data, position)
    for _ in range(size):
        position = _walk_uleb128p1(data, position, IndexKind.STRING, places)
    operands = DEBUG_OPERANDS
    while True:
        if position >= len(data):
            raise FormatError("is not terminated", structure="debug_info_item", offset=offset)
        opcode = data[position]
        position += 1
        if opcode == 0:
            return position
        if opcode < 0x0A and opcode in operands:
            position = _walk_debug_operands(data, position, operands[opcode], places)


def _walk_debug_operands(data: bytes, position: int, letters: str, places: list[Place]) -> int:
    for letter in letters:
        if letter == "u":
            _, position = read_uleb128(data, position)
        elif letter == "s":
            _, position = read_sleb128(data, position)
        else:
            position = _walk_uleb128p1(data, position, _P1_INDEX[letter], places)
    return position


def walk_handlers(data: bytes, offset: int, places: list[Place]) -> int:
    """Walk over the encoded_catch_handler_list of a code_item; return its end."""
    size, position = read_uleb128(data, offset)
    for _ in range(size):
        count, position = read_sleb128(data, position)
        for _ in range(abs(count)):
            position = _walk_uleb128(data, position, IndexKind.TYPE, places)
            _, position = read_uleb128(data, position)
        if count <= 0:
            _, position = read_uleb128(data, position)
    return position


def skip_code(data: bytes, offset: int, places: list[Place]) -> int:
    """Return the end of a code_item, without the padding behind it; `places` gets its catch types."""
    if offset + 16 > len(data):
        raise FormatError("is cut off", structure="code_item", offset=offset)
    tries_size, _, insns_size = struct.unpack_from("<HII", data, offset + 6)
    position: int = offset + 16 + 2 * insns_size
    if tries_size:
        position = walk_handlers(data, (position + 3 & ~3) + 8 * tries_size, places)
    return position


def _counted(entry_bytes: int) -> Callable[[bytes, int], int]:
    def end_of(data: bytes, offset: int) -> int:
        return offset + 4 + entry_bytes * int.from_bytes(data[offset : offset + 4], "little")

    return end_of


def _end_of_directory(data: bytes, offset: int) -> int:
    if offset + 16 > len(data):
        raise FormatError(
            "is cut off", structure=item_name(ItemType.ANNOTATIONS_DIRECTORY_ITEM), offset=offset
        )
    entries: int = sum(struct.unpack_from("<III", data, offset + 4))
    return offset + 16 + 8 * entries


# End of an item of each kind that classes own. class_data_item is walked where its code offsets are
# collected.
END_OF: dict[ItemType, Callable[[bytes, int], int]] = {
    ItemType.CODE_ITEM: lambda data, offset: skip_code(data, offset, []),
    ItemType.DEBUG_INFO_ITEM: lambda data, offset: walk_debug_info(data, offset, []),
    ItemType.ENCODED_ARRAY_ITEM: lambda data, offset: walk_array(data, offset, []),
    ItemType.ANNOTATION_ITEM: lambda data, offset: walk_annotation(data, offset + 1, []),
    ItemType.TYPE_LIST: _counted(2),
    ItemType.ANNOTATION_SET_ITEM: _counted(4),
    ItemType.ANNOTATION_SET_REF_LIST: _counted(4),
    ItemType.ANNOTATIONS_DIRECTORY_ITEM: _end_of_directory,
}
