"""A WASI guest may speak and tell the time, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lawow.errors import GuestTrap
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasi import PREVIEW1_FUNCTIONS
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.builders import wat

SIGNATURES = {
    "fd_write": "(param i32 i32 i32 i32) (result i32)",
    "fd_read": "(param i32 i32 i32 i32) (result i32)",
    "args_sizes_get": "(param i32 i32) (result i32)",
    "environ_sizes_get": "(param i32 i32) (result i32)",
    "fd_prestat_get": "(param i32 i32) (result i32)",
    "path_open": "(param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)",
    "clock_time_get": "(param i32 i64 i32) (result i32)",
    "random_get": "(param i32 i32) (result i32)",
    "proc_exit": "(param i32)",
}


def guest(body: str, *, result: str = "(result i32)") -> bytes:
    imports = "".join(
        f'(import "wasi_snapshot_preview1" "{name}" (func ${name} {signature}))'
        for name, signature in SIGNATURES.items()
    )
    return wat(
        f"""
        (module {imports}
          (memory (export "memory") 2)
          (data (i32.const 64) "hello, \\1b[31mworld\\n")
          (func $say (param $to i32) (param $bytes i32) (result i32)
            (i32.store (i32.const 0) (i32.const 64))
            (i32.store (i32.const 4) (local.get $bytes))
            (call $fd_write (local.get $to) (i32.const 0) (i32.const 1) (i32.const 8)))
          (func (export "f") {result} {body}))
        """
    )


@pytest.fixture(scope="module")
def engine() -> Iterator[WasmtimeEngine]:
    made = WasmtimeEngine(EXEC_PROFILE)
    yield made
    made.close()


def run(engine: WasmtimeEngine, wasm: bytes) -> tuple[tuple[int | float, ...], bytes, bytes]:
    out, err = bytearray(), bytearray()
    with (
        engine.compile(wasm) as module,
        module.instantiate(stdout=out.extend, stderr=err.extend) as instance,
    ):
        return instance.call("f"), bytes(out), bytes(err)


def test_output_goes_to_the_two_streams(engine: WasmtimeEngine) -> None:
    body = "(drop (call $say (i32.const 1) (i32.const 18))) (call $say (i32.const 2) (i32.const 5))"
    assert run(engine, guest(body)) == ((0,), b"hello, \x1b[31mworld\n", b"hello")


def test_output_that_nobody_wants_is_dropped(engine: WasmtimeEngine) -> None:
    with (
        engine.compile(guest("(call $say (i32.const 1) (i32.const 18))")) as module,
        module.instantiate() as instance,
    ):
        assert instance.call("f") == (0,)


def test_a_failing_output_is_an_io_error_of_the_guest(engine: WasmtimeEngine) -> None:
    def broken(data: bytes) -> None:
        raise BrokenPipeError

    with (
        engine.compile(guest("(call $say (i32.const 1) (i32.const 18))")) as module,
        module.instantiate(stdout=broken) as instance,
    ):
        assert instance.call("f") != (0,)


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("arguments", "(drop (call $args_sizes_get (i32.const 0) (i32.const 4))) (i32.load (i32.const 0))"),
        (
            "environment",
            "(drop (call $environ_sizes_get (i32.const 0) (i32.const 4))) (i32.load (i32.const 0))",
        ),
    ],
)
def test_there_are_none(engine: WasmtimeEngine, what: str, body: str) -> None:
    assert run(engine, guest(body))[0] == (0,)


def test_no_folder_is_open(engine: WasmtimeEngine) -> None:
    assert run(engine, guest("(call $fd_prestat_get (i32.const 3) (i32.const 0))"))[0] == (8,)  # EBADF
    opening = (
        "(call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 0)"
        " (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0))"
    )
    assert run(engine, guest(opening))[0] == (8,)


def test_standard_input_is_empty(engine: WasmtimeEngine) -> None:
    body = """
      (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 100))
      (i32.store (i32.const 8) (i32.const 77))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (i32.load (i32.const 8))"""
    assert run(engine, guest(body))[0] == (0,)


def test_clock_and_random_numbers_work(engine: WasmtimeEngine) -> None:
    clock = "(drop (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 0))) (i32.load (i32.const 0))"
    assert run(engine, guest(clock))[0] != (0,)
    random = "(drop (call $random_get (i32.const 0) (i32.const 8))) (i64.load (i32.const 0))"
    wasm = guest(random, result="(result i64)")
    assert run(engine, wasm) != run(engine, wasm)


@pytest.mark.parametrize(
    "body",
    [
        "(call $fd_write (i32.const 1) (i32.const -4) (i32.const 1) (i32.const 8))",
        "(call $random_get (i32.const 131071) (i32.const 2))",
    ],
)
def test_pointers_outside_of_the_memory_end_the_guest(engine: WasmtimeEngine, body: str) -> None:
    with pytest.raises(GuestTrap, match="misused a function of its host") as caught:
        run(engine, guest(body))
    assert caught.value.code == "host-error"


def test_an_exit_with_a_status_is_a_trap_that_tells_it(engine: WasmtimeEngine) -> None:
    with pytest.raises(GuestTrap) as caught:
        run(engine, guest("(call $proc_exit (i32.const 3)) unreachable"))
    assert (caught.value.code, caught.value.status) == ("exit", 3)


def test_an_exit_with_status_0_ends_a_function_without_results(engine: WasmtimeEngine) -> None:
    assert run(engine, guest("(call $proc_exit (i32.const 0))", result=""))[0] == ()
    with pytest.raises(GuestTrap) as caught:  # a result was promised
        run(engine, guest("(call $proc_exit (i32.const 0)) unreachable"))
    assert caught.value.status == 0


def test_the_list_of_functions_is_what_the_engine_provides(engine: WasmtimeEngine) -> None:
    import wasmtime

    from tests.runtime.builders import JUDGE

    linker = wasmtime.Linker(JUDGE)
    linker.define_wasi()
    store = wasmtime.Store(JUDGE)
    store.set_wasi(wasmtime.WasiConfig())
    for name in PREVIEW1_FUNCTIONS:
        assert linker.get(store, "wasi_snapshot_preview1", name) is not None
