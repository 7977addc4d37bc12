"""Object graphs as values: made for a call, written as a module takes them, read back, compared.

The layout is that of `lawow.dalvik.graphs`. What a call left behind is compared as a dump: nodes are numbered
in the order in which they are found from the result and the arguments, so two graphs have the same dump if
and only if they are alike, with everything that is shared in them; but for equal strings, which the class
library may make one or not. The JVM writes the same dump (`JudgeGraphs.java`).
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lawow.dalvik.api import Graph, GraphType
from lawow.dalvik.words import STRING
from lawow.errors import FormatError
from lawow.formats.bytes import align_up

__all__ = ["Answer", "Image", "Node", "dump", "item_kinds", "plain_bits"]

_HEAD = struct.Struct("<II")
_RECORD = struct.Struct("<IIII")
_SIGNED = {"B": 8, "S": 16, "I": 32, "J": 64, "F": 32, "D": 64}
_UNSIGNED = {"Z": 8, "C": 16}
_NAN = {"F": (0x7F800000, 0x7FC00000, 0x7FFFFFFF), "D": (0x7FF << 52, 0x7FF8 << 48, (1 << 63) - 1)}


@dataclass(eq=False, slots=True)
class Node:
    """An array, a string or an object: elements or fields, numbers as bits. Each node is itself alone."""

    type: GraphType
    items: list[int | Node | None]


def item_kinds(kind: GraphType, count: int) -> list[str]:
    """Return the types of a node's items."""
    if kind.descriptor == STRING:
        return ["C"] * count
    return [kind.descriptor[1:]] * count if kind.descriptor[0] == "[" else [item.type for item in kind.fields]


def _sizes(kind: GraphType, count: int) -> int:
    return align_up(count << (kind.word & 3), 8)


class Image:
    """The list that goes into a module. `data` are its bytes."""

    def __init__(self, graph: Graph, roots: Sequence[Node | None]) -> None:
        self.graph = graph
        self._roots = roots
        self._at: dict[int, Node] = {}
        self._offsets: dict[Node, int] = {}
        end = align_up(8 + 4 * len(roots), 8)
        waiting: deque[int | Node | None] = deque(roots)
        while waiting:
            node = waiting.popleft()
            if isinstance(node, Node) and node not in self._offsets:
                self._offsets[node], self._at[end] = end, node
                end += 8 + _sizes(node.type, len(node.items))
                waiting += node.items
        self.data = self._written(end)

    def _written(self, size: int) -> bytes:
        data = bytearray(size)
        head = [len(self._roots), 0, *(self._offset(root) for root in self._roots)]
        struct.pack_into(f"<{len(head)}I", data, 0, *head)
        for offset, node in self._at.items():
            _HEAD.pack_into(data, offset, len(node.items), node.type.word)
            step = 1 << (node.type.word & 3)
            mask = (1 << 8 * step) - 1
            kinds = item_kinds(node.type, len(node.items))
            numbers = [
                _signed(kind, item) & mask if isinstance(item, int) else self._offset(item)
                for kind, item in zip(kinds, node.items, strict=True)
            ]
            content = b"".join(number.to_bytes(step, "little") for number in numbers)
            data[offset + 8 : offset + 8 + len(content)] = content
        return bytes(data)

    def _offset(self, node: int | Node | None) -> int:
        return self._offsets[node] if isinstance(node, Node) else 0

    def answered(self, out: bytes) -> Answer:
        """Return what a module's answer says. Raises `FormatError`."""
        return Answer(self, out)

    def roots_in(self, nodes: dict[int, Node]) -> list[Node | None]:
        """Return the roots as they are after a call."""
        return [None if root is None else nodes[self._offsets[root]] for root in self._roots]

    def copies(self) -> dict[int, Node]:
        """Return a copy of every node, by its offset."""
        copies = {offset: Node(node.type, list(node.items)) for offset, node in self._at.items()}
        for node in copies.values():
            node.items[:] = [
                copies[self._offsets[item]] if isinstance(item, Node) else item for item in node.items
            ]
        return copies


class Answer:
    """The graph after a call. `bits` is the result as it came; `roots` are those that went in."""

    def __init__(self, image: Image, out: bytes) -> None:
        self._types = {item.word >> 16: item for item in image.graph.types}
        self._nodes = image.copies()
        if len(out) < 16:
            raise FormatError("is cut off", structure="answer of a graph", offset=len(out))
        self.bits = int.from_bytes(out[:8], "little")
        records = list(self._records(out))
        for which, kind, content in records:
            known = self._nodes.setdefault(which, Node(kind, []))
            if known.type.descriptor != kind.descriptor or (known.items and len(known.items) != len(content)):
                raise FormatError("is of another type now", structure="node", offset=which)
        for which, kind, content in records:
            kinds = item_kinds(kind, len(content))
            self._nodes[which].items[:] = [
                self.node(value) if item[0] in "[L" else value & _mask(item)
                for item, value in zip(kinds, content, strict=True)
            ]
        self.roots = image.roots_in(self._nodes)

    def _records(self, out: bytes) -> Iterable[tuple[int, GraphType, list[int]]]:
        at = 16
        while at < len(out):
            if at + 16 > len(out):
                raise FormatError("is cut off", structure="node", offset=at)
            which, _, count, word = _RECORD.unpack_from(out, at)
            kind = self._types.get(word >> 16)
            if kind is None or at + 16 + _sizes(kind, count) > len(out):
                raise FormatError("is not what it says", structure="node", offset=at)
            step = 1 << (kind.word & 3)
            first = at + 16
            yield (
                which,
                kind,
                [
                    int.from_bytes(out[place : place + step], "little")
                    for place in range(first, first + count * step, step)
                ],
            )
            at = first + _sizes(kind, count)

    def node(self, offset: int) -> Node | None:
        """Return the node that a reference is to."""
        if not offset:
            return None
        if offset not in self._nodes:
            raise FormatError("is a reference to nothing", structure="reference", found=str(offset))
        return self._nodes[offset]


def _mask(kind: str) -> int:
    return (1 << {**_SIGNED, **_UNSIGNED}[kind]) - 1


def _signed(kind: str, bits: int) -> int:
    """Return a number as Java widens it to 64 bits."""
    bits &= _mask(kind)
    width = _SIGNED.get(kind)
    return bits - (1 << width) if width and bits >> (width - 1) else bits


def plain_bits(kind: str, bits: int) -> int:
    """Return a number as Java widens it to 64 bits, every NaN as the same one."""
    bits &= _mask(kind)
    if kind in _NAN:
        infinity, nan, magnitude = _NAN[kind]
        bits = nan if bits & magnitude > infinity else bits
    return _signed(kind, bits)


def dump(values: Iterable[tuple[str, int | Node | None]]) -> bytes:
    """Return what can be reached from some values of these types."""
    numbers: dict[object, int] = {}
    order: list[Node] = []
    out = bytearray()

    def write(kind: str, value: int | Node | None) -> None:
        if kind[0] not in "[L":
            out.extend(struct.pack(">q", plain_bits(kind, value if isinstance(value, int) else 0)))
            return
        if not isinstance(value, Node):
            out.extend(bytes(4))
            return
        key = tuple(value.items) if value.type.descriptor == STRING else value
        if key not in numbers:
            numbers[key] = len(numbers) + 1
            order.append(value)
        out.extend(struct.pack(">I", numbers[key]))

    for kind, value in values:
        write(kind, value)
    for node in order:  # which grows on the way
        out.extend(struct.pack(">IH", len(node.items), node.type.word >> 16))
        for kind, value in zip(item_kinds(node.type, len(node.items)), node.items, strict=True):
            write(kind, value)
    return bytes(out)
