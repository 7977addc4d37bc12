"""Arguments for ``lawow profile --run``: what a static method of Java takes, as it is typed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence

from lawow.errors import FormatError, UsageError
from lawow.execution.argument_files import read_argument_file
from lawow.formats.dex.views import MethodView
from lawow.formats.elements import Argument, Packed, pack_elements
from lawow.formats.signature import Element, ListType, parse_typed_signature
from lawow.limits import PROVING
from lawow.refactor.binding import ELEMENTS
from lawow.refactor.findings import describe_method
from lawow.refactor.names import PLAIN_NAMES

__all__ = ["parse_arguments"]

_RANDOM = re.compile(r"random:(\d{1,9})")
_SEED = 1


def parse_arguments(method: MethodView, texts: Sequence[str]) -> list[Argument]:
    """Return the arguments of a call. Raises `UsageError` naming the one that does not fit."""
    kinds, label = method.proto.parameters, describe_method(method, PLAIN_NAMES)
    for kind in kinds:
        if kind.lstrip("[") not in ELEMENTS or kind.startswith("[["):
            raise UsageError(f"{label} takes {kind}; only numbers and arrays of numbers can be given")
    if len(kinds) != len(texts):
        raise UsageError(
            f"{label} takes {len(kinds)} arguments, found {len(texts)}; each is a number, true, a"
            " list such as [1, 2], random:COUNT, or @FILE for bytes"
        )
    source = random.Random(_SEED)
    return [_argument(at, *pair, source) for at, pair in enumerate(zip(kinds, texts, strict=True), 1)]


def _argument(at: int, kind: str, text: str, source: random.Random) -> Argument:
    """Return a number in its slot of 8 bytes, or a list."""
    try:
        if not kind.startswith("["):
            return _listed(kind, f"[{text}]").data.ljust(8, b"\0")
        if found := _RANDOM.fullmatch(text):
            return _random(_element(kind[1]), int(found[1]), source)
        if kind == "[B" and text.startswith("@"):
            content = read_argument_file(text[1:])
            return Packed(len(content), content)
        return _listed(kind[1], text)
    except FormatError as error:
        raise UsageError(f"argument {at}, of type {kind}: {error}") from None


def _element(kind: str) -> Element:
    """Return what a list of Java's type holds."""
    (listed,) = parse_typed_signature(f"[{ELEMENTS[kind]}>").params
    assert isinstance(listed, ListType)  # it was made so
    return listed.element


def _listed(kind: str, text: str) -> Packed:
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list):
        raise FormatError("is not what it must be", found=repr(text[:40]), allowed="JSON such as 1 or [1, 2]")
    return pack_elements(_element(kind), items)


def _random(element: Element, count: int, source: random.Random) -> Packed:
    """Return elements all over the range of an integer type, or from 0 to 1."""
    if count * element.size_bytes > PROVING.heap_bytes // 8:
        allowed = f"{PROVING.heap_bytes // 8 // element.size_bytes:,}"
        raise FormatError("is too long", found=f"{count:,} elements", allowed=allowed)
    if element.letter in "fF":
        return pack_elements(element, [source.random() for _ in range(count)])
    if element.letter == "z":
        return pack_elements(element, [source.random() < 0.5 for _ in range(count)])
    return Packed(count, source.randbytes(count * element.size_bytes))
