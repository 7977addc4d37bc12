"""What calls give and keep, by WasmEdge's library: the same as by wasmtime."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from lawow.errors import (
    FormatError,
    GuestTrap,
    LocalProtocolError,
    UsageError,
)
from lawow.runtime.lowering import TypedCaller
from lawow.runtime.wasmedge_library import LibraryEngine
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.builders import FIBONACCI, wat
from tests.runtime.generated_calls import CALLS, MODULE, generated_calls, outcome, require_traps
from tests.runtime.test_lowering import CASES, RESULT_BYTES, call
from tests.runtime.with_wasmedge.helpers import COUNTER, arrays

TRAPS = {
    "unreachable": "(unreachable)",
    "integer-divide-by-zero": "(drop (i32.div_s (i32.const 1) (i32.const 0)))",
    "integer-overflow": "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
    "bad-conversion-to-integer": "(drop (i32.trunc_f32_s (f32.const nan)))",
    "memory-out-of-bounds": "(drop (i32.load (i32.const 65536)))",
    "table-out-of-bounds": "(drop (table.get $t (i32.const 9)))",
    "indirect-call-to-null": "(call_indirect $t (type $plain) (i32.const 1))",
    "bad-signature": "(call_indirect $t (type $other) (i32.const 1) (i32.const 0))",
    "stack-overflow": "(call $guest)",
}


def test_200_generated_calls_agree_with_wasmtime(engine: LibraryEngine, wasmtime: WasmtimeEngine) -> None:
    module, reference = engine.compile(MODULE), wasmtime.compile(MODULE)
    calls = generated_calls()
    found = [outcome(module, *item) for item in calls]
    expected = [outcome(reference, *item) for item in calls]
    assert len(calls) == CALLS
    assert [item for item in zip(calls, found, expected, strict=True) if item[1] != item[2]] == []
    require_traps(expected)


def test_calls_in_several_threads_agree_too(engine: LibraryEngine, wasmtime: WasmtimeEngine) -> None:
    calls = generated_calls()
    reference = wasmtime.compile(MODULE)
    expected = [outcome(reference, *item) for item in calls]
    module = engine.compile(MODULE)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda item: outcome(module, *item), calls)) == expected


@pytest.mark.parametrize("code", TRAPS)
def test_every_trap_has_its_code_and_ends_its_instance_alone(engine: LibraryEngine, code: str) -> None:
    module = engine.compile(
        wat(f"""
        (module
          (type $plain (func)) (type $other (func (param i32)))
          (memory 1) (table $t 3 funcref) (elem (i32.const 0) $nothing)
          (func $nothing (type $plain))
          (func $guest (type $plain) {TRAPS[code]})
          (func (export "f") (call $guest))
          (func (export "good") (result i32) (i32.const 1)))""")
    )
    instance = module.instantiate()
    with pytest.raises(GuestTrap) as caught:
        instance.call("f")
    assert (caught.value.code, caught.value.frames) == (code, ("f",))
    with pytest.raises(LocalProtocolError, match="it trapped"):
        instance.call("good")
    with pytest.raises(LocalProtocolError, match="it trapped"):
        instance.read_memory(0, 1)
    assert module.instantiate().call("good") == (1,)


def test_an_instance_keeps_its_state_and_shares_none(engine: LibraryEngine) -> None:
    module = engine.compile(wat(COUNTER))
    one, other = module.instantiate(), module.instantiate()
    module.close()  # what was made of it stays usable
    assert [one.call("add", (2,)) for _ in range(3)] == [(2,), (4,), (6,)]
    assert (one.read_memory(100, 1), other.read_memory(100, 1)) == (b"\6", b"\0")
    assert other.call("add", (1,)) == (1,)
    with pytest.raises(LocalProtocolError, match="closed"):
        module.instantiate()


@pytest.mark.parametrize(("export", "signature", "arguments", "results", "changed"), CASES)
def test_strings_and_lists_agree_with_wasmtime(
    engine: LibraryEngine,
    wasmtime: WasmtimeEngine,
    export: str,
    signature: str,
    arguments: list[object],
    results: tuple[object, ...],
    changed: dict[int, list[int | float]],
) -> None:
    answers = []
    for module in (arrays(engine), arrays(wasmtime)):
        with module.instantiate() as instance:
            caller = TypedCaller(instance, result_bytes=RESULT_BYTES)
            answers.append(call(caller, export, signature, *arguments, deadline_seconds=None))  # type: ignore[arg-type]
    assert answers == [(results, changed)] * 2


@pytest.mark.parametrize(
    ("address", "length"),
    [(65536, 1), (65535, 2), (-1, 1), (-65536, 1), (1 << 32, 1), ((1 << 32) + 5, 1), (0, -1), (0, 1 << 33)],
)
def test_memory_is_read_and_written_inside_its_bounds_alone(
    engine: LibraryEngine, address: int, length: int
) -> None:
    with engine.compile(wat(COUNTER)).instantiate() as instance:
        instance.write_memory(65533, b"end")
        assert instance.read_memory(65533, 3) == b"end"
        assert instance.read_memory(65536, 0) == b""
        with pytest.raises(GuestTrap) as caught:
            instance.read_memory(address, length)
        assert caught.value.code == "memory-out-of-bounds"
        if length in (1, 2):
            with pytest.raises(GuestTrap):
                instance.write_memory(address, b"x" * length)
        assert instance.read_memory(65533, 3) == b"end"
    with engine.compile(wat(FIBONACCI)).instantiate() as instance, pytest.raises(FormatError, match="memory"):
        instance.read_memory(0, 1)


def test_start_and_initialize_run_once_before_anything_else(engine: LibraryEngine) -> None:
    module = engine.compile(
        wat("""(module (global $g (mut i32) (i32.const 1))
          (func $start (global.set $g (i32.mul (global.get $g) (i32.const 3)))) (start $start)
          (func (export "_initialize") (global.set $g (i32.add (global.get $g) (i32.const 4))))
          (func (export "get") (result i32) (global.get $g)))""")
    )
    assert list(module.exports) == ["_initialize", "get"]
    with module.instantiate() as instance:
        assert [instance.call("get"), instance.call("get")] == [(7,), (7,)]


def test_wrong_calls_are_usage_errors_and_harm_nothing(engine: LibraryEngine) -> None:
    with engine.compile(wat(FIBONACCI)).instantiate() as instance:
        wrong: list[Callable[[], object]] = [
            lambda: instance.call("fob", (1,)),
            lambda: instance.call("lawow:stack"),
            lambda: instance.call("fib", ()),
            lambda: instance.call("fib", (1.5,)),
            lambda: instance.call("fib", (1 << 32,)),
            lambda: instance.call_raw("fib", b"1"),
        ]
        for action in wrong:
            with pytest.raises(UsageError):
                action()
        assert instance.call("fib", (10,)) == (55,)


def test_another_engine_traps_as_before_after_a_call(engine: LibraryEngine, wasmtime: WasmtimeEngine) -> None:
    text = '(module (memory 1) (func (export "f") (result i32) (i32.load (i32.const 65536))))'
    reference, module = wasmtime.compile(wat(text)), engine.compile(wat(text))
    for compiled in (reference, module, reference, module, reference):
        with compiled.instantiate() as instance, pytest.raises(GuestTrap) as caught:
            instance.call("f")
        assert caught.value.code == "memory-out-of-bounds"
