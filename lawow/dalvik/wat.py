"""WebAssembly from text: a small assembler for the runtime's functions and for what the translator emits.

The text is that of the specification's folded-out instructions, one after the other, with three liberties: a
label-free ``block``, ``loop`` and ``if`` whose result type follows a colon (``if:i32``), locals by ``$name``,
and ``call`` by name, resolved when the module is linked. Loads and stores are aligned naturally; ``+8`` is an
offset::

    local.get $a i32.eqz if i32.const 1 return end local.get $a i32.load +8

Source of the numbers: WebAssembly specification 3.0, 5.4 (instructions).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from lawow.formats.bytes import encode_sleb128, encode_uleb128, padded_uleb128
from lawow.formats.wasm_edit import sized, vector

__all__ = ["VALUE_TYPES", "Code", "Function", "Module", "assemble", "float_bytes"]

VALUE_TYPES = {"i32": 0x7F, "i64": 0x7E, "f32": 0x7D, "f64": 0x7C, "v128": 0x7B}
_CALL_BYTES = 3
_EMPTY = 0x40

_PLAIN = {
    "unreachable": 0x00,
    "nop": 0x01,
    "else": 0x05,
    "end": 0x0B,
    "return": 0x0F,
    "drop": 0x1A,
    "select": 0x1B,
}
_BLOCKS = {"block": 0x02, "loop": 0x03, "if": 0x04}
_INDEXED = {
    "br": 0x0C, "br_if": 0x0D, "local.get": 0x20, "local.set": 0x21, "local.tee": 0x22,
    "global.get": 0x23, "global.set": 0x24,
}  # fmt: skip
_MEMORY = {  # mnemonic -> opcode, alignment as a power of two
    "i32.load": (0x28, 2), "i64.load": (0x29, 3), "f32.load": (0x2A, 2), "f64.load": (0x2B, 3),
    "i32.load8_s": (0x2C, 0), "i32.load8_u": (0x2D, 0), "i32.load16_s": (0x2E, 1), "i32.load16_u": (0x2F, 1),
    "i32.store": (0x36, 2), "i64.store": (0x37, 3), "f32.store": (0x38, 2), "f64.store": (0x39, 3),
    "i64.load32_u": (0x35, 2), "i32.store8": (0x3A, 0), "i32.store16": (0x3B, 1),
}  # fmt: skip
_PREFIXED = {
    "memory.copy": b"\xfc\x0a\0\0",
    "memory.fill": b"\xfc\x0b\0",
    "memory.size": b"\x3f\0",
    "memory.grow": b"\x40\0",
}

_COMPARES = ["eqz", "eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"]
_FLOAT_COMPARES = ["eq", "ne", "lt", "gt", "le", "ge"]
_INTEGER = [
    "clz",
    "ctz",
    "popcnt",
    "add",
    "sub",
    "mul",
    "div_s",
    "div_u",
    "rem_s",
    "rem_u",
    "and",
    "or",
    "xor",
    "shl",
    "shr_s",
    "shr_u",
    "rotl",
    "rotr",
]
_FLOAT = [
    "abs",
    "neg",
    "ceil",
    "floor",
    "trunc",
    "nearest",
    "sqrt",
    "add",
    "sub",
    "mul",
    "div",
    "min",
    "max",
    "copysign",
]
_CONVERSIONS = [
    "i32.wrap_i64",
    "i32.trunc_f32_s",
    "i32.trunc_f32_u",
    "i32.trunc_f64_s",
    "i32.trunc_f64_u",
    "i64.extend_i32_s",
    "i64.extend_i32_u",
    "i64.trunc_f32_s",
    "i64.trunc_f32_u",
    "i64.trunc_f64_s",
    "i64.trunc_f64_u",
    "f32.convert_i32_s",
    "f32.convert_i32_u",
    "f32.convert_i64_s",
    "f32.convert_i64_u",
    "f32.demote_f64",
    "f64.convert_i32_s",
    "f64.convert_i32_u",
    "f64.convert_i64_s",
    "f64.convert_i64_u",
    "f64.promote_f32",
    "i32.reinterpret_f32",
    "i64.reinterpret_f64",
    "f32.reinterpret_i32",
    "f64.reinterpret_i64",
    "i32.extend8_s",
    "i32.extend16_s",
    "i64.extend8_s",
    "i64.extend16_s",
    "i64.extend32_s",
]
_SATURATING = [
    "i32.trunc_sat_f32_s",
    "_",
    "i32.trunc_sat_f64_s",
    "_",
    "i64.trunc_sat_f32_s",
    "_",
    "i64.trunc_sat_f64_s",
]


def _numeric() -> dict[str, bytes]:
    """The instructions without an immediate, in the order of their numbers."""
    names = [f"i32.{item}" for item in _COMPARES] + [f"i64.{item}" for item in _COMPARES]
    names += [f"f32.{item}" for item in _FLOAT_COMPARES] + [f"f64.{item}" for item in _FLOAT_COMPARES]
    names += [f"{width}.{item}" for width in ("i32", "i64") for item in _INTEGER]
    names += [f"{width}.{item}" for width in ("f32", "f64") for item in _FLOAT] + _CONVERSIONS
    table = {name: bytes((0x45 + number,)) for number, name in enumerate(names)}
    table |= {name: bytes((0xFC, number)) for number, name in enumerate(_SATURATING) if name != "_"}
    table |= {name: bytes((number,)) for name, number in _PLAIN.items()} | _PREFIXED
    return table


_SIMPLE = _numeric()


@dataclass(slots=True)
class Code:
    """Instructions, with the places where the numbers of called functions go."""

    data: bytearray = field(default_factory=bytearray)
    calls: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: Code) -> None:
        """Append the instructions of another code."""
        base = len(self.data)
        self.data += other.data
        self.calls += [(base + place, name) for place, name in other.calls]

    def call(self, name: str) -> None:
        """Append a call of the function that will have this name."""
        self.data.append(0x10)
        self.calls.append((len(self.data), name))
        self.data += bytes(_CALL_BYTES)


@lru_cache(maxsize=4096)
def _assembled(text: str, names: tuple[tuple[str, int], ...]) -> tuple[bytes, tuple[tuple[int, str], ...]]:
    code = Code()
    index = dict(names)
    words = iter(text.split())
    pending = next(words, None)
    while pending is not None:
        word, pending = pending, next(words, None)
        kind, _, result = word.partition(":")
        if word in _SIMPLE:
            code.data += _SIMPLE[word]
        elif kind in _BLOCKS:
            code.data += bytes((_BLOCKS[kind], VALUE_TYPES[result] if result else _EMPTY))
        elif word in _MEMORY:
            opcode, alignment = _MEMORY[word]
            offset = 0
            if pending is not None and pending[0] == "+":
                offset, pending = int(pending), next(words, None)
            code.data += bytes((opcode, alignment)) + encode_uleb128(offset)
        else:
            assert pending is not None, text
            _with_operand(code, word, pending, index)
            pending = next(words, None)
    return bytes(code.data), tuple(code.calls)


def _with_operand(code: Code, word: str, operand: str, index: Mapping[str, int]) -> None:
    if word == "call":
        code.call(operand)
    elif word in _INDEXED:
        number = index[operand] if operand[0] == "$" else int(operand)
        code.data += bytes((_INDEXED[word],)) + encode_uleb128(number)
    elif word in ("i32.const", "i64.const"):
        code.data += b"\x41" if word == "i32.const" else b"\x42"
        code.data += encode_sleb128(int(operand, 0))
    else:
        code.data += float_bytes(word[:3], float(operand))


def float_bytes(width: str, value: float) -> bytes:
    """Return ``f32.const`` or ``f64.const``."""
    return b"\x43" + struct.pack("<f", value) if width == "f32" else b"\x44" + struct.pack("<d", value)


def assemble(text: str, names: Mapping[str, int] | None = None) -> Code:
    """Return the instructions of a text; `names` are the numbers of ``$names``. Faults are `KeyError`s: the
    texts are the translator's own.
    """
    data, calls = _assembled(text, tuple(sorted(names.items())) if names else ())
    return Code(bytearray(data), list(calls))


@dataclass(frozen=True, slots=True)
class Function:
    """A function: types of parameters, results and further locals, in order, and its code without ``end``."""

    name: str
    params: tuple[str, ...]
    results: tuple[str, ...]
    locals: tuple[str, ...]
    code: Code

    @classmethod
    def of(cls, name: str, params: str, results: str, text: str, locals: str = "") -> Function:
        """Write a function: ``of("add", "a:i32 b:i32", "i32", "local.get $a local.get $b i32.add")``."""
        declared = [item.split(":") for item in f"{params} {locals}".split()]
        names = {f"${item[0]}": number for number, item in enumerate(declared)}
        types = tuple(item[1] for item in declared)
        count = len(params.split())
        return cls(name, types[:count], tuple(results.split()), types[count:], assemble(text, names))


class Module:
    """Functions, one memory, globals and data, linked by `to_bytes`."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self.exports: list[tuple[str, str]] = []
        self.globals: list[int] = []
        self.data: list[tuple[int, bytes]] = []
        self.memory_bytes = 0

    def add(self, function: Function) -> None:
        """Add a function, once for each name."""
        self.functions.setdefault(function.name, function)

    def to_bytes(self) -> bytes:
        """Link. The memory is exported as ``memory``; `exports` are pairs of export and function."""
        index = {name: number for number, name in enumerate(self.functions)}
        types: dict[bytes, int] = {}
        of_function = [types.setdefault(_function_type(item), len(types)) for item in self.functions.values()]
        pages = (self.memory_bytes + 0xFFFF) >> 16
        sections = {
            1: vector(list(types)),
            3: vector([encode_uleb128(number) for number in of_function]),
            5: vector([b"\0" + encode_uleb128(max(pages, 1))]),
            6: vector([b"\x7f\x01\x41" + encode_sleb128(value) + b"\x0b" for value in self.globals]),
            7: vector([sized(b"memory") + b"\x02\0", *(self._export(pair, index) for pair in self.exports)]),
            10: vector([_body(item, index) for item in self.functions.values()]),
        }
        if self.data:
            sections[11] = vector(
                [b"\0\x41" + encode_sleb128(at) + b"\x0b" + sized(content) for at, content in self.data]
            )
        return b"\0asm\1\0\0\0" + b"".join(bytes((id_,)) + sized(body) for id_, body in sections.items())

    @staticmethod
    def _export(pair: tuple[str, str], index: Mapping[str, int]) -> bytes:
        return sized(pair[0].encode()) + b"\0" + encode_uleb128(index[pair[1]])


def _function_type(function: Function) -> bytes:
    return b"\x60" + _types(function.params) + _types(function.results)


def _types(names: Sequence[str]) -> bytes:
    return encode_uleb128(len(names)) + bytes(VALUE_TYPES[name] for name in names)


def _body(function: Function, index: Mapping[str, int]) -> bytes:
    runs: list[tuple[int, str]] = []
    for name in function.locals:
        if runs and runs[-1][1] == name:
            runs[-1] = (runs[-1][0] + 1, name)
        else:
            runs.append((1, name))
    declared = vector([encode_uleb128(count) + bytes((VALUE_TYPES[name],)) for count, name in runs])
    data = bytearray(function.code.data)
    for place, name in function.code.calls:
        data[place : place + _CALL_BYTES] = padded_uleb128(index[name], _CALL_BYTES)
    return sized(declared + bytes(data) + b"\x0b")
