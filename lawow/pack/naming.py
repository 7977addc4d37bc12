"""Java names for modules and exports.

`insertion_sort.wasm` becomes the class `InsertionSortWasm` (`lawow refactor` finds the way back), an export
keeps its name where Java allows it. Source: the Java Language Specification 3.8 (identifiers), 3.9
(keywords).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lawow.errors import UsageError

__all__ = [
    "class_name",
    "is_class_name",
    "method_names",
    "parameter_names",
    "require_package",
    "string_literal",
]

_PACKAGE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_WORD = re.compile(r"[A-Za-z0-9]+")
_NOT_IN_IDENTIFIERS = re.compile(r"[^A-Za-z0-9_$]")
_MOST_NAME_CHARACTERS = 200  # a class file name must fit into 255 bytes

_KEYWORD_TEXT = """
_ abstract assert boolean break byte case catch char class const continue default do double else
enum extends false final finally float for goto if implements import instanceof int interface long
native new null package private protected public return short static strictfp super switch
synchronized this throw throws transient true try void volatile while
"""
_KEYWORDS = frozenset(_KEYWORD_TEXT.split())
# A static method must not have the name and parameters of an instance method of Object.
_METHODS_OF_OBJECT = frozenset(
    ("clone", "equals", "finalize", "getClass", "hashCode", "notify", "notifyAll", "toString", "wait")
)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def class_name(file: str) -> str:
    """Return the class of a module's file: ``insertion_sort.wasm`` -> ``InsertionSortWasm``."""
    words = _WORD.findall(file.removesuffix(".wasm"))
    name = "".join(word[0].upper() + word[1:] for word in words)
    if not name or name[0].isdigit():
        name = f"Module{name}"
    return f"{name[:_MOST_NAME_CHARACTERS]}Wasm"


def is_class_name(name: str) -> bool:
    """Tell whether Java allows this as the simple name of a class, in ASCII and without ``$``."""
    return (
        name.isascii()
        and name.isidentifier()
        and name not in _KEYWORDS
        and len(name) <= _MOST_NAME_CHARACTERS
    )


def method_names(exports: Iterable[str]) -> dict[str, str]:
    """Return a Java method name for each export: unique, and the export's own name where that is allowed.

    ``matrix-multiply`` -> ``matrix_multiply``, ``int`` -> ``int_``, a second ``matrix_multiply`` ->
    ``matrix_multiply_2``. An export whose name needs no change never loses it to another one.
    """
    ordered = list(exports)
    names = {export: export for export in ordered if _identifier(export) == export}
    taken = set(names.values())
    for export in ordered:
        if export in names:
            continue
        stem = name = _identifier(export)
        number = 2
        while name in taken:
            name = f"{stem}_{number}"
            number += 1
        names[export] = name
        taken.add(name)
    return {export: names[export] for export in ordered}


def parameter_names(names: Sequence[str]) -> list[str]:
    """Return Java names for a function's parameters: ``image-width`` -> ``imageWidth``, ``int`` -> ``int_``.

    The result is distinct; where two names would meet, all are ``p0``, ``p1`` and so on.
    """
    found = []
    for name in names:
        first, *others = [word.lower() for word in _WORD.findall(name)] or ["p"]
        camel = first + "".join(word.capitalize() for word in others)
        found.append(f"{camel}_" if camel in _KEYWORDS else camel)
    return found if len(set(found)) == len(found) else [f"p{index}" for index in range(len(found))]


def _identifier(export: str) -> str:
    name = _NOT_IN_IDENTIFIERS.sub("_", export)[:_MOST_NAME_CHARACTERS]
    if not name or name[0].isdigit():
        name = f"_{name}"
    return f"{name}_" if name in _KEYWORDS or name in _METHODS_OF_OBJECT else name


def require_package(name: str) -> str:
    """Return `name` if Java allows it as the name of a package. Raises `UsageError` otherwise."""
    if not _PACKAGE.fullmatch(name) or _KEYWORDS & set(name.split(".")):
        raise UsageError(f"{name!r} is not the name of a Java package; give one with --package")
    return name


def string_literal(text: str) -> str:
    """Return `text` as a Java string literal in ASCII."""
    return '"' + "".join(_escape(letter) for letter in text) + '"'


def _escape(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter < " " or letter == "\x7f":
        # Octal, because the compiler turns \\uXXXX into the character itself before it reads the literal.
        return f"\\{ord(letter):03o}"
    if letter.isascii():
        return letter
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
