"""Reach functions with vectors: add to a module, for each of them, a twin whose vectors are pairs of i64.

LAWOW's calls carry numbers, not vectors. The tests of SIMD pass and return vectors everywhere, so each such
export gets a companion that puts its arguments together, calls it, and takes its results apart.

Definition of the instructions: WebAssembly core specification, 5.4.9 (vector instructions).
"""

from __future__ import annotations

from lawow.formats.bytes import encode_uleb128
from lawow.formats.interface import FuncType
from lawow.formats.wasm import inspect_module
from lawow.runtime.trampolines import add_functions

__all__ = ["TWIN", "with_twins"]

TWIN = "twin:"
"""Before the name of every twin."""

_KNOWN = frozenset(("i32", "i64", "f32", "f64", "v128"))
_TYPE_BYTE = {"i32": b"\x7f", "i64": b"\x7e", "f32": b"\x7d", "f64": b"\x7c", "v128": b"\x7b"}
_LOCAL_GET, _LOCAL_SET, _CALL, _END = b"\x20", b"\x21", b"\x10", b"\x0b"
_SPLAT, _EXTRACT, _REPLACE = b"\xfd\x12", b"\xfd\x1d", b"\xfd\x1e"  # i64x2


def with_twins(wasm: bytes) -> tuple[bytes, dict[str, FuncType]]:
    """Return the module with its twins, and the types of the functions that have one."""
    info = inspect_module(wasm)
    twins = {item.name: item for item in info.exports if item.type is not None and _needs_twin(item.type)}
    types = {name: item.type for name, item in twins.items() if item.type is not None}
    added = [
        (f"{TWIN}{name}", _type(types[name]), _code(types[name], item.index)) for name, item in twins.items()
    ]
    return add_functions(wasm, info, added), types


def _needs_twin(function: FuncType) -> bool:
    kinds = {*function.params, *function.results}
    return "v128" in kinds and kinds <= _KNOWN


def _type(function: FuncType) -> bytes:
    return b"\x60" + _vector(_words(function.params)) + _vector(_words(function.results))


def _words(kinds: tuple[str, ...]) -> list[bytes]:
    return [
        byte for kind in kinds for byte in ([_TYPE_BYTE["i64"]] * 2 if kind == "v128" else [_TYPE_BYTE[kind]])
    ]


def _code(function: FuncType, index: int) -> bytes:
    """Return the twin's locals and code: the locals keep the results while these are taken apart."""
    code, slot = [_vector([b"\x01" + _TYPE_BYTE[kind] for kind in function.results])], 0
    for kind in function.params:
        code.append(_LOCAL_GET + encode_uleb128(slot))
        slot += 1
        if kind == "v128":
            code.append(_SPLAT + _LOCAL_GET + encode_uleb128(slot) + _REPLACE + b"\x01")
            slot += 1
    code.append(_CALL + encode_uleb128(index))
    slots = [encode_uleb128(slot + position) for position in range(len(function.results))]
    code += [_LOCAL_SET + item for item in reversed(slots)]
    for item, kind in zip(slots, function.results, strict=True):
        lanes = (_EXTRACT + b"\0", _EXTRACT + b"\1") if kind == "v128" else (b"",)
        code += [_LOCAL_GET + item + lane for lane in lanes]
    return b"".join((*code, _END))


def _vector(elements: list[bytes]) -> bytes:
    return encode_uleb128(len(elements)) + b"".join(elements)
