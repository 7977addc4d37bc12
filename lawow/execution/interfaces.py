"""The interface of a core module as WIT: the one it carries or that lies beside it, else its core types."""

from __future__ import annotations

import os

from lawow.errors import FormatError
from lawow.execution.found import Found
from lawow.formats.interface import FOR_THE_CALLER, FuncType, is_typed, kebab_name, wit_of
from lawow.formats.wasm import WIT_SECTION
from lawow.formats.wit import (
    Field,
    Function,
    Primitive,
    Tuple,
    World,
    parse_wit,
    print_function,
    signature_of,
)

__all__ = ["declaration_of", "interface_of", "typed_signature"]

_PRIMITIVES = {"i32": "s32", "i64": "s64", "f32": "f32", "f64": "f64"}
_LARGEST_BYTES = 1 << 20


def interface_of(found: Found, path: str) -> World:
    """Return what a module exports; `path` is its file, beside which a ``.wit`` may lie.

    Raises `FormatError` for a WIT text that is none.
    """
    section = found.info.interface
    if section is not None:
        end = section.offset + section.size_bytes
        return _parse(bytes(found.data[section.offset : end]), f"{found.label}: section {WIT_SECTION}")
    beside = f"{os.path.splitext(path)[0]}.wit"
    if os.path.isfile(beside):
        with open(beside, "rb") as stream:
            return _parse(stream.read(_LARGEST_BYTES + 1), beside)
    functions = [
        _function(item.name, item.type)
        for item in found.info.callable_exports
        if item.type is not None and item.name not in FOR_THE_CALLER
    ]
    stem = os.path.splitext(os.path.basename(found.label))[0]
    return World(kebab_name(stem), tuple(functions))


def declaration_of(found: Found, export: str, function: FuncType) -> str:
    """Return an export as WIT: by the interface that its module carries, else by its core type.

    Raises `FormatError` for an interface that is none.
    """
    declared = interface_of(found, "").find(kebab_name(export)) if found.info.interface is not None else None
    return wit_of(export, function) if declared is None else print_function(declared)


def typed_signature(found: Found, export: str) -> str:
    """Return the signature of an export by the interface that its module carries, if it has strings or lists.

    Empty for any other, also if the interface has types that no core module has.
    """
    if found.info.interface is None:
        return ""
    function = interface_of(found, "").find(kebab_name(export))
    try:
        signature = "" if function is None else signature_of(function)
    except FormatError:
        return ""
    return signature if is_typed(signature) else ""


def _parse(data: bytes, label: str) -> World:
    try:
        return parse_wit(data.decode())
    except FormatError as error:
        raise error.within(label) from None
    except UnicodeDecodeError:
        raise FormatError("is not UTF-8", file=label) from None


def _function(name: str, function: FuncType) -> Function:
    params = tuple(Field(f"p{i}", Primitive(_PRIMITIVES[kind])) for i, kind in enumerate(function.params))
    results = tuple(Primitive(_PRIMITIVES[kind]) for kind in function.results)
    result = None if not results else results[0] if len(results) == 1 else Tuple(results)
    return Function(kebab_name(name), params, result)
