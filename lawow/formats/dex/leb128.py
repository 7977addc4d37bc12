"""LEB128 at an offset of a byte string, for the loops that a cursor object would slow down threefold.

Same rules as `lawow.formats.bytes`: at most 5 bytes and 32 bits, padding allowed, `FormatError` otherwise.
"""

from __future__ import annotations

from lawow.errors import FormatError

__all__ = ["read_sleb128", "read_uleb128", "replace_uleb128"]

_MAX_SHIFT = 28


def read_uleb128(data: bytes, offset: int) -> tuple[int, int]:
    """Return the unsigned number at `offset` and the offset behind it."""
    position = offset
    result = shift = 0
    try:
        # Nearly all numbers take one byte, two or three.
        first = data[offset]
        if first < 0x80:
            return first, offset + 1
        second = data[offset + 1]
        if second < 0x80:
            return first & 0x7F | second << 7, offset + 2
        third = data[offset + 2]
        if third < 0x80:
            return first & 0x7F | (second & 0x7F) << 7 | third << 14, offset + 3
        while True:
            byte = data[position]
            position += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            if shift == _MAX_SHIFT:
                raise FormatError("LEB128 number is longer than 5 bytes", offset=offset)
            shift += 7
    except IndexError:
        raise FormatError("LEB128 number ends behind the file", offset=offset) from None
    if result > 0xFFFFFFFF:
        raise FormatError("LEB128 number does not fit 32 bits", offset=offset, found=result)
    return result, position


def read_sleb128(data: bytes, offset: int) -> tuple[int, int]:
    """Return the signed number at `offset` and the offset behind it."""
    position = offset
    result = shift = 0
    try:
        while True:
            byte = data[position]
            position += 1
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > _MAX_SHIFT:
                raise FormatError("LEB128 number is longer than 5 bytes", offset=offset)
    except IndexError:
        raise FormatError("LEB128 number ends behind the file", offset=offset) from None
    if byte & 0x40:
        result -= 1 << shift
    if not -0x80000000 <= result <= 0x7FFFFFFF:
        raise FormatError("LEB128 number does not fit 32 bits", offset=offset, found=result)
    return result, position


def replace_uleb128(out: bytearray, offset: int, value: int) -> None:
    """Overwrite the number at `offset` with a smaller one, padded with continuation bytes to the old length.

    Offsets and indexes only shrink when a file is cut, so the old length always holds the new value, and no
    size changes. Android decodes padded numbers (its decoder reads up to 5 bytes whatever their value).
    Raises `ValueError` if the value does not fit.
    """
    position = offset
    while out[position] >= 0x80:
        out[position] = value & 0x7F | 0x80
        value >>= 7
        position += 1
    if value > 0x7F:
        raise ValueError(f"value does not fit into the LEB128 number at {offset:#x}")
    out[position] = value
