"""How a translated method is called from outside: names, signatures, the interface.

Lists come as an address and a count, in memory that ``cabi_realloc`` gave: they are the arrays themselves,
not copied. The same list twice is the same array. ``&[`` marks those that the method writes. What is more
than that is a graph (`lawow.dalvik.graphs`). See docs/dalvik.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lawow.dalvik.api import ExportedMethod, Parameter
from lawow.dalvik.effects import Effects
from lawow.dalvik.graphs import crosses_alone, graph_of
from lawow.dalvik.ir import Obstacle
from lawow.dalvik.kinds import kind_of_type
from lawow.dalvik.methods import Analysis
from lawow.dalvik.unit import ModuleUnit
from lawow.dalvik.words import STRING
from lawow.formats.dex import MethodRef
from lawow.formats.interface import kebab_name
from lawow.formats.signature import ListType, parse_typed_signature
from lawow.formats.wit import Field, ListOf, Primitive, WitType, World, print_wit
from lawow.formats.wit import Function as WitFunction

__all__ = ["describe", "name_exports", "wit_of"]

_NAME = re.compile("[A-Za-z][A-Za-z0-9_$]{0,200}")
_RESERVED = ("memory", "cabi-realloc")
_LETTERS = {"Z": "z", "B": "b", "C": "c", "S": "s", "I": "i", "J": "I", "F": "f", "D": "F"}
_KIND_LETTERS = {"i": "i", "j": "I", "f": "f", "d": "F"}


def describe(analysis: Analysis, effects: Effects, unit: ModuleUnit, export: str) -> ExportedMethod:
    """Return how a method is called. Raises `Obstacle` for one that can't be called from outside."""
    body = analysis.body
    if body.method.name == "<init>":
        raise Obstacle("is a constructor: what it fills is made where it is called")
    parameters = tuple(
        Parameter(descriptor, descriptor != STRING and number in effects.written)
        for number, descriptor in enumerate(body.parameters)
    )
    graph = None
    if not all(map(crosses_alone, (*body.parameters, body.returns))):
        graph = graph_of(body.parameters, body.returns, effects, unit)
    signature = _signature(parameters, body.returns, has_graph=graph is not None)
    checked = f"&[i{signature}"
    return ExportedMethod(
        body.method,
        export,
        signature,
        f"{export}_checked",
        checked,
        parameters,
        body.returns,
        graph,
        body.has_this,
    )


def _signature(parameters: Iterable[Parameter], returns: str, *, has_graph: bool) -> str:
    if has_graph:
        kinds = (kind_of_type(item.descriptor) for item in parameters)
        return f"[b{''.join(_KIND_LETTERS[kind] for kind in kinds if kind != 'l')}>[b"
    # Two lists can only be the same if their types are: where one is written, all of its Java type come back.
    written = {item.descriptor for item in parameters if item.is_written}
    text = "".join(_letters(item.descriptor, is_in_out=item.descriptor in written) for item in parameters)
    return f"{text}>{'' if returns == 'V' else _letters(returns, is_in_out=False)}"


def _letters(descriptor: str, *, is_in_out: bool) -> str:
    if descriptor == STRING:
        return "[c"
    if descriptor[0] != "[":
        return _KIND_LETTERS[kind_of_type(descriptor)]
    return f"{'&' if is_in_out else ''}[{_LETTERS[descriptor[1]]}"


def name_exports(methods: Iterable[MethodRef]) -> dict[MethodRef, str]:
    """Return an export's name for each method: its own, with a number where several have the same."""
    names: dict[MethodRef, str] = {}
    taken = set(_RESERVED)
    numbers: dict[str, int] = {}
    for method in methods:
        base = method.name if _NAME.fullmatch(method.name) else "method"
        number = numbers.get(base, 1)
        name = base if number == 1 else f"{base}_v{number}"
        while kebab_name(name) in taken or kebab_name(f"{name}_checked") in taken:
            number += 1
            name = f"{base}_v{number}"
        numbers[base] = number + 1
        taken |= {kebab_name(name), kebab_name(f"{name}_checked")}
        names[method] = name
    return names


def wit_of(exports: Iterable[ExportedMethod]) -> str:
    """Return the interface of a module as WIT."""
    functions = [
        _wit_function(name, signature)
        for item in exports
        for name, signature in ((item.export, item.signature), (item.checked, item.checked_signature))
    ]
    return print_wit(World("translated", tuple(functions)))


def _wit_function(name: str, text: str) -> WitFunction:
    signature = parse_typed_signature(text)
    params = [Field(f"p{number}", _wit_type(item)) for number, item in enumerate(signature.params)]
    result = _wit_type(signature.results[0]) if signature.results else None
    return WitFunction(kebab_name(name), tuple(params), result)


def _wit_type(item: object) -> WitType:
    if isinstance(item, ListType):
        return ListOf(Primitive(item.element.wit))
    return Primitive(str(getattr(item, "wit", "")))
