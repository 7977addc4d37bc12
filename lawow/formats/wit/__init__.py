"""WIT, the component model's language for interfaces: types, functions, and the subset of the text read here.

Read and printed: one package, worlds and interfaces with functions and the type definitions ``record``,
``variant``, ``enum``, ``flags`` and ``type``, all value types that carry no handle. Refused by name:
``resource``, ``use``, ``include``, ``stream``, ``future``, ``own``, ``borrow``, and imports: an export that
needs one of them cannot be called with values alone. Reading takes time linear in the text.

Source: component model, ``design/mvp/WIT.md``. Anything that does not follow it raises `FormatError`.
"""

from __future__ import annotations

from lawow.formats.wit.printing import print_function, print_type, print_wit
from lawow.formats.wit.reading import parse_wit
from lawow.formats.wit.signatures import signature_of
from lawow.formats.wit.types import (
    Enumeration,
    Field,
    Flags,
    Function,
    ListOf,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    Variant,
    WitType,
    World,
)

__all__ = [
    "Enumeration",
    "Field",
    "Flags",
    "Function",
    "ListOf",
    "Option",
    "Primitive",
    "Record",
    "Result",
    "Tuple",
    "Variant",
    "WitType",
    "World",
    "parse_wit",
    "print_function",
    "print_type",
    "print_wit",
    "signature_of",
]
