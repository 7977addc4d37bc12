"""Generates arguments: edge values, small numbers, random bits, lengths that fit each other, aliases.

Pure functions fail at edges: the least integer, NaN, an empty array, an index that equals the length. But a
call that throws at once shows little, so in every second case all arrays have one length, and numbers may be
places in them. Strings are made of few letters, so that they have something in common, and of halves of
surrogate pairs. The same seed gives the same cases everywhere.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator, Sequence

from lawow.dalvik.api import Graph
from lawow.dalvik.words import STRING
from lawow.formats.elements import Argument, Packed, SameAs
from lawow.proving.cases import SIZES, Case, Value, is_array
from lawow.proving.graphs import Node, item_kinds

__all__ = ["generate_cases"]

_LENGTHS = (0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 256)
_SIDES = (0, 1, 2, 3, 4, 5, 8, 13, 20)
_DEEPEST = 5
"""Steps from an argument; a list of objects may have no end."""
_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, 255.0, 1e-3, 1e9, -2147483648.0, 2147483648.0, 9.3e18)
_SPECIAL_FLOATS = (0x7FC00000, 0x7F800000, 0xFF800000, 0x00000001, 0x007FFFFF, 0x7F7FFFFF)
_SPECIAL_DOUBLES = (0x7FF8 << 48, 0x7FF0 << 48, 0xFFF0 << 48, 1, (1 << 52) - 1, 0x7FEFFFFFFFFFFFFF)
_FORMATS = {"F": ("<f", 4, _SPECIAL_FLOATS), "D": ("<d", 8, _SPECIAL_DOUBLES)}
_STYLES = 5
_ALPHABETS = ("ab", "0123456789+-.", " \t\n;,/x", "Aa\u00e9\u20ac\ud83d\ude00", "\0\x7f\xff\u0100\uffff")
_PLACE = _STYLES + 1
"""The style of a number that may be a place in an array, or its length."""


class _Source:
    """Random choices of one method's cases."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, count: int) -> int:
        return self._random.getrandbits(32) % count

    def bits(self, count: int) -> int:
        return self._random.getrandbits(count)

    def one_in(self, count: int) -> bool:
        return self.below(count) == 0

    def pick(self, items: Sequence[int]) -> int:
        return items[self.below(len(items))]


def generate_cases(
    subject: int, parameters: Sequence[str], seed: int, graph: Graph | None = None, *, has_this: bool = False
) -> Iterator[Case]:
    """Yield cases for a method of these parameter types, without end. `has_this`: the first is not null."""
    source = _Source(seed)
    while graph:
        yield Case(subject, tuple(_Garden(source, graph).values(parameters, has_this=has_this)), graph)
    while True:
        length = source.pick(_LENGTHS)
        is_tame = source.one_in(2)
        arguments: list[Argument] = []
        for index, kind in enumerate(parameters):
            if kind == STRING:
                count = length if is_tame else source.pick(_LENGTHS)
                arguments.append(_text(source, count))
                continue
            if not is_array(kind):
                style = _PLACE if is_tame else source.below(_STYLES)
                arguments.append(_number(source, kind, style, length))
                continue
            others = [at for at in range(index) if parameters[at] == kind]
            if others and source.one_in(6):
                first = source.pick(others)
                same = arguments[first]
                arguments.append(same if isinstance(same, SameAs) else SameAs(first))
            else:
                count = length if is_tame or source.one_in(2) else source.pick(_LENGTHS)
                arguments.append(_array(source, kind[1], count, length))
        yield Case(subject, tuple(arguments))


class _Garden:
    """The graph of one case: its nodes may be shared, and null."""

    def __init__(self, source: _Source, graph: Graph) -> None:
        self._source = source
        self._types = {item.descriptor: item for item in graph.types}
        self._known: dict[str, list[Node]] = {}
        self._is_tame = source.one_in(2)
        self._length = source.pick(_SIDES)

    def values(self, parameters: Sequence[str], *, has_this: bool) -> Iterator[Value]:
        """Yield the arguments."""
        for number, kind in enumerate(parameters):
            if kind in self._types:
                yield self._node(kind, 0) if has_this and not number else self._reference(kind, 0)
            else:
                style = _PLACE if self._is_tame else self._source.below(_STYLES)
                yield _number(self._source, kind, style, self._length)

    def _reference(self, kind: str, depth: int) -> Node | None:
        source, known = self._source, self._known.get(kind, ())
        if source.one_in(16) or depth > _DEEPEST:
            return None
        if known and source.one_in(6):
            return known[source.below(len(known))]
        return self._node(kind, depth)

    def _node(self, kind: str, depth: int) -> Node:
        source = self._source
        node = Node(self._types[kind], [])
        self._known.setdefault(kind, []).append(node)
        if kind == STRING:
            node.items[:] = struct.unpack(f"<{self._length}H", _text(source, self._length).data)
            return node
        count = self._length if self._is_tame or source.one_in(3) else source.pick(_SIDES)
        count = len(node.type.fields) if kind[0] == "L" else count
        style = source.below(_STYLES)
        for item in item_kinds(node.type, count):
            if item[0] in "[L":
                node.items.append(self._reference(item, depth + 1))
            else:
                style = _PLACE if self._is_tame and kind[0] == "L" else style
                node.items.append(int.from_bytes(_element(source, item, style, self._length), "little"))
        return node


def _number(source: _Source, kind: str, style: int, length: int) -> bytes:
    """Return one number in its slot of 8 bytes; a guest gets bytes and shorts with their sign."""
    element = _element(source, kind, style, length)
    if kind in "BS":
        element = int.from_bytes(element, "little", signed=True).to_bytes(4, "little", signed=True)
    return element.ljust(8, b"\0")


def _array(source: _Source, kind: str, count: int, length: int) -> Packed:
    style = source.below(_STYLES + 1)
    if style == _STYLES:  # one value all over
        return Packed(count, _element(source, kind, source.below(_STYLES), length) * count)
    return Packed(count, b"".join(_element(source, kind, style, length) for _ in range(count)))


def _text(source: _Source, count: int) -> Packed:
    """Return a string of so many letters, one in four of all letters there are."""
    if source.one_in(4):
        return Packed(count, source.bits(16 * count).to_bytes(2 * count, "little") if count else b"")
    letters = _ALPHABETS[source.below(len(_ALPHABETS))]
    text = "".join(letters[source.below(len(letters))] for _ in range(count))
    return Packed(count, text.encode("utf-16-le", "surrogatepass"))


def _element(source: _Source, kind: str, style: int, length: int) -> bytes:
    """Return one number as it lies in memory; the style says how wild it is."""
    if kind == "Z":
        return bytes([source.below(2)])
    if kind in "FD":
        return _float(source, kind, style)
    bits = 8 * SIZES[kind]
    if style == _PLACE:
        value = source.below(length + 1)
    elif style == 0:
        value = source.below(16)
    elif style == 1:
        value = length + source.below(3) - 1 if source.one_in(2) else source.below(max(1, length))
    elif style == 2:
        value = source.below(512) - 256
    elif style == 3:
        power = 1 << (bits - 1 if source.one_in(2) else source.below(bits))
        value = source.pick((power, power - 1, -power, -power - 1))
    else:
        value = source.bits(bits)
    return (value & (1 << bits) - 1).to_bytes(SIZES[kind], "little")


def _float(source: _Source, kind: str, style: int) -> bytes:
    code, size, special = _FORMATS[kind]
    if style in (_PLACE, 0, 1):
        return struct.pack(code, (source.below(512) - 256) / 8)
    if style == 2:
        return struct.pack(code, _FLOATS[source.below(len(_FLOATS))])
    data = source.bits(8 * size).to_bytes(size, "little")
    if style == 3 or math.isnan(struct.unpack(code, data)[0]):  # payloads of NaN mean nothing in WebAssembly
        return source.pick(special).to_bytes(size, "little")
    return data
