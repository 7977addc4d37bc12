"""Add exports to a module through which values pass as bit patterns: for engines that are driven by text.

A command line rounds floats, drops the bits of a NaN, and mixes results with what the guest printed. So each
callable export ``fib`` gets a companion ``lawow:fib`` that takes integers alone, reinterprets them, calls
``fib``, and returns a marker, the size of the memory in pages, and the results as integers. Whoever finds the
marker in the output has the guest's own output before it and nothing but results after it.

Definition of the format: WebAssembly core specification, 5 (binary format).
"""

from __future__ import annotations

from functools import partial

from lawow.formats.bytes import encode_sleb128, encode_uleb128
from lawow.formats.interface import FuncType
from lawow.formats.wasm import ModuleInfo
from lawow.formats.wasm_edit import CODE, EXPORT, FUNCTION, TYPE, appended, edit_sections, sized, vector
from lawow.runtime.additions import PREFIX, require_no_additions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MARKER", "add_functions", "add_trampolines"]

MARKER = 0x4C41574F57000001
"""The first result of every added export."""

_CARRIER = {"i32": "i32", "i64": "i64", "f32": "i32", "f64": "i64"}
_TYPE_BYTE = {"i32": b"\x7f", "i64": b"\x7e", "f32": b"\x7d", "f64": b"\x7c"}
_FROM_BITS = {"f32": b"\xbe", "f64": b"\xbf"}  # f32.reinterpret_i32, f64.reinterpret_i64
_TO_BITS = {"f32": b"\xbc", "f64": b"\xbd"}  # i32.reinterpret_f32, i64.reinterpret_f64
_LOCAL_GET, _LOCAL_SET, _CALL, _END = b"\x20", b"\x21", b"\x10", b"\x0b"
_MEMORY_SIZE, _I64_CONST, _EXTEND_U32 = b"\x3f\0", b"\x42", b"\xad"


def add_trampolines(wasm: bytes, info: ModuleInfo) -> bytes:
    """Return the module `wasm`, of which `info` was read, with a companion for each callable export.

    Raises `FormatError` if the module already has such a name.
    """
    require_no_additions(info)
    exports = [(item.name, item.index, item.type) for item in info.callable_exports if item.type is not None]
    functions = [
        (f"{PREFIX}{name}", _type(item), _body(index, item, _memory_size(info)))
        for name, index, item in exports
    ]
    return add_functions(wasm, info, functions)


def add_functions(wasm: bytes, info: ModuleInfo, functions: Sequence[tuple[str, bytes, bytes]]) -> bytes:
    """Return the module `wasm`, of which `info` was read, with more functions.

    Each is the name of its export, its type, and its locals and code. The module must export something
    already. Indices of its own functions and types stay as they are.
    """
    if not functions:
        return wasm
    first_function = sum(item.kind == "func" for item in info.imports) + info.functions
    added: dict[int, list[bytes]] = {TYPE: [], FUNCTION: [], EXPORT: [], CODE: []}
    for position, (name, type_, code) in enumerate(functions):
        added[TYPE].append(type_)
        added[FUNCTION].append(encode_uleb128(len(info.types) + position))
        added[EXPORT].append(sized(name.encode()) + b"\0" + encode_uleb128(first_function + position))
        added[CODE].append(sized(code))
    return edit_sections(wasm, {id_: partial(appended, elements=items) for id_, items in added.items()})


def _type(function: FuncType) -> bytes:
    """Return the function type of a companion."""
    params = [_TYPE_BYTE[_CARRIER[item]] for item in function.params]
    results = [_TYPE_BYTE["i64"]] * 2 + [_TYPE_BYTE[_CARRIER[item]] for item in function.results]
    return b"\x60" + vector(params) + vector(results)


def _body(index: int, function: FuncType, memory_size: bytes) -> bytes:
    """Return the code of a companion: results go to locals first, since the marker must come before them."""
    params, results = function.params, function.results
    parts = [vector([b"\x01" + _TYPE_BYTE[item] for item in results])]
    for position, kind in enumerate(params):
        parts += [_LOCAL_GET, encode_uleb128(position), _FROM_BITS.get(kind, b"")]
    parts += [_CALL, encode_uleb128(index)]
    slots = [encode_uleb128(len(params) + position) for position in range(len(results))]
    for slot in reversed(slots):
        parts += [_LOCAL_SET, slot]
    parts += [_I64_CONST, encode_sleb128(MARKER), memory_size]
    for slot, kind in zip(slots, results, strict=True):
        parts += [_LOCAL_GET, slot, _TO_BITS.get(kind, b"")]
    return b"".join((*parts, _END))


def _memory_size(info: ModuleInfo) -> bytes:
    """Return the code that pushes the pages of the first memory as an i64."""
    if not info.memories:
        return _I64_CONST + b"\0"
    return _MEMORY_SIZE if info.memories[0].is_64 else _MEMORY_SIZE + _EXTEND_U32
