"""Give a module's hidden state names: export its mutable globals, its memories, and the tables that change.

The original module stays what it is known by; the exposed one is derived from it where it is compiled, and
never shipped. Only the export section grows, and the start section becomes an export, so that an instance can
be made without running any code of the guest. Everything else stays, byte for byte: no index changes, so
custom sections (``name`` above all) stay true. The added exports, in this order::

    lawow:global:INDEX:TYPE    each mutable global; i32 i64 f32 f64 v128 funcref
    lawow:table:INDEX          each table, if any instruction may change one
    lawow:memory:INDEX         each memory
    lawow:function:INDEX       each function that a reference may mean, if references may change
    lawow:stateless            function 0, in a module that has functions and nothing of the above
    lawow:start                the start function, if there is one

A module that holds state which cannot be captured (`state_findings`) is refused. Exposing twice changes
nothing; a module that brings names of its own which begin with ``lawow:`` is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from lawow.errors import FormatError, Refused
from lawow.formats.bytes import encode_uleb128
from lawow.formats.interface import PREFIX, START_EXPORT
from lawow.formats.wasm import Export, ModuleInfo, inspect_module
from lawow.formats.wasm_edit import EXPORT, START, appended, edit_sections, sized
from lawow.formats.wasm_state import read_places
from lawow.limits import MODULE

__all__ = ["StateNames", "expose_state", "is_exposed", "state_findings"]

_STATELESS = f"{PREFIX}stateless"
_NUMBERS = {"func": 0, "table": 1, "memory": 2, "global": 3}

_NAME = re.compile(
    r"lawow:(?:(table|memory|function|global(?=:[0-9]+:)):([0-9]{1,10})(?::(i32|i64|f32|f64|v128|funcref))?"
    r"|stateless)"
)

_Addition = tuple[str, str, int]  # name, kind, index


def state_findings(wasm: bytes) -> list[str]:
    """Return why the state of the module's instances cannot be captured; nothing if it can.

    Raises `FormatError` for what is no core module, or brings names that begin with ``lawow:``.
    """
    return _plan(wasm)[1]


def expose_state(wasm: bytes) -> bytes:
    """Return the module with its state exported; `wasm` itself if it is so already.

    Raises `Refused` with all findings, and `FormatError` as `state_findings`.
    """
    additions, findings, is_done = _plan(wasm)
    if findings:
        raise Refused(f"the state of this module cannot be captured: {'; '.join(findings)}")
    if is_done or not additions:
        return wasm
    elements = [
        sized(name.encode()) + bytes((_NUMBERS[kind],)) + encode_uleb128(index)
        for name, kind, index in additions
    ]
    return edit_sections(
        wasm, {EXPORT: lambda content: appended(content, elements), START: lambda content: None}
    )


def is_exposed(wasm: bytes) -> bool:
    """Tell whether the module is one that `expose_state` made. Never raises for its bytes."""
    try:
        return _plan(wasm)[2]
    except FormatError:
        return False


@dataclass(frozen=True, slots=True)
class StateNames:
    """What the added exports of a compiled module name."""

    globals: dict[int, str] = field(default_factory=dict)
    tables: tuple[int, ...] = ()
    memories: tuple[int, ...] = ()
    functions: tuple[int, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str]) -> StateNames | None:
        """Return what the exports of a module say, or None if its state was not exposed."""
        matches = [match for match in map(_NAME.fullmatch, names) if match]
        if not matches:
            return None
        found: dict[str, list[int]] = {"table": [], "memory": [], "function": []}
        globals_: dict[int, str] = {}
        for what, index, kind in (match.groups() for match in matches):
            if kind:
                globals_[int(index)] = kind
            elif what:
                found[what].append(int(index))
        return cls(globals_, *map(tuple, found.values()))

    @staticmethod
    def of_global(index: int, kind: str) -> str:
        """Return the export of a global."""
        return f"{PREFIX}global:{index}:{kind}"

    @staticmethod
    def of_table(index: int) -> str:
        """Return the export of a table."""
        return f"{PREFIX}table:{index}"

    @staticmethod
    def of_memory(index: int) -> str:
        """Return the export of a memory."""
        return f"{PREFIX}memory:{index}"

    @staticmethod
    def of_function(index: int) -> str:
        """Return the export of a function."""
        return f"{PREFIX}function:{index}"


def _plan(wasm: bytes) -> tuple[list[_Addition], list[str], bool]:
    """Return what is to be exported, what stands against it, and whether all of it is exported already."""
    info = inspect_module(wasm)
    if info.is_component:
        raise FormatError("is a WebAssembly component, whose state cannot be captured")
    own = [item for item in info.exports if not item.name.startswith(PREFIX)]
    brought = [item for item in info.exports if item.name.startswith(PREFIX)]
    functions = [item.index for item in own if item.kind == "func"]
    places = read_places(wasm, info, functions)
    additions: list[_Addition] = [
        *((StateNames.of_global(index, kind), "global", index) for index, kind in places.globals.items()),
        *((StateNames.of_table(index), "table", index) for index in places.tables),
        *((StateNames.of_memory(index), "memory", index) for index in places.memories),
        *((StateNames.of_function(index), "func", index) for index in places.functions),
    ]
    if not additions and (info.functions or info.imports):
        additions.append((_STATELESS, "func", 0))
    additions += _start(info, brought)
    given = [(item.name, item.kind, item.index) for item in brought]
    if brought and (given != additions or info.start is not None):
        raise FormatError(f"exports a name that begins with {PREFIX}", structure="export")
    if len(own) + len(additions) > MODULE.exports:
        places.findings.append(f"it would need more than {MODULE.exports} exports")
    return additions, places.findings, bool(brought)


def _start(info: ModuleInfo, brought: list[Export]) -> list[_Addition]:
    """Return the export of the start function, which an exposed module has in place of its start section."""
    if info.start is not None:
        return [(START_EXPORT, "func", info.start)]
    return [(item.name, item.kind, item.index) for item in brought if item.name == START_EXPORT]
