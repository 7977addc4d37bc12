"""Regular expressions that accept the common forms of code and debug information, indexes in range included.

The expression engine walks over an instruction or a line of debug information several times faster than a
loop here does, and a number can be compared by its bytes: a ULEB128 or little-endian number below a bound is
a regular language. What is rare (payloads, call sites, more than 15 parameter names, numbers of 5 bytes)
matches nothing; `lawow.formats.dex.scan` decides about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lawow.formats.dex.opcodes import OPCODES, IndexKind, Opcode
from lawow.formats.dex.spec import ItemType

if TYPE_CHECKING:
    from lawow.formats.dex.reader import Dex

__all__ = ["code_pattern", "debug_info_pattern", "fixed_below", "uleb128_below"]

_NOTHING = rb"(?!)"
_ANY_LEB128 = rb"[\x80-\xff]{0,3}+[\x00-\x7f]"
_MOST_NAMES = 15
_NOP = rb"\x00\x00"
_TABLES = {
    IndexKind.STRING: ItemType.STRING_ID_ITEM,
    IndexKind.TYPE: ItemType.TYPE_ID_ITEM,
    IndexKind.FIELD: ItemType.FIELD_ID_ITEM,
    IndexKind.METHOD: ItemType.METHOD_ID_ITEM,
}
# Units and kind of index of instructions, the most frequent first: alternatives are tried in this order.
_SHAPES = (
    (1, None),
    (3, IndexKind.METHOD),
    (2, None),
    (2, IndexKind.FIELD),
    (2, IndexKind.STRING),
    (2, IndexKind.TYPE),
    (3, IndexKind.TYPE),
    (3, None),
    (3, IndexKind.STRING),
    (5, None),
)


def code_pattern(dex: Dex) -> re.Pattern[bytes]:
    """Return what matches instructions with indexes in range, as many as there are from a place on."""
    alternatives = [_NOP]
    for units, kind in _SHAPES:
        opcodes = [item for item in OPCODES.values() if item.units == units and item.index is kind]
        alternatives.append(_instruction(dex, opcodes, units, kind))
    return re.compile(b"(?:" + b"|".join(alternatives[1:] + alternatives[:1]) + b")*+", re.DOTALL)


def _instruction(dex: Dex, opcodes: Iterable[Opcode], units: int, kind: IndexKind | None) -> bytes:
    values = [item.value for item in opcodes if item.value]  # 0 is nop, or a payload
    rest_bytes = 2 * units - 1
    if kind is None:
        return _one_of(values) + b".{%d}" % rest_bytes
    width = 4 if kind is IndexKind.STRING and units == 3 else 2
    index = fixed_below(dex.size_of(_TABLES[kind]), width)
    return _one_of(values) + b"." + index + b".{%d}" % (rest_bytes - 1 - width)


def debug_info_pattern(dex: Dex) -> re.Pattern[bytes]:
    """Return what matches a whole debug_info_item with indexes in range."""
    string = uleb128_below(dex.size_of(ItemType.STRING_ID_ITEM) + 1)  # they count from 1; 0 is none
    type_index = uleb128_below(dex.size_of(ItemType.TYPE_ID_ITEM) + 1)
    names = b"|".join(b"\\x%02x%s{%d}" % (count, string, count) for count in range(_MOST_NAMES + 1))
    operations = (
        rb"[\x07\x08\x0a-\xff]++",
        rb"[\x01\x02\x05\x06]" + _ANY_LEB128,
        rb"\x03" + _ANY_LEB128 + string + type_index,
        rb"\x09" + string,
        rb"\x04" + _ANY_LEB128 + string + type_index + string,
    )
    program = b"(?:" + b"|".join(operations) + rb")*+\x00"
    return re.compile(_ANY_LEB128 + b"(?:" + names + b")" + program, re.DOTALL)


def _one_of(values: Iterable[int]) -> bytes:
    return b"[" + b"".join(b"\\x%02x" % value for value in values) + b"]"


def fixed_below(bound: int, width: int) -> bytes:
    """Return an expression for little-endian numbers of `width` bytes that are below `bound`."""
    if bound >= 1 << 8 * width:
        return b".{%d}" % width
    digits = bound.to_bytes(width, "little")
    return _below(digits, [(0, 0xFF)] * width)


def uleb128_below(bound: int) -> bytes:
    """Return an expression for ULEB128 numbers below `bound`, in as many bytes as that has or fewer."""
    digits = []
    while bound:
        digits.append(bound & 0x7F)
        bound >>= 7
    shorter = [b"[\\x80-\\xff]{%d}[\\x00-\\x7f]" % more for more in range(len(digits) - 1)]
    ranges = [(0x80, 0xFF)] * (len(digits) - 1) + [(0, 0x7F)]
    digits[:-1] = [digit | 0x80 for digit in digits[:-1]]
    return b"(?:" + b"|".join([*shorter, _below(digits, ranges)]) + b")"


def _below(digits: bytes | list[int], ranges: list[tuple[int, int]]) -> bytes:
    """Return an expression for numbers below that of `digits`, least significant first.

    `ranges` has the least and the greatest byte of each place. From the most significant place on: equal
    so far, then less, then anything.
    """
    alternatives = []
    for place in range(len(digits) - 1, -1, -1):
        if digits[place] > ranges[place][0]:
            any_lower = b"".join(b"[\\x%02x-\\x%02x]" % ranges[lower] for lower in range(place))
            less = b"[\\x%02x-\\x%02x]" % (ranges[place][0], digits[place] - 1)
            equal = b"".join(b"\\x%02x" % digit for digit in digits[place + 1 :])
            alternatives.append(any_lower + less + equal)
    return b"(?:" + b"|".join(alternatives) + b")" if alternatives else _NOTHING
