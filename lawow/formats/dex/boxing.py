"""Dex code that turns Java values into what the stub library takes, and its results into Java values.

The seam (`dev.lawow.Target`) takes and gives Integer, Long, Float and Double whatever the size of the Java
type, and strings and arrays as they are; a string that a signature calls a list travels as a ``char[]``.
Boxing uses ``invoke-static/range``, because a parameter may stand in any register.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lawow.formats.dex.source import Instruction
from lawow.formats.dex.symbols import MethodRef

__all__ = [
    "OBJECTS",
    "is_wide",
    "load_boxed",
    "load_chars",
    "move_result",
    "return_call",
    "return_chars",
    "return_unboxed",
    "return_value",
]

OBJECTS = "[Ljava/lang/Object;"


@dataclass(frozen=True, slots=True)
class _Box:
    """A class that boxes a primitive, and its unboxing method."""

    class_name: str
    primitive: str
    unbox: str

    @property
    def value_of(self) -> MethodRef:
        return MethodRef(self.class_name, "valueOf", f"({self.primitive}){self.class_name}")

    @property
    def value(self) -> MethodRef:
        return MethodRef(self.class_name, self.unbox, f"(){self.primitive}")


BOXES = {
    "Z": _Box("Ljava/lang/Boolean;", "Z", "booleanValue"),
    "B": _Box("Ljava/lang/Byte;", "B", "byteValue"),
    "S": _Box("Ljava/lang/Short;", "S", "shortValue"),
    "C": _Box("Ljava/lang/Character;", "C", "charValue"),
    "I": _Box("Ljava/lang/Integer;", "I", "intValue"),
    "J": _Box("Ljava/lang/Long;", "J", "longValue"),
    "F": _Box("Ljava/lang/Float;", "F", "floatValue"),
    "D": _Box("Ljava/lang/Double;", "D", "doubleValue"),
}
PRIMITIVE_OF = {box.class_name: kind for kind, box in BOXES.items()}
INTEGER = BOXES["I"]
TRAVELS_AS = {**BOXES, **dict.fromkeys("ZBSC", INTEGER)}
NARROW = {"B": "int-to-byte", "S": "int-to-short", "C": "int-to-char"}
SMALL = "ZBSC"
_STRING = "Ljava/lang/String;"
_TO_CHARS = MethodRef(_STRING, "toCharArray", "()[C")
_OF_CHARS = MethodRef(_STRING, "valueOf", f"([C){_STRING}")


def is_wide(kind: str) -> bool:
    """Tell whether a type takes two registers."""
    return kind in ("J", "D")


def load_boxed(kind: str, register: int, into: int) -> Iterator[Instruction]:
    """Yield the code that puts parameter `register` of type `kind` into the low register `into`, boxed."""
    if kind in BOXES:
        yield "invoke-static/range", (register, 2 if is_wide(kind) else 1), TRAVELS_AS[kind].value_of
        yield "move-result-object", into
        return
    yield "move-object/from16", into, register
    primitive = PRIMITIVE_OF.get(kind, "")
    if primitive and primitive in SMALL:
        yield "invoke-virtual", (into,), BOXES[primitive].value
        yield "move-result", into
        yield "invoke-static", (into,), INTEGER.value_of
        yield "move-result-object", into


def load_chars(register: int, into: int) -> Iterator[Instruction]:
    """Yield the code that puts the characters of the string `register` into the low register `into`."""
    yield "invoke-virtual/range", (register, 1), _TO_CHARS
    yield "move-result-object", into


def return_chars(register: int) -> Iterator[Instruction]:
    """Yield the code that returns the stub's characters in `register` as a string."""
    yield "check-cast", register, "[C"
    yield "invoke-static", (register,), _OF_CHARS
    yield "move-result-object", register
    yield "return-object", register


def return_unboxed(kind: str, register: int) -> Iterator[Instruction]:
    """Yield the code that returns the stub's result in `register` as `kind`; uses one register more."""
    primitive = PRIMITIVE_OF.get(kind, kind)
    if kind == "V":
        yield ("return-void",)
    elif primitive not in BOXES or (kind not in BOXES and primitive not in SMALL):
        yield "check-cast", register, kind
        yield "return-object", register
    else:
        yield from _unbox(primitive, register)
        if kind in BOXES:
            yield "return-wide" if is_wide(kind) else "return", register
        else:
            yield "invoke-static", (register,), BOXES[primitive].value_of
            yield "move-result-object", register
            yield "return-object", register


def _unbox(primitive: str, register: int) -> Iterator[Instruction]:
    box = TRAVELS_AS[primitive]
    yield "check-cast", register, box.class_name
    yield "invoke-virtual", (register,), box.value
    yield "move-result-wide" if is_wide(primitive) else "move-result", register
    if primitive in NARROW:
        yield NARROW[primitive], register, register
    if primitive == "Z":  # 1 for every value but 0, as C has it
        yield "if-eqz", register, ":false"
        yield "const/4", register, 1
        yield ":false"


def return_call(kind: str, register: int) -> Iterator[Instruction]:
    """Yield the code behind an invoke of a method with the same result type: return what it returned."""
    yield from move_result(kind, register)
    yield from return_value(kind, register)


def move_result(kind: str, register: int) -> Iterator[Instruction]:
    """Yield the code behind an invoke that puts its result of this type, if any, into the register."""
    if kind != "V":
        yield f"move-result{_suffix(kind)}", register


def return_value(kind: str, register: int) -> Iterator[Instruction]:
    """Yield the code that returns the register's value of this type."""
    yield ("return-void",) if kind == "V" else (f"return{_suffix(kind)}", register)


def _suffix(kind: str) -> str:
    return "-wide" if is_wide(kind) else "" if kind in BOXES else "-object"
