"""Names of the dex format in a sentence, as Java has them.

``calls La/B;->f(Ljava/lang/Object;I)V`` becomes ``calls a.B.f(Object, int)``, ``reads La/B;->x:I`` becomes
``reads a.B.x``, and ``[Ljava/lang/String;`` alone becomes ``java.lang.String[]``.
"""

from __future__ import annotations

import re

from lawow.formats.dex.names import java_name
from lawow.formats.dex.symbols import parse_method_descriptor
from lawow.formats.mapping import PRIMITIVES

__all__ = ["in_java"]

_NAMES = {letter: name for name, letter in PRIMITIVES.items()}
_CLASS = r"L[^;\[.()\s]+;"
_KIND = rf"\[{{0,255}}(?:[VZBSCIJFD]|{_CLASS})"
_MEMBER = re.compile(rf"({_KIND})->([^\s:(]+)(?:(\((?:{_KIND})*\){_KIND})|:{_KIND})")
_LONE_CLASS = re.compile(r"(?<![\w/.])\[{0,255}L[^;\[.()\s/]+/[^;\[.()\s]+;")
"""With a package, which tells it from a word in front of a semicolon."""


def in_java(text: str) -> str:
    """Return the text with Java's names; whatever is not the name of a class or of a member stays."""
    return _LONE_CLASS.sub(lambda found: _type(found[0]), _MEMBER.sub(_member, text))


def _member(found: re.Match[str]) -> str:
    owner, name, descriptor = found.groups()
    if descriptor is None:
        return f"{_type(owner)}.{name}"
    types = [_type(item).rpartition(".")[2] for item in parse_method_descriptor(descriptor).parameters]
    return f"{_type(owner)}.{name}({', '.join(types)})"


def _type(descriptor: str) -> str:
    element = descriptor.lstrip("[")
    return _NAMES.get(element, java_name(element)) + "[]" * (len(descriptor) - len(element))
