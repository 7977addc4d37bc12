"""Where a WebAssembly module keeps state between two calls, and why that state cannot always be captured.

Between calls, what a core module remembers lies in its mutable globals, its memories and its tables. Some of
it no host can read back: whether a passive segment has been dropped, references into the host or into a
garbage-collected heap, and what the host keeps for the guest (open files, models). A module with such state
gets findings, in sentences.

Code is not decoded: that a table may change is told from the bytes of its instructions, which other bytes may
look like too. So a table may be taken for one that changes though it never does, and never the other way
round. Linear in the module's size. Only `FormatError` escapes.

Source: WebAssembly specification 3.0, sections 5.3 (types), 5.4 (instructions), 5.5 (modules).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lawow.formats.bytes import ByteReader
from lawow.formats.wasm import ModuleInfo

__all__ = ["FUNCREF", "KINDS", "PAGE_BYTES", "StatePlaces", "read_places"]

FUNCREF = "funcref"
PAGE_BYTES = 1 << 16

KINDS = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128", 0x70: FUNCREF}
"""Binary code -> types of globals whose value can be captured."""

_WASI = "wasi_snapshot_preview1"
_STATEFUL_WASI = ("path_open", "fd_renumber", "sock_accept", "sock_recv", "sock_send", "sock_shutdown")
"""Functions of WASI after which the host holds for the guest what its memory alone does not tell."""

_TABLE, _GLOBAL, _ELEMENT, _CODE, _DATA = 4, 6, 9, 10, 11
_REFERENCES = (0x63, 0x64)  # (ref null ...), (ref ...)
_WITH_INITIAL_VALUE = 0x40
_MUTABLE = 1
_HAS_MAXIMUM = 1  # flag of limits
_PASSIVE, _OF_MEMORY = 1, 2  # kinds of data segments; 0 is active in memory 0
_NOT_ACTIVE, _EXPLICIT, _EXPRESSIONS = 1, 2, 4  # flags of element segments

_END, _REF_FUNC = 0x0B, 0xD2
_VECTOR, _V128_CONST = 0xFD, 12

_IMMEDIATES: dict[int, Callable[[ByteReader], object]] = {
    0x23: ByteReader.read_uleb128,  # global.get
    0x41: ByteReader.read_sleb128,  # i32.const
    0x42: lambda reader: reader.read_sleb128(64),
    0x43: lambda reader: reader.skip(4),
    0x44: lambda reader: reader.skip(8),
    0xD0: lambda reader: reader.read_sleb128(33),  # ref.null
    **dict.fromkeys((0x6A, 0x6B, 0x6C, 0x7C, 0x7D, 0x7E), lambda reader: None),  # add, sub, mul
}
"""Instructions of an initialiser -> how to pass their immediates."""


def _operation(*numbers: int, prefix: int = 0xFC) -> bytes:
    """Return a pattern of instructions behind a prefix; LEB128 lets their numbers be padded."""
    short = b"".join(b"\\x%02x" % number for number in numbers)
    padded = b"".join(b"\\x%02x" % (number | 0x80) for number in numbers)
    return b"\\x%02x(?:[%s]|[%s]\\x80{0,3}\\x00)" % (prefix, short, padded)


_BULK_CHANGES = re.compile(_operation(0x0C, 0x0E, 0x0F, 0x11))  # table.init, copy, grow, fill
_USES_OF_DATA = re.compile(_operation(0x08) + b"|" + _operation(0x09, 0x12, prefix=0xFB))
_DROPS_OF_DATA = re.compile(_operation(0x09))
_USES_OF_ELEMENTS = re.compile(_operation(0x0C) + b"|" + _operation(0x0A, 0x13, prefix=0xFB))
_DROPS_OF_ELEMENTS = re.compile(_operation(0x0D))


@dataclass(slots=True)
class StatePlaces:
    """The places by their index in the module, and what cannot be captured.

    `globals` are the mutable ones with their types, `tables` those that may change, `functions` those that a
    reference may mean (empty where no reference can change).
    """

    globals: dict[int, str] = field(default_factory=dict)
    tables: list[int] = field(default_factory=list)
    memories: list[int] = field(default_factory=list)
    functions: list[int] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def read_places(wasm: bytes, info: ModuleInfo, exported: Iterable[int]) -> StatePlaces:
    """Read the places of a module of which `info` was read; `exported` functions can be referred to, too."""
    scan = _Scan(info)
    reader = ByteReader(wasm, structure="module")
    reader.skip(8)
    while reader.remaining:
        id_, size = reader.read_u8(), reader.read_uleb128()
        start = reader.offset
        reader.skip(size)
        if id_ in _READERS:
            _READERS[id_](scan, ByteReader(wasm, start, start + size, structure="section"))
    return scan.finish(exported)


class _Unreadable(Exception):
    """An initialiser with an instruction that LAWOW does not know."""


class _Scan:
    """What the sections say. A section that cannot be read to its end leaves a finding."""

    def __init__(self, info: ModuleInfo) -> None:
        self._info = info
        self._places = StatePlaces()
        self._code = b""
        self._tables: dict[int, str | None] = {}
        self._references: set[int] = set()
        self._passive: set[str] = set()

    def tables(self, part: ByteReader) -> None:
        first_index = self._imported("table")
        for index in range(first_index, first_index + part.read_uleb128()):
            code = part.read_u8()
            has_value = code == _WITH_INITIAL_VALUE
            if has_value:
                part.skip(1)
                code = part.read_u8()
            self._tables[index] = _kind(part, code)
            flags = part.read_u8()
            for _ in range(2 if flags & _HAS_MAXIMUM else 1):
                part.read_uleb128(64)
            if has_value:
                self._expression(part)

    def globals(self, part: ByteReader) -> None:
        first_index = self._imported("global")
        for index in range(first_index, first_index + part.read_uleb128()):
            kind = _kind(part, part.read_u8())
            is_mutable = part.read_u8() & _MUTABLE
            self._expression(part)
            if is_mutable and kind is None:
                self._find(f"global {index} holds references that mean nothing outside of this process")
            elif is_mutable and kind is not None:
                self._places.globals[index] = kind

    def elements(self, part: ByteReader) -> None:
        for _ in range(part.read_uleb128()):
            flags = part.read_uleb128()
            if flags & _NOT_ACTIVE:
                self._passive |= set() if flags & _EXPLICIT else {"element"}
            else:
                if flags & _EXPLICIT:
                    part.read_uleb128()
                self._expression(part)
            if flags & (_NOT_ACTIVE | _EXPLICIT):
                _kind(part, part.read_u8())
            for _ in range(part.read_uleb128()):
                if flags & _EXPRESSIONS:
                    self._expression(part)
                else:
                    self._references.add(part.read_uleb128())

    def data(self, part: ByteReader) -> None:
        for _ in range(part.read_uleb128()):
            kind = part.read_uleb128()
            if kind == _PASSIVE:
                self._passive.add("data")
            else:
                if kind == _OF_MEMORY:
                    part.read_uleb128()
                self._expression(part)
            part.skip(part.read_uleb128())

    def code(self, part: ByteReader) -> None:
        self._code = part.read_bytes(part.remaining)

    def finish(self, exported: Iterable[int]) -> StatePlaces:
        """Judge what only the whole can tell, and return it."""
        places = self._places
        self._judge_imports()
        for index, memory in enumerate(self._info.memories):
            places.memories.append(index)
            if memory.is_shared:
                self._find(f"memory {index} is shared between threads")
            if memory.page_bytes != PAGE_BYTES:
                self._find(f"memory {index} has pages of {memory.page_bytes} bytes")
        self._judge_tables()
        self._judge_segments("data", _USES_OF_DATA, _DROPS_OF_DATA)
        self._judge_segments("element", _USES_OF_ELEMENTS, _DROPS_OF_ELEMENTS)
        if places.tables or FUNCREF in places.globals.values():
            places.functions = sorted(self._references | set(exported))
        return places

    def _judge_imports(self) -> None:
        others: dict[str, None] = {}
        stateful: list[str] = []
        for item in self._info.imports:
            if item.kind != "func":
                self._find(f"the {item.kind} {item.module}.{item.name} belongs to its host")
            elif item.module != _WASI:
                others[item.module] = None
            elif item.name in _STATEFUL_WASI:
                stateful.append(item.name)
        for module in others:
            self._find(f"the host may keep something for the guest behind the functions of {module}")
        if stateful:
            self._find(f"what it opens by {', '.join(stateful)} stays with its host")

    def _judge_tables(self) -> None:
        if not self._tables:
            return
        if not (_BULK_CHANGES.search(self._code) or _set_one(self._info.tables).search(self._code)):
            return
        for index, kind in self._tables.items():
            if kind == FUNCREF:
                self._places.tables.append(index)
            else:
                self._find(f"table {index} holds references that mean nothing outside of this process")

    def _judge_segments(self, what: str, uses: re.Pattern[bytes], drops: re.Pattern[bytes]) -> None:
        if what in self._passive and uses.search(self._code) and drops.search(self._code):
            self._find(f"nobody can see whether a passive {what} segment that it uses was dropped")

    def _expression(self, part: ByteReader) -> None:
        """Pass an initialiser and keep the functions to which it refers."""
        while (code := part.read_u8()) != _END:
            if code == _REF_FUNC:
                self._references.add(part.read_uleb128())
            elif code == _VECTOR and part.read_uleb128() == _V128_CONST:
                part.skip(16)
            elif code in _IMMEDIATES:
                _IMMEDIATES[code](part)
            else:
                raise _Unreadable(f"{code:#04x}")

    def _imported(self, kind: str) -> int:
        return sum(item.kind == kind for item in self._info.imports)

    def _find(self, sentence: str) -> None:
        self._places.findings.append(sentence)


def _guarded(read: Callable[[_Scan, ByteReader], None], name: str) -> Callable[[_Scan, ByteReader], None]:
    """Return the reader of a section that turns an unknown instruction into a finding."""

    def guarded(scan: _Scan, part: ByteReader) -> None:
        try:
            read(scan, part)
        except _Unreadable as error:
            scan._find(f"the {name} section has an initialiser with the instruction {error}")

    return guarded


_READERS = {
    _TABLE: _guarded(_Scan.tables, "table"),
    _GLOBAL: _guarded(_Scan.globals, "global"),
    _ELEMENT: _guarded(_Scan.elements, "element"),
    _CODE: _Scan.code,
    _DATA: _guarded(_Scan.data, "data"),
}


def _set_one(tables: int) -> re.Pattern[bytes]:
    """Return a pattern of ``table.set`` on one of so many tables."""
    if not 0 < tables <= 0x80:
        return re.compile(b"\\x26")
    return re.compile(b"\\x26(?:[\\x00-\\x%02x]|[\\x80-\\xff]\\x80{0,3}\\x00)" % (tables - 1))


def _kind(part: ByteReader, code: int) -> str | None:
    """Return the captured type with that code, or None for references that cannot be captured."""
    if code in _REFERENCES:
        part.read_sleb128(33)  # heap type
    return KINDS.get(code)
