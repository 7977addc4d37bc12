"""Turns instructions with labels into code units with symbolic indexes.

An instruction is a tuple in the order of its mnemonic syntax; registers and literals are ints, references are
symbols, jump targets are labels. Labels and line numbers stand between instructions::

    ("const/4", 0, 1)                                            v0 = 1
    ("invoke-static", (0, 1), MethodRef("La/B;", "f", "(II)I"))  up to five registers below 16
    ("invoke-static/range", (3, 2), MethodRef(...))              first register, number of registers
    ("sget", 0, FieldRef("La/B;", "x", "I"))                     static field into v0
    ("const-string", 0, "text")                                  becomes const-string/jumbo where it has to
    ("if-eqz", 0, ":zero")  and  ":zero"                         jump and label
    (".line", 12)                                                line of what follows, for stack traces
    ("packed-switch", 0, ":table")  ...  ":table", ("packed-switch-payload", first_key, (":a", ":b"))
    ("sparse-switch", 0, ":table")  ...  ":table", ("sparse-switch-payload", ((key, ":a"), (key, ":b")))
    ("fill-array-data", 0, ":data") ...  ":data",  ("array-payload", bytes_per_element, (1, 2, 3))

Payloads are aligned by the assembler. Jumps are encoded as written: a `goto` that reaches too far is refused.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

from lawow.errors import UsageError
from lawow.formats.bytes import encode_sleb128, encode_uleb128
from lawow.formats.dex.items import CatchHandler, TryItem
from lawow.formats.dex.opcodes import (
    FIELD_LAYOUT,
    FILL_ARRAY_PAYLOAD,
    OPCODES,
    PACKED_SWITCH_PAYLOAD,
    SPARSE_SWITCH_PAYLOAD,
    BitField,
    IndexKind,
    Opcode,
)
from lawow.formats.dex.source import Assembly, Body, Fixup, Symbol, Try
from lawow.formats.dex.spec import ACC_STATIC, FIRST_SPECIAL
from lawow.formats.dex.symbols import FieldRef, MethodRef, argument_words, parse_method_descriptor

__all__ = ["assemble"]

_SWITCH_TARGETS = ("packed-switch", "sparse-switch")
_MAX_REGISTERS_35C = 5
_INDEX_UNIT, _PROTO_UNIT = 1, 3
_SYMBOL_TYPES: dict[IndexKind, type] = {
    IndexKind.STRING: str,
    IndexKind.TYPE: str,
    IndexKind.PROTO: str,
    IndexKind.FIELD: FieldRef,
    IndexKind.METHOD: MethodRef,
}

# debug_info: special opcodes advance the address by up to 15 steps and the line by -4 to 10.
_LINE_BASE, _LINE_RANGE = -4, 15
_DBG_ADVANCE_PC, _DBG_ADVANCE_LINE, _DBG_END = 1, 2, 0


def assemble(
    assembly: Assembly, method: MethodRef, access_flags: int, jumbo: frozenset[str] = frozenset()
) -> Body:
    """Assemble the code of `method`. Strings in `jumbo` are loaded by const-string/jumbo.

    Raises `UsageError` that names method and instruction when an operand does not fit or a label is missing.
    """
    return _Assembler(assembly, method, access_flags, jumbo).run()


@dataclass(slots=True)
class _Placed:
    """An instruction or payload at its address, in code units."""

    address: int
    mnemonic: str
    operands: tuple[object, ...]


@dataclass(slots=True)
class _Assembler:
    assembly: Assembly
    method: MethodRef
    access_flags: int
    jumbo: frozenset[str]
    placed: list[_Placed] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    lines: list[tuple[int, int]] = field(default_factory=list)
    switch_of: dict[str, int] = field(default_factory=dict)  # label of a payload -> address of its switch
    units: array[int] = field(default_factory=lambda: array("H"))
    fixups: list[Fixup] = field(default_factory=list)
    outs_size: int = 0

    def run(self) -> Body:
        self._place()
        for item in self.placed:
            if len(self.units) < item.address:
                self.units.append(0)  # a nop that aligns a payload
            self._encode(item)
        parameters = parse_method_descriptor(self.method.descriptor).parameters
        ins_size = argument_words(parameters, is_static=bool(self.access_flags & ACC_STATIC))
        if not ins_size <= self.assembly.registers <= 0xFFFF:
            raise self._fault(f"needs {ins_size} registers or more, not {self.assembly.registers}")
        return Body(
            registers_size=self.assembly.registers,
            ins_size=ins_size,
            outs_size=self.outs_size,
            units=self.units,
            fixups=tuple(self.fixups),
            tries=self._tries(),
            debug_info=_line_program(self.lines, len(parameters)),
        )

    # First pass: addresses and labels

    def _place(self) -> None:
        address = 0
        pending: list[str] = []
        for instruction in self.assembly.instructions:
            if isinstance(instruction, str):
                pending.append(instruction)
                continue
            mnemonic, operands = self._split(instruction)
            if mnemonic == ".line":
                self.lines.append((address, cast(int, operands[0])))
                continue
            if mnemonic in _PAYLOADS:
                address += address & 1
            self._set_labels(pending, address)
            if mnemonic in _SWITCH_TARGETS:
                self.switch_of[cast(str, operands[-1])] = address
            self.placed.append(_Placed(address, mnemonic, operands))
            address += self._units_of(mnemonic, operands)
        self._set_labels(pending, address)

    def _split(self, instruction: tuple[object, ...]) -> tuple[str, tuple[object, ...]]:
        mnemonic, operands = cast(str, instruction[0]), instruction[1:]
        if mnemonic == "const-string" and operands[-1] in self.jumbo:
            mnemonic = "const-string/jumbo"
        return mnemonic, operands

    def _set_labels(self, pending: list[str], address: int) -> None:
        for label in pending:
            if not label.startswith(":") or label in self.labels:
                raise self._fault(f'label "{label}" is defined twice or does not begin with a colon')
            self.labels[label] = address
        pending.clear()

    def _units_of(self, mnemonic: str, operands: tuple[object, ...]) -> int:
        if mnemonic == "packed-switch-payload":
            return 4 + 2 * len(cast("tuple[str, ...]", operands[1]))
        if mnemonic == "sparse-switch-payload":
            return 2 + 4 * len(cast("tuple[object, ...]", operands[0]))
        if mnemonic == "array-payload":
            width, values = cast("tuple[int, tuple[int, ...]]", operands)
            return 4 + (width * len(values) + 1) // 2
        if mnemonic not in OPCODES:
            raise self._fault(f'there is no instruction "{mnemonic}"')
        return OPCODES[mnemonic].units

    # Second pass: encoding

    def _encode(self, item: _Placed) -> None:
        if item.mnemonic in _PAYLOADS:
            self.units.extend(_PAYLOADS[item.mnemonic](self, item))
            return
        opcode = OPCODES[item.mnemonic]
        values = self._values(opcode, item)
        layout = FIELD_LAYOUT[opcode.format]
        if len(values) != len(layout):
            raise self._fault("wrong number of operands", item)
        number = opcode.value
        for value, place in zip(values, layout, strict=True):
            number |= self._fit(value, place, item) << place.shift
        raw = number.to_bytes(2 * opcode.units, "little")
        self.units.extend(raw[at] | raw[at + 1] << 8 for at in range(0, len(raw), 2))

    def _values(self, opcode: Opcode, item: _Placed) -> list[int]:
        operands = list(item.operands)
        if opcode.format in ("35c", "45cc", "3rc", "4rcc"):
            operands = self._invoke_operands(opcode, item)
        elif opcode.format.endswith("t"):
            operands[-1] = self._address(operands[-1], item) - item.address
        elif opcode.index is not None:
            self._fix(opcode.index, operands[-1], item, _INDEX_UNIT, is_wide=opcode.format == "31c")
            operands[-1] = 0
        if not all(isinstance(operand, int) for operand in operands):
            raise self._fault("operand is neither a register nor a number", item)
        return cast("list[int]", operands)

    def _invoke_operands(self, opcode: Opcode, item: _Placed) -> list[object]:
        """Return count, index and registers, as FIELD_LAYOUT orders them; indexes become fixups."""
        if len(item.operands) != (3 if opcode.format in ("45cc", "4rcc") else 2) or opcode.index is None:
            raise self._fault("wrong number of operands", item)
        registers, symbol, *proto = item.operands
        self._fix(opcode.index, symbol, item, _INDEX_UNIT)
        for descriptor in proto:
            self._fix(IndexKind.PROTO, descriptor, item, _PROTO_UNIT)
        listed = list(cast("tuple[int, ...]", registers))
        tail = [0] * len(proto)
        if opcode.format in ("3rc", "4rcc"):
            first, count = listed
            self.outs_size = max(self.outs_size, count)
            return [count, 0, first, *tail]
        if len(listed) > _MAX_REGISTERS_35C:
            raise self._fault("takes at most five registers; use the /range form", item)
        self.outs_size = max(self.outs_size, len(listed))
        return [len(listed), 0, *listed, *[0] * (_MAX_REGISTERS_35C - len(listed)), *tail]

    def _fix(
        self, kind: IndexKind, symbol: object, item: _Placed, unit: int, *, is_wide: bool = False
    ) -> None:
        if not isinstance(symbol, _SYMBOL_TYPES.get(kind, ())):
            raise self._fault(f"needs a {kind.name.lower()} as its last operand", item)
        self.fixups.append(Fixup(item.address + unit, kind, cast(Symbol, symbol), is_wide))

    def _fit(self, value: int, place: BitField, item: _Placed) -> int:
        lowest, highest = (
            (-1 << place.bits - 1, (1 << place.bits - 1) - 1) if place.signed else (0, (1 << place.bits) - 1)
        )
        if not lowest <= value <= highest:
            raise self._fault(f"operand {value} does not fit; allowed {lowest} to {highest}", item)
        return value & (1 << place.bits) - 1

    def _address(self, label: object, item: _Placed | None = None) -> int:
        if not isinstance(label, str) or label not in self.labels:
            raise self._fault(f'label "{label}" is not defined', item)
        return self.labels[label]

    def _tries(self) -> tuple[TryItem, ...]:
        tries = sorted(map(self._try_item, self.assembly.tries), key=lambda entry: entry.start_addr)
        for before, after in pairwise(tries):
            if before.start_addr + before.insn_count > after.start_addr:
                raise self._fault("tries overlap; the format wants them disjoint")
        return tuple(tries)

    def _try_item(self, entry: Try) -> TryItem:
        start, end = self._address(entry.start), self._address(entry.end)
        if not start < end:
            raise self._fault(f"try from {entry.start} to {entry.end} is empty")
        handlers = tuple(CatchHandler(caught, self._address(label)) for caught, label in entry.handlers)
        if not handlers or any(handler.type is None for handler in handlers[:-1]):
            raise self._fault(
                f"try from {entry.start}: handlers are missing or follow the one that catches all"
            )
        return TryItem(start, end - start, handlers)

    # Payloads

    def _switch_address(self, item: _Placed) -> int:
        for label, address in self.switch_of.items():
            if self.labels.get(label) == item.address:
                return address
        raise self._fault("no switch names the payload's label", item)

    def _packed_switch(self, item: _Placed) -> list[int]:
        first_key, targets = cast("tuple[int, Sequence[str]]", item.operands)
        base = self._switch_address(item)
        offsets = [self._address(label, item) - base for label in targets]
        return [PACKED_SWITCH_PAYLOAD, len(targets), *_u32_units([first_key, *offsets])]

    def _sparse_switch(self, item: _Placed) -> list[int]:
        rows = sorted(cast("Sequence[tuple[int, str]]", item.operands[0]))
        base = self._switch_address(item)
        offsets = [self._address(label, item) - base for _, label in rows]
        return [SPARSE_SWITCH_PAYLOAD, len(rows), *_u32_units([key for key, _ in rows]), *_u32_units(offsets)]

    def _array_payload(self, item: _Placed) -> list[int]:
        width, values = cast("tuple[int, Sequence[int]]", item.operands)
        raw = b"".join((value & (1 << 8 * width) - 1).to_bytes(width, "little") for value in values)
        raw += bytes(len(raw) & 1)
        data = [raw[at] | raw[at + 1] << 8 for at in range(0, len(raw), 2)]
        return [FILL_ARRAY_PAYLOAD, width, *_u32_units([len(values)]), *data]

    def _fault(self, message: str, item: _Placed | None = None) -> UsageError:
        place = f"{self.method}: {item.mnemonic} at {item.address:#x}" if item else str(self.method)
        return UsageError(f"{place}: {message}")


_PAYLOADS = {
    "packed-switch-payload": _Assembler._packed_switch,
    "sparse-switch-payload": _Assembler._sparse_switch,
    "array-payload": _Assembler._array_payload,
}


def _u32_units(numbers: Iterable[int]) -> list[int]:
    return [half for number in numbers for half in (number & 0xFFFF, number >> 16 & 0xFFFF)]


def _line_program(lines: list[tuple[int, int]], parameters: int) -> tuple[bytes, ...]:
    """Encode (address, line) pairs as a debug_info_item without names; nothing for no lines."""
    if not lines:
        return ()
    line = lines[0][1]
    program = bytearray(encode_uleb128(line) + encode_uleb128(parameters) + bytes(parameters))
    address = 0
    for at, number in lines:
        if number - line - _LINE_BASE not in range(_LINE_RANGE):
            program += bytes((_DBG_ADVANCE_LINE,)) + encode_sleb128(number - line)
            line = number
        if (at - address) * _LINE_RANGE + _LINE_RANGE + FIRST_SPECIAL > 0x100:
            program += bytes((_DBG_ADVANCE_PC,)) + encode_uleb128(at - address)
            address = at
        program.append(FIRST_SPECIAL + (number - line - _LINE_BASE) + (at - address) * _LINE_RANGE)
        line, address = number, at
    program.append(_DBG_END)
    return (bytes(program),)
