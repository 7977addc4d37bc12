"""Limits written into a module: it stays valid, computes the same, and stops where it should."""

from __future__ import annotations

import pytest
import wasmtime

from lawow.errors import FormatError, LimitExceeded, Refused
from lawow.formats.wasm import inspect_module
from lawow.formats.wasm_edit import custom_section
from lawow.limits import CALL
from lawow.runtime.fences import STACK_LEFT, START_EXPORT, add_fences
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.conftest import ROOT
from tests.runtime.builders import FIBONACCI, JUDGE, judge_accepts, wat
from tests.runtime.generated_calls import MODULE, generated_calls, outcome

SHAPES = {
    "empty": "(module)",
    "no code of its own": '(module (import "e" "f" (func $f (param f32))) (export "f" (func $f)))',
    "imports of all kinds": """(module
      (import "e" "f" (func $f (param i32) (result i32))) (import "e" "g" (global $g i32))
      (import "e" "m" (memory 1)) (import "e" "t" (table 1 funcref))
      (global $own (mut i64) (i64.const 1))
      (func (export "f") (param i32) (result i32 i64)
        (call $f (i32.add (local.get 0) (global.get $g))) (global.get $own)))""",
    "tables": """(module (table $a 1 funcref) (table $b 2 9 externref) (table $c 0 200000 funcref)
      (func $f) (elem (table $a) (i32.const 0) func $f))""",
    "start": "(module (global $g (mut i32) (i32.const 0)) (func $s (drop (global.get $g))) (start $s))",
    "recursive types": """(module (rec (type $a (func (param (ref null $b)))) (type $b (struct (field i32))))
      (func (export "f") (type $a)) (func (export "g") (param i64) (result i64) (local.get 0)))""",
    "typed references": """(module (type $t (func)) (table 1 (ref null $t))
      (func $f (type $t) (local (ref null $t)) (local.set 0 (table.get (i32.const 0)))))""",
    "vectors": '(module (func (export "f") (param v128) (result v128) (local.get 0)))',
}


def fenced(wasm: bytes, **limits: int) -> bytes:
    return add_fences(wasm, inspect_module(wasm), **limits)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_fenced_module_is_valid(shape: str) -> None:
    assert judge_accepts(fenced(wat(SHAPES[shape])))


@pytest.mark.parametrize("path", sorted(ROOT.glob("fixtures/**/*.wasm")), ids=lambda path: path.name)
def test_real_modules_stay_valid_and_keep_their_exports(path: object) -> None:
    wasm = path.read_bytes()  # type: ignore[attr-defined]
    before, after = inspect_module(wasm), inspect_module(fenced(wasm))
    assert judge_accepts(fenced(wasm))
    assert after.exports[: len(before.exports)] == before.exports
    assert {item.name for item in after.exports[len(before.exports) :]} <= {STACK_LEFT, START_EXPORT}


def test_200_generated_calls_do_the_same_with_and_without_fences() -> None:
    engine = WasmtimeEngine(EXEC_PROFILE)
    plain, changed = engine.compile(MODULE), engine.compile(fenced(MODULE))
    calls = generated_calls()
    assert [outcome(changed, *item) for item in calls] == [outcome(plain, *item) for item in calls]
    engine.close()


def test_the_stack_is_given_back_by_every_return() -> None:
    wasm = fenced(wat(FIBONACCI), stack_bytes=1 << 20)
    engine = WasmtimeEngine(EXEC_PROFILE)
    with engine.compile(wasm).instantiate() as instance:
        assert instance.call(STACK_LEFT) == (1 << 20,)
        assert instance.call("fib", (15,)) == (610,)
        assert instance.call(STACK_LEFT) == (1 << 20,)
    engine.close()


DEPTH = """(func $f (export "f") (param i32) (result i32) {locals}
  (if (result i32) (local.get 0)
    (then (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))))
    (else (i32.const 0))))"""


def left_after(wasm: bytes, export: str, *arguments: int) -> int | None:
    """Return what is left of the stack after a call that traps; None if it does not."""
    store = wasmtime.Store(JUDGE)
    exports = wasmtime.Instance(store, wasmtime.Module(JUDGE, wasm), []).exports(store)
    try:
        exports[export](store, *arguments)
    except wasmtime.Trap:
        return int(exports[STACK_LEFT](store))
    return None


def test_recursion_traps_when_the_stack_is_spent_and_other_traps_are_told_from_that() -> None:
    text = f'(module {DEPTH.format(locals="")} (func (export "dead") unreachable))'
    wasm = fenced(wat(text), stack_bytes=100_000)
    assert left_after(wasm, "f", 100) is None
    assert (left_after(wasm, "f", 500) or 0) < 0
    assert (left_after(wasm, "dead") or 0) > 90_000


@pytest.mark.parametrize(("locals_", "deepest"), [("", 400), ("i64 " * 500, 20)])
def test_larger_frames_are_charged_more(locals_: str, deepest: int) -> None:
    text = f"(module {DEPTH.format(locals=f'(local {locals_})')})"
    wasm = fenced(wat(text), stack_bytes=300_000)
    assert left_after(wasm, "f", deepest) is None
    assert (left_after(wasm, "f", 2 * deepest) or 0) < 0


def test_tables_get_a_maximum_and_the_start_function_becomes_an_export() -> None:
    text = """(module (table 1 funcref) (global $g (mut i32) (i32.const 0))
      (func $s (global.set $g (i32.const 5))) (start $s)
      (func (export "g") (result i32) (global.get $g))
      (func (export "grow") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))"""
    engine = WasmtimeEngine(EXEC_PROFILE)
    with engine.compile(fenced(wat(text), table_elements=10)).instantiate(runs_start=False) as instance:
        assert [instance.call("grow", (count,)) for count in (10, 9, 1)] == [(-1,), (1,), (-1,)]
        assert instance.call("g") == (0,)
        instance.call(START_EXPORT)
        assert instance.call("g") == (5,)
    engine.close()


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (f"(module (table {CALL.table_elements + 1} funcref))", "table_elements"),
        ("(module" + " (table 1 funcref)" * (CALL.tables + 1) + ")", "tables"),
    ],
)
def test_what_declares_more_than_the_limit_is_refused(text: str, limit: str) -> None:
    with pytest.raises(LimitExceeded) as caught:
        fenced(wat(text))
    assert caught.value.limit == limit


def test_names_and_sections_of_lawows_own_are_refused() -> None:
    with pytest.raises(FormatError, match="lawow:"):
        fenced(wat('(module (func (export "lawow:stack")))'))
    with pytest.raises(FormatError, match="lawow:"):
        fenced(fenced(wat(FIBONACCI)))
    for name in ("lawow.native", "wasmedge"):
        with pytest.raises(Refused, match="machine code"):
            fenced(wat(FIBONACCI) + custom_section(name, b""))


def test_a_table_with_an_initial_value_is_refused() -> None:
    text = "(module (table 1 (ref func) (ref.func $f)) (func $f))"
    with pytest.raises(FormatError, match="initial value"):
        fenced(wat(text))


@pytest.mark.parametrize("text", [SHAPES["tables"], SHAPES["start"], FIBONACCI])
def test_damaged_modules_raise_errors_of_lawow_alone(text: str) -> None:
    wasm = wat(text)
    for position in range(8, len(wasm)):
        for change in (b"", b"\xff", bytes((wasm[position] ^ 0x41,))):
            damaged = wasm[:position] + change + wasm[position + 1 :]
            try:
                fenced(damaged)
            except (FormatError, LimitExceeded, Refused):
                continue
