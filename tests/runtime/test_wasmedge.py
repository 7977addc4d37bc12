"""WasmEdge as the second engine: the same answers as wasmtime on generated calls, and limits that hold."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lawow.errors import FormatError, GuestTrap, LawowError, LimitExceeded, LocalProtocolError, Refused
from lawow.formats.wasm import inspect_module
from lawow.runtime.base import CompiledModule, Engine
from lawow.runtime.grants import Directory, Grants
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.trampolines import PREFIX, add_trampolines
from lawow.runtime.wasmedge_engine import WasmEdgeEngine
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.builders import FIBONACCI, SPIN, judge_accepts, wat
from tests.runtime.test_wasi import guest
from tests.runtime.wasmedge import wasmedge

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


@pytest.fixture(scope="module", params=["compiled", "interpreter"])
def engine(request: pytest.FixtureRequest) -> WasmEdgeEngine:
    return WasmEdgeEngine(is_compiled=request.param == "compiled", command=wasmedge())


@pytest.fixture(scope="module")
def reference() -> Iterator[CompiledModule]:
    first: Engine = WasmtimeEngine(EXEC_PROFILE)
    yield first.compile(MODULE)
    first.close()


def test_200_generated_calls_agree_with_wasmtime(engine: WasmEdgeEngine, reference: CompiledModule) -> None:
    module, calls = engine.compile(MODULE), generated_calls()
    assert len(calls) == CALLS
    if not engine.is_compiled:  # the same semantics once more; a quarter of the calls keeps it short
        calls = calls[::4]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda call: outcome(module, *call), calls))
    expected = [outcome(reference, *call) for call in calls]
    differing = [
        (call, one, two) for call, one, two in zip(calls, found, expected, strict=True) if one != two
    ]
    assert differing == []
    if engine.is_compiled:
        traps = {item for item in expected if isinstance(item, str)}
        assert traps >= {"unreachable", "memory-out-of-bounds", "integer-divide-by-zero"}


def test_companions_are_valid_hidden_and_keep_what_was_there() -> None:
    wasm = wat(FIBONACCI)
    changed = add_trampolines(wasm, inspect_module(wasm))
    assert judge_accepts(changed)
    assert [item.name for item in inspect_module(changed).exports] == ["fib", f"{PREFIX}fib"]
    with pytest.raises(FormatError):
        add_trampolines(changed, inspect_module(changed))


@pytest.mark.parametrize(
    "text",
    [
        '(module (import "e" "f" (func $f (param f32))) (export "f" (func $f)))',
        "(module)",
        '(module (memory i64 1) (func (export "f") (result f64) f64.const 1))',
    ],
)
def test_companions_are_valid_for_unusual_modules(text: str) -> None:
    wasm = wat(text)
    assert judge_accepts(add_trampolines(wasm, inspect_module(wasm)))


def test_only_the_modules_own_exports_are_listed_also_after_loading(
    engine: WasmEdgeEngine, tmp_path: Path
) -> None:
    module = engine.compile(wat(FIBONACCI))
    kept = tmp_path / "kept.cwasm"
    kept.write_bytes(module.serialize())
    loaded = engine.load(str(kept))
    assert list(module.exports) == list(loaded.exports) == ["fib"]
    assert loaded.instantiate().call("fib", (10,)) == (55,)


def test_an_instance_is_called_once(engine: WasmEdgeEngine) -> None:
    with engine.compile(wat(FIBONACCI)).instantiate() as instance:
        assert instance.call("fib", (5,)) == (5,)
        with pytest.raises(LocalProtocolError, match="one call"):
            instance.call("fib", (5,))


def test_a_deadline_ends_the_process(engine: WasmEdgeEngine) -> None:
    instance = engine.compile(wat(SPIN)).instantiate()
    with pytest.raises(LimitExceeded) as caught:
        instance.call("spin", deadline_seconds=0.3)
    assert caught.value.limit == "deadline_seconds"


def test_memory_is_limited_and_what_is_declared_is_refused(engine: WasmEdgeEngine) -> None:
    text = '(module (memory 2) (func (export "f") (param i32) (result i32) (memory.grow (local.get 0))))'
    module = engine.compile(wat(text))
    instance = module.instantiate(memory_bytes=4 << 16)
    assert instance.call("f", (2,)) == (2,)
    assert instance.memory_bytes == 4 << 16
    assert module.instantiate(memory_bytes=4 << 16).call("f", (3,)) == (-1,)
    with pytest.raises(LimitExceeded) as caught:
        module.instantiate(memory_bytes=1 << 16)
    assert caught.value.limit == "memory_bytes"


def test_endless_recursion_is_a_trap_and_not_all_of_the_memory(engine: WasmEdgeEngine) -> None:
    text = """(module (func $f (export "f") (param i32) (result i32)
                (i32.div_u (call $f (i32.add (local.get 0) (i32.const 1)))
                           (call $f (i32.add (local.get 0) (i32.const 2))))))"""
    instance = engine.compile(wat(text)).instantiate(memory_bytes=1 << 20)
    with pytest.raises(GuestTrap) as caught:
        instance.call("f", (1,), deadline_seconds=60)
    assert caught.value.code == "stack-overflow"


def test_fuel_is_counted_by_the_interpreter_and_refused_elsewhere() -> None:
    engine = WasmEdgeEngine(is_compiled=False, has_fuel=True, command=wasmedge())
    with pytest.raises(LimitExceeded) as caught:
        engine.compile(wat(SPIN)).instantiate(fuel=1000).call("spin")
    assert caught.value.limit == "fuel"
    with pytest.raises(Refused):
        WasmEdgeEngine(has_fuel=True, command=wasmedge())


def test_output_and_results_are_told_apart(engine: WasmEdgeEngine) -> None:
    out, err = bytearray(), bytearray()
    body = """(drop (call $say (i32.const 1) (i32.const 5)))
              (drop (call $say (i32.const 2) (i32.const 3))) (i32.const 7)"""
    with engine.compile(guest(body)).instantiate(stdout=out.extend, stderr=err.extend) as instance:
        assert instance.call("f") == (7,)
    assert (bytes(out), bytes(err)) == (b"hello", b"hel")


def test_what_is_not_granted_is_not_there_and_imports_of_others_are_refused(engine: WasmEdgeEngine) -> None:
    body = "(call $environ_sizes_get (i32.const 0) (i32.const 4)) drop (i32.load (i32.const 0))"
    module = engine.compile(guest(body))
    assert module.instantiate().call("f") == (0,)
    granted = module.instantiate(grants=Grants(environment=[("A", "1"), ("B", "2")]))
    assert granted.call("f") == (2,)
    with pytest.raises(Refused, match=r"env\.host"):
        engine.compile(wat('(module (import "env" "host" (func)))')).instantiate()


def test_a_folder_is_granted(engine: WasmEdgeEngine, tmp_path: Path) -> None:
    module = engine.compile(guest("(call $fd_prestat_get (i32.const 3) (i32.const 0))"))
    assert module.instantiate().call("f") != (0,)
    grants = Grants(directories=[Directory(str(tmp_path), "/data", is_writable=False)])
    assert module.instantiate(grants=grants).call("f") == (0,)


def test_an_invalid_module_is_a_format_error(engine: WasmEdgeEngine) -> None:
    with pytest.raises(FormatError):
        engine.compile(
            wat('(module (func (export "f") (result i32) i32.const 1))')[:-4] + b"\x41\x01\x6a\x0b"
        ).instantiate().call("f")


def test_a_command_that_is_not_wasmedge_is_told(tmp_path: Path) -> None:
    with pytest.raises(LawowError, match="does not run"):
        WasmEdgeEngine(command=str(tmp_path / "nothing"))
    with pytest.raises(LawowError, match="reports no version"):
        WasmEdgeEngine(command="/bin/echo")
