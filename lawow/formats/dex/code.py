"""Instructions seen from afar: how long they are, and where in them indexes stand.

One loop serves id garbage collection, transplantation and the reference views; it knows only the table.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from lawow.errors import FormatError
from lawow.formats.dex.opcodes import (
    FILL_ARRAY_PAYLOAD,
    INDEX_AND_UNITS,
    JUMBO,
    PACKED_SWITCH_PAYLOAD,
    SPARSE_SWITCH_PAYLOAD,
    UNUSED,
    IndexKind,
)

__all__ = ["IndexPlaces", "find_indexes", "payload_units"]

_INVOKE_POLYMORPHIC = 0xFA  # and 0xFB; they hold a second index, a proto, in their fourth unit


class IndexPlaces:
    """Unit positions of indexes: `by_kind[IndexKind]` holds those of 16 bits, `jumbo` 32-bit strings."""

    __slots__ = ("by_kind", "jumbo")

    def __init__(self) -> None:
        self.by_kind = tuple(array("I") for _ in IndexKind)
        self.jumbo = array("I")


def find_indexes(units: Sequence[int], start: int, end: int, places: IndexPlaces) -> None:
    """Append to `places` where the instructions in `units[start:end]` hold indexes.

    `units` must reach to `end`. Raises `FormatError` for unused opcodes and for code that is cut off.
    """
    table = INDEX_AND_UNITS
    appends = [positions.append for positions in places.by_kind]
    position = start
    while position < end:
        unit = units[position]
        entry = table[unit & 0xFF]
        if entry < 8:
            if unit & 0xFF or unit < 0x100:
                position += entry
            else:
                position += payload_units(units, position, end)
        elif entry < JUMBO:
            appends[(entry >> 3) - 1](position + 1)
            if unit & 0xFE == _INVOKE_POLYMORPHIC:
                appends[IndexKind.PROTO](position + 3)
            position += entry & 7
        elif entry == UNUSED:
            raise FormatError(
                f"opcode {unit & 0xFF:#04x} is unused", structure="code_item", offset=2 * position
            )
        else:
            places.jumbo.append(position + 1)
            position += entry & 7
    if position != end:
        raise FormatError("instruction runs past the end of its code", structure="code_item", offset=2 * end)


def payload_units(units: Sequence[int], position: int, end: int) -> int:
    """Return the length of the switch or array payload at `position`, whose low byte is that of `nop`."""
    ident = units[position]
    if position + 4 > end and not (ident != FILL_ARRAY_PAYLOAD and position + 2 <= end):
        raise FormatError("payload is cut off", structure="code_item", offset=2 * position)
    if ident == PACKED_SWITCH_PAYLOAD:
        return 4 + 2 * units[position + 1]
    if ident == SPARSE_SWITCH_PAYLOAD:
        return 2 + 4 * units[position + 1]
    if ident == FILL_ARRAY_PAYLOAD:
        elements = units[position + 2] | units[position + 3] << 16
        return 4 + (elements * units[position + 1] + 1 >> 1)
    raise FormatError("unknown payload", structure="code_item", offset=2 * position, found=hex(ident))
