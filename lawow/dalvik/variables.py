"""The variables of one function while it is made: locals, arguments, and where exceptions go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from lawow.dalvik.ir import Op
from lawow.dalvik.kinds import dest_kind, kind_of_type
from lawow.dalvik.methods import Analysis, symbol_of
from lawow.dalvik.wat import Code, Function, assemble
from lawow.dalvik.webs import Web
from lawow.formats.dex import FieldRef, MethodRef

__all__ = ["NARROW", "Unit", "Variables", "core_type"]

_CORE = {"i": "i32", "l": "i32", "4": "i32", "z": "i32", "j": "i64", "8": "i64", "f": "f32", "d": "f64"}
NARROW = {
    "Z": "i32.eqz i32.eqz",
    "B": "i32.extend8_s",
    "S": "i32.extend16_s",
    "C": "i32.const 65535 i32.and",
}
"""Types narrower than an int -> code that makes an int one of their values."""
_CONVERSIONS = {
    ("i32", "f32"): "f32.reinterpret_i32",
    ("f32", "i32"): "i32.reinterpret_f32",
    ("i64", "f64"): "f64.reinterpret_i64",
    ("f64", "i64"): "i64.reinterpret_f64",
}


def core_type(kind: str) -> str:
    """Return the WebAssembly type of values of a kind."""
    return _CORE[kind]


class Unit(Protocol):
    """What the code of one method needs to know of the module around it."""

    def may_throw(self, method: MethodRef) -> bool:
        """Whether an exception can come out of a method of the module."""

    def code_of(self, class_name: str) -> int:
        """The number of an exception class."""

    def codes_of(self, class_name: str) -> tuple[int, ...]:
        """The numbers of an exception class and all its subclasses in the module."""

    def text(self, text: str) -> int:
        """The reference of a constant string."""

    def word(self, descriptor: str) -> int:
        """What stands in front of arrays, strings and objects of a type."""

    def fields(self, class_name: str) -> tuple[FieldRef, ...]:
        """The fields of a class that the module knows, in their order."""

    def blob(self, data: bytes) -> int:
        """The address of constant bytes."""

    def constant(self, field: FieldRef) -> int:
        """The bits of a static field's number, or the reference of its array. Raises `Obstacle`."""


class Variables(ABC):
    """Emits code into `out`; operations and control flow are the subclasses' business."""

    def __init__(self, analysis: Analysis, unit: Unit) -> None:
        self.analysis = analysis
        self.unit = unit
        self.flow = analysis.flow
        self.types = analysis.types
        self.out = Code()
        self.safe: frozenset[int] = frozenset()
        self._params = tuple(core_type(kind_of_type(item)) for item in analysis.body.parameters)
        self._locals: list[str] = []
        self._slots: dict[tuple[int, str], int] = {}
        self._names: dict[str, int] = {}
        self._with_length = self._find_indexed()
        self._present = self._find_present()
        self.named("$fi", "i32")
        self.named("$fa", "i32")

    # ---- where exceptions go

    @abstractmethod
    def fault_if_thrown(self) -> None:
        """Leave if an exception is set."""

    @abstractmethod
    def fault_bounds(
        self, index: Callable[[], None], array: Callable[[], None], *, of_text: bool = False
    ) -> None:
        """Leave with an exception about an index or null if the condition on the stack holds."""

    @abstractmethod
    def fault_zero(self) -> None:
        """Leave with an ArithmeticException if the condition on the stack holds."""

    @abstractmethod
    def throw(self, op: Op) -> None:
        """Throw what an operation throws."""

    # ---- text and locals

    def text(self, text: str) -> None:
        """Append instructions; ``$names`` of scratch locals become theirs: ``$i0`` is an i32."""
        for word in text.split():
            if word[0] == "$" and word not in self._names:
                self.named(word, core_type(word[1]))
        self.out.add(assemble(text, self._names if "$" in text else None))

    def named(self, name: str, type_: str) -> str:
        """Return the name of a local, which is made the first time."""
        if name not in self._names:
            self._names[name] = self._new_local(type_)
        return name

    def _new_local(self, type_: str) -> int:
        self._locals.append(type_)
        return len(self._params) + len(self._locals) - 1

    def _slot(self, web: Web) -> int:
        """Return a web's local: webs of one register and type share it, as they never live together."""
        key = (web.register, web.local)
        if key not in self._slots:
            self._slots[key] = self._new_local(web.local)
        return self._slots[key]

    def _length_slot(self, web: Web) -> int:
        key = (web.register, "length")
        if key not in self._slots:
            self._slots[key] = self._new_local("i32")
        return self._slots[key]

    def load(self, web: Web, kind: str) -> None:
        """Push a web's value as a kind."""
        self.text(f"local.get {self._slot(web)} {_CONVERSIONS.get((web.local, core_type(kind)), '')}")

    def store(self, web: Web, kind: str) -> None:
        """Pop a value of a kind into a web; with an array's reference goes its length."""
        convert = _CONVERSIONS.get((core_type(kind), web.local), "")
        if web in self._with_length:
            self.text(f"local.tee {self._slot(web)} i32.load local.set {self._length_slot(web)}")
        else:
            self.text(f"{convert} local.set {self._slot(web)}")

    def _find_indexed(self) -> set[Web]:
        """The webs whose arrays are indexed: their length is in a local, read when they are set."""
        found = set()
        for at, uses in self.flow.uses.items():
            name = self.flow.body.ops[at].name
            if name.startswith("aget"):
                found.add(uses[0])
            elif name.startswith("aput"):
                found.add(uses[1])
        return found

    def _find_present(self) -> set[Web]:
        """The webs that are never null: made here, or the object that a method belongs to."""
        made = {web for at, web in self.flow.dest.items() if self.flow.body.ops[at].name == "new-instance"}
        if self.flow.body.has_this and self.flow.arguments[0]:
            made.add(self.flow.arguments[0])
        others = {web for at, web in self.flow.dest.items() if self.flow.body.ops[at].name != "new-instance"}
        return made - others - set(self.flow.arguments[self.flow.body.has_this :])

    # ---- around the code

    def prologue(self) -> None:
        """Put the arguments where their registers are."""
        for number, (_, descriptor) in enumerate(self.flow.body.arguments()):
            web = self.flow.arguments[number]
            if web is None:
                continue
            kind = kind_of_type(descriptor)
            if web.local == core_type(kind):
                self._slots.setdefault((web.register, web.local), number)
            if self._slot(web) != number or web in self._with_length:
                self.text(f"local.get {number}")
                self.store(web, kind)

    def epilogue(self) -> None:
        """Return something to a caller that will find the exception."""
        if self.flow.body.returns != "V":
            self.text(f"{core_type(kind_of_type(self.flow.body.returns))}.const 0")

    def finished(self) -> Function:
        """Return the function."""
        returns = self.flow.body.returns
        results = () if returns == "V" else (core_type(kind_of_type(returns)),)
        return Function(symbol_of(self.analysis.method), self._params, results, tuple(self._locals), self.out)

    def _store_dest(self, op: Op, kind: str = "") -> None:
        self.store(self.flow.dest[op.at], kind or dest_kind(op))

    def _operand(self, op: Op, place: int, kind: str) -> None:
        self.load(self.flow.uses[op.at][place], kind)
