"""Reads what a module says of its exports and imports: the type records of wasmtime's C API."""

from __future__ import annotations

from ctypes import byref

from lawow.formats.interface import FuncType
from lawow.runtime import libwasmtime as lib

__all__ = ["export_of", "function_type", "import_of", "is_memory"]

_VALUE_TYPES = ("i32", "i64", "f32", "f64", "v128")
"""``wasmtime_valkind_t`` by number; all others are references."""


def function_type(pointer: int) -> FuncType:
    """Read a ``wasm_functype_t`` that somebody else owns."""
    functions = lib.library()
    params = lib.borrowed_elements(functions.wasm_functype_params(pointer))
    results = lib.borrowed_elements(functions.wasm_functype_results(pointer))
    return FuncType(tuple(map(_value_type, params)), tuple(map(_value_type, results)))


def _value_type(pointer: int) -> str:
    functions = lib.library()
    record = lib.ValueTypeRecord()
    functions.wasmtime_valtype_new(pointer, byref(record))
    kind = record.kind
    functions.wasmtime_valtype_delete(byref(record))
    return _VALUE_TYPES[kind] if kind < len(_VALUE_TYPES) else "reference"


def export_of(pointer: int) -> tuple[str, FuncType | None]:
    """Read a ``wasm_exporttype_t``: its name, and its type if it is a function."""
    functions = lib.library()
    name = lib.borrowed_name(functions.wasm_exporttype_name(pointer))
    function = functions.wasm_externtype_as_functype_const(functions.wasm_exporttype_type(pointer))
    return name, function_type(function) if function else None


def is_memory(pointer: int) -> bool:
    """Tell whether a ``wasm_exporttype_t`` is a memory."""
    functions = lib.library()
    return bool(functions.wasm_externtype_as_memorytype_const(functions.wasm_exporttype_type(pointer)))


def import_of(pointer: int) -> tuple[str, str]:
    """Read a ``wasm_importtype_t``."""
    functions = lib.library()
    module = lib.borrowed_name(functions.wasm_importtype_module(pointer))
    return module, lib.borrowed_name(functions.wasm_importtype_name(pointer))
