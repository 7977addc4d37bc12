"""Symbolic classes: what `DexBuilder` builds from. They name everything and know no index.

A method body is either an `Assembly`, written by hand or generated, or a `Body`, which is what an assembly
turns into and what `transplant_class` copies out of another file.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from lawow.formats.dex.items import TryItem
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.symbols import Annotation, EncodedValue, FieldRef, MethodRef

__all__ = [
    "Assembly",
    "Body",
    "ClassSource",
    "DebugPiece",
    "FieldSource",
    "Fixup",
    "Instruction",
    "MethodSource",
    "Symbol",
    "Try",
]

Symbol: TypeAlias = str | FieldRef | MethodRef
"""A string, a type or method descriptor, a field, a method: which one, the context (an `IndexKind`) tells."""

Instruction: TypeAlias = str | tuple[object, ...]
"""``":label"``, or a tuple of mnemonic and operands. See `lawow.formats.dex.assembler`."""

DebugPiece: TypeAlias = bytes | tuple[IndexKind, str]
"""A stretch of debug_info as it stands in the file, or a string or type index + 1."""


class Try(NamedTuple):
    """Instructions between two labels, and the labels where exceptions of a type (None: any) are caught."""

    start: str
    end: str
    handlers: tuple[tuple[str | None, str], ...]


class Fixup(NamedTuple):
    """Place for an index in a body: code unit `unit`, 16 bits wide, or 32 if `is_wide`."""

    unit: int
    kind: IndexKind
    symbol: Symbol
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Assembly:
    """Instructions with labels. `registers` counts all registers; the arguments come in the last ones."""

    registers: int
    instructions: Sequence[Instruction]
    tries: Sequence[Try] = ()


@dataclass(frozen=True, slots=True)
class Body:
    """A code_item whose indexes are symbols. `units` holds zeros or stale indexes at the fixups."""

    registers_size: int
    ins_size: int
    outs_size: int
    units: array[int]
    fixups: tuple[Fixup, ...] = ()
    tries: tuple[TryItem, ...] = ()
    debug_info: tuple[DebugPiece, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldSource:
    """A field. `value` is the initial value of a static field; None means zero or null."""

    name: str
    type: str
    access_flags: int
    value: EncodedValue | None = None
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True, slots=True)
class MethodSource:
    """A method. `code` is None for abstract and native ones."""

    name: str
    descriptor: str
    access_flags: int
    code: Assembly | Body | None = None
    annotations: tuple[Annotation, ...] = ()
    parameter_annotations: tuple[tuple[Annotation, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class ClassSource:
    """A class. Members may stand in any order; the builder sorts them as the format demands."""

    descriptor: str
    access_flags: int = 0x1
    superclass: str | None = "Ljava/lang/Object;"
    interfaces: tuple[str, ...] = ()
    fields: tuple[FieldSource, ...] = ()
    methods: tuple[MethodSource, ...] = ()
    source_file: str | None = None
    annotations: tuple[Annotation, ...] = ()
