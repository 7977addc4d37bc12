"""Whether a static table stays as its class' initialiser has made it.

A module holds its own copy of a table. That is sound only if nobody changes the one on the device. Java
has no arrays that can't be changed, so every method of the app that loads the table is looked at: one
that also writes elements of that type, or hands such arrays on (to a call, a field, its caller), might
change it. Coarse, on the safe side, and quick: no method is followed register by register.
"""

from __future__ import annotations

from collections.abc import Iterator

from lawow.dalvik import Program
from lawow.formats.dex.opcodes import OPCODES, IndexKind
from lawow.formats.dex.search import Use, find_uses, instruction_uses, instructions, member_ids
from lawow.formats.dex.spec import ItemType
from lawow.formats.dex.symbols import FieldRef, MethodRef, parse_method_descriptor
from lawow.formats.dex.views import MethodView

__all__ = ["Tables"]

_MNEMONICS = {opcode.value: opcode.name for opcode in OPCODES.values()}
_WRITES = {
    "Z": "aput-boolean",
    "B": "aput-byte",
    "C": "aput-char",
    "S": "aput-short",
    "I": "aput",
    "F": "aput",
    "J": "aput-wide",
    "D": "aput-wide",
}
_ANY_ARRAY = frozenset(("Ljava/lang/Object;", "Ljava/lang/Cloneable;", "Ljava/io/Serializable;"))


class Tables:
    """Answers for one app, each field looked up once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._changes: dict[FieldRef, str] = {}

    def change(self, field: FieldRef) -> str:
        """Return how a table might change, as a clause; empty if it can't. Raises `FormatError`."""
        if field not in self._changes:
            self._changes[field] = self._find_change(field) if field.type.startswith("[") else ""
        return self._changes[field]

    def _find_change(self, field: FieldRef) -> str:
        for use in self._uses(field):
            method = use.method
            if method.name == "<clinit>" and method.owner.descriptor == field.class_name:
                continue
            if use.mnemonic.startswith("sput"):
                return f"which {method.ref} sets at {use.offset:#x}"
            if how := _might_change(method, field.type):
                return f"whose elements {method.ref} might change: it {how}"
        return ""

    def _uses(self, field: FieldRef) -> Iterator[Use]:
        for dex in self._program.dexes:
            candidates = member_ids(dex, ItemType.FIELD_ID_ITEM, [field.class_name])
            indexes = [index for index in candidates if dex.field(index) == field]
            yield from find_uses(dex, {IndexKind.FIELD: indexes})


def _might_change(method: MethodView, table: str) -> str:
    """Return what in a method could change a table of this type that it loads; empty if nothing could."""
    arrays = {table[depth:] for depth in range(len(table)) if table[depth] == "["} | _ANY_ARRAY
    writes = {_WRITES.get(table.lstrip("["), "aput-object"), "aput-object"}
    for offset, opcode in instructions(method):
        name = _MNEMONICS[opcode]
        if name in writes:
            return f"writes elements at {offset:#x}"
        if name == "return-object" and method.proto.return_type in arrays:
            return f"returns an array at {offset:#x}"
    for use in instruction_uses(method):
        if _hands_on(use, arrays):
            return f"hands an array on at {use.offset:#x}"
    return ""


def _hands_on(use: Use, arrays: set[str]) -> bool:
    """Tell whether an instruction could store such an array, or give it to a call."""
    if use.kind in (IndexKind.CALL_SITE, IndexKind.METHOD_HANDLE, IndexKind.PROTO):
        return True
    target = use.method.owner.dex.symbol(use.kind, use.target)
    if isinstance(target, FieldRef):
        return "put" in use.mnemonic and target.type in arrays
    if isinstance(target, MethodRef):
        return not arrays.isdisjoint(parse_method_descriptor(target.descriptor).parameters)
    return use.mnemonic.startswith("filled-new-array")
