"""Arguments of one call, as both judges get them: numbers as bits, arrays and strings as packed bytes.

An array may be the very array of an earlier parameter. A case belongs to a method by its descriptor; its
form on the wire to the JVM is that of `Judge.java`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from lawow.dalvik.api import Graph
from lawow.dalvik.words import STRING
from lawow.formats.elements import Argument, Packed, SameAs
from lawow.proving.graphs import Image, Node, item_kinds, plain_bits

__all__ = ["SIZES", "Case", "Value", "element_of", "encode_case", "is_array"]

SIZES = {"Z": 1, "B": 1, "S": 2, "C": 2, "I": 4, "J": 8, "F": 4, "D": 8}
"""Bytes of one element, by Java's letter."""
_SAME = 0xFFFFFFFF


Value = Argument | Node | None
"""An argument; in a method with a graph, references are nodes or null."""


@dataclass(frozen=True, slots=True)
class Case:
    """The arguments of one call of the method at `subject`, in the form that guests get them in."""

    subject: int
    arguments: tuple[Value, ...]
    graph: Graph | None = None

    @property
    def numbers(self) -> list[bytes]:
        """The arguments that are numbers."""
        return [value for value in self.arguments if isinstance(value, bytes)]

    @property
    def roots(self) -> list[Node | None]:
        """The arguments that are nodes of a graph, or null."""
        return [value for value in self.arguments if value is None or isinstance(value, Node)]

    def shown(self, parameters: Sequence[str]) -> str:
        """Return the arguments for a person, long arrays cut."""
        return ", ".join(map(_shown, parameters, self.arguments))


def is_array(kind: str) -> bool:
    """Tell whether a type descriptor is that of an array."""
    return kind.startswith("[")


def element_of(kind: str) -> str:
    """Return the letter of what an array or a string holds; empty for a number."""
    return "C" if kind == STRING else kind[1:]


def encode_case(case: Case) -> bytes:
    """Return a case as `Judge.java` reads it."""
    parts = [struct.pack(">H", case.subject)]
    if case.graph:
        image = Image(case.graph, case.roots).data
        return b"".join(
            (*parts, struct.pack(">I", len(image)), image, *(item[::-1] for item in case.numbers))
        )
    for value in case.arguments:
        if isinstance(value, bytes):
            parts.append(value[::-1])
        elif isinstance(value, SameAs):
            parts.append(struct.pack(">IB", _SAME, value.parameter))
        elif isinstance(value, Packed):
            parts.append(struct.pack(">I", value.count) + value.data)
    return b"".join(parts)


def _shown(kind: str, value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, Node):
        return _shown_node(value, 0)
    if isinstance(value, SameAs):
        return f"the array of parameter {value.parameter}"
    if isinstance(value, Packed):
        element = element_of(kind)
        size = SIZES[element]
        items = [_number(element, value.data[at : at + size]) for at in range(0, len(value.data), size)]
        return f"{{{', '.join(items[:8])}{', ...' if len(items) > 8 else ''}}} ({len(items)} elements)"
    return _number(kind, value[: SIZES[kind]])


def _shown_node(node: Node, depth: int) -> str:
    kinds = item_kinds(node.type, len(node.items))
    items = [
        ("..." if depth > 2 else _shown_node(item, depth + 1))
        if isinstance(item, Node)
        else "null"
        if item is None
        else str(plain_bits(kind, item))
        for kind, item in zip(kinds[:8], node.items[:8], strict=True)
    ]
    return f"{node.type.descriptor}{{{', '.join(items)}{', ...' if len(node.items) > 8 else ''}}}"


def _number(kind: str, data: bytes) -> str:
    if kind in "FD":
        return repr(struct.unpack("<f" if kind == "F" else "<d", data)[0])
    return str(int.from_bytes(data, "little", signed=kind not in "ZC"))
