"""Dalvik code as operations: decoded where control flow reaches, one spelling for each of the many encodings.

``add-int/2addr``, ``add-int/lit8`` and ``add-int`` become ``add-int``; ``const/high16`` is ``const``; an
invoke and the ``move-result`` behind it are one operation. What nothing reaches is never looked at.

Refused, with the place: opcodes that are unused, code that runs off its end, jumps into an instruction or a
payload, switch payloads that are damaged, guarded ranges that overlap, ``move-exception`` anywhere but at the
start of a handler. Source: "Dalvik bytecode", "Dalvik executable instruction formats".
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from lawow.formats.dex import FieldRef, MethodRef, MethodView, argument_words, parse_method_descriptor
from lawow.formats.dex.items import CatchHandler, TryItem
from lawow.formats.dex.opcodes import (
    FIELD_LAYOUT,
    FILL_ARRAY_PAYLOAD,
    OPCODES,
    PACKED_SWITCH_PAYLOAD,
    SPARSE_SWITCH_PAYLOAD,
    IndexKind,
    Opcode,
)
from lawow.limits import DALVIK

__all__ = ["Body", "Obstacle", "Op", "decode", "is_wide_type"]

BY_VALUE: tuple[Opcode | None, ...] = tuple(
    {item.value: item for item in OPCODES.values()}.get(value) for value in range(256)
)
_ENDS = frozenset(("return-void", "return", "return-wide", "return-object", "throw", "goto"))
_SWITCHES = {"packed-switch": PACKED_SWITCH_PAYLOAD, "sparse-switch": SPARSE_SWITCH_PAYLOAD}
_NOT_WRITTEN = frozenset(  # the first register of these is read
    ("return", "return-wide", "return-object", "throw", "monitor-enter", "monitor-exit", "fill-array-data")
)
_THROWING_PREFIXES = ("aget", "aput", "iget", "iput", "div-int", "div-long", "rem-int", "rem-long", "invoke-")
_THROWING = frozenset(
    (
        "array-length",
        "new-array",
        "filled-new-array",
        "throw",
        "check-cast",
        "fill-array-data",
        "new-instance",
    )
)


class Obstacle(Exception):
    """Something that cannot be translated, at an operation or in the method as a whole."""

    def __init__(self, reason: str, instruction: str = "", offset: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.instruction = instruction
        self.offset = offset


class Op:
    """One operation. `at` and `next` are addresses in code units.

    `dest` is the register that is written, `uses` those that are read, in the order of the mnemonic's syntax;
    `literal` the number, `symbol` the reference. `targets` are jump targets; those of a switch stand in the
    order of its `keys`. `data` is an array payload, `width` its bytes for each element. `handlers` are those
    of the guarded range around an operation that can throw.
    """

    __slots__ = (
        "at", "data", "dest", "handlers", "keys", "literal", "mnemonic", "name", "next", "symbol", "targets",
        "uses", "width",
    )  # fmt: skip

    def __init__(self, at: int, opcode: Opcode) -> None:
        self.at = at
        self.mnemonic = opcode.name
        self.name = opcode.name.partition("/")[0]
        self.next = at + opcode.units
        self.dest: int | None = None
        self.uses: tuple[int, ...] = ()
        self.literal: int | None = None
        self.symbol: str | FieldRef | MethodRef | None = None
        self.targets: tuple[int, ...] = ()
        self.keys: tuple[int, ...] = ()
        self.data = b""
        self.width = 0
        self.handlers: tuple[CatchHandler, ...] = ()

    def __repr__(self) -> str:
        return f"<{self.at:#x} {self.name} {self.dest} {self.uses} {self.literal} {self.symbol}>"

    @property
    def falls_through(self) -> bool:
        """Whether the next operation can follow."""
        return self.name not in _ENDS

    @property
    def can_throw(self) -> bool:
        """Whether a Java exception can come out of it."""
        return self.name in _THROWING or self.name.startswith(_THROWING_PREFIXES)

    def obstacle(self, reason: str) -> Obstacle:
        """Return the obstacle that this operation is."""
        return Obstacle(reason, self.mnemonic, self.at)


@dataclass(frozen=True, slots=True)
class Body:
    """A method's operations by address, in the order of addresses; its arguments are the last registers.

    With `has_this` the first parameter is the object.
    """

    method: MethodRef
    registers: int
    parameters: tuple[str, ...]
    returns: str
    ops: dict[int, Op]
    has_this: bool = False

    def arguments(self) -> Iterator[tuple[int, str]]:
        """Yield (register, type descriptor) of each parameter."""
        register = self.registers - argument_words(self.parameters, is_static=True)
        for descriptor in self.parameters:
            yield register, descriptor
            register += 1 + is_wide_type(descriptor)


def is_wide_type(descriptor: str) -> bool:
    """Tell whether values of the type take two registers."""
    return descriptor in ("J", "D")


def decode(view: MethodView) -> Body:
    """Decode what can be reached of a method; an instance's `this` is its first parameter.

    Raises `Obstacle`, `FormatError`.
    """
    code = view.code
    if code is None:
        raise Obstacle("is native" if view.is_native else "has no code")
    proto = parse_method_descriptor(view.descriptor)
    parameters = proto.parameters if view.is_static else (view.ref.class_name, *proto.parameters)
    if argument_words(parameters, is_static=True) != code.ins_size or code.ins_size > code.registers_size:
        raise Obstacle("the arguments do not fit its registers")
    if code.registers_size > DALVIK.registers:
        raise Obstacle(f"has {code.registers_size} registers, more than {DALVIK.registers}")
    reader = _Reader(view, view.owner.dex.code_units(code), code.registers_size)
    return Body(
        view.ref, code.registers_size, parameters, proto.return_type, reader.run(), not view.is_static
    )


class _Reader:
    def __init__(self, view: MethodView, units: array[int], registers: int) -> None:
        self.view = view
        self.dex = view.owner.dex
        self.units = units
        self.registers = registers
        self.tries = view.tries
        self._require_disjoint(self.tries)

    @staticmethod
    def _require_disjoint(tries: tuple[TryItem, ...]) -> None:
        ordered = sorted(tries, key=lambda item: item.start_addr)
        if any(one.start_addr + one.insn_count > other.start_addr for one, other in pairwise(ordered)):
            raise Obstacle("guarded ranges overlap")

    def run(self) -> dict[int, Op]:
        ops: dict[int, Op] = {}
        entered = {0}
        waiting = [0]
        while waiting:
            at = waiting.pop()
            if at in ops:
                continue
            op = ops[at] = self._read(at)
            if len(ops) > DALVIK.instructions:
                raise Obstacle(f"has more than {DALVIK.instructions} instructions")
            follow = [*op.targets, *([op.next] if op.falls_through else ())]
            entered.update(follow)
            waiting += [*follow, *(handler.address for handler in op.handlers)]
        ordered = dict(sorted(ops.items()))
        self._check(ordered, entered)
        return ordered

    def _check(self, ops: dict[int, Op], entered: set[int]) -> None:
        """Raise `Obstacle` where instructions overlap, or a handler is entered other than by an exception."""
        for one, other in pairwise(ops.values()):
            if one.at + OPCODES[one.mnemonic].units > other.at:
                raise other.obstacle("lies inside of another instruction")
        handlers = {handler.address for op in ops.values() for handler in op.handlers}
        for op in ops.values():
            if op.name == "move-exception" and (op.at in entered or op.at not in handlers):
                raise op.obstacle("is reached without an exception")

    def _read(self, at: int) -> Op:
        if not 0 <= at < len(self.units):
            raise Obstacle("control leaves the code", offset=at)
        unit = self.units[at]
        opcode = BY_VALUE[unit & 0xFF]
        if opcode is None or (unit & 0xFF == 0 and unit):
            raise Obstacle(
                "control runs into a payload" if opcode else f"opcode {unit & 0xFF:#04x} is unused", offset=at
            )
        op = Op(at, opcode)
        if op.next > len(self.units):
            raise op.obstacle("is cut off")
        if op.name.startswith("move-result"):
            raise op.obstacle("does not follow what it moves")
        self._operands(op, opcode)
        if op.name.startswith("invoke-") or op.name == "filled-new-array":
            self._join_result(op)
        if op.can_throw:
            op.handlers = self._handlers(at)
        return op

    def _operands(self, op: Op, opcode: Opcode) -> None:
        raw = int.from_bytes(_bytes(self.units[op.at : op.next]), "little")
        values = [_field(raw, place.shift, place.bits, place.signed) for place in FIELD_LAYOUT[opcode.format]]
        if opcode.index is not None:
            self._indexed(op, opcode, values)
            return
        if opcode.format.endswith("t"):
            self._jump(op, values)
            return
        if opcode.format in ("11n", "21s", "21h", "31i", "51l", "22s", "22b"):
            op.literal = values.pop()
            if opcode.format == "21h":
                op.literal <<= 48 if op.name == "const-wide" else 16
        self._registers(op, values)
        if opcode.name.endswith("/2addr"):
            op.uses = (values[0], values[1])

    def _registers(self, op: Op, values: list[int]) -> None:
        reads = op.name in _NOT_WRITTEN or op.name.startswith(("aput", "if-", "iput", "sput"))
        if reads or not values:
            op.uses = tuple(values)
        else:
            op.dest, op.uses = values[0], tuple(values[1:])
        if any(value >= self.registers for value in values):
            raise op.obstacle(f"names a register past v{self.registers - 1}")

    def _indexed(self, op: Op, opcode: Opcode, values: list[int]) -> None:
        kind = opcode.index
        if opcode.format in ("35c", "3rc", "45cc", "4rcc"):
            count, index, first, *others = values
            if opcode.format in ("35c", "45cc"):
                registers = [first, *others][:count]
                if count > len(registers):
                    raise op.obstacle("has more than five registers")
            else:
                registers = list(range(first, first + count))
            op.uses = tuple(registers)
            self._registers_fit(op)
        else:
            index = values.pop()
            self._registers(op, values)
        if op.name == "check-cast" and op.dest is not None:
            op.uses = (op.dest,)
        if kind is None or kind in (IndexKind.CALL_SITE, IndexKind.METHOD_HANDLE, IndexKind.PROTO):
            return
        op.symbol = self.dex.symbol(kind, index)

    def _registers_fit(self, op: Op) -> None:
        if any(value >= self.registers for value in op.uses):
            raise op.obstacle(f"names a register past v{self.registers - 1}")

    def _jump(self, op: Op, values: list[int]) -> None:
        target = op.at + values.pop()
        self._registers(op, values)
        if op.name in _SWITCHES:
            op.dest, op.uses = None, tuple(values)
            self._switch(op, target)
        elif op.name == "fill-array-data":
            self._array(op, target)
        else:
            op.targets = (target,)

    def _payload(self, op: Op, at: int, ident: int, head: int) -> tuple[int, ...]:
        """Return the first units of the payload at `at`, which begins with `ident`."""
        if at & 1 or not 0 <= at <= len(self.units) - head or self.units[at] != ident:
            raise op.obstacle("its payload is not where it says")
        return tuple(self.units[at : at + head])

    def _numbers(self, op: Op, at: int, count: int) -> tuple[int, ...]:
        units = self.units[at : at + 2 * count]
        if len(units) != 2 * count:
            raise op.obstacle("its payload is cut off")
        return struct.unpack(f"<{count}i", _bytes(units))

    def _switch(self, op: Op, at: int) -> None:
        _, count = self._payload(op, at, _SWITCHES[op.name], 2)
        if op.name == "packed-switch":
            first, *offsets = self._numbers(op, at + 2, count + 1)
            op.keys = tuple(range(first, first + count))
        else:
            numbers = self._numbers(op, at + 2, 2 * count)
            op.keys, offsets = numbers[:count], list(numbers[count:])
            if any(one >= other for one, other in pairwise(op.keys)):
                raise op.obstacle("the keys of its payload are not in order")
        if any(key > 0x7FFFFFFF for key in op.keys):
            raise op.obstacle("the keys of its payload are no integers")
        op.targets = tuple(op.at + offset for offset in offsets)

    def _array(self, op: Op, at: int) -> None:
        _, op.width, low, high = self._payload(op, at, FILL_ARRAY_PAYLOAD, 4)
        size = op.width * (low | high << 16)
        op.data = _bytes(self.units[at + 4 : at + 4 + (size + 1) // 2])[:size]
        if op.width not in (1, 2, 4, 8) or len(op.data) != size:
            raise op.obstacle("its payload is damaged")

    def _join_result(self, op: Op) -> None:
        """Make the `move-result` behind an invoke its destination."""
        if op.name in ("invoke-polymorphic", "invoke-custom"):
            raise op.obstacle("method handles are not translated")
        if op.next >= len(self.units):
            return
        opcode = BY_VALUE[self.units[op.next] & 0xFF]
        if opcode and opcode.name.startswith("move-result"):
            op.dest = self.units[op.next] >> 8
            if op.dest + (opcode.name == "move-result-wide") >= self.registers:
                raise op.obstacle("its result goes to a register that is not there")
            if _result_kind(op) != opcode.name:
                raise op.obstacle(f"{opcode.name} does not fit what it returns")
            op.next += 1

    def _handlers(self, at: int) -> tuple[CatchHandler, ...]:
        for entry in self.tries:
            if entry.start_addr <= at < entry.start_addr + entry.insn_count:
                return entry.handlers
        return ()


def _result_kind(op: Op) -> str:
    """Return the mnemonic that moves the result of an invoke."""
    if op.name == "filled-new-array":
        return "move-result-object"
    assert isinstance(op.symbol, MethodRef)  # an invoke's index is a method's
    returns = parse_method_descriptor(op.symbol.descriptor).return_type
    if returns == "V":
        return ""
    if returns[0] in "L[":
        return "move-result-object"
    return "move-result-wide" if is_wide_type(returns) else "move-result"


def _bytes(units: array[int]) -> bytes:
    return struct.pack(f"<{len(units)}H", *units)


def _field(raw: int, shift: int, bits: int, is_signed: bool) -> int:
    value = raw >> shift & (1 << bits) - 1
    return value - (1 << bits) if is_signed and value >> (bits - 1) else value
