"""Strings and lists as packed bytes: the one form in which memory, wire and commands hold them.

Elements follow each other little-endian and without gaps, which is their layout in a guest's memory, too; a
string is its UTF-8. Python's side of a list is a list of numbers (of booleans for ``z``), integers may be
given signed or unsigned. Nothing is rounded silently but floats to f32. Only `FormatError` escapes.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from lawow.errors import FormatError
from lawow.formats.signature import Element, ListType, ScalarType, StringType, ValueType

__all__ = [
    "Argument",
    "Packed",
    "PackedValue",
    "Returned",
    "SameAs",
    "pack_elements",
    "pack_text",
    "require_sound",
    "unpack_elements",
    "unpack_text",
]


@dataclass(frozen=True, slots=True)
class Packed:
    """A string or list: `count` elements (bytes of a string) in `data`."""

    count: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SameAs:
    """A list that is the very list of an earlier parameter: the guest gets one address for both."""

    parameter: int


PackedValue = bytes | Packed
"""A number as its bit pattern in 8 bytes, little-endian; or a string or list."""

Argument = bytes | Packed | SameAs


@dataclass(frozen=True, slots=True)
class Returned:
    """What a call gave: its results, and by parameter the in-out lists as they are after the call."""

    results: tuple[PackedValue, ...]
    changed: Mapping[int, Packed]


Number = int | float


def pack_elements(element: Element, items: Sequence[object]) -> Packed:
    """Return the list. Raises `FormatError` that names the first element that does not fit."""
    if isinstance(items, bytes | bytearray | str):
        items = list(items)  # `array` would take their bytes for elements
    try:
        return Packed(len(items), _pack(element, items))
    except (struct.error, OverflowError, TypeError, ValueError):
        numbers = [_fit(element, index, item) for index, item in enumerate(items)]
        return Packed(len(numbers), _pack(element, numbers))


def _pack(element: Element, items: Sequence[object]) -> bytes:
    """Pack without a look at each element. Raises what `array` raises for those that do not fit."""
    if element.letter == "z" and not all(item is True or item is False for item in items):
        raise TypeError("not a boolean")
    if element.letter != "z" and bool in set(map(type, items)):
        raise TypeError("a boolean is no number")
    if element.letter == "f":
        return struct.pack(f"<{len(items)}f", *items)  # array would make an infinity of what is too large
    packed = array(element.code, cast("Sequence[int]", items))  # which checks each of them
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _fit(element: Element, index: int, item: object) -> Number:
    """Return the element in the form that `array` takes. Raises `FormatError`."""
    if element.letter == "z":
        if type(item) is bool or (type(item) is int and item in (0, 1)):
            return bool(item)
        raise _wrong(element, index, item)
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise _wrong(element, index, item)
    if element.letter in "fF":
        try:
            struct.pack(f"<{element.code}", item)
        except (OverflowError, struct.error):
            raise _wrong(element, index, item) from None
        return float(item)
    bits = 8 * element.size_bytes
    lowest = 0 if element.letter == "c" else -(1 << (bits - 1))
    if not isinstance(item, int) or not lowest <= item < 1 << bits:
        raise _wrong(element, index, item)
    return item - (1 << bits) if lowest and item >> (bits - 1) > 0 else item


def _wrong(element: Element, index: int, item: object) -> FormatError:
    if isinstance(item, int) and item.bit_length() > 128:
        found = f"an integer of {item.bit_length()} bits"
    else:
        found = repr(item) if isinstance(item, int | float) else type(item).__name__
    return FormatError("does not fit", structure="element", index=index, found=found, allowed=element.wit)


def unpack_elements(element: Element, packed: Packed) -> list[int | float]:
    """Return a list's elements; booleans as such, f32 widened."""
    if element.letter == "z":
        return [byte != 0 for byte in packed.data]
    values = array(element.code, packed.data)
    if sys.byteorder == "big":
        values.byteswap()
    return list(values)


def pack_text(text: str) -> Packed:
    """Return a string. Raises `FormatError` for half of a surrogate pair, which UTF-8 lacks."""
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise FormatError(
            "holds half of a surrogate pair, which UTF-8 lacks", structure="character", index=error.start
        ) from None
    return Packed(len(data), data)


def unpack_text(packed: Packed) -> str:
    """Return the text. Raises `FormatError` if the bytes are not UTF-8."""
    try:
        return str(packed.data, "utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("is not UTF-8", structure="byte", index=error.start) from None


def require_sound(kind: ValueType, value: PackedValue) -> None:
    """Raise `FormatError` unless the bytes of a value are what its type allows; lengths are not looked at."""
    if isinstance(value, Packed):
        if isinstance(kind, StringType):
            unpack_text(value)
        elif isinstance(kind, ListType) and kind.element.letter == "z":
            _require_booleans(value)
    elif isinstance(kind, ScalarType) and kind.letter in "if" and any(value[4:]):
        raise FormatError("the upper half is not zero", found=value.hex(), allowed=kind.wit)


def _require_booleans(value: Packed) -> None:
    others = value.data.translate(None, b"\0\1")
    if others:
        index = value.data.index(others[:1])
        raise FormatError("is no boolean", structure="element", index=index, found=others[0], allowed="0, 1")
