"""Reads the parts of WebAssembly's binary format that sections are made of: names, types, limits, locals.

Source: WebAssembly specification 3.0, sections 5.2 and 5.3. On the first-run path of ``lawow exec``, so
values are plain classes.
"""

from __future__ import annotations

from lawow.formats.bytes import ByteReader
from lawow.formats.interface import FuncType

__all__ = [
    "RECURSIVE",
    "MemoryType",
    "Value",
    "read_count",
    "read_declared_locals",
    "read_kind",
    "read_limits",
    "read_name",
    "read_subtype",
    "read_value_type",
]

_KINDS = ("func", "table", "memory", "global", "tag")
"""External kinds by number (5.2.8, ``externtype``)."""

_NUMBER_TYPES = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128"}
_REFERENCE_TYPES = {
    0x70: "funcref",
    0x6F: "externref",
    0x6E: "anyref",
    0x6D: "eqref",
    0x6C: "i31ref",
    0x6B: "structref",
    0x6A: "arrayref",
    0x69: "exnref",
    0x71: "nullref",
    0x72: "nullexternref",
    0x73: "nullfuncref",
    0x74: "nullexnref",
}
_PACKED_TYPES = {0x78: "i8", 0x77: "i16"}
_VALUE_TYPES = _NUMBER_TYPES | _REFERENCE_TYPES

_REFERENCE = {0x63: "(ref null ...)", 0x64: "(ref ...)"}
_FUNC, _STRUCT, _ARRAY = 0x60, 0x5F, 0x5E
_SUBTYPE, _FINAL_SUBTYPE = 0x50, 0x4F
RECURSIVE = 0x4E
"""In the place of a type: a group of types that may name each other."""

_HAS_MAXIMUM, _SHARED, _IS_64, _HAS_PAGE_SIZE = 1, 2, 4, 8  # flags of limits


class Value:
    """Base of the immutable values of a module: equality and repr by their slots."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def __repr__(self) -> str:
        pairs = ", ".join(
            f"{name}={value!r}" for name, value in zip(self.__slots__, self._parts(), strict=True)
        )
        return f"{type(self).__name__}({pairs})"

    def _parts(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


class MemoryType(Value):
    """A memory: minimum and maximum in pages of `page_bytes` (None: no maximum)."""

    __slots__ = ("is_64", "is_shared", "maximum_pages", "minimum_pages", "page_bytes")

    def __init__(
        self, minimum_pages: int, maximum_pages: int | None, page_bytes: int, is_shared: bool, is_64: bool
    ) -> None:
        self.minimum_pages = minimum_pages
        self.maximum_pages = maximum_pages
        self.page_bytes = page_bytes
        self.is_shared = is_shared
        self.is_64 = is_64


def read_count(reader: ByteReader) -> int:
    """Read the length of a vector. An element takes a byte or more, so a count above the bytes left lies."""
    count = reader.read_uleb128()
    if count > reader.remaining:
        raise reader.fail("count exceeds the section", found=count, allowed=f"at most {reader.remaining}")
    return count


def read_name(reader: ByteReader) -> str:
    """Read a name: its length, and UTF-8."""
    data = reader.read_bytes(reader.read_uleb128())
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise reader.fail("a name is not UTF-8", found=error.reason) from None


def read_kind(reader: ByteReader) -> str:
    """Read which kind of thing is imported or exported."""
    number = reader.read_u8()
    if number >= len(_KINDS):
        raise reader.fail("unknown external kind", found=number, allowed="0 to 4")
    return _KINDS[number]


def read_value_type(reader: ByteReader) -> str:
    """Read a type, and return its name in the text format; of a typed reference no more than that."""
    code = reader.read_u8()
    if code in _REFERENCE:
        reader.read_sleb128(33)  # heap type
        return _REFERENCE[code]
    if code not in _VALUE_TYPES:
        raise reader.fail("unknown value type", found=f"{code:#x}")
    return _VALUE_TYPES[code]


def read_subtype(reader: ByteReader, first: int) -> FuncType | None:
    """Read a sub type whose first byte was read; return it if it is a function type."""
    if first in (_SUBTYPE, _FINAL_SUBTYPE):
        for _ in range(read_count(reader)):
            reader.read_uleb128()  # supertype
        first = reader.read_u8()
    if first == _FUNC:
        return FuncType(_value_types(reader), _value_types(reader))
    if first == _STRUCT:
        for _ in range(read_count(reader)):
            _field(reader)
    elif first == _ARRAY:
        _field(reader)
    else:
        raise reader.fail("unknown form of type", found=f"{first:#x}")
    return None


def _value_types(reader: ByteReader) -> tuple[str, ...]:
    return tuple(read_value_type(reader) for _ in range(read_count(reader)))


def _field(reader: ByteReader) -> None:
    """Skip a field type: storage type and mutability."""
    code = reader.read_u8()
    if code in _REFERENCE:
        reader.read_sleb128(33)
    elif code not in _VALUE_TYPES and code not in _PACKED_TYPES:
        raise reader.fail("unknown storage type", found=f"{code:#x}")
    reader.skip(1)


def read_limits(reader: ByteReader) -> MemoryType:
    """Read limits as memories and tables have them (a table's "pages" are elements)."""
    flags = reader.read_u8()
    if flags > _HAS_MAXIMUM | _SHARED | _IS_64 | _HAS_PAGE_SIZE:
        raise reader.fail("unknown flags of limits", found=f"{flags:#x}")
    minimum = reader.read_uleb128(64)
    maximum = reader.read_uleb128(64) if flags & _HAS_MAXIMUM else None
    page_log2 = reader.read_uleb128() if flags & _HAS_PAGE_SIZE else 16
    if page_log2 not in (0, 16):
        raise reader.fail("unknown page size", found=f"2^{page_log2}", allowed="1 or 65,536 bytes")
    return MemoryType(minimum, maximum, 1 << page_log2, bool(flags & _SHARED), bool(flags & _IS_64))


def read_declared_locals(reader: ByteReader) -> int:
    """Read the local declarations of a body and return how many locals they declare."""
    total = 0
    for _ in range(read_count(reader)):
        total += reader.read_uleb128()
        read_value_type(reader)
    return total
