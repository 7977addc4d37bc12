"""The code of single operations: moves, arrays, calls. Null and bad indexes are exceptions."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial

from lawow.dalvik.calls import parameters_of
from lawow.dalvik.computing import Computing
from lawow.dalvik.ir import Op
from lawow.dalvik.kinds import kind_of_type
from lawow.dalvik.loops import Limit, Linear, Plan
from lawow.dalvik.methods import symbol_of
from lawow.dalvik.rewriting import is_text_access
from lawow.dalvik.runtime import FIELD_BYTES, HEAD_BYTES
from lawow.dalvik.types import CLASS_PREFIX, shift_of
from lawow.dalvik.variables import NARROW
from lawow.dalvik.vectors import ARITHMETIC, LOAD, SPLAT, STORE, Vector
from lawow.dalvik.webs import Web
from lawow.formats.dex import FieldRef, MethodRef, parse_method_descriptor

__all__ = ["Operations"]

_ACCESS = {  # element -> load, store, kind
    "Z": ("i32.load8_s", "i32.store8"),
    "B": ("i32.load8_s", "i32.store8"),
    "S": ("i32.load16_s", "i32.store16"),
    "C": ("i32.load16_u", "i32.store16"),
    "I": ("i32.load", "i32.store"),
    "[": ("i32.load", "i32.store"),
    "L": ("i32.load", "i32.store"),
    "J": ("i64.load", "i64.store"),
    "F": ("f32.load", "f32.store"),
    "D": ("f64.load", "f64.store"),
}
_SLOTS = {  # kind of a field -> load, store
    "i": ("i32.load", "i32.store"),
    "l": ("i32.load", "i32.store"),
    "j": ("i64.load", "i64.store"),
    "f": ("f32.load", "f32.store"),
    "d": ("f64.load", "f64.store"),
}


class Operations(Computing):
    """Emits operations that do not branch."""

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
            if op.at not in self.fused:
                self.compare(op)
        elif name in ("array-length", "new-array", "filled-new-array", "fill-array-data"):
            self._array(op)
        elif name == "throw":
            self.throw(op)
        elif name == "new-instance":
            self._new(op)
        elif name.startswith(("iget", "iput")):
            self._field(op)
        elif name.startswith("sget"):
            self._static(op)
        else:
            self.arithmetic(op)

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
            self.text(f"i32.const {self.unit.text(str(op.symbol))}")
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

    # ---- objects

    def _new(self, op: Op) -> None:
        name = str(op.symbol)
        if self.types.program.is_object(name):
            self.text(f"i32.const {len(self.unit.fields(name))} i32.const {self.unit.word(name)} call alloc")
        else:
            self.text(f"i32.const {self.unit.code_of(name)} call new_exception")
        self.fault_if_thrown()
        self._store_dest(op)

    def _require_object(self, web: Web) -> None:
        """Leave with an exception if a reference is null, unless it is known to be an object."""
        if web not in self._present:
            self.load(web, "l")
            self.text("i32.eqz")
            self.fault_bounds(partial(self.text, "i32.const 0"), partial(self.text, "i32.const 0"))

    def _field(self, op: Op) -> None:
        assert isinstance(op.symbol, FieldRef)
        web = self.flow.uses[op.at][-1]
        self._require_object(web)
        if op.at not in self.types.fields:  # nothing but null gets here
            self.text("unreachable")
            return
        owner, field = self.types.fields[op.at]
        place = HEAD_BYTES + FIELD_BYTES * self.unit.fields(owner).index(field)
        kind = kind_of_type(field.type)
        load, store = _SLOTS[kind]
        self.load(web, "l")
        if op.name.startswith("iget"):
            self.text(f"{load} +{place}")
            self._store_dest(op, kind)
        else:
            self._operand(op, 0, kind)
            self.text(f"{NARROW.get(field.type, '')} {store} +{place}")

    # ---- arrays

    def _element(self, op: Op) -> None:
        is_write = op.name.startswith("aput")
        array, index = self.flow.uses[op.at][is_write:]
        of_text = is_text_access(op)
        element = "C" if of_text else array.ref[1:2]
        if not element:  # nothing but null gets here
            self.text("i32.const 1")
            self.fault_bounds(partial(self.load, index, "i"), partial(self.load, array, "l"))
            return
        shift = shift_of(array.ref)
        if op.at not in self.safe:
            self._check_bounds(index, array, of_text=of_text)
        self.load(array, "l")
        self.load(index, "i")
        self.text(f"i32.const {shift} i32.shl i32.add" if shift else "i32.add")
        load, store = _ACCESS[element]
        kind = "i" if of_text else kind_of_type(array.ref[1:])
        if is_write:
            self._operand(op, 0, kind)
            self.text(f"{store} +{HEAD_BYTES}")
        else:
            self.text(f"{load} +{HEAD_BYTES}")
            self._store_dest(op, kind)

    def _check_bounds(self, index: Web, array: Web, *, of_text: bool) -> None:
        self.load(index, "i")
        self.text(f"local.get {self._length_slot(array)} i32.ge_u")
        self.fault_bounds(partial(self.load, index, "i"), partial(self.load, array, "l"), of_text=of_text)

    def guard(self, plan: Plan) -> None:
        """Push whether all accesses of a loop are within their arrays, from the first turn to the last."""
        self._push_last(plan.last)
        self.text(f"i32.const {0x7FFFFFFF - plan.margin} i32.le_s")
        for access in plan.accesses:
            self._linear(access.index, partial(self.load, plan.counter, "i"))
            self.text("i64.const 0 i64.ge_s i32.and")
            self._linear(access.index, partial(self._push_last, plan.last))
            self.text(f"local.get {self._length_slot(access.array)} i64.extend_i32_u i64.lt_s i32.and")

    def lanes(self, vector: Vector, op: Op) -> None:
        """Emit one operation of several turns at once; what is computed for indexes is as ever."""
        uses = self.flow.uses[op.at] if op.at in vector.lanes else ()
        if not uses:
            self.operation(op)
        elif op.name.startswith(("aget", "aput")):
            array, index = uses[-2:]
            self.load(array, "l")
            self.load(index, "i")
            self.text("i32.const 3 i32.shl i32.add")
            if op.name == "aput-wide":
                self._load_lanes(uses[0], vector)
            self.out.data += (STORE if op.name == "aput-wide" else LOAD) + bytes((HEAD_BYTES,))
        else:
            for web in uses:
                self._load_lanes(web, vector)
            self.out.data += ARITHMETIC[op.name]
        if uses and op.at in self.flow.dest:
            self.text(f"local.set {self._lane_slot(self.flow.dest[op.at])}")

    def _lane_slot(self, web: Web) -> int:
        key = (web.register, "v128")
        if key not in self._slots:
            self._slots[key] = self._new_local("v128")
        return self._slots[key]

    def _load_lanes(self, web: Web, vector: Vector) -> None:
        if any(self.flow.dest.get(at) is web for at in vector.lanes):
            self.text(f"local.get {self._lane_slot(web)}")
        else:
            self.load(web, "d")
            self.out.data += SPLAT

    def push_beyond(self, plan: Plan, turns: int) -> None:
        """Push whether the counter will be beyond its last value after so many turns."""
        self.load(plan.counter, "i")
        self.text(f"i64.extend_i32_s i64.const {turns * plan.margin} i64.add")
        self._push_last(plan.last)
        self.text("i64.extend_i32_s i64.gt_s")

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
            self.text(f"i32.const {self.unit.word(str(op.symbol))} call alloc")
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
        self.text(f"i32.const {len(op.uses)} i32.const {self.unit.word(str(op.symbol))} call alloc")
        self.text("local.set $i0")
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
        if call.callee and op.name != "invoke-static":
            self._require_object(uses[0])
        if call.special:
            throws = self._special(op, call.special)
        else:
            for web, descriptor in zip(uses, parameters_of(op), strict=True):
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
            code = code.replace("WORD", str(self.unit.word(array)) if array else "0")
        self.text(code)
        return call.intrinsic.throws

    def _special(self, op: Op, name: str) -> bool:
        uses = self.flow.uses[op.at]
        if name == "nothing":
            return False
        if name == "clone":
            assert isinstance(op.symbol, MethodRef)
            self.load(uses[0], "l")
            self.text(f"i32.const {self.unit.word(op.symbol.class_name)} call clone")
            return True
        made = self.flow.dest[op.at].ref if op.at in self.flow.dest else "[I"
        self.load(
            uses[1],
            "l" if made.startswith("[[") and str(op.symbol).endswith("[I)Ljava/lang/Object;") else "i",
        )
        if str(op.symbol).endswith("[I)Ljava/lang/Object;"):
            self.text(
                f"i32.const {self.unit.word(made)} i32.const {self.unit.word(made[1:] or '[I')} call rows"
            )
        else:
            self.text(f"i32.const {self.unit.word(made)} call alloc")
        return True
