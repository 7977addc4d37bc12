"""A module while it is made: constant bytes and tables, exception classes, messages."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping

from lawow.dalvik.effects import Effects
from lawow.dalvik.initializer import Constants, Table
from lawow.dalvik.ir import Obstacle
from lawow.dalvik.kinds import kind_of_type
from lawow.dalvik.methods import Analysis
from lawow.dalvik.program import Program
from lawow.dalvik.runtime import FIRST_ADDRESS, IMPLICIT
from lawow.dalvik.types import shift_of
from lawow.dalvik.words import ALL_REFERENCES, BASIC_WORDS, FIRST_NUMBER, IS_OBJECT, type_word
from lawow.formats.bytes import align_up
from lawow.formats.dex import FieldRef, MethodRef
from lawow.limits import DALVIK

__all__ = ["ModuleUnit"]


class ModuleUnit:
    """What the methods of one module share. `end` is the address behind all data."""

    def __init__(
        self,
        program: Program,
        constants: Constants,
        effects: Mapping[MethodRef, Effects],
        analyses: Collection[Analysis],
    ) -> None:
        self.program = program
        self.constants = constants
        self.effects = effects
        self.classes = list(IMPLICIT)
        self.messages: list[str] = []
        self.data: list[tuple[int, bytes]] = []
        self.end = FIRST_ADDRESS
        self._blobs: dict[bytes, int] = {}
        self._tables: dict[Table, int] = {}
        self._texts: dict[str, int] = {}
        for analysis in analyses:
            for op in analysis.body.ops.values():
                if op.name == "new-instance" and op.symbol not in self.classes:
                    self.classes.append(str(op.symbol))
        self._words = dict(BASIC_WORDS)
        self._fields = _fields_of(analyses)
        self._chains = [program.superclasses(name) for name in self.classes]
        self._codes: dict[str, tuple[int, ...]] = {}

    def may_throw(self, method: MethodRef) -> bool:
        """Whether an exception can come out of a method of the module."""
        return self.effects[method].throws

    def code_of(self, class_name: str) -> int:
        """The number of an exception class that the module makes."""
        return self.classes.index(class_name) + 1

    def codes_of(self, class_name: str) -> tuple[int, ...]:
        """The numbers of an exception class and all its subclasses in the module."""
        if class_name not in self._codes:
            found = [number for number, chain in enumerate(self._chains, 1) if class_name in chain]
            self._codes[class_name] = tuple(found)
        return self._codes[class_name]

    def text(self, text: str) -> int:
        """The reference of a constant string, the same for the same text."""
        if text not in self._texts:
            self.messages.append(text)
            content = text.encode("utf-16-le", "surrogatepass")
            head = struct.pack("<II", len(content) // 2, len(self.messages))
            self._texts[text] = self._place(head + content)
        return self._texts[text]

    def word(self, descriptor: str) -> int:
        """What stands in front of arrays, strings and objects of a type. Raises `Obstacle`."""
        if descriptor not in self._words:
            number = FIRST_NUMBER + len(self._words)
            try:
                self._words[descriptor] = self._new_word(descriptor, number)
            except ValueError as error:
                raise Obstacle(f"has too many types or fields: {error}") from None
        return self._words[descriptor]

    def _new_word(self, descriptor: str, number: int) -> int:
        if descriptor[0] == "[":
            return type_word(number, 2, ALL_REFERENCES)
        references = sum(kind_of_type(field.type) == "l" for field in self.fields(descriptor))
        return type_word(number, 3, references) | IS_OBJECT

    def fields(self, class_name: str) -> tuple[FieldRef, ...]:
        """The fields of a class that the module knows, in their order: references first."""
        return self._fields.get(class_name, ())

    def blob(self, data: bytes) -> int:
        """The address of constant bytes, the same for the same bytes."""
        if data not in self._blobs:
            self._blobs[data] = self._place(data)
        return self._blobs[data]

    def _place(self, data: bytes) -> int:
        address = self.end
        self.end = align_up(address + len(data), 8)
        if self.end > DALVIK.table_bytes:
            raise Obstacle(f"needs more than {DALVIK.table_bytes:,} bytes of constant tables")
        self.data.append((address, data))
        return address

    def constant(self, field: FieldRef) -> int:
        """The bits of a static field's number, or the reference of its array. Raises `Obstacle`."""
        value = self.constants.value(field)
        return self._table(value) if isinstance(value, Table) else value or 0

    def _table(self, table: Table) -> int:
        """Tables are one array however often they are named: equal references stay equal."""
        if table not in self._tables:
            shift = shift_of(table.type)
            if table.type[1] == "[":
                rows = [self._table(item) if isinstance(item, Table) else 0 for item in table.elements]
                content = struct.pack(f"<{len(rows)}I", *rows)
            else:
                numbers = [item for item in table.elements if isinstance(item, int)]
                mask = (1 << (8 << shift)) - 1
                content = b"".join((item & mask).to_bytes(1 << shift, "little") for item in numbers)
            head = struct.pack("<II", len(table.elements), self.word(table.type))
            self._tables[table] = self._place(head + content)
        return self._tables[table]


def _fields_of(analyses: Iterable[Analysis]) -> dict[str, tuple[FieldRef, ...]]:
    """Return the fields that methods use, by the class of the objects that they use them of."""
    found: dict[str, set[FieldRef]] = {}
    for analysis in analyses:
        for owner, field in analysis.types.fields.values():
            found.setdefault(owner, set()).add(field)
    return {
        owner: tuple(sorted(fields, key=lambda field: (kind_of_type(field.type) != "l", field)))
        for owner, fields in found.items()
    }
