"""The C source by which `liblawownative.so` calls a module's tagged functions: one table, one function each.

Each function takes values of one shape (``lawow_native.h``) and calls the tagged one with its own types, so
that nothing on the device has to build calls at run time. Refused: nothing that an interface has
been made of.
"""

from __future__ import annotations

from collections.abc import Sequence

from lawow.build.prototypes import Prototype
from lawow.formats.wit import ListOf, Primitive, WitType, signature_of

__all__ = ["native_glue"]

_C_TYPES = {
    "bool": "bool",
    **{f"s{bits}": f"int{bits}_t" for bits in (8, 16, 32, 64)},
    **{f"u{bits}": f"uint{bits}_t" for bits in (8, 16, 32, 64)},
    "f32": "float",
    "f64": "double",
}
_NARROW = ("s8", "s16", "s32")


def native_glue(prototypes: Sequence[Prototype], digest: str) -> str:
    """Return the source; `digest` is the SHA-256 of the WebAssembly module of the same functions."""
    parts = ['#include "lawow.h"\n#include "lawow_native.h"\n']
    rows = []
    for index, item in enumerate(prototypes):
        parts.append(_wrapper(index, item))
        rows.append(f'  {{"{item.c_name}", "{signature_of(item.function)}", call_{index}}},\n')
    parts.append(f"static const lawow_function functions[] = {{\n{''.join(rows)}}};\n")
    parts.append(
        '__attribute__((visibility("default"))) const lawow_module lawow_native_module = {\n'
        f'  LAWOW_NATIVE_VERSION, {len(rows)}, "{digest}", functions}};\n'
    )
    return "".join(parts)


def _wrapper(index: int, prototype: Prototype) -> str:
    """Return a declaration under a name that meets no other, and the function around it."""
    function = prototype.function
    types = [_parameter_type(item.type) for item in function.params]
    values = [_argument(at, item.type) for at, item in enumerate(function.params)]
    call = f"tagged_{index}({', '.join(values)})"
    return (
        f"extern {_result_type(function.result)} tagged_{index}({', '.join(types) or 'void'})"
        f' __asm__("{prototype.c_name}");\n'
        f"static void call_{index}(const lawow_value *arguments, lawow_value *result) {{\n"
        f"  (void)arguments;\n  (void)result;\n{_statement(function.result, call)}}}\n"
    )


def _parameter_type(item: WitType | None) -> str:
    return "void *, size_t" if _is_area(item) else _C_TYPES[_name(item)]


def _result_type(item: WitType | None) -> str:
    if item is None:
        return "void"
    return "const lawow_area *" if _is_area(item) else _C_TYPES[_name(item)]


def _argument(at: int, item: WitType | None) -> str:
    value = f"arguments[{at}]"
    if _is_area(item):
        return f"{value}.data, (size_t){value}.bits"
    name = _name(item)
    if name in ("f32", "f64"):
        return f"lawow_{name}({value}.bits)"
    return f"(uint32_t){value}.bits != 0" if name == "bool" else f"({_C_TYPES[name]}){value}.bits"


def _statement(item: WitType | None, call: str) -> str:
    if item is None:
        return f"  {call};\n"
    if _is_area(item):
        copy = "  if (area) *result = (lawow_value){area->count, (void *)area->data};\n"
        return f"  const lawow_area *area = {call};\n{copy}"
    name = _name(item)
    if name in ("f32", "f64"):
        return f"  result->bits = lawow_{name}_bits({call});\n"
    width = "uint32_t" if name in _NARROW else "uint64_t"
    return f"  result->bits = ({width}){call};\n"


def _is_area(item: WitType | None) -> bool:
    return isinstance(item, ListOf) or item == Primitive("string")


def _name(item: WitType | None) -> str:
    assert isinstance(item, Primitive)  # prototypes have nothing else
    return item.name
