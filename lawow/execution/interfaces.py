"""The interface of a core module as WIT: the one it carries or that lies beside it, else its core types."""

from __future__ import annotations

import os

from lawow.errors import FormatError
from lawow.execution.extractor import Found
from lawow.formats.interface import FuncType, kebab_name
from lawow.formats.wit import Field, Function, Primitive, Tuple, World, parse_wit

__all__ = ["WIT_SECTION", "interface_of"]

WIT_SECTION = "lawow:wit"
"""Custom section with the interface as text, as `lawow build` writes it."""

_PRIMITIVES = {"i32": "s32", "i64": "s64", "f32": "f32", "f64": "f64"}
_HIDDEN = ("_initialize", "cabi_realloc")
_LARGEST_BYTES = 1 << 20


def interface_of(found: Found, path: str) -> World:
    """Return what a module exports; `path` is its file, beside which a ``.wit`` may lie.

    Raises `FormatError` for a WIT text that is none.
    """
    section = next((item for item in found.info.custom_sections if item.name == WIT_SECTION), None)
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
        if item.type is not None and item.name not in _HIDDEN
    ]
    stem = os.path.splitext(os.path.basename(found.label))[0]
    return World(kebab_name(stem), tuple(functions))


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
