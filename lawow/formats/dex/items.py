"""Decoders of the data items behind a class: members, catch handlers, annotations, constants.

Each takes the opened file and an offset and returns symbols where the format has indexes. Methods handles
and call sites have no symbol; a value that holds one decodes to its bare index.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from lawow.errors import FormatError
from lawow.formats.bytes import ByteReader
from lawow.formats.dex.leb128 import read_uleb128
from lawow.formats.dex.spec import ItemType, ValueType, item_name
from lawow.formats.dex.symbols import Annotation, EncodedAnnotation, EncodedValue, ValuePayload

if TYPE_CHECKING:
    from lawow.formats.dex.reader import CodeItem, Dex

__all__ = [
    "AnnotationsDirectory",
    "CatchHandler",
    "ClassData",
    "EncodedMember",
    "TryItem",
    "read_annotation_item",
    "read_annotation_set",
    "read_annotation_set_ref_list",
    "read_annotations_directory",
    "read_class_data",
    "read_encoded_array",
    "read_offset_list",
    "read_tries",
]

_MAX_NESTING = 64  # of arrays and annotations inside of values; compilers make 3
_DIRECTORY_HEAD = struct.Struct("<4I")
_VISIBILITIES = (0, 1, 2)


class EncodedMember(NamedTuple):
    """An encoded_field or encoded_method; `member_idx` is absolute, `code_off` is 0 without code."""

    member_idx: int
    access_flags: int
    code_off: int = 0


@dataclass(frozen=True, slots=True)
class ClassData:
    """A class_data_item."""

    static_fields: tuple[EncodedMember, ...] = ()
    instance_fields: tuple[EncodedMember, ...] = ()
    direct_methods: tuple[EncodedMember, ...] = ()
    virtual_methods: tuple[EncodedMember, ...] = ()


class CatchHandler(NamedTuple):
    """Where a `type` is caught; None catches everything. `address` counts code units."""

    type: str | None
    address: int


class TryItem(NamedTuple):
    """A guarded range of code units and its handlers, in their order."""

    start_addr: int
    insn_count: int
    handlers: tuple[CatchHandler, ...]


class AnnotationsDirectory(NamedTuple):
    """An annotations_directory_item; rows are (member index, offset of an annotation set or ref list)."""

    class_annotations_off: int = 0
    fields: tuple[tuple[int, int], ...] = ()
    methods: tuple[tuple[int, int], ...] = ()
    parameters: tuple[tuple[int, int], ...] = ()

    @property
    def size_bytes(self) -> int:
        """Length of the item in the file."""
        return 16 + 8 * (len(self.fields) + len(self.methods) + len(self.parameters))


def read_class_data(dex: Dex, offset: int) -> tuple[ClassData, int]:
    """Decode the class_data_item at `offset`; return it and its end."""
    section = dex.require_item(ItemType.CLASS_DATA_ITEM, offset)
    data = dex.data
    sizes = []
    position = offset
    for _ in range(4):
        size, position = read_uleb128(data, position)
        sizes.append(size)
    # A field takes at least 2 bytes, a method 3: no list can be longer than the file.
    if 2 * sum(sizes) > section.end - position:
        raise FormatError("too many members", structure="class_data_item", offset=offset, found=sizes)
    groups = []
    for group, size in enumerate(sizes):
        members, position = _read_members(data, position, size, has_code=group >= 2)
        groups.append(members)
    if position > section.end:
        raise FormatError("item runs past its section", structure="class_data_item", offset=offset)
    return ClassData(*groups), position


def _read_members(
    data: bytes, position: int, size: int, *, has_code: bool
) -> tuple[tuple[EncodedMember, ...], int]:
    members = []
    index = code_off = 0
    for _ in range(size):
        difference, position = read_uleb128(data, position)
        index += difference
        access_flags, position = read_uleb128(data, position)
        if has_code:
            code_off, position = read_uleb128(data, position)
        members.append(EncodedMember(index, access_flags, code_off))
    return tuple(members), position


def read_tries(dex: Dex, code: CodeItem) -> tuple[TryItem, ...]:
    """Decode the try_items of a method and the handlers that they point to."""
    if not code.tries_size:
        return ()
    section = dex.sections[ItemType.CODE_ITEM]
    reader = ByteReader(dex.data, code.insns_end, section.end, structure="code_item")
    reader.align(4)
    rows = [struct.unpack("<IHH", reader.read_bytes(8)) for _ in range(code.tries_size)]
    handlers = _read_handlers(dex, reader)
    tries = []
    for start_addr, insn_count, handler_off in rows:
        if handler_off not in handlers:
            raise reader.fail("handler_off does not hit a handler", found=handler_off)
        if start_addr + insn_count > code.insns_size:
            raise reader.fail(
                "try_item runs past the code", found=start_addr + insn_count, allowed=code.insns_size
            )
        tries.append(TryItem(start_addr, insn_count, handlers[handler_off]))
    dex.claim(ItemType.CODE_ITEM, sum(len(entry.handlers) for entry in tries))
    return tuple(tries)


def _read_handlers(dex: Dex, reader: ByteReader) -> dict[int, tuple[CatchHandler, ...]]:
    base = reader.offset
    handlers = {}
    for _ in range(reader.read_uleb128()):
        handler_off = reader.offset - base
        size = reader.read_sleb128()
        caught = [
            CatchHandler(dex.type(reader.read_uleb128()), reader.read_uleb128()) for _ in range(abs(size))
        ]
        if size <= 0:
            caught.append(CatchHandler(None, reader.read_uleb128()))
        handlers[handler_off] = tuple(caught)
    dex.claim(ItemType.CODE_ITEM, reader.offset - base)
    return handlers


def read_annotations_directory(dex: Dex, offset: int) -> tuple[AnnotationsDirectory, int]:
    """Decode the annotations_directory_item at `offset`; return it and its end."""
    end = dex.require_item(ItemType.ANNOTATIONS_DIRECTORY_ITEM, offset).end
    if offset + _DIRECTORY_HEAD.size > end:
        raise FormatError("is cut off", structure="annotations_directory_item", offset=offset)
    class_annotations_off, *sizes = _DIRECTORY_HEAD.unpack_from(dex.data, offset)
    first = offset + _DIRECTORY_HEAD.size
    if first + 8 * sum(sizes) > end:
        raise FormatError("too many rows", structure="annotations_directory_item", offset=offset, found=sizes)
    numbers = struct.unpack_from(f"<{2 * sum(sizes)}I", dex.data, first)
    rows = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    fields, methods = sizes[0], sizes[0] + sizes[1]
    directory = AnnotationsDirectory(
        class_annotations_off, rows[:fields], rows[fields:methods], rows[methods:]
    )
    return directory, offset + directory.size_bytes


def read_annotation_set(dex: Dex, offset: int) -> tuple[tuple[Annotation, ...], int]:
    """Decode the annotation_set_item at `offset`; return its annotations and its end."""
    offsets = read_offset_list(dex, ItemType.ANNOTATION_SET_ITEM, offset)
    decoded = tuple(dex.decoded(ItemType.ANNOTATION_ITEM, place, read_annotation_item) for place in offsets)
    return decoded, offset + 4 + 4 * len(offsets)


def read_annotation_set_ref_list(dex: Dex, offset: int) -> tuple[tuple[tuple[Annotation, ...], ...], int]:
    """Decode the annotation_set_ref_list at `offset`: a set for each parameter, maybe empty; and its end."""
    offsets = read_offset_list(dex, ItemType.ANNOTATION_SET_REF_LIST, offset)
    sets = tuple(
        dex.decoded(ItemType.ANNOTATION_SET_ITEM, place, read_annotation_set) if place else ()
        for place in offsets
    )
    return sets, offset + 4 + 4 * len(offsets)


def read_offset_list(dex: Dex, item: ItemType, offset: int) -> tuple[int, ...]:
    """Return the offsets in an annotation_set_item or annotation_set_ref_list."""
    end = dex.require_item(item, offset).end
    size = int.from_bytes(dex.data[offset : offset + 4], "little")
    if offset + 4 + 4 * size > end:
        raise FormatError("size is too large", structure=item_name(item), offset=offset, found=size)
    return struct.unpack_from(f"<{size}I", dex.data, offset + 4)


def read_annotation_item(dex: Dex, offset: int) -> tuple[Annotation, int]:
    """Decode the annotation_item at `offset`; return it and its end."""
    reader = _reader(dex, ItemType.ANNOTATION_ITEM, offset)
    visibility = reader.read_u8()
    if visibility not in _VISIBILITIES:
        raise reader.fail("unknown visibility", found=visibility, allowed=_VISIBILITIES)
    return Annotation(visibility, _read_annotation(dex, reader, 0)), reader.offset


def read_encoded_array(dex: Dex, offset: int) -> tuple[tuple[EncodedValue, ...], int]:
    """Decode the encoded_array_item at `offset`; return its values and its end."""
    reader = _reader(dex, ItemType.ENCODED_ARRAY_ITEM, offset)
    return _read_array(dex, reader, 0), reader.offset


def _reader(dex: Dex, item: ItemType, offset: int) -> ByteReader:
    return ByteReader(dex.data, offset, dex.require_item(item, offset).end, structure=item_name(item))


def _read_array(dex: Dex, reader: ByteReader, depth: int) -> tuple[EncodedValue, ...]:
    return tuple([_read_value(dex, reader, depth) for _ in range(reader.read_uleb128())])


def _read_annotation(dex: Dex, reader: ByteReader, depth: int) -> EncodedAnnotation:
    descriptor = dex.type(reader.read_uleb128())
    size = reader.read_uleb128()
    elements = [(dex.string(reader.read_uleb128()), _read_value(dex, reader, depth)) for _ in range(size)]
    return EncodedAnnotation(descriptor, tuple(elements))


# Widest payload in bytes of the kinds that have one.
_WIDTHS = {
    ValueType.BYTE: 1,
    ValueType.SHORT: 2,
    ValueType.CHAR: 2,
    ValueType.INT: 4,
    ValueType.LONG: 8,
    ValueType.FLOAT: 4,
    ValueType.DOUBLE: 8,
    ValueType.METHOD_TYPE: 4,
    ValueType.METHOD_HANDLE: 4,
    ValueType.STRING: 4,
    ValueType.TYPE: 4,
    ValueType.FIELD: 4,
    ValueType.METHOD: 4,
    ValueType.ENUM: 4,
}
_SIGNED = {ValueType.BYTE, ValueType.SHORT, ValueType.INT, ValueType.LONG}
_KINDS = {kind.value: kind for kind in ValueType}


def _read_value(dex: Dex, reader: ByteReader, depth: int) -> EncodedValue:
    if depth > _MAX_NESTING:
        raise reader.fail("values are nested too deeply", allowed=_MAX_NESTING)
    head = reader.read_u8()
    kind = _KINDS.get(head & 0x1F)
    argument = head >> 5
    if kind is None:
        raise reader.fail("unknown kind of value", found=hex(head & 0x1F))
    if kind in _WIDTHS:
        return EncodedValue(kind, _read_scalar(dex, reader, kind, argument + 1))
    if argument > (kind == ValueType.BOOLEAN):
        raise reader.fail(f"value_arg of {kind.name}", found=argument)
    if kind == ValueType.ARRAY:
        return EncodedValue(kind, _read_array(dex, reader, depth + 1))
    if kind == ValueType.ANNOTATION:
        return EncodedValue(kind, _read_annotation(dex, reader, depth + 1))
    return EncodedValue(kind, bool(argument) if kind == ValueType.BOOLEAN else None)


def _read_scalar(dex: Dex, reader: ByteReader, kind: ValueType, size: int) -> ValuePayload:
    width = _WIDTHS[kind]
    if size > width:
        raise reader.fail(f"{kind.name} is too wide", found=f"{size} bytes", allowed=width)
    raw = reader.read_bytes(size)
    if kind in (ValueType.FLOAT, ValueType.DOUBLE):
        raw = bytes(width - size) + raw  # zero-extended to the right: the high bytes are stored
    number = int.from_bytes(raw, "little", signed=kind in _SIGNED)
    return _resolve(dex, kind, number)


def _resolve(dex: Dex, kind: ValueType, number: int) -> ValuePayload:
    if kind == ValueType.STRING:
        return dex.string(number)
    if kind == ValueType.TYPE:
        return dex.type(number)
    if kind in (ValueType.FIELD, ValueType.ENUM):
        return dex.field(number)
    if kind == ValueType.METHOD:
        return dex.method(number)
    if kind == ValueType.METHOD_TYPE:
        return dex.proto(number)
    return number
