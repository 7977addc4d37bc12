"""The code of arithmetic, comparisons and tests.

Where Java and WebAssembly differ: integer division by zero is an exception and MIN / -1 is MIN; ``NaN``
compares as the mnemonic says; conversions saturate. Shift counts, wrapping, IEEE arithmetic, minima and
maxima are the same in both. Sources: "Dalvik bytecode", JLS 15.17 to 15.22, JVMS 6.5.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lawow.dalvik.ir import Op
from lawow.dalvik.methods import Analysis
from lawow.dalvik.variables import Unit, Variables, core_type
from lawow.dalvik.webs import Web

__all__ = ["Computing"]

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


class Computing(Variables):
    """Emits what computes; comparisons that are only tested become one with their test."""

    def __init__(self, analysis: Analysis, unit: Unit) -> None:
        super().__init__(analysis, unit)
        self._tested = self._find_tested()
        self.fused = {compare.at for compare in self._tested.values()}

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

    def arithmetic(self, op: Op) -> None:
        """Emit an operation on numbers."""
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

    def compare(self, op: Op) -> None:
        """Emit a comparison whose result is a number."""
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
