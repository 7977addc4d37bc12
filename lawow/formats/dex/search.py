"""Searches a dex file for the users of some ids, without decoding the rest of it.

`find_uses` answers "which instruction of which method names this method, field, type or string" for a whole
file in the time of one pass of a regular expression over its code; only methods with a hit are decoded, so a
hit in a constant or in a jump distance is never reported. `annotated_classes` does the same for
annotations. Nothing here trusts the file: what does not hold is a `FormatError`.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from lawow.errors import FormatError
from lawow.formats.dex.code import IndexPlaces, find_indexes, payload_units
from lawow.formats.dex.items import read_offset_list
from lawow.formats.dex.members import read_members
from lawow.formats.dex.opcodes import INDEX_AND_UNITS, OPCODES, UNUSED, IndexKind
from lawow.formats.dex.reader import Dex
from lawow.formats.dex.spec import ItemType
from lawow.formats.dex.views import ClassView, MethodView

__all__ = [
    "Use",
    "annotated_classes",
    "find_uses",
    "instruction_uses",
    "instructions",
    "iter_uses",
    "loops",
    "member_ids",
    "string_ids",
    "type_ids",
]

_JUMBO = 0x1B
_FEW = 128
"""Up to so many methods are looked for one by one; for more, all class_data is read once: linear work."""
_MNEMONICS = {opcode.value: opcode.name for opcode in OPCODES.values()}
_OPCODES_OF = {
    kind: bytes(sorted(opcode.value for opcode in OPCODES.values() if opcode.index is kind))
    for kind in IndexKind
}
_KIND_OF = {opcode: kind for kind, opcodes in _OPCODES_OF.items() for opcode in opcodes}
_JUMPS = {
    opcode.value: opcode.format for opcode in OPCODES.values() if opcode.name.startswith(("goto", "if-"))
}


class Use(NamedTuple):
    """One instruction that names an id. `offset` counts code units, as disassemblers print it."""

    method: MethodView
    offset: int
    mnemonic: str
    kind: IndexKind
    target: int


def instruction_uses(method: MethodView) -> list[Use]:
    """Return every instruction of a method that holds an index, in the order of the code."""
    code = method.code
    if code is None:
        return []
    units = method.owner.dex.code_units(code)
    places = IndexPlaces()
    find_indexes(units, 0, len(units), places)
    uses = [
        Use(method, place - 1, _MNEMONICS[units[place - 1] & 0xFF], kind, units[place])
        for kind, positions in zip(IndexKind, places.by_kind, strict=True)
        for place in positions
        if units[place - 1] & 0xFF in _OPCODES_OF[kind]  # not the second index of invoke-polymorphic
    ]
    uses += [
        Use(
            method,
            place - 1,
            "const-string/jumbo",
            IndexKind.STRING,
            units[place] | units[place + 1] << 16,
        )
        for place in places.jumbo
    ]
    return sorted(uses, key=lambda use: use.offset)


def find_uses(dex: Dex, wanted: Mapping[IndexKind, Collection[int]]) -> list[Use]:
    """Return all instructions of the file that name one of the `wanted` indexes, class by class."""
    return sorted(iter_uses(dex, {kind: set(indexes) for kind, indexes in wanted.items()}), key=_in_order)


def iter_uses(dex: Dex, wanted: Mapping[IndexKind, Collection[int]]) -> Iterator[Use]:
    """Yield the instructions that name one of the `wanted` indexes, in the order of the code in the file.

    `wanted` may lose indexes meanwhile: methods that name none of the others are not decoded any more.
    """
    section = dex.sections.get(ItemType.CODE_ITEM)
    if section is None or not any(wanted.values()):
        return
    hits = _candidates(dex, section.offset, section.end, wanted)
    if not hits:
        return
    owners = _Owners(dex)
    for code_off, places in dex.code_extents.items_with(hits):
        if not any(_is_wanted(dex.data, place, wanted) for place in places):
            continue
        for method in owners.methods_with(code_off):
            for use in instruction_uses(method):
                if use.target in wanted.get(use.kind, ()):
                    yield use


def _is_wanted(data: bytes, place: int, wanted: Mapping[IndexKind, Collection[int]]) -> bool:
    """Tell whether what looks like an instruction at `place` names a wanted index."""
    kind = _KIND_OF[data[place]]
    size = 4 if data[place] == _JUMBO else 2
    return int.from_bytes(data[place + 2 : place + 2 + size], "little") in wanted.get(kind, ())


def _in_order(use: Use) -> tuple[int, int, int]:
    return use.method.owner.index, use.method.index, use.offset


def _candidates(dex: Dex, start: int, end: int, wanted: Mapping[IndexKind, Collection[int]]) -> list[int]:
    """Return the offsets where the code section looks as if an instruction named a wanted index, sorted."""
    data, hits = dex.data, set()
    for kind, indexes in wanted.items():
        opcodes = _OPCODES_OF[kind]
        for pattern in _two_bytes(index for index in indexes if index < 0x10000):
            for match in pattern.finditer(data, start, end):
                place = match.start() - 3
                if place % 2 == 0 and data[place] in opcodes:
                    hits.add(place)
    for index in wanted.get(IndexKind.STRING, ()):
        hits.update(_jumbo_places(data, start, end, struct.pack("<I", index)))
    return sorted(hits)


def _jumbo_places(data: bytes, start: int, end: int, encoded: bytes) -> Iterator[int]:
    place = data.find(encoded, start, end)
    while place >= 0:
        if place % 2 == 0 and data[place - 2] == _JUMBO:
            yield place - 2
        place = data.find(encoded, place + 1, end)


def _two_bytes(indexes: Iterable[int]) -> Iterator[re.Pattern[bytes]]:
    """Yield expressions that find the second bytes of these numbers: each starts with a literal, which the
    engine looks for ten times faster than for a set.
    """
    low_bytes: dict[int, bytearray] = {}
    for index in sorted(indexes):
        low_bytes.setdefault(index >> 8, bytearray()).append(index & 0xFF)
    for high, low in low_bytes.items():
        yield re.compile(_escaped(bytes((high,))) + b"(?<=[" + _escaped(bytes(low)) + b"].)", re.DOTALL)


def _escaped(values: bytes) -> bytes:
    return b"".join(b"\\x%02x" % value for value in values)


class _Owners:
    """Finds the methods that have the code item at some offset: the first few by looking for that offset in
    class_data, more of them by columns of all numbers there.
    """

    def __init__(self, dex: Dex) -> None:
        self.dex = dex
        pairs = sorted(
            (row.class_data_off, index) for index, row in enumerate(dex.class_defs) if row.class_data_off
        )
        self.offsets = [offset for offset, _ in pairs]
        self.indexes = [index for _, index in pairs]
        self.section = dex.sections.get(ItemType.CLASS_DATA_ITEM)
        self.asked = 0

    def methods_with(self, code_off: int) -> list[MethodView]:
        """Return the methods that have this code item; padded numbers only when the shortest form is not
        there."""
        self.asked += 1
        if self.asked > _FEW:
            return self._methods_of(self._classes_by_code[code_off], code_off)
        for encoded in _uleb128_forms(code_off):
            if found := self._methods_near(encoded, code_off):
                return found
        return []

    @cached_property
    def _classes_by_code(self) -> dict[int, list[int]]:
        """Places in class_defs of the classes that have each code item."""
        members = read_members(self.dex, self.offsets)
        class_at = dict(zip(self.offsets, self.indexes, strict=True))
        ends = [methods for _, methods in members.bounds[1:]] + [len(members.code_offs)]
        classes: dict[int, list[int]] = defaultdict(list)
        for offset, (_, first), end in zip(members.ends, members.bounds, ends, strict=True):
            for code_off in set(members.code_offs[first:end]):
                classes[code_off].append(class_at[offset])
        return classes

    def _methods_of(self, classes: Iterable[int], code_off: int) -> list[MethodView]:
        views = (self.dex.classes[index] for index in classes)
        return [method for view in views for method in view.methods if method.code_off == code_off]

    def _methods_near(self, encoded: bytes, code_off: int) -> list[MethodView]:
        rows = {bisect_right(self.offsets, place) - 1 for place in self._places(encoded)}
        return self._methods_of((self.indexes[row] for row in sorted(rows) if row >= 0), code_off)

    def _places(self, encoded: bytes) -> Iterator[int]:
        if self.section is None:
            return
        data, end = self.dex.data, self.section.end
        place = data.find(encoded, self.section.offset, end)
        while place >= 0:
            yield place
            place = data.find(encoded, place + 1, end)


def _uleb128_forms(value: int) -> Iterator[bytes]:
    """Yield the shortest form of a number, and the padded ones that rewritten files have."""
    digits = []
    while value >= 0x80:
        digits.append(value & 0x7F)
        value >>= 7
    digits.append(value)
    for length in range(len(digits), 6):
        padded = digits + [0] * (length - len(digits))
        yield bytes([digit | 0x80 for digit in padded[:-1]] + padded[-1:])


def member_ids(dex: Dex, item: ItemType, owners: Collection[str]) -> list[int]:
    """Return the indexes of all method_ids or field_ids whose class is one of `owners` (descriptors)."""
    section = dex.sections.get(item)
    types = set(type_ids(dex, owners))
    if section is None or not types:
        return []
    class_indexes = struct.unpack_from(f"<{4 * section.size}H", dex.data, section.offset)[::4]
    return [index for index, owner in enumerate(class_indexes) if owner in types]


def type_ids(dex: Dex, descriptors: Collection[str]) -> list[int]:
    """Return the indexes of these types; those that the file does not name are left out."""
    strings = set(string_ids(dex, descriptors))
    return [index for index, text in enumerate(dex.type_ids) if text in strings]


def string_ids(dex: Dex, texts: Collection[str]) -> list[int]:
    """Return the indexes of these strings, by binary search in the order of UTF-16 code units."""
    found = []
    for text in texts:
        key = _utf16(text)
        low, high = 0, len(dex.string_offsets)
        while low < high:
            middle = (low + high) // 2
            if _utf16(dex.string(middle)) < key:
                low = middle + 1
            else:
                high = middle
        if low < len(dex.string_offsets) and dex.string(low) == text:
            found.append(low)
    return found


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def annotated_classes(dex: Dex, annotations: Collection[str]) -> dict[str, str]:
    """Return the classes that carry one of these annotations, or have a method that does.

    Keys are class descriptors, values the annotation's descriptor. Files that do not name the annotations
    cost microseconds.
    """
    types = set(type_ids(dex, annotations))
    section = dex.sections.get(ItemType.ANNOTATION_ITEM)
    if not types or section is None:
        return {}
    marked = dict(_annotation_items(dex, section.offset, section.end, types))
    found: dict[str, str] = {}
    for view in dex.classes if marked else ():
        for offset in _annotation_sets(view):
            places = read_offset_list(dex, ItemType.ANNOTATION_SET_ITEM, offset)
            hit = next((marked[place] for place in places if place in marked), None)
            if hit is not None:
                found.setdefault(view.descriptor, hit)
    return found


def _annotation_items(dex: Dex, start: int, end: int, types: set[int]) -> Iterator[tuple[int, str]]:
    """Yield every place that looks like an annotation_item of these types; only real ones are referred to."""
    forms = {form: index for index in types for form in _uleb128_forms(index)}
    pattern = re.compile(b"(?=[\\x00-\\x02](" + b"|".join(map(re.escape, forms)) + b"))", re.DOTALL)
    for match in pattern.finditer(memoryview(dex.data)[:end], start):
        yield match.start(), dex.type(forms[bytes(match[1])])


def _annotation_sets(view: ClassView) -> Iterator[int]:
    """Yield the offsets of the annotation sets of a class and of its methods."""
    if not view.has_annotations:
        return
    directory = view.annotations_directory
    if directory.class_annotations_off:
        yield directory.class_annotations_off
    yield from (offset for _, offset in directory.methods)


def instructions(method: MethodView) -> Iterator[tuple[int, int]]:
    """Yield (offset in code units, opcode) of every instruction of a method; payloads are left out."""
    code = method.code
    if code is None:
        return
    units = method.owner.dex.code_units(code)
    position, end = 0, len(units)
    while position < end:
        unit = units[position]
        if unit & 0xFF == 0 and unit:
            position += payload_units(units, position, end)
            continue
        entry = INDEX_AND_UNITS[unit & 0xFF]
        if entry == UNUSED:
            raise FormatError(
                f"opcode {unit & 0xFF:#04x} is unused", structure="code_item", offset=2 * position
            )
        yield position, unit & 0xFF
        position += entry & 7


def loops(method: MethodView) -> list[tuple[int, int]]:
    """Return the stretches of code units (first, last) that a jump back closes."""
    code = method.code
    if code is None:
        return []
    units = method.owner.dex.code_units(code)
    found = []
    for position, opcode in instructions(method):
        layout = _JUMPS.get(opcode)
        if layout is None:
            continue
        distance = _jump_distance(units, position, layout)
        if distance <= 0:
            found.append((position + distance, position))
    return found


def _jump_distance(units: Sequence[int], position: int, layout: str) -> int:
    if layout == "10t":
        return ((units[position] >> 8) ^ 0x80) - 0x80
    if layout == "30t":
        return ((units[position + 1] | units[position + 2] << 16) ^ 0x80000000) - 0x80000000
    return (units[position + 1] ^ 0x8000) - 0x8000
