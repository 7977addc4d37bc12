"""Exports give what the engine's own package gives; every way a guest can end is told apart."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.errors import (
    FormatError,
    GuestTrap,
    LawowError,
    LimitExceeded,
    LocalProtocolError,
    Refused,
    UsageError,
)
from lawow.formats.interface import FuncType
from lawow.runtime.base import Instance
from lawow.runtime.profiles import EDGE_PROFILE, EXEC_FUEL_PROFILE, EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.builders import FIBONACCI, SPIN, body, functions_module, judge_call, wat

ECHO = """
(module
  (func (export "i32") (param i32) (result i32) local.get 0)
  (func (export "i64") (param i64) (result i64) local.get 0)
  (func (export "f32") (param f32) (result f32) local.get 0)
  (func (export "f64") (param f64) (result f64) local.get 0)
  (func (export "turn") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
    local.get 3 local.get 2 local.get 1 local.get 0)
  (func (export "nothing")))
"""

STATEFUL = """
(module
  (memory (export "memory") 1)
  (global $ready (mut i32) (i32.const 0))
  (global $count (mut i32) (i32.const 0))
  (func (export "_initialize") (global.set $ready (i32.add (global.get $ready) (i32.const 7))))
  (func (export "ready") (result i32) (global.get $ready))
  (func (export "next") (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1))) (global.get $count))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[WasmtimeEngine]:
    made = WasmtimeEngine(EXEC_PROFILE)
    yield made
    made.close()


@pytest.fixture(scope="module")
def edge() -> Iterator[WasmtimeEngine]:
    made = WasmtimeEngine(EDGE_PROFILE)
    yield made
    made.close()


@pytest.fixture(scope="module")
def echo(engine: WasmtimeEngine) -> Iterator[Instance]:
    with engine.compile(wat(ECHO)) as module, module.instantiate() as instance:
        yield instance


@pytest.mark.parametrize("number", [0, 1, 2, 10, 20])
def test_results_agree_with_the_engines_own_package(engine: WasmtimeEngine, number: int) -> None:
    with engine.compile(wat(FIBONACCI)) as module, module.instantiate() as instance:
        assert instance.call("fib", (number,)) == judge_call(wat(FIBONACCI), "fib", number)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(width=32, allow_nan=False),
    st.floats(allow_nan=False),
)
def test_values_of_all_types_come_back_unchanged_in_any_order(
    echo: Instance, first: int, second: int, third: float, fourth: float
) -> None:
    assert echo.call("turn", (first, second, third, fourth)) == (fourth, third, second, first)
    assert echo.call("turn", (first, second, third, fourth)) == judge_call(
        wat(ECHO), "turn", first, second, third, fourth
    )


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_bit_patterns_come_back_unchanged_even_as_nan(echo: Instance, values: bytes) -> None:
    first, second, third, fourth = struct.unpack("<I4xQI4xQ", values)
    answer = echo.call_raw("turn", struct.pack("<QQQQ", first, second, third, fourth))
    assert struct.unpack("<QQQQ", answer) == (fourth, third, second, first)


def test_results_of_32_bits_have_zeros_above_them(echo: Instance) -> None:
    assert echo.call_raw("i64", b"\xff" * 8) == b"\xff" * 8
    assert echo.call_raw("i32", b"\xff" * 8) == b"\xff\xff\xff\xff\0\0\0\0"


def test_nan_and_infinities_pass(echo: Instance) -> None:
    assert math.isnan(echo.call("f64", (math.nan,))[0])
    assert echo.call("f32", (math.inf,)) == (math.inf,)
    assert math.copysign(1, echo.call("f32", (-0.0,))[0]) == -1


def test_integers_may_be_signed_or_unsigned(echo: Instance) -> None:
    assert echo.call("i32", (2**32 - 1,)) == echo.call("i32", (-1,)) == (-1,)
    assert echo.call("i64", (2**64 - 1,)) == (-1,)
    assert echo.call("i64", (2**63,)) == (-(2**63),)


def test_no_results_are_an_empty_tuple(echo: Instance) -> None:
    assert echo.call("nothing") == ()
    assert echo.call_raw("nothing", b"") == b""


@pytest.mark.parametrize(
    ("export", "arguments", "sentence"),
    [
        ("i32", (), "takes 1 argument"),
        ("i32", (1, 2), "takes 1 argument"),
        ("i32", (2**32,), "argument 1 does not fit i32"),
        ("i32", (-(2**31) - 1,), "does not fit i32"),
        ("i32", (1.0,), "does not fit i32"),
        ("i64", (2**64,), "does not fit i64"),
        ("f32", (1e39,), "does not fit f32"),
        ("f64", (10**400,), "does not fit f64"),
        ("f64", ("1",), "does not fit f64"),
        ("turn", (1, 2, 3.0, "x"), "argument 4 does not fit f64"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    echo: Instance, export: str, arguments: tuple[object, ...], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        echo.call(export, arguments)  # type: ignore[arg-type]
    assert echo.call("i32", (5,)) == (5,)


def test_raw_arguments_of_another_length_are_refused(echo: Instance) -> None:
    with pytest.raises(UsageError, match="takes 8 bytes of arguments, 7 were given"):
        echo.call_raw("i32", bytes(7))


def test_an_unknown_export_and_one_that_is_no_function_are_refused(engine: WasmtimeEngine) -> None:
    with engine.compile(wat(STATEFUL)) as module, module.instantiate() as instance:
        for name in ("nope", "memory", "", "nul\0", "\udcff", "__init__"):
            with pytest.raises(UsageError, match="exports no function"):
                instance.call(name)


@pytest.mark.parametrize("kind", ["v128", "externref", "funcref"])
def test_a_function_with_other_types_is_listed_and_cannot_be_called(
    engine: WasmtimeEngine, kind: str
) -> None:
    with engine.compile(wat(f'(module (func (export "f") (param {kind})))')) as module:
        assert list(module.exports) == ["f"]
        assert not module.exports["f"].is_callable
        with (
            module.instantiate() as instance,
            pytest.raises(UsageError, match="cannot be called from outside"),
        ):
            instance.call("f", (0,))


def test_exports_and_imports_are_listed_in_order(engine: WasmtimeEngine) -> None:
    with engine.compile(wat(ECHO)) as module:
        assert list(module.exports) == ["i32", "i64", "f32", "f64", "turn", "nothing"]
        assert module.exports["turn"] == FuncType(("i32", "i64", "f32", "f64"), ("f64", "f32", "i64", "i32"))
        assert list(module.imports) == []


def test_initialize_runs_once_and_state_stays_in_the_instance(engine: WasmtimeEngine) -> None:
    with engine.compile(wat(STATEFUL)) as module:
        with module.instantiate() as instance:
            assert instance.call("ready") == (7,)
            assert [instance.call("next") for _ in range(3)] == [(1,), (2,), (3,)]
            assert instance.call("ready") == (7,)
        with module.instantiate() as instance:
            assert instance.call("next") == (1,)


def test_initialize_of_another_type_is_refused(engine: WasmtimeEngine) -> None:
    with (
        engine.compile(wat('(module (func (export "_initialize") (param i32)))')) as module,
        pytest.raises(FormatError, match="must take and return nothing"),
    ):
        module.instantiate()


TRAPS = {
    "unreachable": "(unreachable)",
    "integer-divide-by-zero": "(drop (i32.div_s (i32.const 1) (i32.const 0)))",
    "integer-overflow": "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
    "bad-conversion-to-integer": "(drop (i32.trunc_f32_s (f32.const nan)))",
    "memory-out-of-bounds": "(drop (i32.load (i32.const 65536)))",
    "table-out-of-bounds": "(drop (table.get $t (i32.const 9)))",
    "indirect-call-to-null": "(call_indirect $t (type $plain) (i32.const 1))",
    "bad-signature": "(call_indirect $t (type $other) (i32.const 0))",
    "stack-overflow": "(call $guest)",
    "heap-misaligned": "(drop (i32.atomic.load (i32.const 1)))",
    "atomic-wait-non-shared-memory": (
        "(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0)))"
    ),
    "null-reference": "(call_ref $plain (ref.null $plain))",
    "array-out-of-bounds": "(drop (array.get $bytes (array.new_default $bytes (i32.const 1)) (i32.const 1)))",
    "allocation-too-large": "(drop (array.new_default $bytes (i32.const 0x7fffffff)))",
    "cast-failure": "(drop (ref.cast (ref $bytes) (array.new_default $words (i32.const 1))))",
    "uncaught-exception": "(throw $tag)",
}


def trapping(code: str) -> bytes:
    return wat(
        f"""
        (module
          (type $plain (func)) (type $other (func (param i32)))
          (type $bytes (array (mut i64))) (type $words (array (mut i32)))
          (memory 1) (tag $tag) (table $t 3 funcref) (elem (i32.const 0) $nothing)
          (func $nothing (type $plain))
          (func $guest (type $plain) {code})
          (func $outer (export "f") (call $guest)))
        """
    )


@pytest.mark.parametrize("code", TRAPS)
def test_every_trap_has_its_code_and_names_its_functions(engine: WasmtimeEngine, code: str) -> None:
    body = (
        "(call_indirect $t (type $other) (i32.const 1) (i32.const 0))"
        if code == "bad-signature"
        else TRAPS[code]
    )
    with (
        engine.compile(trapping(body)) as module,
        module.instantiate() as instance,
        pytest.raises(GuestTrap) as caught,
    ):
        instance.call("f")
    assert caught.value.code == code
    assert caught.value.frames[0] == "guest"
    if code != "stack-overflow":
        assert caught.value.frames == ("guest", "outer")
    assert caught.value.exit_code == 5


def test_a_frame_without_a_name_has_its_index(engine: WasmtimeEngine) -> None:
    with (
        engine.compile(wat('(module (func (export "f") unreachable))')) as module,
        module.instantiate() as one,
        pytest.raises(GuestTrap) as caught,
    ):
        one.call("f")
    assert caught.value.frames == ("function[0]",)


def test_an_instance_that_trapped_refuses_further_calls_and_others_go_on(engine: WasmtimeEngine) -> None:
    wasm = wat('(module (func (export "bad") unreachable) (func (export "good") (result i32) (i32.const 1)))')
    with engine.compile(wasm) as module, module.instantiate() as instance, module.instantiate() as other:
        with pytest.raises(GuestTrap):
            instance.call("bad")
        for export in ("bad", "good"):
            with pytest.raises(LocalProtocolError, match="cannot be called any more: it trapped"):
                instance.call(export)
        assert other.call("good") == (1,)


def test_a_trap_in_start_and_in_initialize_is_reported(engine: WasmtimeEngine) -> None:
    for text in (
        "(module (func $boot unreachable) (start $boot))",
        '(module (func $boot (export "_initialize") unreachable))',
    ):
        with engine.compile(wat(text)) as module, pytest.raises(GuestTrap) as caught:
            module.instantiate()
        assert caught.value.code == "unreachable"
        assert "boot" in caught.value.frames


@pytest.mark.parametrize("seconds", [0.05, 0.2])
def test_an_endless_loop_ends_at_its_deadline(edge: WasmtimeEngine, seconds: float) -> None:
    with edge.compile(wat(SPIN)) as module, module.instantiate() as instance:
        started = time.monotonic()
        with pytest.raises(LimitExceeded) as caught:
            instance.call("spin", deadline_seconds=seconds)
        late = time.monotonic() - started - seconds
    assert caught.value.limit == "deadline_seconds"
    assert 0 <= late < 0.3


@pytest.mark.parametrize(
    "text",
    [
        "(module (func $boot (loop (br 0))) (start $boot))",
        '(module (func (export "_initialize") (loop (br 0))))',
    ],
)
def test_an_endless_start_ends_at_its_deadline(edge: WasmtimeEngine, text: str) -> None:
    with edge.compile(wat(text)) as module, pytest.raises(LimitExceeded) as caught:
        module.instantiate(deadline_seconds=0.05)
    assert caught.value.limit == "deadline_seconds"


def test_deadlines_of_concurrent_calls_on_one_engine_are_kept_apart(edge: WasmtimeEngine) -> None:
    elapsed: dict[float, float] = {}
    with edge.compile(wat(SPIN)) as module:

        def spin(seconds: float) -> None:
            with module.instantiate() as instance:
                started = time.monotonic()
                with pytest.raises(LimitExceeded):
                    instance.call("spin", deadline_seconds=seconds)
                elapsed[seconds] = time.monotonic() - started

        threads = [threading.Thread(target=spin, args=(seconds,)) for seconds in (0.1, 0.3, 0.5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for asked, took in elapsed.items():
        assert asked <= took < asked + 0.4, elapsed
    assert len(elapsed) == 3


def test_a_call_within_its_deadline_is_not_disturbed_by_an_earlier_one(edge: WasmtimeEngine) -> None:
    with edge.compile(wat(SPIN)) as module, module.instantiate() as instance:
        for _ in range(200):
            assert instance.call("one", deadline_seconds=0.25) == (1,)
        time.sleep(0.3)
        assert instance.call("one", deadline_seconds=5) == (1,)


def test_a_profile_without_epochs_refuses_a_deadline(engine: WasmtimeEngine) -> None:
    with engine.compile(wat(SPIN)) as module, module.instantiate() as instance:
        with pytest.raises(LocalProtocolError, match="cannot interrupt"):
            instance.call("one", deadline_seconds=1)
        assert instance.call("one") == (1,)


def test_fuel_runs_out_at_the_same_place_every_time() -> None:
    engine = WasmtimeEngine(EXEC_FUEL_PROFILE)
    with engine.compile(wat(FIBONACCI)) as module:
        left = []
        for _ in range(2):
            with module.instantiate(fuel=10_000) as instance:
                assert instance.call("fib", (10,)) == (55,)
                left.append(instance.fuel_left)
        assert left[0] == left[1]
        assert left[0] is not None
        assert 0 < left[0] < 10_000
        with module.instantiate(fuel=10_000) as instance, pytest.raises(LimitExceeded) as caught:
            instance.call("fib", (30,))
        assert caught.value.limit == "fuel"
        with module.instantiate() as instance:  # none given: as much as there can be
            assert instance.call("fib", (10,)) == (55,)


def test_fuel_needs_a_profile_with_fuel(engine: WasmtimeEngine) -> None:
    with engine.compile(wat(FIBONACCI)) as module:
        with pytest.raises(LocalProtocolError, match="has no fuel"):
            module.instantiate(fuel=1)
        with module.instantiate() as instance:
            assert instance.fuel_left is None


def test_memory_grows_up_to_the_limit_and_no_further(engine: WasmtimeEngine) -> None:
    with engine.compile(wat(STATEFUL)) as module, module.instantiate(memory_bytes=4 << 16) as instance:
        assert instance.memory_bytes == 1 << 16
        assert instance.call("grow", (3,)) == (1,)
        assert instance.memory_bytes == 4 << 16
        assert instance.call("grow", (1,)) == (-1,)
        assert instance.call("grow", (65_536,)) == (-1,)
        assert instance.memory_bytes == 4 << 16


STORE_LIMITS = {
    "memory_bytes": ("(module (memory 100))", 100 * 65_536, 64 * 65_536),
    "table_elements": ("(module (table 1001 funcref))", 1001, 1000),
    "memories": ("(module (memory 1) (memory 1))", 2, 1),
    "tables": ("(module" + " (table 1 funcref)" * 5 + ")", 5, 4),
}


@pytest.mark.parametrize("limit", STORE_LIMITS)
def test_a_module_that_declares_more_than_a_limit_is_refused(engine: WasmtimeEngine, limit: str) -> None:
    text, value, maximum = STORE_LIMITS[limit]
    with engine.compile(wat(text)) as module, pytest.raises(LimitExceeded) as caught:
        module.instantiate(memory_bytes=64 << 16, table_elements=1000)
    assert (caught.value.limit, caught.value.value, caught.value.maximum) == (limit, value, maximum)


def test_a_table_cannot_grow_beyond_its_limit(engine: WasmtimeEngine) -> None:
    wasm = wat(
        """(module (table $t 1 funcref)
             (func (export "grow") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0))))"""
    )
    with engine.compile(wasm) as module, module.instantiate(table_elements=1000) as instance:
        assert instance.call("grow", (999,)) == (1,)
        assert instance.call("grow", (1,)) == (-1,)
        assert instance.call("grow", (100_000_000,)) == (-1,)


def test_imports_that_nobody_provides_are_refused_by_name(engine: WasmtimeEngine) -> None:
    wasm = wat(
        """(module (import "env" "a" (func))
                   (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))))"""
    )
    with engine.compile(wasm) as module:
        assert list(module.imports) == [("env", "a"), ("wasi_snapshot_preview1", "sched_yield")]
        with pytest.raises(Refused, match=r"env\.a$"):
            module.instantiate()
        with pytest.raises(Refused, match=r"env\.a, wasi_snapshot_preview1\.sched_yield"):
            module.instantiate(wasi=False)


def test_a_wasi_function_that_does_not_exist_is_refused(engine: WasmtimeEngine) -> None:
    wasm = wat('(module (import "wasi_snapshot_preview1" "launch_missiles" (func)))')
    with engine.compile(wasm) as module, pytest.raises(LawowError, match="launch_missiles"):
        module.instantiate()


def test_invalid_modules_are_format_errors(engine: WasmtimeEngine) -> None:
    for wasm in (b"", b"\0asm", wat(FIBONACCI)[:-3], b"\0asm\1\0\0\0\x63"):
        with pytest.raises(FormatError, match="is not a valid WebAssembly module"):
            engine.compile(wasm)


def test_a_component_and_the_legacy_exceptions_are_refused_by_name(engine: WasmtimeEngine) -> None:
    with pytest.raises(FormatError, match="is a WebAssembly component"):
        engine.compile(b"\0asm\x0d\0\1\0")
    legacy = functions_module([body(b"\x06\x40\x01\x19\x01\x0b")])  # try nop catch_all nop end
    with pytest.raises(FormatError, match="legacy exception-handling proposal"):
        engine.compile(legacy)


def test_compiled_code_is_loaded_from_a_file_and_from_memory(engine: WasmtimeEngine, tmp_path: Path) -> None:
    with engine.compile(wat(FIBONACCI)) as module:
        code = module.serialize()
    path = tmp_path / "code.cwasm"
    path.write_bytes(code)
    for loaded in (engine.load(str(path)), engine.load_bytes(code)):
        with loaded, loaded.instantiate() as instance:
            assert instance.call("fib", (10,)) == (55,)


def test_code_of_another_profile_and_other_files_are_refused(
    engine: WasmtimeEngine, edge: WasmtimeEngine, tmp_path: Path
) -> None:
    path = tmp_path / "code.cwasm"
    with edge.compile(wat(FIBONACCI)) as module:
        path.write_bytes(module.serialize())
    with pytest.raises(FormatError, match="is not compiled code for this engine"):
        engine.load(str(path))
    path.write_bytes(b"nonsense")
    with pytest.raises(FormatError, match="is not compiled code"):
        engine.load(str(path))
    with pytest.raises(FormatError):
        engine.load(str(tmp_path / "missing"))
    with pytest.raises(FormatError):
        engine.load_bytes(b"")


def test_an_instance_that_is_closed_cannot_be_called(engine: WasmtimeEngine) -> None:
    with engine.compile(wat(FIBONACCI)) as module:
        instance = module.instantiate()
        assert instance.call("fib", (1,)) == (1,)
        instance.close()
        instance.close()
        for use in (lambda: instance.call("fib", (1,)), lambda: instance.signature("fib")):
            with pytest.raises(LocalProtocolError, match="closed"):
                use()
        with pytest.raises(LocalProtocolError, match="closed"):
            _ = instance.memory_bytes


def test_an_instance_outlives_the_handles_it_came_from() -> None:
    engine = WasmtimeEngine(EXEC_PROFILE)
    module = engine.compile(wat(FIBONACCI))
    instance = module.instantiate()
    module.close()
    engine.close()
    with pytest.raises(LocalProtocolError):
        module.instantiate()
    assert instance.call("fib", (10,)) == (55,)
    instance.close()


def test_a_second_thread_is_refused_while_a_call_runs(edge: WasmtimeEngine) -> None:
    with edge.compile(wat(SPIN)) as module, module.instantiate() as instance:

        def spin() -> None:
            with pytest.raises(LimitExceeded):
                instance.call("spin", deadline_seconds=0.4)

        thread = threading.Thread(target=spin)
        thread.start()
        while not instance._lock.locked():  # the call has begun
            time.sleep(0.001)
        with pytest.raises(LocalProtocolError, match="one call at a time"):
            instance.call("one")
        with pytest.raises(LocalProtocolError, match="while a call runs"):
            instance.close()
        thread.join()


def test_a_trap_frees_what_it_used(engine: WasmtimeEngine) -> None:
    """10,000 traps on fresh instances leave no memory behind."""
    wasm = wat('(module (memory 1) (func (export "f") unreachable))')
    with engine.compile(wasm) as module:

        def trap(times: int) -> None:
            for _ in range(times):
                with module.instantiate() as instance, pytest.raises(GuestTrap):
                    instance.call("f")

        trap(2_000)
        before = resident_bytes()
        trap(8_000)
        assert resident_bytes() - before < 8_000 * 1024


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


MEMORY_BOMB = """
(module (memory 1)
  (func (export "f") (result i32) (local $page i32)
    (loop $again
      (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1))
        (then
          (local.set $page (i32.sub (memory.size) (i32.const 1)))
          (i32.store (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1))
          (br $again))))
    (memory.size)))
"""

BOMB_SCRIPT = """
import re, sys
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
module = WasmtimeEngine(EDGE_PROFILE).compile(sys.stdin.buffer.read())
with module.instantiate(memory_bytes=64 << 20) as instance:
    print(instance.call("f", deadline_seconds=30)[0])
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


def test_a_memory_bomb_stays_within_its_limit() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BOMB_SCRIPT], input=wat(MEMORY_BOMB), capture_output=True, check=True
    )
    pages, resident_kib = map(int, done.stdout.split())
    assert pages == 1024
    assert resident_kib < (64 + 40) << 10
