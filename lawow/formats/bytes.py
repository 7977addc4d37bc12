"""Bounds-checked reading and writing of bytes: the only code that indexes raw input.

`ByteReader` never raises anything but `FormatError`, whatever it is given: a read past the end, a LEB128
that is too long, an offset outside. Sources: LEB128 as in the WebAssembly specification 5.2.2 and the DEX
format ("LEB128"), where 32-bit values take at most 5 bytes; both allow padding within that length.
"""

from __future__ import annotations

import struct

from lawow.errors import FormatError

__all__ = ["ByteReader", "ByteWriter", "align_up", "encode_sleb128", "encode_uleb128", "padded_uleb128"]

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


def align_up(value: int, alignment: int) -> int:
    """Return the smallest multiple of `alignment` (a power of two) that is not below `value`."""
    return (value + alignment - 1) & -alignment


def encode_uleb128(value: int) -> bytes:
    """Encode a non-negative integer as the shortest unsigned LEB128."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def padded_uleb128(value: int, length_bytes: int) -> bytes:
    """Encode `value` as unsigned LEB128 of exactly `length_bytes`. Raises `ValueError` if it does not fit."""
    if value >> (7 * length_bytes):
        raise ValueError(f"{value} does not fit into {length_bytes} bytes of LEB128")
    body = bytes((value >> (7 * i)) & 0x7F | 0x80 for i in range(length_bytes - 1))
    return body + bytes(((value >> (7 * (length_bytes - 1))) & 0x7F,))


def encode_sleb128(value: int) -> bytes:
    """Encode an integer as the shortest signed LEB128."""
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if (value == 0 and not byte & 0x40) or (value == -1 and byte & 0x40):
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


class ByteReader:
    """A cursor over bytes, little-endian. `structure` names the place in errors.

    All reads advance `offset`; offsets in errors count from the start of the whole input (`base` is added).
    """

    __slots__ = ("_base", "_data", "_end", "offset", "structure")

    def __init__(
        self,
        data: bytes | memoryview,
        offset: int = 0,
        end: int | None = None,
        *,
        structure: str = "",
        base: int = 0,
    ) -> None:
        self._data = data
        self._end = len(data) if end is None else end
        self._base = base
        self.structure = structure
        self.offset = offset
        if not 0 <= offset <= self._end <= len(data):
            raise FormatError(
                "lies outside of the file",
                structure=structure,
                offset=offset + base,
                allowed=f"at most {len(data):#x}",
            )

    @property
    def remaining(self) -> int:
        """Bytes left up to the end of this reader's range."""
        return self._end - self.offset

    def fail(self, message: str, *, found: object = None, allowed: object = None) -> FormatError:
        """Return (not raise) a `FormatError` at the present offset."""
        return FormatError(
            message,
            structure=self.structure,
            offset=self.offset + self._base,
            found=found,
            allowed=allowed,
        )

    def _need(self, count: int) -> int:
        start = self.offset
        if count < 0 or start < 0 or start + count > self._end:
            raise self.fail("ends too early", found=f"{self.remaining} bytes", allowed=f"{count} or more")
        self.offset = start + count
        return start

    def read_u8(self) -> int:
        """Read one byte."""
        start = self._need(1)
        return self._data[start]

    def read_u16(self) -> int:
        """Read an unsigned 16-bit integer."""
        value: int = _U16.unpack_from(self._data, self._need(2))[0]
        return value

    def read_u32(self) -> int:
        """Read an unsigned 32-bit integer."""
        value: int = _U32.unpack_from(self._data, self._need(4))[0]
        return value

    def read_u64(self) -> int:
        """Read an unsigned 64-bit integer."""
        value: int = _U64.unpack_from(self._data, self._need(8))[0]
        return value

    def read_bytes(self, count: int) -> bytes:
        """Read `count` bytes as an immutable copy."""
        start = self._need(count)
        return bytes(self._data[start : start + count])

    def skip(self, count: int) -> None:
        """Advance by `count` bytes, which must exist."""
        self._need(count)

    def read_struct(self, layout: struct.Struct) -> tuple[int, ...]:
        """Read one fixed-size record."""
        return layout.unpack_from(self._data, self._need(layout.size))

    def read_uleb128(self, bits: int = 32) -> int:
        """Read an unsigned LEB128 of at most `bits` bits; padding within ceil(bits / 7) bytes is allowed."""
        result = self.read_u8()  # nearly all numbers have one byte
        if result >= 0x80:
            result, _ = self._read_leb128(result, bits)
        if result >> bits:
            raise self.fail("LEB128 number is too large", found=result, allowed=f"{bits} bits")
        return result

    def read_sleb128(self, bits: int = 32) -> int:
        """Read a signed LEB128 of at most `bits` bits."""
        result, length = self.read_u8(), 7
        if result >= 0x80:
            result, length = self._read_leb128(result, bits)
        if result >> (length - 1):
            result -= 1 << length
        if not -(1 << (bits - 1)) <= result < 1 << (bits - 1):
            raise self.fail("LEB128 number is too large", found=result, allowed=f"{bits} bits")
        return result

    def _read_leb128(self, byte: int, bits: int) -> tuple[int, int]:
        """Read what follows a first byte; return all bits, and how many they are."""
        result, length = byte & 0x7F, 7
        while byte >= 0x80:
            if length >= bits:
                raise self.fail("LEB128 number is too long", allowed=f"{bits} bits")
            byte = self.read_u8()
            result |= (byte & 0x7F) << length
            length += 7
        return result, length

    def read_uleb128p1(self) -> int | None:
        """Read a DEX uleb128p1: the value plus one, where 0 stands for "none"."""
        value = self.read_uleb128()
        return value - 1 if value else None

    def align(self, alignment: int) -> None:
        """Advance to the next multiple of `alignment`."""
        self._need(align_up(self.offset, alignment) - self.offset)


class ByteWriter:
    """Bytes that grow, little-endian. Values that do not fit are a defect of the caller (`struct.error`)."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def __len__(self) -> int:
        return len(self.data)

    def write_u8(self, value: int) -> None:
        """Append one byte."""
        self.data.append(value)

    def write_u16(self, value: int) -> None:
        """Append an unsigned 16-bit integer."""
        self.data += _U16.pack(value)

    def write_u32(self, value: int) -> None:
        """Append an unsigned 32-bit integer."""
        self.data += _U32.pack(value)

    def write_u64(self, value: int) -> None:
        """Append an unsigned 64-bit integer."""
        self.data += _U64.pack(value)

    def write_bytes(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes as they are."""
        self.data += data

    def write_uleb128(self, value: int) -> None:
        """Append the shortest unsigned LEB128."""
        self.data += encode_uleb128(value)

    def write_sleb128(self, value: int) -> None:
        """Append the shortest signed LEB128."""
        self.data += encode_sleb128(value)

    def align(self, alignment: int) -> None:
        """Append zero bytes up to the next multiple of `alignment`."""
        self.data += bytes(align_up(len(self.data), alignment) - len(self.data))
