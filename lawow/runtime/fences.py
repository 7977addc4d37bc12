"""Write limits into a module itself, for an engine that has none of its own and shares our process.

WasmEdge's library grows a table until the process aborts, and has no limit of the stack: endless recursion
ends the process in compiled code and takes all memory in the interpreter, and where the compiler makes a loop
of the recursion, that loop cannot be interrupted. So the module is changed before it is compiled:

* every table gets a maximum, above which ``table.grow`` fails inside the guest as it may;
* every function ``f`` becomes a wrapper that takes from a global what a frame of ``f`` may need, calls the
  original, and gives it back. All calls go to the number that ``f`` had, so no call is changed. Where the
  global falls below zero the wrapper traps; `STACK_LEFT` tells that trap from the guest's own;
* the start function becomes the export `START_EXPORT`: what runs there can then be limited like any call.

What a frame needs is estimated from above: 8 bytes for each byte of code (a value takes at least one
instruction, a vector at least two bytes of one), 16 for each local, 256 for itself. The thread that runs the
guest must have more stack than that. Definition of the format: WebAssembly specification 3.0, chapter 5.
"""

from __future__ import annotations

from lawow.errors import LimitExceeded
from lawow.formats.bytes import ByteReader, encode_sleb128, encode_uleb128
from lawow.formats.interface import PREFIX, START_EXPORT
from lawow.formats.wasm_edit import (
    CODE,
    EXPORT,
    FUNCTION,
    GLOBAL,
    START,
    TABLE,
    TYPE,
    appended,
    edit_sections,
    sized,
    vector,
)
from lawow.limits import CALL
from lawow.runtime.additions import require_no_additions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lawow.formats.wasm import ModuleInfo

__all__ = ["STACK_LEFT", "START_EXPORT", "add_fences"]

STACK_LEFT = f"{PREFIX}stack"
"""An added export, ``() -> i32``: what is left of the stack; below zero after a stack overflow."""

_FRAME_BYTES, _LOCAL_BYTES, _BYTES_PER_CODE_BYTE = 256, 16, 8

_HAS_MAXIMUM = 1
_I32, _MUTABLE, _FUNC = b"\x7f", b"\x01", b"\x60"
_NO_LOCALS, _LOCAL_GET, _CALL, _END = b"\0", b"\x20", b"\x10", b"\x0b"
_GLOBAL_GET, _GLOBAL_SET, _I32_CONST = b"\x23", b"\x24", b"\x41"
_ADD, _SUBTRACT, _IS_BELOW = b"\x6a", b"\x6b", b"\x48"
_IF, _UNREACHABLE = b"\x04\x40", b"\0"
_WITH_INITIAL_VALUE = b"\x40"
_REFERENCE_PREFIXES = (0x63, 0x64)  # (ref null ...), (ref ...)


def add_fences(
    wasm: bytes,
    info: ModuleInfo,
    *,
    table_elements: int = CALL.table_elements,
    stack_bytes: int = CALL.native_stack_bytes,
    is_exposed: bool = False,
) -> bytes:
    """Return the module `wasm`, of which `info` was read, with its limits written into it.

    Raises `LimitExceeded` (``tables``, ``table_elements``) for a module that declares more, `FormatError` if
    it has an added name already, and `Refused` if it brings machine code.
    """
    require_no_additions(info, is_exposed=is_exposed)
    if info.tables > CALL.tables:
        raise _declared("tables", info.tables, CALL.tables)
    fences = _Fences(info, table_elements, stack_bytes)
    edits = {
        TYPE: lambda content: appended(content, [_FUNC + vector([]) + vector([_I32])]),
        FUNCTION: fences.functions,
        GLOBAL: lambda content: appended(content, [_I32 + _MUTABLE + _constant(stack_bytes) + _END]),
        EXPORT: lambda content: appended(content, fences.exports()),
        START: lambda content: None,
        CODE: fences.code,
    }
    if info.tables:
        edits[TABLE] = fences.tables
    return edit_sections(wasm, edits)


class _Fences:
    """The edits of one module. The function section comes before the code, which needs its types."""

    def __init__(self, info: ModuleInfo, table_elements: int, stack_bytes: int) -> None:
        self._info = info
        self._table_elements = table_elements
        self._first = sum(item.kind == "func" for item in info.imports)
        self._stack = encode_uleb128(sum(item.kind == "global" for item in info.imports) + info.globals)
        self._params: list[int] = []

    def functions(self, content: bytes | None) -> bytes:
        """Declare every function twice, and the one that tells what is left."""
        types = _indices(content)
        declared = (self._info.types[index] for index in types)
        self._params = [0 if function is None else len(function.params) for function in declared]
        return vector([encode_uleb128(index) for index in (*types, *types, len(self._info.types))])

    def code(self, content: bytes | None) -> bytes:
        """Put a wrapper at each function's number, and the originals behind all of them."""
        bodies = _bodies(content)
        originals = self._first + len(bodies)
        wrappers = [
            self._wrapper(originals + position, params, self._need(body, params))
            for position, (params, body) in enumerate(zip(self._params, bodies, strict=True))
        ]
        teller = _NO_LOCALS + _GLOBAL_GET + self._stack + _END
        return vector([sized(body) for body in (*wrappers, *bodies, teller)])

    def exports(self) -> list[bytes]:
        """Return the added exports: a name, kind 0 for a function, its number."""
        found = [(STACK_LEFT, self._first + 2 * self._info.functions)]
        if self._info.start is not None:
            found.append((START_EXPORT, self._info.start))
        return [sized(name.encode()) + b"\0" + encode_uleb128(index) for name, index in found]

    def tables(self, content: bytes | None) -> bytes:
        """Give every table a maximum that is no greater than the limit."""
        reader = ByteReader(content or b"\0", structure="table")
        count = reader.read_uleb128()
        tables = [self._table(reader) for _ in range(count)]
        return vector(tables) + reader.read_bytes(reader.remaining)

    def _table(self, reader: ByteReader) -> bytes:
        kind = bytes((reader.read_u8(),))
        if kind == _WITH_INITIAL_VALUE:
            raise reader.fail("WasmEdge runs no tables with an initial value")
        if kind[0] in _REFERENCE_PREFIXES:
            kind += encode_sleb128(reader.read_sleb128(33))
        flags = reader.read_u8()
        minimum = reader.read_uleb128(64)
        maximum = reader.read_uleb128(64) if flags & _HAS_MAXIMUM else self._table_elements
        if minimum > self._table_elements:
            raise _declared("table_elements", minimum, self._table_elements)
        limits = encode_uleb128(minimum) + encode_uleb128(min(maximum, self._table_elements))
        return kind + bytes((flags | _HAS_MAXIMUM,)) + limits

    def _need(self, body: bytes, params: int) -> int:
        """Return the bytes of stack that a frame of this body may take."""
        reader = ByteReader(body, structure="code")
        declared = 0
        for _ in range(reader.read_uleb128()):
            declared += reader.read_uleb128()
            if reader.read_u8() in _REFERENCE_PREFIXES:
                reader.read_sleb128(33)
        return _FRAME_BYTES + _LOCAL_BYTES * (params + declared) + _BYTES_PER_CODE_BYTE * len(body)

    def _wrapper(self, original: int, params: int, need: int) -> bytes:
        """Return the body of a function that pays for the frame of `original` while it runs."""
        gets = b"".join(_LOCAL_GET + encode_uleb128(position) for position in range(params))
        left, keep = _GLOBAL_GET + self._stack, _GLOBAL_SET + self._stack
        pay = left + _constant(need) + _SUBTRACT + keep
        check = left + _constant(0) + _IS_BELOW + _IF + _UNREACHABLE + _END
        give_back = left + _constant(need) + _ADD + keep
        return _NO_LOCALS + pay + check + gets + _CALL + encode_uleb128(original) + give_back + _END


def _declared(limit: str, value: int, maximum: int) -> LimitExceeded:
    return LimitExceeded(limit, value, maximum, hint="the module declares more than that")


def _constant(value: int) -> bytes:
    return _I32_CONST + encode_sleb128(value)


def _indices(content: bytes | None) -> list[int]:
    reader = ByteReader(content or b"\0", structure="function")
    return [reader.read_uleb128() for _ in range(reader.read_uleb128())]


def _bodies(content: bytes | None) -> list[bytes]:
    reader = ByteReader(content or b"\0", structure="code")
    return [reader.read_bytes(reader.read_uleb128()) for _ in range(reader.read_uleb128())]
