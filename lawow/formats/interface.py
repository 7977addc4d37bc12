"""Signatures: core WebAssembly types, their one-letter form, and the WIT types that they mean.

A core module without WIT has the obvious signature of its core types: ``i32`` is ``s32``, ``i64`` is
``s64``. Letters are used where a signature must be short and comparable as a string (bundles, generated
classes, the edge's API): ``i`` i32, ``I`` i64, ``f`` f32, ``F`` f64; parameters, ``>``, results: ``iI>F``.
Other value types (v128, references) have no letter: such a function cannot be called from outside.
Definitions: WebAssembly specification 2.3.1 (number types), component model ``WIT.md`` (value types,
names).

On the start path of ``lawow exec``: imports nothing but `lawow.errors`.
"""

from __future__ import annotations

from lawow.errors import FormatError

__all__ = [
    "FOR_THE_CALLER",
    "LETTERS",
    "PREFIX",
    "START_EXPORT",
    "FuncType",
    "is_typed",
    "kebab_name",
    "parse_signature",
    "signature_letters",
    "wit_of",
]

FOR_THE_CALLER = ("_initialize", "cabi_realloc")
"""Exports that whoever runs a module calls by itself, and that no list for people shows."""

PREFIX = "lawow:"
"""Before the name of every export that LAWOW adds; no such name is listed as an export of the module."""

START_EXPORT = f"{PREFIX}start"
"""The start function, where LAWOW made an export of it."""

LETTERS = {"i32": "i", "i64": "I", "f32": "f", "f64": "F"}
"""Core type -> letter; the value types that can cross the boundary."""

_TYPES = {letter: name for name, letter in LETTERS.items()}
_WIT = {"i32": "s32", "i64": "s64", "f32": "f32", "f64": "f64"}


class FuncType:
    """A function type: names of value types as the specification's text format writes them.

    An immutable value. No dataclass, because importing `dataclasses` takes longer than a whole short call.
    """

    __slots__ = ("params", "results")

    params: tuple[str, ...]
    results: tuple[str, ...]

    def __init__(self, params: tuple[str, ...], results: tuple[str, ...]) -> None:
        object.__setattr__(self, "params", params)
        object.__setattr__(self, "results", results)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"FuncType is immutable: {name}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FuncType):
            return NotImplemented
        return self.params == other.params and self.results == other.results

    def __hash__(self) -> int:
        return hash((self.params, self.results))

    def __repr__(self) -> str:
        return f"FuncType({self.params!r}, {self.results!r})"

    def __str__(self) -> str:
        """The type as the text format shows it: ``(i32, i32) -> i64``."""
        results = ", ".join(self.results)
        return f"({', '.join(self.params)}) -> {results if len(self.results) == 1 else f'({results})'}"

    @property
    def is_callable(self) -> bool:
        """Whether every parameter and result is one of the four number types."""
        return all(name in LETTERS for name in self.params + self.results)


def signature_letters(function: FuncType) -> str:
    """Return ``iI>F`` for (i32, i64) -> f64. Raises `FormatError` for a type without a letter."""
    return f"{_letters(function.params)}>{_letters(function.results)}"


def _letters(names: tuple[str, ...]) -> str:
    for name in names:
        if name not in LETTERS:
            raise FormatError(
                "the type has no form outside of WebAssembly", found=name, allowed=", ".join(LETTERS)
            )
    return "".join(LETTERS[name] for name in names)


def parse_signature(letters: str) -> FuncType:
    """Return the function type that `signature_letters` wrote. Raises `FormatError`."""
    params, separator, results = letters.partition(">")
    if not separator or not all(letter in _TYPES for letter in params + results):
        raise FormatError(
            "is not a signature", found=repr(letters[:64]), allowed="letters i I f F, and one >"
        )
    return FuncType(tuple(_TYPES[item] for item in params), tuple(_TYPES[item] for item in results))


def is_typed(signature: str) -> bool:
    """Tell whether a signature has strings or lists, for which there is `lawow.formats.signature`."""
    return "S" in signature or "[" in signature


def wit_of(name: str, function: FuncType) -> str:
    """Return the WIT declaration of an export: ``fib: func(p0: s32) -> s32``.

    Types that WIT lacks (v128, references) stand under their core name, as a reader must see why the function
    cannot be called.
    """
    params = ", ".join(f"p{index}: {_WIT.get(item, item)}" for index, item in enumerate(function.params))
    results = [_WIT.get(item, item) for item in function.results]
    arrow = (
        ""
        if not results
        else f" -> {results[0]}"
        if len(results) == 1
        else f" -> tuple<{', '.join(results)}>"
    )
    return f"{kebab_name(name)}: func({params}){arrow}"


def kebab_name(name: str) -> str:
    """Return `name` as WIT writes names: words of letters and digits, joined by ``-``.

    ``matrixMultiply`` and ``matrix_multiply`` become ``matrix-multiply``; what WIT cannot say is left out,
    and a name of which nothing is left becomes ``unnamed``.
    """
    words: list[str] = []
    previous = ""
    for letter in name:
        if not (letter.isascii() and letter.isalnum()):
            previous = ""
            continue
        starts_word = not previous or (letter.isupper() and previous.islower())
        if not words or (starts_word and letter.isalpha()):
            words.append("" if letter.isalpha() else "n")  # a word begins with a letter
        words[-1] += letter.lower()
        previous = letter
    return "-".join(words) or "unnamed"
