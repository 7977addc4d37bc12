"""Writes types, functions and worlds as WIT."""

from __future__ import annotations

import re

from lawow.formats.wit.types import (
    PRIMITIVES,
    UNSUPPORTED,
    Enumeration,
    Flags,
    Function,
    ListOf,
    Named,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    Variant,
    WitType,
    World,
    parts_of,
)

__all__ = ["print_function", "print_type", "print_wit"]


def print_type(item: WitType | None) -> str:
    """Return the type as a parameter's type is written; named types by their names where they have one."""
    match item:
        case None:
            return "_"
        case Primitive(name):
            return name
        case ListOf(element):
            return f"list<{print_type(element)}>"
        case Option(payload):
            return f"option<{print_type(payload)}>"
        case Tuple(items):
            return f"tuple<{', '.join(map(print_type, items))}>"
        case Result(ok, error):
            return _print_result(ok, error)
        case Record() | Variant() | Enumeration() | Flags():
            return (item.name and _identifier(item.name)) or _print_shape(item)


def _print_result(ok: WitType | None, error: WitType | None) -> str:
    if ok is None and error is None:
        return "result"
    return f"result<{print_type(ok)}>" if error is None else f"result<{print_type(ok)}, {print_type(error)}>"


def _print_shape(item: Named) -> str:
    """Return a definition without its name: what a component's type says of it."""
    return f"{_KEYWORDS[type(item)]} {{ {', '.join(_members(item))} }}"


_KEYWORDS: dict[type, str] = {Record: "record", Variant: "variant", Enumeration: "enum", Flags: "flags"}


def _members(item: Named) -> list[str]:
    match item:
        case Record(fields):
            return [f"{_identifier(field.name)}: {print_type(field.type)}" for field in fields]
        case Variant(cases):
            return [
                _identifier(case.name) + (f"({print_type(case.type)})" if case.type else "") for case in cases
            ]
        case Enumeration(names) | Flags(names):
            return [_identifier(name) for name in names]


def print_function(function: Function) -> str:
    """Return ``name: func(a: s32) -> s32``."""
    params = ", ".join(f"{_identifier(item.name)}: {print_type(item.type)}" for item in function.params)
    arrow = f" -> {print_type(function.result)}" if function.result is not None else ""
    return f"{_identifier(function.name)}: func({params}){arrow}"


def print_wit(world: World) -> str:
    """Return the whole document: the world with its type definitions and exports."""
    lines = [f"package {world.package};", "", f"world {_identifier(world.name)} {{"]
    for item in _definitions(world.functions):
        members = "".join(f"    {member},\n" for member in _members(item))
        lines += [f"  {_KEYWORDS[type(item)]} {_identifier(item.name)} {{\n{members}  }}", ""]
    lines += [f"  export {print_function(item)};" for item in world.functions if not item.interface]
    for name in dict.fromkeys(item.interface for item in world.functions if item.interface):
        inner = [f"    {print_function(item)};" for item in world.functions if item.interface == name]
        lines += [f"  export {_interface_label(name)}: interface {{", *inner, "  }"]
    return "\n".join([*lines, "}", ""])


def _interface_label(name: str) -> str:
    """Return an interface's name for an inline interface, which can have no package."""
    return _identifier(re.sub(r"@.*|^.*/", "", name))


def _definitions(functions: tuple[Function, ...]) -> list[Named]:
    """Return the named types that functions use, each after those it uses itself."""
    found: dict[str, Named] = {}

    def visit(item: WitType | None) -> None:
        for part in parts_of(item):
            visit(part)
        if isinstance(item, Record | Variant | Enumeration | Flags) and item.name:
            found.setdefault(item.name, item)

    for function in functions:
        for param in function.params:
            visit(param.type)
        visit(function.result)
    return list(found.values())


def _identifier(name: str) -> str:
    """Return a name as WIT writes it: a keyword needs a ``%``."""
    return f"%{name}" if name in _RESERVED else name


_RESERVED = PRIMITIVES | frozenset(
    (
        *UNSUPPORTED,
        *("as", "constructor", "enum", "export", "flags", "from", "func", "interface", "list", "option"),
        *("package", "record", "result", "static", "tuple", "type", "variant", "with", "world"),
    )
)
