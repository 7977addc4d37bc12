"""What WIT describes: types, functions, worlds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "PRIMITIVES",
    "UNSUPPORTED",
    "Enumeration",
    "Field",
    "Flags",
    "Function",
    "ListOf",
    "Named",
    "Option",
    "Primitive",
    "Record",
    "Result",
    "Tuple",
    "Variant",
    "WitType",
    "World",
    "parts_of",
]

PRIMITIVES = frozenset(
    ("bool", "s8", "s16", "s32", "s64", "u8", "u16", "u32", "u64", "f32", "f64", "char", "string")
)
UNSUPPORTED = ("resource", "use", "include", "stream", "future", "own", "borrow", "import", "map", "async")
"""Keywords of what can't be called with values alone."""


@dataclass(frozen=True, slots=True)
class Primitive:
    """A number, ``bool``, ``char`` or ``string``, by its name in WIT."""

    name: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """``list<element>``."""

    element: WitType


@dataclass(frozen=True, slots=True)
class Option:
    """``option<payload>``."""

    payload: WitType


@dataclass(frozen=True, slots=True)
class Result:
    """``result<ok, error>``; either may carry nothing."""

    ok: WitType | None
    error: WitType | None


@dataclass(frozen=True, slots=True)
class Tuple:
    """``tuple<a, b>``."""

    items: tuple[WitType, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A named type: a parameter, a record's field, or a variant's case, which may carry nothing."""

    name: str
    type: WitType | None


@dataclass(frozen=True, slots=True)
class Record:
    """``record``; `name` is empty where it is not known."""

    fields: tuple[Field, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Variant:
    """``variant``."""

    cases: tuple[Field, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Enumeration:
    """``enum``."""

    cases: tuple[str, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Flags:
    """``flags``."""

    names: tuple[str, ...]
    name: str = ""


WitType = Primitive | ListOf | Option | Result | Tuple | Record | Variant | Enumeration | Flags
Named = Record | Variant | Enumeration | Flags


@dataclass(frozen=True, slots=True)
class Function:
    """A function. `interface` is the name of the exported interface that it belongs to, or empty."""

    name: str
    params: tuple[Field, ...]
    result: WitType | None
    interface: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """What a module or component exports. `package` is ``namespace:name``, possibly with a version."""

    name: str
    functions: tuple[Function, ...]
    package: str = "lawow:modules"

    def find(self, name: str) -> Function | None:
        """Return the function called `name`, or ``interface#name`` for one of an interface."""
        for item in self.functions:
            full = f"{item.interface}#{item.name}" if item.interface else item.name
            if name in (item.name, full):
                return item
        return None


def parts_of(item: WitType | None) -> tuple[WitType | None, ...]:
    """Return the types that a type is made of."""
    match item:
        case ListOf(inner) | Option(inner):
            return (inner,)
        case Tuple(items):
            return items
        case Result(ok, error):
            return (ok, error)
        case Record(members) | Variant(members):
            return tuple(member.type for member in members)
    return ()
