"""The state of an instance between two calls, as a value and as bytes that any engine on any host can take.

An `InstanceState` holds the globals of one instance, those of its tables that may change, and the blocks of
its memories that differ from a *pristine* instance: one in which data segments lie and no code ran. A
`StateDelta` holds what changed between two states. Both are plain values; nothing here knows an engine.

Decoding refuses what is not whole (SHA-256 over everything), larger than asked for (before it is inflated),
out of order or out of range, and raises nothing but `FormatError`. Equal states have equal digests; the
compressed bytes may differ between releases of zlib. The format is defined in docs/state.md.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from struct import Struct, pack, unpack_from

from lawow.errors import FormatError
from lawow.formats.bytes import ByteReader, ByteWriter
from lawow.formats.wasm_state import FUNCREF, KINDS
from lawow.limits import STATE

__all__ = [
    "BLOCK_BYTES",
    "NULL",
    "GlobalValue",
    "InstanceState",
    "MemoryImage",
    "StateDelta",
    "TableImage",
    "decode_delta",
    "decode_state",
]

BLOCK_BYTES = 4096
NULL = 0xFFFFFFFF
"""In place of a function's index: the null reference."""

_BLOCKS_PER_PAGE = 16
_HEADER = Struct("<4sBBH32s32sI")
_MAGIC, _VERSION, _FULL, _DELTA = b"LWST", 1, 0, 1
_DIGEST_BYTES = 32
_PATTERN_BYTES = 16
_LEVEL = 1  # of zlib: 4 times faster than its default, for 11 (code) to 23 % (text) more bytes
_CODES = {kind: code for code, kind in KINDS.items()}
_BITS = {"i32": 32, "f32": 32, FUNCREF: 32, "i64": 64, "f64": 64, "v128": 128}


@dataclass(frozen=True, slots=True)
class GlobalValue:
    """A mutable global: its index in the module, its type, its bits (of a funcref the function's index)."""

    index: int
    kind: str
    pattern: int


@dataclass(frozen=True, slots=True)
class TableImage:
    """A table that may change: its index in the module, and each element's function, or `NULL`."""

    index: int
    elements: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MemoryImage:
    """A memory: its index, its size in pages of 64 KiB, and blocks of 4 KiB by number that are not pristine.

    In a delta, `blocks` are those that changed and `restored` the numbers of those that are pristine again.
    """

    index: int
    pages: int
    blocks: Mapping[int, bytes]
    restored: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Content:
    module: str
    """SHA-256 of the original module, in hex."""
    globals: tuple[GlobalValue, ...] = ()
    tables: tuple[TableImage, ...] = ()
    memories: tuple[MemoryImage, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceState(_Content):
    """All that an instance of `module` remembers. Parts are in the order of their indices."""

    @property
    def digest(self) -> str:
        """SHA-256 in hex that names this state; linear in its size."""
        return _digest(_body(self), self.module, _FULL, "").hex()

    def encode(self) -> bytes:
        """Return the state as bytes."""
        return _encode(self, _FULL, "")

    def delta(self, since: InstanceState) -> StateDelta:
        """Return what leads from an earlier state of the same module to this one. Raises `FormatError`."""
        _require_same_module(self, since)
        former = {table.index: table for table in since.tables}
        before = {memory.index: memory for memory in since.memories}
        return StateDelta(
            self.module,
            self.globals,
            tuple(table for table in self.tables if former.get(table.index) != table),
            tuple(_memory_delta(memory, before.get(memory.index)) for memory in self.memories),
            base=since.digest,
        )

    def apply(self, delta: StateDelta) -> InstanceState:
        """Return the state to which `delta` leads. Raises `FormatError` if it does not begin here."""
        _require_same_module(self, delta)
        if delta.base != self.digest:
            raise FormatError("this delta begins at another state", found=delta.base, allowed=self.digest)
        tables = {table.index: table for table in (*self.tables, *delta.tables)}
        before = {memory.index: memory for memory in self.memories}
        return InstanceState(
            self.module,
            delta.globals,
            tuple(tables[index] for index in sorted(tables)),
            tuple(_applied(memory, before.get(memory.index)) for memory in delta.memories),
        )


@dataclass(frozen=True, slots=True)
class StateDelta(_Content):
    """What changed since the state with the digest `base`: all globals, whole tables, single blocks."""

    base: str = field(kw_only=True)

    def encode(self) -> bytes:
        """Return the delta as bytes."""
        return _encode(self, _DELTA, self.base)


def decode_state(data: bytes, *, unpacked_bytes: int = STATE.unpacked_bytes) -> InstanceState:
    """Read a state that takes no more than `unpacked_bytes` without compression. Raises `FormatError`."""
    module, _, body = _unpack(data, _FULL, unpacked_bytes)
    state = InstanceState(module, *_read_parts(body))
    for memory in state.memories:
        if memory.restored:
            raise FormatError("a whole state restores no blocks", structure="memory", index=memory.index)
    return state


def decode_delta(data: bytes, *, unpacked_bytes: int = STATE.unpacked_bytes) -> StateDelta:
    """Read a delta, as `decode_state` does."""
    module, base, body = _unpack(data, _DELTA, unpacked_bytes)
    return StateDelta(module, *_read_parts(body), base=base)


def _require_same_module(state: _Content, other: _Content) -> None:
    if state.module != other.module:
        raise FormatError("is of another module", structure="state", found=other.module, allowed=state.module)


def _memory_delta(memory: MemoryImage, former: MemoryImage | None) -> MemoryImage:
    known = {} if former is None else former.blocks
    changed = {number: block for number, block in memory.blocks.items() if known.get(number) != block}
    return replace(memory, blocks=changed, restored=tuple(sorted(known.keys() - memory.blocks.keys())))


def _applied(delta: MemoryImage, former: MemoryImage | None) -> MemoryImage:
    blocks = {} if former is None else dict(former.blocks)
    if former is not None and delta.pages < former.pages:
        raise FormatError("makes a memory smaller", structure="memory", index=delta.index, found=delta.pages)
    if not blocks.keys() >= set(delta.restored):
        raise FormatError("restores a block that did not differ", structure="memory", index=delta.index)
    for number in delta.restored:
        del blocks[number]
    blocks |= delta.blocks
    return MemoryImage(delta.index, delta.pages, {number: blocks[number] for number in sorted(blocks)})


def _encode(content: _Content, form: int, base: str) -> bytes:
    body = _body(content)
    header = _header(content.module, form, base, len(body))
    return header + zlib.compress(body, _LEVEL) + _digest(body, content.module, form, base)


def _header(module: str, form: int, base: str, body_bytes: int) -> bytes:
    digests = bytes.fromhex(module), bytes.fromhex(base or "00" * _DIGEST_BYTES)
    return _HEADER.pack(_MAGIC, _VERSION, form, 0, *digests, body_bytes)


def _digest(body: bytes | bytearray, module: str, form: int, base: str) -> bytes:
    state = hashlib.sha256(_header(module, form, base, len(body)))
    state.update(body)
    return state.digest()


def _body(content: _Content) -> bytearray:
    writer = ByteWriter()
    writer.write_u32(len(content.globals))
    for item in content.globals:
        writer.write_u32(item.index)
        writer.write_u8(_CODES[item.kind])
        writer.write_bytes(item.pattern.to_bytes(_PATTERN_BYTES, "little"))
    writer.write_u32(len(content.tables))
    for table in content.tables:
        writer.write_u32(table.index)
        _write_numbers(writer, table.elements)
    writer.write_u32(len(content.memories))
    for memory in content.memories:
        writer.write_u32(memory.index)
        writer.write_u32(memory.pages)
        _write_numbers(writer, memory.restored)
        numbers = sorted(memory.blocks)
        _write_numbers(writer, numbers)
        for number in numbers:
            writer.write_bytes(memory.blocks[number])
    return writer.data


def _write_numbers(writer: ByteWriter, numbers: Sequence[int]) -> None:
    writer.write_u32(len(numbers))
    writer.write_bytes(pack(f"<{len(numbers)}I", *numbers))


def _unpack(data: bytes, form: int, unpacked_bytes: int) -> tuple[str, str, bytes]:
    """Return module, base and body, whole and of a bounded size."""
    reader = ByteReader(data, structure="state")
    if data[:4] != _MAGIC:
        raise reader.fail("is not a state of a WebAssembly instance", found=bytes(data[:4]), allowed=_MAGIC)
    _, version, found_form, reserved, module, base, size = _HEADER.unpack(reader.read_bytes(_HEADER.size))
    if version != _VERSION:
        raise reader.fail("unknown version", found=version, allowed=_VERSION)
    if found_form != form or reserved:
        names = ("a whole state", "a delta")
        raise reader.fail("is of another form", found=f"{found_form}, {reserved}", allowed=names[form])
    if form == _FULL and any(base):
        raise reader.fail("a whole state has no base")
    if size > unpacked_bytes:
        raise reader.fail("is too large", found=f"{size} bytes", allowed=f"{unpacked_bytes} bytes")
    body = _inflate(reader, size)
    if hashlib.sha256(data[: _HEADER.size] + body).digest() != data[-_DIGEST_BYTES:]:
        raise reader.fail("is damaged: its SHA-256 is another")
    return module.hex(), base.hex(), body


def _inflate(reader: ByteReader, size: int) -> bytes:
    packed = reader.read_bytes(max(reader.remaining - _DIGEST_BYTES, 0))
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(packed, size + 1)
    except zlib.error as error:
        raise reader.fail(f"is damaged: {error}") from None
    if len(body) != size or not inflater.eof or inflater.unused_data:
        raise reader.fail("the compressed part is not of the size that the header says", allowed=size)
    return body


_Parts = tuple[tuple[GlobalValue, ...], tuple[TableImage, ...], tuple[MemoryImage, ...]]


def _read_parts(body: bytes) -> _Parts:
    reader = ByteReader(body, structure="state")
    globals_ = tuple(_read_global(reader) for _ in range(_count(reader, 21)))
    tables = tuple(_read_table(reader) for _ in range(_count(reader, 8)))
    memories = tuple(_read_memory(reader, body) for _ in range(_count(reader, 16)))
    for parts in (globals_, tables, memories):
        _require_order(reader, [item.index for item in parts])
    if reader.remaining:
        raise reader.fail("bytes are left over at the end", found=reader.remaining)
    return globals_, tables, memories


def _count(reader: ByteReader, item_bytes: int) -> int:
    """Read a number of items, for which there must be bytes."""
    count = reader.read_u32()
    if count * item_bytes > reader.remaining:
        raise reader.fail("count exceeds the bytes", found=count)
    return count


def _read_global(reader: ByteReader) -> GlobalValue:
    index, code = reader.read_u32(), reader.read_u8()
    pattern = int.from_bytes(reader.read_bytes(_PATTERN_BYTES), "little")
    if code not in KINDS:
        raise reader.fail("unknown type of a global", found=f"{code:#x}")
    if pattern >> _BITS[KINDS[code]]:
        raise reader.fail(f"the value is none of {KINDS[code]}", found=f"{pattern:#x}")
    return GlobalValue(index, KINDS[code], pattern)


def _read_table(reader: ByteReader) -> TableImage:
    return TableImage(reader.read_u32(), _read_numbers(reader))


def _read_memory(reader: ByteReader, body: bytes) -> MemoryImage:
    index, pages = reader.read_u32(), reader.read_u32()
    restored, numbers = _read_numbers(reader), _read_numbers(reader)
    for listed in (restored, numbers):
        _require_order(reader, listed)
    if numbers and numbers[-1] >= pages * _BLOCKS_PER_PAGE:
        raise reader.fail("a block lies behind the memory's end", found=numbers[-1], allowed=f"{pages} pages")
    if not set(restored).isdisjoint(numbers):
        raise reader.fail("a block is changed and restored at once")
    start = reader.offset
    reader.skip(len(numbers) * BLOCK_BYTES)
    blocks = {
        number: body[start + position * BLOCK_BYTES : start + (position + 1) * BLOCK_BYTES]
        for position, number in enumerate(numbers)
    }
    return MemoryImage(index, pages, blocks, restored)


def _read_numbers(reader: ByteReader) -> tuple[int, ...]:
    count = _count(reader, 4)
    return unpack_from(f"<{count}I", reader.read_bytes(4 * count))


def _require_order(reader: ByteReader, numbers: Sequence[int]) -> None:
    if any(left >= right for left, right in pairwise(numbers)):
        raise reader.fail("numbers are not in ascending order")
