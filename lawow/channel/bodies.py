"""The bodies of calls with strings and lists, ``application/vnd.lawow.values``.

A request holds the arguments in order; an answer the results in order and then, for each in-out parameter
that is no alias, its contents after the call::

    number           8 bytes as in `lawow.channel.values`
    string, list     u32 count (bytes, or elements) | u32 0 | packed bytes | zeros up to a multiple of 8
    same list again  u32 0xFFFFFFFF | u32 index of the earlier parameter, of the same type

For a signature of numbers alone these are the slots of `lawow.channel.values`, byte for byte. Everything is
checked before it is believed: counts against the bytes that are there, padding, UTF-8, booleans, aliases.
Nothing but `FormatError` escapes. Defined by docs/edge.md, "Values".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from lawow.errors import FormatError
from lawow.formats.bytes import ByteReader
from lawow.formats.elements import Argument, Packed, PackedValue, Returned, SameAs, require_sound
from lawow.formats.signature import ListType, ScalarType, Signature, ValueType

__all__ = ["own_in_out_lists", "read_arguments", "read_returned", "write_arguments", "write_returned"]

SLOT_BYTES = 8
HEAD = struct.Struct("<II")
SAME = 0xFFFFFFFF


def write_arguments(arguments: Iterable[Argument]) -> bytes:
    """Return the body of a request."""
    return b"".join(map(_written, arguments))


def read_arguments(signature: Signature, body: bytes | memoryview) -> tuple[Argument, ...]:
    """Return the arguments in a request's body; an alias names the first parameter that is its list."""
    reader = ByteReader(body, structure="arguments")
    found: list[Argument] = []
    for index, kind in enumerate(signature.params):
        try:
            value = _read(reader, kind)
            found.append(_resolved(signature, found, value) if isinstance(value, SameAs) else value)
        except FormatError as error:
            raise _at(error, "arguments", index) from None
    _require_end(reader)
    return tuple(found)


def write_returned(returned: Returned) -> bytes:
    """Return the body of an answer."""
    changed = (returned.changed[index] for index in sorted(returned.changed))
    return b"".join(map(_written, (*returned.results, *changed)))


def read_returned(signature: Signature, arguments: Sequence[Argument], body: bytes) -> Returned:
    """Return what an answer to `arguments` says; lists that come back have as many elements as were sent."""
    reader = ByteReader(body, structure="results")
    results: list[PackedValue] = []
    for index, kind in enumerate(signature.results):
        results.append(_read_own(reader, kind, "results", index))
    changed: dict[int, Packed] = {}
    for index, sent in own_in_out_lists(signature, arguments):
        value = _read_own(reader, signature.params[index], "changed", index)
        assert isinstance(value, Packed)  # the parameter is a list
        if value.count != sent.count:
            raise FormatError(
                "another length than was sent",
                structure="changed",
                index=index,
                found=value.count,
                allowed=sent.count,
            )
        changed[index] = value
    _require_end(reader)
    return Returned(tuple(results), changed)


def own_in_out_lists(signature: Signature, arguments: Sequence[Argument]) -> Iterable[tuple[int, Packed]]:
    """Yield index and value of each argument whose contents come back: in-out, and no alias."""
    for index, (kind, value) in enumerate(zip(signature.params, arguments, strict=True)):
        if isinstance(kind, ListType) and kind.is_in_out and isinstance(value, Packed):
            yield index, value


def _written(value: Argument) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, SameAs):
        return HEAD.pack(SAME, value.parameter)
    return HEAD.pack(value.count, 0) + value.data + bytes(-len(value.data) % SLOT_BYTES)


def _read_own(reader: ByteReader, kind: ValueType, structure: str, index: int) -> PackedValue:
    """Read a value that cannot be an alias."""
    try:
        value = _read(reader, kind)
        if isinstance(value, SameAs):
            raise FormatError("cannot be the same as another", allowed="arguments alone")
    except FormatError as error:
        raise _at(error, structure, index) from None
    return value


def _read(reader: ByteReader, kind: ValueType) -> Argument:
    """Read one value and check all that can be known without the others."""
    if isinstance(kind, ScalarType):
        number = reader.read_bytes(SLOT_BYTES)
        require_sound(kind, number)
        return number
    count, second = HEAD.unpack(reader.read_bytes(HEAD.size))
    if count == SAME and isinstance(kind, ListType):
        return SameAs(second)
    if second:
        raise FormatError("the second word of a length is not zero", found=second)
    size = count * kind.size_bytes
    if size > reader.remaining:
        raise FormatError(
            "longer than the body", found=f"{count} elements", allowed=f"{reader.remaining} bytes"
        )
    packed = Packed(count, reader.read_bytes(size))
    if any(reader.read_bytes(-size % SLOT_BYTES)):
        raise FormatError("the padding is not zero")
    require_sound(kind, packed)
    return packed


def _resolved(signature: Signature, before: Sequence[Argument], alias: SameAs) -> SameAs:
    """Return the alias with the first parameter that is its list. Raises `FormatError`."""
    target = alias.parameter
    if target >= len(before):
        raise FormatError("the same as a parameter that is not earlier", found=target)
    if signature.params[target] != signature.params[len(before)]:
        raise FormatError("the same as a parameter of another type", found=target)
    root = before[target]
    return root if isinstance(root, SameAs) else alias


def _require_end(reader: ByteReader) -> None:
    if reader.remaining:
        raise reader.fail("bytes behind the end", found=reader.remaining, allowed=0)


def _at(error: FormatError, structure: str, index: int) -> FormatError:
    """Return the error with the value's place."""
    return FormatError(
        error.message,
        structure=structure,
        index=index,
        offset=error.offset,
        found=error.found,
        allowed=error.allowed,
    )
