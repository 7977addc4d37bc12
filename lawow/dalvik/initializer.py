"""Runs static initialisers at translation time, to know the constants and tables that they leave behind.

A small interpreter: numbers, arrays of numbers, calls of the app's static methods. What it does not know
(objects, calls of the platform) gives an unknown value, and an array that goes there is unknown from then on.
A decision that depends on an unknown value ends the run, and with it all that is known of the class.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from lawow.dalvik.arithmetic import binary, compare, convert, narrowed, negated
from lawow.dalvik.ir import Body, Obstacle, Op, decode, is_wide_type
from lawow.dalvik.objects import is_array_of_numbers
from lawow.dalvik.program import Program
from lawow.dalvik.types import BOXES, is_class_constant
from lawow.errors import FormatError
from lawow.formats.dex import FieldRef, MethodRef, MethodView, ValueType
from lawow.limits import DALVIK

__all__ = ["Constants", "Table", "Value"]

_DEEPEST_CALLS = 32
_TABLE_BYTES = 64
"""What a table costs besides its elements: an array of a million empty rows is a million tables."""

_NEW_ROWS = MethodRef("Ljava/lang/reflect/Array;", "newInstance", "(Ljava/lang/Class;[I)Ljava/lang/Object;")
_ELEMENT_BITS = {"Z": 8, "B": 8, "S": 16, "C": 16, "I": 32, "F": 32, "J": 64, "D": 64}
_TESTS: dict[str, Callable[[int, int], bool]] = {
    "eq": lambda one, other: one == other,
    "ne": lambda one, other: one != other,
    "lt": lambda one, other: one < other,
    "ge": lambda one, other: one >= other,
    "gt": lambda one, other: one > other,
    "le": lambda one, other: one <= other,
}


@dataclass(slots=True, eq=False)
class Table:
    """An array: its type and its elements, numbers as bits or, in an array of arrays, tables and None."""

    type: str
    elements: list[Value]
    is_known: bool = True


@dataclass(slots=True, eq=False)
class _Unknown:
    """A value that nobody knows at translation time."""


@dataclass(frozen=True, slots=True)
class _Class:
    """A constant of java.lang.Class."""

    descriptor: str


Value = int | Table | _Unknown | _Class | None
_UNKNOWN = _Unknown()


class Constants:
    """What static fields of the app hold after their class was initialised."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.steps_left = DALVIK.initializer_steps_in_all
        self._classes: dict[str, dict[FieldRef, Value] | None] = {}

    def value(self, ref: FieldRef) -> int | Table | None:
        """Return a field's value as bits, a table, or None for null. Raises `Obstacle` if it is not known."""
        fields = self._of_class(ref.class_name)
        if fields is None:
            raise Obstacle(f"reads {ref}, whose class sets it to what is not known before it runs")
        found = fields.get(ref, _UNKNOWN)
        if isinstance(found, _Unknown | _Class) or (isinstance(found, Table) and not _is_known(found)):
            raise Obstacle(f"reads {ref}, whose value is not known before the app runs")
        return found

    def _of_class(self, descriptor: str) -> dict[FieldRef, Value] | None:
        if descriptor not in self._classes:
            self._classes[descriptor] = None  # while it runs: nobody may look at a half-made class
            try:
                self._classes[descriptor] = self._initialized(descriptor)
            except (Obstacle, FormatError, ZeroDivisionError):
                self._classes[descriptor] = None
        return self._classes[descriptor]

    def _initialized(self, descriptor: str) -> dict[FieldRef, Value]:
        view = self.program.class_view(descriptor)
        if view is None:
            return {}
        fields: dict[FieldRef, Value] = {}
        values = iter(view.static_values)
        for item in view.fields:
            if item.is_static:
                encoded = next(values, None)
                fields[item.ref] = _encoded(
                    item.type, encoded.kind if encoded else None, encoded and encoded.value
                )
        method = view.method("<clinit>", "()V")
        if method:
            run = _Run(self, descriptor, fields, min(DALVIK.initializer_steps, self.steps_left))
            try:
                run.call(method, [], 0)
            finally:
                self.steps_left -= run.steps
        return fields


def _encoded(descriptor: str, kind: ValueType | None, value: object) -> Value:
    if kind is None or kind is ValueType.NULL:
        return 0 if descriptor[0] not in "L[" else None
    if descriptor[0] in "L[" or not isinstance(value, int):
        return _UNKNOWN
    return narrowed(int(value), 64 if is_wide_type(descriptor) else 32)


def _is_known(table: Table) -> bool:
    return table.is_known and all(
        _is_known(item) if isinstance(item, Table) else not isinstance(item, _Unknown)
        for item in table.elements
    )


def _give_away(value: Value) -> None:
    if isinstance(value, Table) and value.is_known:
        value.is_known = False
        for item in value.elements:
            _give_away(item)


@dataclass(slots=True)
class _Run:
    """One run of a static initialiser."""

    constants: Constants
    owner: str
    fields: dict[FieldRef, Value]
    most_steps: int
    steps: int = 0
    table_bytes: int = 0
    bodies: dict[MethodRef, Body] = field(default_factory=dict)

    def call(self, view: MethodView, arguments: list[Value], depth: int) -> Value:
        """Run a method to its end and return its result. Raises `Obstacle` where it can't go on."""
        if depth > _DEEPEST_CALLS:
            raise Obstacle("calls too deeply")
        body = self.bodies.get(view.ref)
        if body is None:
            body = self.bodies[view.ref] = decode(view)
        registers: list[Value] = [_UNKNOWN] * (body.registers + 1)
        for (register, _), value in zip(body.arguments(), arguments, strict=True):
            registers[register] = value
        at = 0
        while True:
            op = body.ops[at]
            self.steps += 1
            if self.steps > self.most_steps:
                raise Obstacle(f"takes more than {self.most_steps:,} steps")
            if op.name.startswith("return"):
                return registers[op.uses[0]] if op.uses else None
            at = self._step(op, registers, depth)

    def _step(self, op: Op, registers: list[Value], depth: int) -> int:
        values = [registers[register] for register in op.uses]
        name = op.name
        if name.startswith("if-"):
            return op.targets[0] if _is_true(op, values) else op.next
        if name == "goto":
            return op.targets[0]
        if op.keys or name.endswith("-switch"):
            table = dict(zip(op.keys, op.targets, strict=True))
            return table.get(_number(op, values[0]), op.next)
        if name == "throw":
            raise op.obstacle("throws")
        result = self._result(op, values, depth)
        if op.dest is not None:
            registers[op.dest] = result
        return op.next

    def _result(self, op: Op, values: list[Value], depth: int) -> Value:
        name = op.name
        if name == "const-class":
            return _Class(str(op.symbol))
        if name.startswith("const"):
            return op.literal if op.literal is not None else _UNKNOWN
        if name.startswith("move") and values:
            return values[0]
        if name.startswith("invoke-"):
            return self._invoke(op, values, depth)
        if name.startswith(("sget", "sput")):
            return self._static(op, values)
        if name in ("new-array", "filled-new-array", "fill-array-data", "array-length") or name[:4] in (
            "aget",
            "aput",
        ):
            return self._array(op, values)
        if name == "check-cast":
            return values[0]
        for value in values:
            _give_away(value)
        if any(not isinstance(value, int) for value in values) or not values:
            return _UNKNOWN
        return _computed(op, [value for value in values if isinstance(value, int)])

    def _invoke(self, op: Op, values: list[Value], depth: int) -> Value:
        ref = op.symbol
        view = self.constants.program.method(ref) if isinstance(ref, MethodRef) else None
        if view and view.is_static and view.has_code and op.name == "invoke-static":
            return self.call(view, _without_halves(view, values), depth + 1)
        if ref == _NEW_ROWS and isinstance(values[0], _Class) and isinstance(values[1], Table):
            return self._rows(op, values[0].descriptor, [_number(op, item) for item in values[1].elements])
        if isinstance(ref, MethodRef) and ref.class_name[0] == "[" and isinstance(values[0], Table):
            return self._copy(op, values[0])
        _require_uncaught(op)
        for value in values:
            _give_away(value)
        return _UNKNOWN

    def _static(self, op: Op, values: list[Value]) -> Value:
        ref = op.symbol
        assert isinstance(ref, FieldRef)
        if op.name.startswith("sput"):
            if ref.class_name == self.owner:
                self.fields[ref] = _fitting(op, ref.type, values[0])
            else:
                _give_away(values[0])
            return None
        if ref.class_name == self.owner:
            return self.fields.get(ref, _UNKNOWN)
        if is_class_constant(ref):
            return _Class(BOXES[ref.class_name])
        try:
            return self.constants.value(ref)
        except Obstacle:
            return _UNKNOWN

    # ---- arrays

    def _array(self, op: Op, values: list[Value]) -> Value:
        if op.name in ("new-array", "filled-new-array"):
            return self._made(op, values)
        table = values[1] if op.name.startswith("aput") else values[0]
        is_indexed = op.name.startswith(("aget", "aput"))
        if isinstance(table, _Unknown) or (is_indexed and isinstance(values[-1], _Unknown)):
            _require_uncaught(op)
            for value in values:
                if not op.name.startswith("aget"):
                    _give_away(value)
            return _UNKNOWN
        if not isinstance(table, Table):
            raise op.obstacle("needs an array")
        if op.name == "array-length":
            return len(table.elements)
        if op.name == "fill-array-data":
            self._fill(op, table)
            return None
        index = _number(op, values[-1])
        if not 0 <= index < len(table.elements):
            raise op.obstacle("leaves its array")
        if op.name.startswith("aget"):
            return table.elements[index] if table.is_known else _UNKNOWN
        table.elements[index] = _fitting(op, table.type[1:], values[0])
        return None

    def _made(self, op: Op, values: list[Value]) -> Value:
        if not is_array_of_numbers(str(op.symbol)) or (
            op.name == "new-array" and isinstance(values[0], _Unknown)
        ):
            _require_uncaught(op)
            for value in values:
                _give_away(value)
            return _UNKNOWN
        if op.name == "new-array":
            return self._new(op, _number(op, values[0]))
        made = self._new(op, len(values))
        made.elements[:] = [_fitting(op, made.type[1:], value) for value in values]
        return made

    def _rows(self, op: Op, element: str, sizes: list[int]) -> Table:
        """Make arrays in arrays: java.lang.reflect.Array.newInstance."""
        table = self._new(op, sizes[0], "[" * len(sizes) + element)
        if sizes[1:]:
            table.elements[:] = [self._rows(op, element, sizes[1:]) for _ in range(sizes[0])]
        return table

    def _copy(self, op: Op, table: Table) -> Table:
        made = self._new(op, len(table.elements), table.type)
        made.elements[:], made.is_known = table.elements, table.is_known
        return made

    def _new(self, op: Op, count: int, array: str = "") -> Table:
        array = array or str(op.symbol)
        if not is_array_of_numbers(array):
            raise op.obstacle(f"makes {array}")
        bits = _ELEMENT_BITS.get(array[1:], 32)
        self.table_bytes += _TABLE_BYTES + max(count, 0) * bits // 8
        if count < 0 or self.table_bytes > DALVIK.table_bytes:
            raise op.obstacle(f"makes tables of more than {DALVIK.table_bytes:,} bytes")
        return Table(array, [0 if array[1:] in _ELEMENT_BITS else None] * count)

    def _fill(self, op: Op, table: Table) -> None:
        bits = _ELEMENT_BITS.get(table.type[1:])
        count = len(op.data) // op.width
        if bits != 8 * op.width or count > len(table.elements):
            raise op.obstacle("does not fit its array")
        letter = "H" if table.type == "[C" else {1: "b", 2: "h", 4: "i", 8: "q"}[op.width]
        table.elements[:count] = struct.unpack(f"<{count}{letter}", op.data)


def _require_uncaught(op: Op) -> None:
    """Raise `Obstacle` if what the operation may throw would be caught: who knows where the run goes on."""
    if op.handlers:
        raise op.obstacle("may throw what is caught")


def _fitting(op: Op, descriptor: str, value: Value) -> Value:
    """Return a value as a field or element of this type holds it. Raises `Obstacle` for another type."""
    if isinstance(value, _Unknown | _Class):
        return _UNKNOWN
    bits = _ELEMENT_BITS.get(descriptor)
    if bits is None:
        if isinstance(value, Table) and value.type != descriptor and descriptor[0] == "[":
            raise op.obstacle(f"puts {value.type} where {descriptor} belongs")
        return None if value == 0 else _UNKNOWN if isinstance(value, int) or descriptor[0] != "[" else value
    if not isinstance(value, int):
        raise op.obstacle(f"puts a reference where {descriptor} belongs")
    return value & 0xFFFF if descriptor == "C" else narrowed(value, bits)


def _number(op: Op, value: Value) -> int:
    if not isinstance(value, int):
        raise op.obstacle("depends on a value that is not known before the app runs")
    return value


def _is_true(op: Op, values: list[Value]) -> bool:
    one, other = (*values, 0)[:2]
    if isinstance(one, Table) or isinstance(other, Table) or one is None or other is None:
        equal = one is other or (one in (0, None) and other in (0, None))
        if op.name[3:5] not in ("eq", "ne") or isinstance(one, _Unknown) or isinstance(other, _Unknown):
            raise op.obstacle("depends on a value that is not known before the app runs")
        return equal is (op.name[3:5] == "eq")
    return _TESTS[op.name[3:5]](_number(op, one), _number(op, other))


def _computed(op: Op, values: list[int]) -> Value:
    name = op.name
    if name.startswith("cmp"):
        return compare(name, *values)
    if "-to-" in name:
        return convert(name, values[0])
    if name.startswith(("neg-", "not-")):
        return negated(name, values[0])
    if op.literal is not None:
        values.append(op.literal)
    if len(values) != 2 or name.partition("-")[2] not in ("int", "long", "float", "double"):
        return _UNKNOWN
    return binary("rsub-int" if name == "rsub-int" else name, *values)


def _without_halves(view: MethodView, values: list[Value]) -> list[Value]:
    """Return one value for each parameter: a wide one is passed in two registers."""
    kept = []
    place = 0
    for descriptor in view.proto.parameters:
        if place >= len(values):
            raise Obstacle("passes too few arguments")
        kept.append(values[place])
        place += 1 + is_wide_type(descriptor)
    return kept
