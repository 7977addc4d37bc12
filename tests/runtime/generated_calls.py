"""The same 200 calls for every engine: each instruction on numbers, edge values, traps, memory and tables."""

from __future__ import annotations

import random
import struct

from lawow.errors import GuestTrap
from lawow.runtime.base import CompiledModule
from tests.runtime.builders import wat

CALLS = 200

BINARY = {
    "i32": "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr eq lt_s lt_u ge_s gt_u",
    "i64": "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr ne le_s le_u",
    "f32": "add sub mul div min max copysign eq lt ge",
    "f64": "add sub mul div min max copysign ne gt le",
}
UNARY = {
    "i32": "clz ctz popcnt eqz extend8_s extend16_s",
    "i64": "clz ctz popcnt eqz extend8_s extend32_s",
    "f32": "abs neg sqrt ceil floor trunc nearest",
    "f64": "abs neg sqrt ceil floor trunc nearest",
}
CONVERSIONS = (
    *(f"{to} trunc_{of}_{sign} {of}" for to in ("i32", "i64") for of in ("f32", "f64") for sign in "su"),
    *(f"{to} trunc_sat_{of}_{sign} {of}" for to in ("i32", "i64") for of in ("f32", "f64") for sign in "su"),
    *(f"{to} convert_{of}_{sign} {of}" for to in ("f32", "f64") for of in ("i32", "i64") for sign in "su"),
    *("i32 wrap_i64 i64", "i64 extend_i32_s i32", "f32 demote_f64 f64", "f64 promote_f32 f32"),
    *("i32 reinterpret_f32 f32", "f64 reinterpret_i64 i64"),
)
COMPARISONS = {"eq", "ne", "lt", "gt", "le", "ge", "eqz"}

EDGES = {
    "i32": [0, 1, 2, 31, 32, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xDEADBEEF],
    "i64": [0, 1, 63, 64, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 0x0123456789ABCDEF, 0xFFFFFFFF],
    "f32": [
        0,
        1 << 31,
        1,
        0x3F800000,
        0x7F7FFFFF,
        0x7F800000,
        0xFF800000,
        0x4F000000,
        0xCF000000,
        0x3F000000,
    ],
    "f64": [
        *(0, 1 << 63, 1, 0x3FF0000000000000, 0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000, 0xFFF0000000000000),
        *(0x41E0000000000000, 0xC1E0000000200000, 0x43E0000000000000, 0x3FE0000000000000),
    ],
}
NANS = {"f32": [0x7FC00000, 0xFFC00000], "f64": [0x7FF8000000000000, 0xFFF8000000000000]}

SPECIAL = """
  (memory (export "memory") 1 4)
  (table 3 3 funcref) (elem (i32.const 0) $one)
  (type $none (func)) (type $int (func (result i32)))
  (func $one (result i32) i32.const 1)
  (func $load (export "load") (param i32) (result i64) (i64.load (local.get 0)))
  (func (export "store") (param i32 i64) (result i64)
    (i64.store (local.get 0) (local.get 1)) (i64.load (local.get 0)))
  (func (export "grow") (param i32) (result i32 i32) (memory.grow (local.get 0)) (memory.size))
  (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 7) (local.get 1)))
  (func (export "indirect") (param i32) (result i32) (call_indirect (type $int) (local.get 0)))
  (func (export "mistyped") (param i32) (call_indirect (type $none) (local.get 0)))
  (func (export "dead") unreachable)
  (func (export "mixed") (param f32 i64 f64 i32) (result i32 f64 i64 f32)
    local.get 3 local.get 2 local.get 1 local.get 0)
"""

Call = tuple[str, str, tuple[int, ...]]
"""Export, its parameters as type names, and their bit patterns."""


def functions() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the text and the parameters of one function for each instruction."""
    made: dict[str, tuple[str, tuple[str, ...]]] = {}
    for count, table in ((2, BINARY), (1, UNARY)):
        for kind, names in table.items():
            for name in names.split():
                result = "i32" if name.split("_")[0] in COMPARISONS else kind
                made[f"{kind}.{name}"] = instruction(f"{kind}.{name}", result, (kind,) * count)
    for line in CONVERSIONS:
        result, name, kind = line.split()
        made[f"{result}.{name}"] = instruction(f"{result}.{name}", result, (kind,))
    return made


def instruction(name: str, result: str, params: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    gets = " ".join(f"(local.get {index})" for index in range(len(params)))
    text = f'(func (export "{name}") (param {" ".join(params)}) (result {result}) ({name} {gets}))'
    return text, params


FUNCTIONS = functions()
SPECIAL_PARAMS = {
    "load": ("i32",),
    "store": ("i32", "i64"),
    "grow": ("i32",),
    "fill": ("i32", "i32"),
    "indirect": ("i32",),
    "mistyped": ("i32",),
    "dead": (),
    "mixed": ("f32", "i64", "f64", "i32"),
}
MODULE = wat(f"(module {SPECIAL} {' '.join(text for text, _ in FUNCTIONS.values())})")


def generated_calls() -> list[tuple[str, bytes]]:
    """Return `CALLS` calls: every function at least once, with edge values; the same ones every time."""
    chance = random.Random(20261122)
    params = {**SPECIAL_PARAMS, **{name: kinds for name, (_, kinds) in FUNCTIONS.items()}}
    names = [*params, *SPECIAL_PARAMS, *SPECIAL_PARAMS]
    names += chance.choices(list(params), k=CALLS - len(names))
    calls = []
    for name in names:
        patterns = []
        for kind in params[name]:
            pool = [0, 1, 2, 65528, 65529] if name in ("load", "indirect", "mistyped") else EDGES[kind]
            if kind in NANS and (name == "mixed" or "trunc" in name):
                pool = [*pool, *NANS[kind]]
            patterns.append(chance.choice(pool))
        calls.append((name, struct.pack(f"<{len(patterns)}Q", *patterns)))
    return calls


def outcome(module: CompiledModule, export: str, values: bytes) -> object:
    """Return the results of a call on a fresh instance, NaN as one value, or the trap's code."""
    try:
        with module.instantiate() as instance:
            raw = instance.call_raw(export, values)
            kinds = instance.signature(export).results
    except GuestTrap as trap:
        return trap.code
    patterns = struct.unpack(f"<{len(kinds)}Q", raw)
    return tuple(canonical(kind, pattern) for kind, pattern in zip(kinds, patterns, strict=True))


def canonical(kind: str, pattern: int) -> int | str:
    """Return a bit pattern; the bits of a NaN are the engine's choice."""
    if kind == "f32" and pattern & 0x7FFFFFFF > 0x7F800000:
        return "nan"
    if kind == "f64" and pattern & ((1 << 63) - 1) > 0x7FF << 52:
        return "nan"
    return pattern


def require_traps(outcomes: list[object]) -> None:
    """Assert that traps are among the outcomes."""
    traps = {item for item in outcomes if isinstance(item, str)}
    assert traps >= {"unreachable", "memory-out-of-bounds", "integer-divide-by-zero"}
