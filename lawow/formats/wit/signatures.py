"""The signature by which a core module is called that has an interface in WIT."""

from __future__ import annotations

from lawow.errors import FormatError
from lawow.formats.wit.printing import print_type
from lawow.formats.wit.types import Function, ListOf, Primitive, Tuple, WitType

__all__ = ["signature_of"]

_SIGNATURE_SCALARS = {
    **dict.fromkeys(("bool", "s8", "s16", "s32", "u8", "u16", "u32", "char"), "i"),
    **dict.fromkeys(("s64", "u64"), "I"),
    "f32": "f",
    "f64": "F",
}
_SIGNATURE_ELEMENTS = {
    "bool": "z",
    "s8": "b",
    "u8": "b",
    "u16": "c",
    "s16": "s",
    "s32": "i",
    "u32": "i",
    "s64": "I",
    "u64": "I",
    "f32": "f",
    "f64": "F",
}


def signature_of(function: Function) -> str:
    """Return the signature by which a core module with this interface is called (`lawow.formats.signature`).

    Raises `FormatError` for types that only components have.
    """
    params = "".join(_signature_part(item.type) for item in function.params)
    if isinstance(function.result, Tuple):
        if not all(isinstance(item, Primitive) and item.name != "string" for item in function.result.items):
            raise FormatError("several results can only be numbers", found=print_type(function.result))
        return f"{params}>{''.join(map(_signature_part, function.result.items))}"
    return f"{params}>{'' if function.result is None else _signature_part(function.result)}"


def _signature_part(item: WitType | None) -> str:
    match item:
        case Primitive("string"):
            return "S"
        case Primitive(name):
            return _SIGNATURE_SCALARS[name]
        case ListOf(Primitive(name)) if name in _SIGNATURE_ELEMENTS:
            return f"[{_SIGNATURE_ELEMENTS[name]}"
    raise FormatError(
        "a core module has no such type", found=print_type(item), allowed="numbers, string, lists of numbers"
    )
