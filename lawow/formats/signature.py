"""Signatures with strings and lists, and the core function types that they stand for.

The grammar continues the one of `lawow.formats.interface`, whose signatures it contains unchanged::

    signature := param* '>' result*
    param     := scalar | 'S' | '[' element | '&[' element
    result    := scalar | 'S' | '[' element      one alone if it is a string or a list, else scalars
    scalar    := 'i' i32 | 'I' i64 | 'f' f32 | 'F' f64
    element   := 'z' bool | 'b' s8 | 'c' u16 | 's' s16 | 'i' s32 | 'I' s64 | 'f' f32 | 'F' f64

``S`` is a string of UTF-8. ``[i`` is a list that is copied to where it goes; ``&[i`` is a parameter whose
contents after the call come back as well, as a callee in Java may change its caller's array.

A core module has no such types. It follows the component model's canonical ABI (``CanonicalABI.md``,
"Flattening", with as many flat parameters as there are): a string or list is an address and a length as a
parameter, and the address of such a pair as a result. `Signature.flat` is that core type, by which a
signature is checked against an export. Refused: lists of lists or strings, in-out results, another result
beside a string or list, more values than `lawow.limits.CALL.arguments`. Defined by docs/edge.md, "Values".
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.interface import LETTERS, FuncType, is_typed, kebab_name
from lawow.limits import CALL

__all__ = [
    "Element",
    "ListType",
    "ScalarType",
    "Signature",
    "StringType",
    "ValueType",
    "parse_typed_signature",
    "typed_wit_of",
]

TOKEN = re.compile(r"[iIfFS]|&?\[[zbcsiIfF]")
CHARACTERS_SHOWN = 64


@dataclass(frozen=True, slots=True)
class Element:
    """What a list holds. `size_bytes` is its alignment, too; `code` is its letter in `struct` and `array`."""

    letter: str
    wit: str
    size_bytes: int
    code: str


ELEMENTS = {
    item.letter: item
    for item in (
        Element("z", "bool", 1, "B"),
        Element("b", "s8", 1, "b"),
        Element("c", "u16", 2, "H"),
        Element("s", "s16", 2, "h"),
        Element("i", "s32", 4, "i"),
        Element("I", "s64", 8, "q"),
        Element("f", "f32", 4, "f"),
        Element("F", "f64", 8, "d"),
    )
}


@dataclass(frozen=True, slots=True)
class ScalarType:
    """One of the four number types, by its letter."""

    letter: str

    @property
    def wit(self) -> str:
        """The type as WIT writes it."""
        return ELEMENTS[self.letter].wit


@dataclass(frozen=True, slots=True)
class StringType:
    """A string of UTF-8; its length is counted in bytes."""

    wit: str = "string"
    size_bytes: int = 1


@dataclass(frozen=True, slots=True)
class ListType:
    """A list of numbers; with `is_in_out`, a parameter whose contents come back."""

    element: Element
    is_in_out: bool = False

    @property
    def wit(self) -> str:
        """The type as WIT writes it, which has no parameters that come back: a comment says so."""
        return f"list<{self.element.wit}>" + (" /* in-out */" if self.is_in_out else "")

    @property
    def size_bytes(self) -> int:
        """Size and alignment of one element."""
        return self.element.size_bytes


ValueType = ScalarType | StringType | ListType

_TYPES: dict[str, ValueType] = {
    **{letter: ScalarType(letter) for letter in LETTERS.values()},
    "S": StringType(),
    **{f"[{letter}": ListType(element) for letter, element in ELEMENTS.items()},
    **{f"&[{letter}": ListType(element, is_in_out=True) for letter, element in ELEMENTS.items()},
}
_CORE = {letter: name for name, letter in LETTERS.items()}


@dataclass(frozen=True, slots=True)
class Signature:
    """A parsed signature. `text` is what was parsed: each signature has one text.

    `is_core` tells whether all values are numbers: then the text is that of `lawow.formats.interface`.
    """

    text: str
    params: tuple[ValueType, ...]
    results: tuple[ValueType, ...]
    is_core: bool

    @property
    def flat(self) -> FuncType:
        """The core type of an export with this signature."""
        params = tuple(name for item in self.params for name in _flat(item))
        return FuncType(params, tuple(_flat(item)[0] for item in self.results))


def _flat(item: ValueType) -> tuple[str, ...]:
    return (_CORE[item.letter],) if isinstance(item, ScalarType) else ("i32", "i32")


@functools.lru_cache(maxsize=512)
def parse_typed_signature(text: str) -> Signature:
    """Return the signature that `text` writes. Raises `FormatError`, `LimitExceeded` (``arguments``)."""
    if len(text) > 6 * CALL.arguments + 1:
        raise LimitExceeded("arguments", f"{len(text)} characters of a signature", CALL.arguments)
    params_text, separator, results_text = text.partition(">")
    params, results = _types(params_text), _types(results_text)
    if not separator or params is None or results is None or not _may_be_results(results):
        raise FormatError(
            "is not a signature",
            found=repr(text[:CHARACTERS_SHOWN]),
            allowed="i I f F, S, [ or &[ with one of zbcsiIfF, and one >; results: numbers, or one S or list",
        )
    most = max(len(params), len(results))
    if most > CALL.arguments:
        raise LimitExceeded("arguments", most, CALL.arguments, subject="signature")
    return Signature(text, params, results, is_core=not is_typed(text))


def _types(text: str) -> tuple[ValueType, ...] | None:
    """Return the types that stand in `text` one after the other, or None if anything else stands there."""
    tokens = TOKEN.findall(text)
    if sum(map(len, tokens)) != len(text):
        return None
    return tuple(_TYPES[token] for token in tokens)


def _may_be_results(results: tuple[ValueType, ...]) -> bool:
    if len(results) == 1:
        return not (isinstance(results[0], ListType) and results[0].is_in_out)
    return all(isinstance(item, ScalarType) for item in results)


def typed_wit_of(name: str, signature: Signature) -> str:
    """Return the WIT declaration: ``sum: func(p0: list<s32>) -> s32``."""
    params = ", ".join(f"p{index}: {item.wit}" for index, item in enumerate(signature.params))
    results = [item.wit for item in signature.results]
    text = results[0] if len(results) == 1 else f"tuple<{', '.join(results)}>"
    return f"{kebab_name(name)}: func({params})" + (f" -> {text}" if results else "")
