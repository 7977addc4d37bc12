"""Runs over the items of a section in file order and notes the indexes that stand in them.

These are the hot loops behind id garbage collection and the quick part of verification: one function for each
kind of item, no object for an item or an index. Each takes the offsets of the items, ascending, returns where
they end, and raises `FormatError` for one that overlaps its neighbour, is malformed or runs out of its
section. So the work is linear in the section's size, however many offsets a hostile file points into one
place.
"""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lawow.errors import FormatError
from lawow.formats.bytes import align_up
from lawow.formats.dex.bulk import u16_view
from lawow.formats.dex.code import payload_units
from lawow.formats.dex.leb128 import read_sleb128, read_uleb128
from lawow.formats.dex.opcodes import INDEX_AND_UNITS, JUMBO, UNUSED, IndexKind
from lawow.formats.dex.spec import CODE_ITEM, ItemType, ValueType, item_name

if TYPE_CHECKING:
    from lawow.formats.dex.reader import Dex

__all__ = [
    "CodeScan",
    "Places",
    "Uses",
    "code_end",
    "scan_annotations",
    "scan_arrays",
    "scan_code",
    "scan_debug_info",
    "scan_tries",
]

_TRY_ITEM = struct.Struct("<IHH")
_MAX_NESTING = 64
_NOP_STEP = 0xFE
# Only invoke-polymorphic is that long and has an index; it holds a second one, a proto, in its last unit.
_UNITS_WITH_PROTO = 4
# The low byte of nop stands for payloads too; the upper one says what it is.
_STEPS = bytes((_NOP_STEP, *INDEX_AND_UNITS[1:]))
_VISIBILITIES = 3
_WORDS_35C = 5


class Places:
    """Where indexes of one kind stand, all written alike, and their values."""

    __slots__ = ("offsets", "values")

    def __init__(self) -> None:
        self.offsets = array("I")
        self.values = array("I")


def _by_kind() -> tuple[Places, ...]:
    return tuple(Places() for _ in IndexKind)


class Uses:
    """Places outside of instructions, by form and `IndexKind`.

    `plain` holds ULEB128 numbers, `plus_one` those that count from 1 (values here count from 0), `fixed`
    little-endian numbers behind the head of an encoded_value that says how wide they are.
    """

    __slots__ = ("fixed", "plain", "plus_one")

    def __init__(self) -> None:
        self.plain = _by_kind()
        self.plus_one = _by_kind()
        self.fixed = _by_kind()

    def extend(self, other: Uses) -> None:
        """Add the places of another scan."""
        for ours, theirs in zip(_forms(self), _forms(other), strict=True):
            for places, more in zip(ours, theirs, strict=True):
                places.offsets.extend(more.offsets)
                places.values.extend(more.values)

    def values_of(self, kind: IndexKind) -> set[int]:
        """Return the indexes of this kind that were met."""
        return {*self.plain[kind].values, *self.plus_one[kind].values, *self.fixed[kind].values}


def _forms(uses: Uses) -> tuple[tuple[Places, ...], ...]:
    return uses.plain, uses.plus_one, uses.fixed


class CodeScan:
    """What instructions hold: unit positions of indexes, counted from the start of the section.

    `by_kind` has those of 16 bits, `jumbo` those of 32-bit string indexes; `ins_sizes` goes with the items.
    """

    __slots__ = ("by_kind", "ends", "ins_sizes", "jumbo", "units")

    def __init__(self, units: Sequence[int]) -> None:
        self.units = units
        self.by_kind = tuple(array("I") for _ in IndexKind)
        self.jumbo = array("I")
        self.ins_sizes = array("H")
        self.ends: list[int] = []

    def values_of(self, kind: IndexKind) -> set[int]:
        """Return the indexes of this kind that instructions hold."""
        units = self.units
        found = set(map(units.__getitem__, self.by_kind[kind]))
        if kind is IndexKind.STRING:
            found.update(units[at] | units[at + 1] << 16 for at in self.jumbo)
        return found


def scan_code(dex: Dex, offsets: Sequence[int], uses: Uses) -> CodeScan:
    """Scan code_items; catch types go to `uses`."""
    section = dex.sections.get(ItemType.CODE_ITEM)
    if section is None or not offsets:
        return CodeScan(())
    data, start, limit = dex.data, section.offset, section.end
    found = CodeScan(u16_view(data, start, limit))
    steps = data[start:limit:2].translate(_STEPS)
    unpack = CODE_ITEM.unpack_from
    end = 0
    for offset in offsets:
        if offset < end or offset + CODE_ITEM.size > limit:
            raise _overlap(ItemType.CODE_ITEM, offset)
        head = unpack(data, offset)
        end = code_end(head, offset, limit)
        _scan_instructions(found, steps, (offset + CODE_ITEM.size - start) >> 1, (end - start) >> 1)
        if head[3]:
            end = scan_tries(data, end, head, uses.plain[IndexKind.TYPE])
            if end > limit:
                raise _overlap(ItemType.CODE_ITEM, offset)
        found.ends.append(end)
        found.ins_sizes.append(head[1])
    return found


def code_end(head: tuple[int, ...], offset: int, limit: int) -> int:
    """Return where the instructions of the code_item with this head end. Raises `FormatError` for a malformed
    head."""
    registers, ins, outs, _, _, insns_size = head
    end = offset + CODE_ITEM.size + 2 * insns_size
    if end > limit or ins > registers or not insns_size or outs > max(registers, _WORDS_35C):
        raise FormatError("head of the method is malformed", structure="code_item", offset=offset)
    return end


def _scan_instructions(found: CodeScan, steps: bytes, position: int, end: int) -> None:
    """Note the indexes between two positions; `steps` has each unit's row of `_STEPS`."""
    by_kind = found.by_kind
    while position < end:
        step = steps[position]
        if step < 8:
            position += step
        elif step < JUMBO:
            by_kind[(step >> 3) - 1].append(position + 1)
            position += step & 7
            if step & 7 == _UNITS_WITH_PROTO:
                by_kind[IndexKind.PROTO].append(position - 1)
        elif step == _NOP_STEP:
            position += payload_units(found.units, position, end) if found.units[position] else 1
        elif step == UNUSED:
            raise FormatError("opcode is unused", structure="code_item", found=found.units[position] & 0xFF)
        else:
            found.jumbo.append(position + 1)
            position += step & 7
    if position != end:
        raise FormatError("instruction runs past the end of its code", structure="code_item")


def scan_tries(data: bytes, offset: int, head: tuple[int, ...], types: Places) -> int:
    """Check try_items and handlers behind the instructions, which end at `offset`; return their end.

    `head` is that of the code_item; catch types go to `types`.
    """
    tries_size, insns_size = head[3], head[5]
    first = align_up(offset, 4)
    base = first + _TRY_ITEM.size * tries_size
    if data[offset:first].strip(b"\0") or base >= len(data):
        raise FormatError("try_items are malformed", structure="code_item", offset=offset)
    count, position = read_uleb128(data, base)
    handlers = set()
    for _ in range(count):
        handlers.add(position - base)
        size, position = read_sleb128(data, position)
        addresses = []
        for _ in range(abs(size)):
            types.offsets.append(position)
            index, position = read_uleb128(data, position)
            types.values.append(index)
            address, position = read_uleb128(data, position)
            addresses.append(address)
        if size <= 0:
            address, position = read_uleb128(data, position)
            addresses.append(address)
        if max(addresses) >= insns_size:
            raise FormatError("handler is outside of the code", structure="code_item", offset=offset)
    last = 0
    for start_addr, insn_count, handler_off in _TRY_ITEM.iter_unpack(data[first:base]):
        if start_addr < last or not insn_count or handler_off not in handlers:
            raise FormatError("try_items are malformed", structure="code_item", offset=offset)
        last = start_addr + insn_count
    if last > insns_size:
        raise FormatError("try_item runs past the code", structure="code_item", offset=offset)
    return position


def scan_debug_info(dex: Dex, offsets: Sequence[int], uses: Uses) -> list[int]:
    """Scan debug_info_items."""
    limit = _limit(dex, ItemType.DEBUG_INFO_ITEM)
    strings, types = uses.plus_one[IndexKind.STRING], uses.plus_one[IndexKind.TYPE]
    data = dex.data
    ends: list[int] = []
    end = 0
    for offset in offsets:
        if offset < end:
            raise _overlap(ItemType.DEBUG_INFO_ITEM, offset)
        _, position = read_uleb128(data, offset)
        names, position = read_uleb128(data, position)
        for _ in range(names):
            position = _note(data, position, strings)
        end = _scan_line_program(data, position, strings, types)
        if end > limit:
            raise _overlap(ItemType.DEBUG_INFO_ITEM, offset)
        ends.append(end)
    return ends


# Opcodes without operands: special ones, prologue end, epilogue begin.
_WITHOUT_OPERANDS = re.compile(rb"[\x0a-\xff\x07\x08]*")


def _scan_line_program(data: bytes, position: int, strings: Places, types: Places) -> int:
    skip = _WITHOUT_OPERANDS.match
    try:
        while opcode := data[position]:
            position += 1
            if opcode >= 0x0A or opcode in (0x07, 0x08):
                position = skip(data, position).end()  # type: ignore[union-attr]
            elif opcode == 0x02:
                position = read_sleb128(data, position)[1]
            elif opcode == 0x09:
                position = _note(data, position, strings)
            else:
                position = position + 1 if data[position] < 0x80 else read_uleb128(data, position)[1]
                if opcode in (0x03, 0x04):  # start of a local variable: name, type, signature
                    position = _note(data, _note(data, position, strings), types)
                    if opcode == 0x04:
                        position = _note(data, position, strings)
    except IndexError:
        raise FormatError("is not terminated", structure="debug_info_item", offset=position) from None
    return position + 1


def _note(data: bytes, position: int, places: Places) -> int:
    """Note an index that counts from 1, unless it is 0 for none; return the offset behind it."""
    value, end = read_uleb128(data, position)
    if value:
        places.offsets.append(position)
        places.values.append(value - 1)
    return end


def scan_annotations(dex: Dex, offsets: Sequence[int], uses: Uses) -> tuple[list[int], dict[int, int]]:
    """Scan annotation_items; the second result is the type index of each."""
    limit = _limit(dex, ItemType.ANNOTATION_ITEM)
    scanner = _ValueScanner(dex.data, uses)
    types = uses.plain[IndexKind.TYPE].values
    type_of: dict[int, int] = {}
    ends: list[int] = []
    end = 0
    for offset in offsets:
        if offset < end or dex.data[offset] >= _VISIBILITIES:
            raise _overlap(ItemType.ANNOTATION_ITEM, offset)
        place = len(types)
        end = scanner.annotation(offset + 1, 0)
        if end > limit:
            raise _overlap(ItemType.ANNOTATION_ITEM, offset)
        type_of[offset] = types[place]
        ends.append(end)
    return ends, type_of


def scan_arrays(dex: Dex, offsets: Sequence[int], uses: Uses) -> tuple[list[int], dict[int, bytes]]:
    """Scan encoded_array_items; the second result is the kinds of the values of each."""
    limit = _limit(dex, ItemType.ENCODED_ARRAY_ITEM)
    scanner = _ValueScanner(dex.data, uses)
    kinds_of: dict[int, bytes] = {}
    ends: list[int] = []
    end = 0
    for offset in offsets:
        if offset < end:
            raise _overlap(ItemType.ENCODED_ARRAY_ITEM, offset)
        size, end = read_uleb128(dex.data, offset)
        kinds = bytearray()
        for _ in range(size):
            if end >= limit:
                break
            kinds.append(dex.data[end] & 0x1F)
            end = scanner.values(end, 1, 0)
        if end > limit or len(kinds) != size:
            raise _overlap(ItemType.ENCODED_ARRAY_ITEM, offset)
        kinds_of[offset] = bytes(kinds)
        ends.append(end)
    return ends, kinds_of


# Widest payload in bytes of the kinds of value that have one, and what the index among them counts in.
_WIDEST = {
    ValueType.BYTE: 1,
    ValueType.SHORT: 2,
    ValueType.CHAR: 2,
    ValueType.INT: 4,
    ValueType.LONG: 8,
    ValueType.FLOAT: 4,
    ValueType.DOUBLE: 8,
}
_INDEX = {
    ValueType.METHOD_TYPE: IndexKind.PROTO,
    ValueType.METHOD_HANDLE: IndexKind.METHOD_HANDLE,
    ValueType.STRING: IndexKind.STRING,
    ValueType.TYPE: IndexKind.TYPE,
    ValueType.FIELD: IndexKind.FIELD,
    ValueType.METHOD: IndexKind.METHOD,
    ValueType.ENUM: IndexKind.FIELD,
}


class _ValueScanner:
    """Scans encoded values. Two tables by head byte: how long a value is with its head, 0 for those that nest
    or may not be; and where an index goes.
    """

    def __init__(self, data: bytes, uses: Uses) -> None:
        self.data = data
        self.types = uses.plain[IndexKind.TYPE]
        self.names = uses.plain[IndexKind.STRING]
        self.lengths = bytearray(256)
        self.places: list[Places | None] = [None] * 256
        for head in range(256):
            kind, argument = head & 0x1F, head >> 5
            if kind in _WIDEST or kind in _INDEX:
                if argument < _WIDEST.get(kind, 4):  # type: ignore[call-overload]
                    self.lengths[head] = 2 + argument
                if kind in _INDEX:
                    self.places[head] = uses.fixed[_INDEX[ValueType(kind)]]
            elif (kind == ValueType.NULL and not argument) or (kind == ValueType.BOOLEAN and argument < 2):
                self.lengths[head] = 1

    def annotation(self, offset: int, depth: int) -> int:
        """Scan an encoded_annotation; return its end."""
        index, position = read_uleb128(self.data, offset)
        self.types.offsets.append(offset)
        self.types.values.append(index)
        size, position = read_uleb128(self.data, position)
        last = -1
        for _ in range(size):
            name, value_at = read_uleb128(self.data, position)
            if name <= last:
                raise FormatError(
                    "elements are not in the order of their names", structure="annotation_item", offset=offset
                )
            last = name
            self.names.offsets.append(position)
            self.names.values.append(name)
            position = self.values(value_at, 1, depth)
        return position

    def array(self, offset: int, depth: int) -> int:
        """Scan an encoded_array; return its end."""
        size, position = read_uleb128(self.data, offset)
        return self.values(position, size, depth)

    def values(self, position: int, size: int, depth: int) -> int:
        """Scan `size` values from `position` on; return the end of the last one."""
        data, lengths, places = self.data, self.lengths, self.places
        try:
            for _ in range(size):
                head = data[position]
                length = lengths[head]
                if not length:
                    position = self._nested(position, head, depth + 1)
                    continue
                noted = places[head]
                if noted is not None:
                    noted.offsets.append(position + 1)
                    noted.values.append(int.from_bytes(data[position + 1 : position + length], "little"))
                position += length
        except IndexError:
            raise FormatError("value lies behind the file", structure="encoded_value") from None
        return position

    def _nested(self, position: int, head: int, depth: int) -> int:
        if depth > _MAX_NESTING:
            raise FormatError("values are nested too deeply", structure="encoded_value", offset=position)
        if head == ValueType.ARRAY:
            return self.array(position + 1, depth)
        if head == ValueType.ANNOTATION:
            return self.annotation(position + 1, depth)
        raise FormatError("malformed value", structure="encoded_value", offset=position, found=hex(head))


def _limit(dex: Dex, item: ItemType) -> int:
    section = dex.sections.get(item)
    return section.end if section else 0


def _overlap(item: ItemType, offset: int) -> FormatError:
    return FormatError("items overlap, are cut off or malformed", structure=item_name(item), offset=offset)
