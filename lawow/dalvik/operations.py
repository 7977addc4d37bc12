"""The code of single operations: what Java means, in WebAssembly's instructions.

Where the two differ: integer division by zero is an exception and MIN / -1 is MIN; ``NaN`` compares as the
mnemonic says; conversions saturate; null and bad indexes are exceptions. Shift counts, wrapping, IEEE
arithmetic, minima and maxima are the same in both. Sources: "Dalvik bytecode", JLS 15.17 to 15.22, JVMS 6.5.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Protocol

from lawow.dalvik.ir import Op
from lawow.dalvik.kinds import dest_kind, kind_of_type
from lawow.dalvik.loops import Limit, Linear, Plan
from lawow.dalvik.methods import Analysis, symbol_of
from lawow.dalvik.runtime import HEAD_BYTES
from lawow.dalvik.types import CLASS_PREFIX, shift_of
from lawow.dalvik.wat import Code, Function, assemble
from lawow.dalvik.webs import Web
from lawow.formats.dex import FieldRef, MethodRef, parse_method_descriptor

__all__ = ["Operations", "Unit", "core_type"]

_CORE = {"i": "i32", "l": "i32", "4": "i32", "z": "i32", "j": "i64", "8": "i64", "f": "f32", "d": "f64"}
_CONVERSIONS = {
    ("i32", "f32"): "f32.reinterpret_i32",
    ("f32", "i32"): "i32.reinterpret_f32",
    ("i64", "f64"): "f64.reinterpret_i64",
    ("f64", "i64"): "i64.reinterpret_f64",
}
_ACCESS = {  # element -> load, store, kind
    "Z": ("i32.load8_s", "i32.store8"),
    "B": ("i32.load8_s", "i32.store8"),
    "S": ("i32.load16_s", "i32.store16"),
    "C": ("i32.load16_u", "i32.store16"),
    "I": ("i32.load", "i32.store"),
    "[": ("i32.load", "i32.store"),
    "J": ("i64.load", "i64.store"),
    "F": ("f32.load", "f32.store"),
    "D": ("f64.load", "f64.store"),
}
_ARITHMETIC = {
    **{
        f"{name}-{kind}": f"{width}.{code}"
        for kind, width in (("int", "i32"), ("long", "i64"))
        for name, code in {
            "add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor",
            "shl": "shl", "shr": "shr_s", "ushr": "shr_u",
        }.items()
    },
    **{
        f"{name}-{kind}": f"{width}.{name}"
        for kind, width in (("float", "f32"), ("double", "f64"))
        for name in ("add", "sub", "mul", "div")
    },
    "rem-double": "call drem",
}  # fmt: skip
_UNARY = {
    "not-int": "i32.const -1 i32.xor",
    "not-long": "i64.const -1 i64.xor",
    "neg-float": "f32.neg",
    "neg-double": "f64.neg",
    "int-to-long": "i64.extend_i32_s",
    "int-to-float": "f32.convert_i32_s",
    "int-to-double": "f64.convert_i32_s",
    "long-to-int": "i32.wrap_i64",
    "long-to-float": "f32.convert_i64_s",
    "long-to-double": "f64.convert_i64_s",
    "float-to-int": "i32.trunc_sat_f32_s",
    "float-to-long": "i64.trunc_sat_f32_s",
    "float-to-double": "f64.promote_f32",
    "double-to-int": "i32.trunc_sat_f64_s",
    "double-to-long": "i64.trunc_sat_f64_s",
    "double-to-float": "f32.demote_f64",
    "int-to-byte": "i32.extend8_s",
    "int-to-char": "i32.const 65535 i32.and",
    "int-to-short": "i32.extend16_s",
}
_TESTS = {"eq": "eq", "ne": "ne", "lt": "lt_s", "ge": "ge_s", "gt": "gt_s", "le": "le_s"}
# A comparison that is only tested: cmpl is below with NaN, cmpg above. Test -> instruction, whether negated.
_FUSED_LESS = {
    "eq": ("eq", 0), "ne": ("ne", 0), "gt": ("gt", 0), "ge": ("ge", 0), "lt": ("ge", 1), "le": ("gt", 1),
}  # fmt: skip
_FUSED_MORE = {
    "eq": ("eq", 0), "ne": ("ne", 0), "lt": ("lt", 0), "le": ("le", 0), "gt": ("le", 1), "ge": ("lt", 1),
}  # fmt: skip
_KIND_OF_COMPARE = {"float": "f", "double": "d", "long": "j"}


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

    def message(self, text: str) -> int:
        """The number of a text, which counts from 1."""

    def blob(self, data: bytes) -> int:
        """The address of constant bytes."""

    def constant(self, field: FieldRef) -> int:
        """The bits of a static field's number, or the reference of its array. Raises `Obstacle`."""


class Operations(ABC):
    """Emits operations into `out`. How exceptions leave is the subclass's business."""

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
        self._tested = self._find_tested()
        self._fused = {compare.at for compare in self._tested.values()}
        self.named("$fi", "i32")
        self.named("$fa", "i32")

    # ---- where exceptions go

    @abstractmethod
    def fault_if_thrown(self) -> None:
        """Leave if an exception is set."""

    @abstractmethod
    def fault_bounds(self, index: Callable[[], None], array: Callable[[], None]) -> None:
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

    def _find_tested(self) -> dict[int, Op]:
        """The comparisons whose result is nothing but tested right behind them, by the address of the
        test."""
        counts: dict[Web, int] = {}
        for uses in self.flow.uses.values():
            for web in uses:
                counts[web] = counts.get(web, 0) + 1
        defined: dict[Web, int] = {}
        for web in self.flow.dest.values():
            defined[web] = defined.get(web, 0) + 1
        found = {}
        for block in self.analysis.graph.blocks:
            if len(block.ops) < 2:
                continue
            compare, test = block.ops[-2:]
            if compare.name.startswith("cmp") and test.name.startswith("if-") and test.name.endswith("z"):
                web = self.flow.dest[compare.at]
                if self.flow.uses[test.at][0] is web and counts[web] == defined[web] == 1:
                    found[test.at] = compare
        return found

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

    # ---- operations

    def operation(self, op: Op) -> None:
        """Emit one operation that does not branch."""
        name = op.name
        if name in ("nop", "goto") or name.endswith("-switch"):
            return  # a switch without cases falls through
        if name == "check-cast":
            self._moved(op)
        elif name.startswith(("move", "const")):
            self._move(op)
        elif name.startswith(("aget", "aput")):
            self._element(op)
        elif name.startswith("return"):
            self._return(op)
        elif name.startswith("invoke-"):
            self._invoke(op)
        elif name.startswith("cmp"):
            if op.at not in self._fused:
                self._compare(op)
        elif name in ("array-length", "new-array", "filled-new-array", "fill-array-data"):
            self._array(op)
        elif name == "throw":
            self.throw(op)
        elif name == "new-instance":
            self.text(f"i32.const {self.unit.code_of(str(op.symbol))} call new_exception")
            self.fault_if_thrown()
            self._store_dest(op)
        elif name.startswith("sget"):
            self._static(op)
        else:
            self._arithmetic(op)

    def _store_dest(self, op: Op, kind: str = "") -> None:
        self.store(self.flow.dest[op.at], kind or dest_kind(op))

    def _operand(self, op: Op, place: int, kind: str) -> None:
        self.load(self.flow.uses[op.at][place], kind)

    def _moved(self, op: Op) -> None:
        source, dest = self.flow.uses[op.at][0], self.flow.dest[op.at]
        kind = {"i32": "i", "i64": "j", "f32": "f", "f64": "d"}[dest.local]
        if source in self._with_length and dest in self._with_length:
            self.text(f"local.get {self._length_slot(source)}")
            self.load(source, kind)
            self.text(f"local.set {self._slot(dest)} local.set {self._length_slot(dest)}")
            return
        self.load(source, kind)
        self.store(dest, kind)

    def _move(self, op: Op) -> None:
        dest = self.flow.dest[op.at]
        if op.name == "move-exception":
            self.text(f"local.get {self.named('$caught', 'i32')}")
            self.store(dest, "l")
        elif op.name.startswith("move"):
            self._moved(op)
        elif op.name == "const-string":
            self.text(f"i32.const {self.unit.message(str(op.symbol))}")
            self.store(dest, "l")
        elif op.name == "const-class":
            self.text("i32.const 0")
            self.store(dest, "l")
        else:
            self._constant(op.literal or 0, dest)

    def _constant(self, bits: int, dest: Web) -> None:
        if dest.local in ("f32", "f64"):
            letter, size = ("<i", 4) if dest.local == "f32" else ("<q", 8)
            self.out.data += (b"\x43" if size == 4 else b"\x44") + struct.pack(letter, bits)
            self.text(f"local.set {self._slot(dest)}")
        else:
            self.text(f"{dest.local}.const {bits}")
            self.store(dest, "j" if dest.local == "i64" else "i")

    def _return(self, op: Op) -> None:
        if op.name != "return-void":
            self._operand(op, 0, kind_of_type(self.flow.body.returns))
        self.text("return")

    def _static(self, op: Op) -> None:
        assert isinstance(op.symbol, FieldRef)
        dest = self.flow.dest[op.at]
        bits = 0 if dest.ref.startswith(CLASS_PREFIX) else self.unit.constant(op.symbol)
        self._constant(bits, dest)

    # ---- arrays

    def _element(self, op: Op) -> None:
        is_write = op.name.startswith("aput")
        array, index = self.flow.uses[op.at][is_write:]
        element = array.ref[1:2]
        if not element:  # nothing but null gets here
            self.text("i32.const 1")
            self.fault_bounds(partial(self.load, index, "i"), partial(self.load, array, "l"))
            return
        shift = shift_of(array.ref)
        if op.at not in self.safe:
            self._check_bounds(index, array)
        self.load(array, "l")
        self.load(index, "i")
        self.text(f"i32.const {shift} i32.shl i32.add" if shift else "i32.add")
        load, store = _ACCESS[element]
        kind = kind_of_type(array.ref[1:])
        if is_write:
            self._operand(op, 0, kind)
            self.text(f"{store} +{HEAD_BYTES}")
        else:
            self.text(f"{load} +{HEAD_BYTES}")
            self._store_dest(op, kind)

    def _check_bounds(self, index: Web, array: Web) -> None:
        self.load(index, "i")
        self.text(f"local.get {self._length_slot(array)} i32.ge_u")
        self.fault_bounds(partial(self.load, index, "i"), partial(self.load, array, "l"))

    def guard(self, plan: Plan) -> None:
        """Push whether all accesses of a loop are within their arrays, from the first turn to the last."""
        self._push_last(plan.last)
        self.text(f"i32.const {0x7FFFFFFF - plan.margin} i32.le_s")
        for access in plan.accesses:
            self._linear(access.index, partial(self.load, plan.counter, "i"))
            self.text("i64.const 0 i64.ge_s i32.and")
            self._linear(access.index, partial(self._push_last, plan.last))
            self.text(f"local.get {self._length_slot(access.array)} i64.extend_i32_u i64.lt_s i32.and")

    def _push_last(self, last: Limit) -> None:
        if last.web:
            self.load(last.web, "i")
        elif last.array:
            self.load(last.array, "l")
            self.text("i32.load")
        self.text(f"i32.const {last.constant}{' i32.add' if last.web or last.array else ''}")

    def _linear(self, linear: Linear, counter: Callable[[], None]) -> None:
        self.text(f"i64.const {linear.constant}")
        if linear.factor:
            counter()
            self.text(f"i64.extend_i32_s i64.const {linear.factor} i64.mul i64.add")
        for factor, webs in linear.terms:
            self.text(f"i64.const {factor}")
            for web in webs:
                self.load(web, "i")
                self.text("i64.extend_i32_s i64.mul")
            self.text("i64.add")

    def _array(self, op: Op) -> None:
        if op.name == "new-array":
            self._operand(op, 0, "i")
            self.text(f"i32.const {shift_of(str(op.symbol))} call alloc")
            self.fault_if_thrown()
            self._store_dest(op)
        elif op.name == "array-length":
            self._operand(op, 0, "l")
            self.text("i32.eqz")
            self.fault_bounds(partial(self.text, "i32.const 0"), partial(self.text, "i32.const 0"))
            self._operand(op, 0, "l")
            self.text("i32.load")
            self._store_dest(op)
        elif op.name == "fill-array-data":
            shift = (op.width).bit_length() - 1
            count = len(op.data) // op.width
            self._operand(op, 0, "l")
            self.text(
                f"i32.const {self.unit.blob(op.data)} i32.const {count} i32.const {shift} call fill_data"
            )
            self.fault_if_thrown()
        else:
            self._filled(op)

    def _filled(self, op: Op) -> None:
        element = str(op.symbol)[1:]
        kind = kind_of_type(element)
        self.text(f"i32.const {len(op.uses)} i32.const 2 call alloc local.set $i0")
        self.fault_if_thrown()
        for place in range(len(op.uses)):
            self.text("local.get $i0")
            self._operand(op, place, kind)
            self.text(f"{_ACCESS[element[0]][1]} +{HEAD_BYTES + 4 * place}")
        if op.at in self.flow.dest:
            self.text("local.get $i0")
            self._store_dest(op, "l")

    # ---- calls

    def _invoke(self, op: Op) -> None:
        assert isinstance(op.symbol, MethodRef)
        call = self.types.calls[op.at]
        uses = self.flow.uses[op.at]
        if call.init is not None:
            if call.init:
                self.load(uses[0], "l")
                self.load(uses[1], "l")
                self.text("i32.store +4")
            return
        proto = parse_method_descriptor(op.symbol.descriptor)
        if call.special:
            throws = self._special(op, call.special)
        else:
            for web, descriptor in zip(uses, proto.parameters, strict=True):
                self.load(web, kind_of_type(descriptor))
            throws = self._call(op, uses)
        if throws:
            self.fault_if_thrown()
        if proto.return_type != "V":
            if op.at in self.flow.dest:
                self._store_dest(op, kind_of_type(proto.return_type))
            else:
                self.text("drop")

    def _call(self, op: Op, uses: tuple[Web, ...]) -> bool:
        call = self.types.calls[op.at]
        if call.callee:
            self.out.call(symbol_of(call.callee))
            return self.unit.may_throw(call.callee)
        assert call.intrinsic
        code = call.intrinsic.code
        if call.intrinsic.array is not None:
            array = uses[call.intrinsic.array].ref
            code = code.replace("SHIFT", str(shift_of(array)) if array else "0")
        self.text(code)
        return call.intrinsic.throws

    def _special(self, op: Op, name: str) -> bool:
        uses = self.flow.uses[op.at]
        if name == "clone":
            assert isinstance(op.symbol, MethodRef)
            self.load(uses[0], "l")
            self.text(f"i32.const {shift_of(op.symbol.class_name)} call clone")
            return True
        made = self.flow.dest[op.at].ref if op.at in self.flow.dest else "[I"
        self.load(
            uses[1],
            "l" if made.startswith("[[") and str(op.symbol).endswith("[I)Ljava/lang/Object;") else "i",
        )
        if str(op.symbol).endswith("[I)Ljava/lang/Object;"):
            self.text(f"i32.const {shift_of(made[1:] or '[I')} call rows")
        else:
            self.text(f"i32.const {shift_of(made)} call alloc")
        return True

    # ---- arithmetic

    def _arithmetic(self, op: Op) -> None:
        name = op.name
        head, _, kind = name.partition("-")
        if name in _UNARY:
            self._operand(op, 0, _source_kind(name))
            self.text(_UNARY[name])
        elif head == "neg":
            width = core_type("i" if kind == "int" else "j")
            self.text(f"{width}.const 0")
            self._operand(op, 0, kind[0])
            self.text(f"{width}.sub")
        elif head in ("div", "rem") and kind in ("int", "long"):
            self._divide(op, head, "i" if kind == "int" else "j")
        elif name == "rem-float":
            for place in (0, 1):
                self._operand(op, place, "f")
                self.text("f64.promote_f32")
            self.text("call drem f32.demote_f64")
        elif name == "rsub-int":
            self.text(f"i32.const {op.literal}")
            self._operand(op, 0, "i")
            self.text("i32.sub")
        else:
            self._plain(op, head, kind)
        self._store_dest(op)

    def _plain(self, op: Op, head: str, kind: str) -> None:
        letter = {"int": "i", "long": "j", "float": "f", "double": "d"}[kind]
        self._operand(op, 0, letter)
        if op.literal is not None:
            self.text(f"i32.const {op.literal}")
        elif head in ("shl", "shr", "ushr"):
            self._operand(op, 1, "i")
            self.text("i64.extend_i32_u" if letter == "j" else "")
        else:
            self._operand(op, 1, letter)
        self.text(_ARITHMETIC[op.name])

    def _divide(self, op: Op, head: str, kind: str) -> None:
        width = core_type(kind)
        divisor: Callable[[], None] = partial(self._operand, op, 1, kind)
        if op.literal is not None:
            divisor = partial(self.text, f"{width}.const {op.literal}")
        if not op.literal:
            divisor()
            self.text(f"{width}.eqz")
            self.fault_zero()
        if head == "rem":  # MIN % -1 is 0 in both
            self._operand(op, 0, kind)
            divisor()
            self.text(f"{width}.rem_s")
            return
        if op.literal not in (None, 0, -1):
            self._operand(op, 0, kind)
            divisor()
            self.text(f"{width}.div_s")
            return
        divisor()
        self.text(f"{width}.const -1 {width}.eq if:{width} {width}.const 0")
        self._operand(op, 0, kind)
        self.text(f"{width}.sub else")
        self._operand(op, 0, kind)
        divisor()
        self.text(f"{width}.div_s end")

    def _compare(self, op: Op) -> None:
        head, _, type_name = op.name.partition("-")
        kind = _KIND_OF_COMPARE[type_name]
        width = core_type(kind)
        suffix = "_s" if kind == "j" else ""
        # above minus below, where NaN is one of them
        self._both(op, kind)
        self.text(f"{width}.le i32.eqz" if head == "cmpg" else f"{width}.gt{suffix}")
        self._both(op, kind)
        self.text(f"{width}.ge i32.eqz" if head == "cmpl" else f"{width}.lt{suffix}")
        self.text("i32.sub")
        self._store_dest(op)

    def _both(self, op: Op, kind: str) -> None:
        self._operand(op, 0, kind)
        self._operand(op, 1, kind)

    def condition(self, op: Op) -> None:
        """Push whether an ``if`` jumps."""
        test = op.name[3:5]
        if op.at in self._tested:
            self._fused_condition(self._tested[op.at], test)
            return
        kind = "i"
        self._operand(op, 0, kind)
        if op.name.endswith("z"):
            self.text("i32.const 0")
        else:
            self._operand(op, 1, kind)
        self.text(f"i32.{_TESTS[test]}")

    def _fused_condition(self, compare: Op, test: str) -> None:
        head, _, type_name = compare.name.partition("-")
        kind = _KIND_OF_COMPARE[type_name]
        self._both(compare, kind)
        if kind == "j":
            self.text(f"i64.{_TESTS[test]}")
            return
        name, is_negated = (_FUSED_MORE if head == "cmpg" else _FUSED_LESS)[test]
        self.text(f"{core_type(kind)}.{name}{' i32.eqz' if is_negated else ''}")


def _source_kind(name: str) -> str:
    word = name.partition("-to-")[0] if "-to-" in name else name.partition("-")[2]
    return {"int": "i", "long": "j", "float": "f", "double": "d"}[word]
