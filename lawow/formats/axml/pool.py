"""The string pool of binary XML: read in place, appended to, otherwise kept byte for byte.

Strings are decoded one by one and only when asked for, at most 4 KiB each, because a few bytes of offsets
can name the same long string a million times. Source: AOSP androidfw ``ResourceTypes.h``,
``ResStringPool_header``.
"""

from __future__ import annotations

import struct

from lawow.errors import FormatError
from lawow.formats.bytes import ByteReader

__all__ = ["NO_STRING", "StringPool"]

NO_STRING = 0xFFFFFFFF

_HEADER = struct.Struct("<HHIIIIII")
_SORTED = 1 << 0
_UTF8 = 1 << 8
_MAX_TEXT_BYTES = 4096  # names, permissions, class names; resources hold the long texts
_MAX_UTF8_BYTES = 0x7FFF


class StringPool:
    """Strings by index. An insertion moves the strings behind it by one; their bytes stay where they are."""

    __slots__ = ("_data", "_head", "_is_utf8", "_offsets", "_style_offsets", "_styles", "is_edited")

    def __init__(self, chunk: bytes, base: int) -> None:
        """Read a chunk of type 1, which stands at `base` in the file. Raises `FormatError`."""
        reader = ByteReader(chunk, structure="string pool", base=base)
        _, header_bytes, _, count, style_count, flags, start, styles_start = reader.read_struct(_HEADER)
        reader.offset = header_bytes
        if 4 * (count + style_count) > reader.remaining:
            raise reader.fail("has more strings than bytes", found=count + style_count)
        self._offsets = list(struct.unpack(f"<{count}I", reader.read_bytes(4 * count)))
        self._style_offsets = reader.read_bytes(4 * style_count)
        stop = styles_start if style_count else len(chunk)
        if not count:
            start = stop
        if not reader.offset <= start <= stop <= len(chunk):
            raise reader.fail("has its strings or styles outside of it", found=f"{start:#x} to {stop:#x}")
        self._head = chunk[:header_bytes]
        self._data = bytearray(chunk[start:stop])
        self._styles = chunk[stop:]
        self._is_utf8 = bool(flags & _UTF8)
        self.is_edited = False

    def __len__(self) -> int:
        return len(self._offsets)

    def text(self, index: int) -> str:
        """Return a string; invalid sequences become U+FFFD. Raises `FormatError` above 4 KiB and for a bad
        index."""
        start, stop = self._span(index)
        if stop - start > _MAX_TEXT_BYTES:
            raise self._wrong(
                "is too long for a name", index, f"{stop - start} bytes", f"{_MAX_TEXT_BYTES} bytes"
            )
        return self._data[start:stop].decode("utf-8" if self._is_utf8 else "utf-16-le", "replace")

    def equals(self, index: int, text: str) -> bool:
        """Whether the string is exactly `text`."""
        start, stop = self._span(index)
        content = self._content(text)
        return stop - start == len(content) and self._data.startswith(content, start)

    def find(self, text: str, first: int = 0) -> int | None:
        """Return the lowest index from `first` on whose string is `text`."""
        content = self._content(text)
        for index in range(first, len(self._offsets)):
            start, stop = self._span(index)
            if stop - start == len(content) and self._data.startswith(content, start):
                return index
        return None

    def insert(self, index: int, text: str) -> None:
        """Put `text` at `index`, its bytes behind those of all others. The caller moves the references.

        Raises `FormatError` for an index that does not exist and, because styles count on the positions of
        their strings, for an insertion before the end of a pool with styles.
        """
        if index > len(self) or (index < len(self) and self._style_offsets):
            message = "cannot take a string here: it has styles, or fewer strings than the resource map names"
            raise FormatError(message, structure="string pool", index=index)
        self._offsets.insert(index, len(self._data))
        self._data += self._encoded(text)
        self.is_edited = True

    def to_bytes(self) -> bytes:
        """Return the whole chunk, no longer marked as sorted."""
        count, style_count = len(self._offsets), len(self._style_offsets) // 4
        data = bytes(self._data) + bytes(-len(self._data) % 4)
        kind, header_bytes, *_, flags, _, _ = _HEADER.unpack_from(self._head)
        start = header_bytes + 4 * (count + style_count)
        styles_start = start + len(data) if style_count else 0
        size = start + len(data) + len(self._styles)
        header = _HEADER.pack(
            kind, header_bytes, size, count, style_count, flags & ~_SORTED, start, styles_start
        )
        offsets = struct.pack(f"<{count}I", *self._offsets)
        rest_of_header = self._head[_HEADER.size :]
        return b"".join((header, rest_of_header, offsets, self._style_offsets, data, self._styles))

    def _span(self, index: int) -> tuple[int, int]:
        """Return where the content of a string starts and stops in the pool's data, without its
        terminator."""
        if not 0 <= index < len(self._offsets):
            raise self._wrong("does not exist", index, index, f"below {len(self._offsets)}")
        position = self._offsets[index]
        if self._is_utf8:
            _, position = self._length(index, position, 1)
            size, position = self._length(index, position, 1)
        else:
            size, position = self._length(index, position, 2)
            size *= 2
        if position + size > len(self._data):
            raise self._wrong("ends outside of the pool", index, f"{size} bytes")
        return position, position + size

    def _length(self, index: int, position: int, unit_bytes: int) -> tuple[int, int]:
        """Read a length of one unit or, if the unit's top bit says so, of two. Return it and what follows
        it."""
        bits = 8 * unit_bytes
        high = int.from_bytes(self._data[position : position + unit_bytes], "little")
        units = 2 if high >> (bits - 1) else 1
        stop = position + units * unit_bytes
        if stop > len(self._data):
            raise self._wrong("starts outside of the pool", index, f"offset {position:#x}")
        if units == 1:
            return high, stop
        low = int.from_bytes(self._data[stop - unit_bytes : stop], "little")
        return (high & ((1 << (bits - 1)) - 1)) << bits | low, stop

    def _content(self, text: str) -> bytes:
        return text.encode("utf-8" if self._is_utf8 else "utf-16-le", "replace")

    def _encoded(self, text: str) -> bytes:
        content = self._content(text)
        units = len(text.encode("utf-16-le", "replace")) // 2
        if max(units, len(content)) > _MAX_UTF8_BYTES:
            raise FormatError(
                "a string for the manifest is too long", found=len(content), allowed=_MAX_UTF8_BYTES
            )
        if self._is_utf8:
            return b"".join((_utf8_length(units), _utf8_length(len(content)), content, b"\0"))
        return b"".join((units.to_bytes(2, "little"), content, b"\0\0"))

    def _wrong(self, message: str, index: int, found: object, allowed: object = None) -> FormatError:
        return FormatError(message, structure="string pool", index=index, found=found, allowed=allowed)


def _utf8_length(value: int) -> bytes:
    return bytes((value,)) if value < 0x80 else bytes((value >> 8 | 0x80, value & 0xFF))
