"""What the translator is asked and what it answers. How the exports are called: docs/dalvik.md.

program = Program([read_dex(data)])
examine(program, ref).reason                  None, or why this method cannot be translated
done = translate(program, [ref])
done.exports[ref].signature                   "&[II>I", as `lawow.formats.signature` writes it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lawow.formats.dex import FieldRef, MethodRef

__all__ = [
    "Examined",
    "ExportedMethod",
    "Graph",
    "GraphField",
    "GraphType",
    "Parameter",
    "Translation",
    "Untranslatable",
]


@dataclass(frozen=True, slots=True)
class Untranslatable:
    """Why a method stays Dalvik code. `instruction` is a mnemonic or empty, `offset` counts code units.

    `method` is where the obstacle is: the method itself or one that it calls.
    """

    method: MethodRef
    reason: str
    instruction: str = ""
    offset: int | None = None

    def __str__(self) -> str:
        place = f" ({self.instruction} at {self.offset:#x})" if self.offset is not None else ""
        return f"{self.method}: {self.reason}{place}"


@dataclass(frozen=True, slots=True)
class Examined:
    """What one method is by itself: its callees may still be an obstacle.

    `callees` are methods of the app that the code calls, not those that the translator brings along.
    `instructions` counts all that can be reached; `has_loop` tells whether one is reached again.
    """

    method: MethodRef
    callees: tuple[MethodRef, ...] = ()
    allocates: bool = False
    throws: bool = False
    has_loop: bool = False
    instructions: int = 0
    reads_statics: tuple[FieldRef, ...] = ()
    reason: Untranslatable | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter. `is_written`: the array that is passed may hold other values after the call."""

    descriptor: str
    is_written: bool


@dataclass(frozen=True, slots=True)
class GraphField:
    """A field of an object in a graph. `owner` declares it; `is_written`: it may change."""

    owner: str
    name: str
    type: str
    is_written: bool


@dataclass(frozen=True, slots=True)
class GraphType:
    """A type of nodes: what stands in front of them (`lawow.dalvik.words`), and the fields of a class."""

    descriptor: str
    word: int
    fields: tuple[GraphField, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """How the references of a method cross (`lawow.dalvik.graphs`): which parameters are the roots, in order,
    and all types that there can be.
    """

    roots: tuple[int, ...]
    types: tuple[GraphType, ...]


@dataclass(frozen=True, slots=True)
class ExportedMethod:
    """Two exports of one method, which do the same.

    `export` takes and gives the values of the Java method; a Java exception is a trap (``unreachable``).
    `checked` takes one list more, in front, by which null goes in and exceptions come out. An object's own
    methods have it as their first parameter. With a `graph` one list holds all references.
    """

    method: MethodRef
    export: str
    signature: str
    checked: str
    checked_signature: str
    parameters: tuple[Parameter, ...]
    returns: str
    graph: Graph | None = None
    has_this: bool = False


@dataclass(frozen=True, slots=True)
class Translation:
    """A module and all that is needed to call it.

    `exceptions[code - 1]` is the class of exception `code`; `messages[number - 1]` the text with that number.
    `refused` are the methods that were asked for and are not in the module. The functions keep no state
    between calls: any call may be repeated.
    """

    wasm: bytes
    wit: str
    exports: Mapping[MethodRef, ExportedMethod]
    exceptions: tuple[str, ...]
    messages: tuple[str, ...]
    refused: tuple[Untranslatable, ...]
