"""The wire format of Protocol Buffers: the fields of one message, without a schema.

Refuses what no message of today holds: groups (wire types 3 and 4), the field number 0, numbers of more than
64 bits, lengths that go beyond the message.

Source: the Protocol Buffers documentation, "Encoding".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lawow.formats.bytes import ByteReader, encode_uleb128

__all__ = ["WireField", "encode_field", "read_fields"]

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class WireField:
    """One field: its number, and either `content` (a string, bytes or a message) or the bits of a number.

    `offset` is where it stands in the whole input, for errors.
    """

    number: int
    offset: int
    content: memoryview | None = None
    bits: int = 0


def read_fields(message: memoryview, offset: int = 0, structure: str = "") -> Iterator[WireField]:
    """Return the fields of a message in their order. Nothing is copied.

    `offset` is the message's own place and `structure` its name, for errors. Raises `FormatError`.
    """
    reader = ByteReader(message, structure=structure, base=offset)
    while reader.remaining:
        tag = reader.read_uleb128(32)
        number, kind = tag >> 3, tag & 7
        start = reader.offset
        if not number or kind not in (_VARINT, _FIXED64, _LENGTH, _FIXED32):
            raise reader.fail("is no field", found=f"number {number}, wire type {kind}")
        if kind == _LENGTH:
            length = reader.read_uleb128(32)
            start = reader.offset
            reader.skip(length)
            yield WireField(number, offset + start, content=message[start : start + length])
        elif kind == _VARINT:
            yield WireField(number, offset + start, bits=reader.read_uleb128(64))
        else:
            yield WireField(
                number, offset + start, bits=reader.read_u64() if kind == _FIXED64 else reader.read_u32()
            )


def encode_field(number: int, value: int | bytes) -> bytes:
    """Return one field: a non-negative integer as a varint, bytes with their length."""
    if isinstance(value, int):
        return encode_uleb128(number << 3 | _VARINT) + encode_uleb128(value)
    return encode_uleb128(number << 3 | _LENGTH) + encode_uleb128(len(value)) + value
