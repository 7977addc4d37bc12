"""WasmEdge by its command: the same answers as wasmtime on generated calls, and limits that hold."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lawow.errors import FormatError, GuestTrap, LawowError, LimitExceeded, LocalProtocolError, Refused
from lawow.formats.wasm import inspect_module
from lawow.formats.wasm_edit import custom_section
from lawow.runtime.additions import PREFIX
from lawow.runtime.base import CompiledModule, Engine
from lawow.runtime.grants import Directory, Grants
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.trampolines import add_trampolines
from lawow.runtime.wasmedge_command import CommandEngine
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.builders import FIBONACCI, SPIN, judge_accepts, wat
from tests.runtime.generated_calls import CALLS, MODULE, generated_calls, outcome, require_traps
from tests.runtime.test_wasi import guest
from tests.runtime.wasmedge import wasmedge


@pytest.fixture(scope="module", params=["compiled", "interpreter"])
def engine(request: pytest.FixtureRequest) -> CommandEngine:
    return CommandEngine(is_compiled=request.param == "compiled", command=wasmedge())


@pytest.fixture(scope="module")
def reference() -> Iterator[CompiledModule]:
    first: Engine = WasmtimeEngine(EXEC_PROFILE)
    yield first.compile(MODULE)
    first.close()


def test_200_generated_calls_agree_with_wasmtime(engine: CommandEngine, reference: CompiledModule) -> None:
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
        require_traps(expected)


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
    engine: CommandEngine, tmp_path: Path
) -> None:
    module = engine.compile(wat(FIBONACCI))
    kept = tmp_path / "kept.cwasm"
    kept.write_bytes(module.serialize())
    loaded = engine.load(str(kept))
    assert list(module.exports) == list(loaded.exports) == ["fib"]
    assert loaded.instantiate().call("fib", (10,)) == (55,)


def test_an_instance_is_called_once(engine: CommandEngine) -> None:
    with engine.compile(wat(FIBONACCI)).instantiate() as instance:
        assert instance.call("fib", (5,)) == (5,)
        with pytest.raises(LocalProtocolError, match="one call"):
            instance.call("fib", (5,))


def test_a_deadline_ends_the_process(engine: CommandEngine) -> None:
    instance = engine.compile(wat(SPIN)).instantiate()
    with pytest.raises(LimitExceeded) as caught:
        instance.call("spin", deadline_seconds=0.3)
    assert caught.value.limit == "deadline_seconds"


def test_memory_is_limited_and_what_is_declared_is_refused(engine: CommandEngine) -> None:
    text = '(module (memory 2) (func (export "f") (param i32) (result i32) (memory.grow (local.get 0))))'
    module = engine.compile(wat(text))
    instance = module.instantiate(memory_bytes=4 << 16)
    assert instance.call("f", (2,)) == (2,)
    assert instance.memory_bytes == 4 << 16
    assert module.instantiate(memory_bytes=4 << 16).call("f", (3,)) == (-1,)
    with pytest.raises(LimitExceeded) as caught:
        module.instantiate(memory_bytes=1 << 16)
    assert caught.value.limit == "memory_bytes"


def test_endless_recursion_is_a_trap_and_not_all_of_the_memory(engine: CommandEngine) -> None:
    text = """(module (func $f (export "f") (param i32) (result i32)
                (i32.div_u (call $f (i32.add (local.get 0) (i32.const 1)))
                           (call $f (i32.add (local.get 0) (i32.const 2))))))"""
    instance = engine.compile(wat(text)).instantiate(memory_bytes=1 << 20)
    with pytest.raises(GuestTrap) as caught:
        instance.call("f", (1,), deadline_seconds=60)
    assert caught.value.code == "stack-overflow"


def test_fuel_is_counted_by_the_interpreter_and_refused_elsewhere() -> None:
    engine = CommandEngine(is_compiled=False, has_fuel=True, command=wasmedge())
    with pytest.raises(LimitExceeded) as caught:
        engine.compile(wat(SPIN)).instantiate(fuel=1000).call("spin")
    assert caught.value.limit == "fuel"
    with pytest.raises(Refused):
        CommandEngine(has_fuel=True, command=wasmedge())


def test_output_and_results_are_told_apart(engine: CommandEngine) -> None:
    out, err = bytearray(), bytearray()
    body = """(drop (call $say (i32.const 1) (i32.const 5)))
              (drop (call $say (i32.const 2) (i32.const 3))) (i32.const 7)"""
    with engine.compile(guest(body)).instantiate(stdout=out.extend, stderr=err.extend) as instance:
        assert instance.call("f") == (7,)
    assert (bytes(out), bytes(err)) == (b"hello", b"hel")


def test_what_is_not_granted_is_not_there_and_imports_of_others_are_refused(engine: CommandEngine) -> None:
    body = "(call $environ_sizes_get (i32.const 0) (i32.const 4)) drop (i32.load (i32.const 0))"
    module = engine.compile(guest(body))
    assert module.instantiate().call("f") == (0,)
    granted = module.instantiate(grants=Grants(environment=[("A", "1"), ("B", "2")]))
    assert granted.call("f") == (2,)
    sockets = wat(
        '(module (import "wasi_snapshot_preview1" "sock_open" (func (param i32 i32 i32) (result i32))))'
    )
    with pytest.raises(Refused, match="sock_open"):  # WasmEdge has it
        engine.compile(sockets).instantiate()
    with pytest.raises(Refused, match=r"env\.host"):
        engine.compile(wat('(module (import "env" "host" (func)))')).instantiate()


def test_a_folder_is_granted(engine: CommandEngine, tmp_path: Path) -> None:
    module = engine.compile(guest("(call $fd_prestat_get (i32.const 3) (i32.const 0))"))
    assert module.instantiate().call("f") != (0,)
    grants = Grants(directories=[Directory(str(tmp_path), "/data", is_writable=False)])
    assert module.instantiate(grants=grants).call("f") == (0,)


def test_an_invalid_module_is_a_format_error(engine: CommandEngine) -> None:
    with pytest.raises(FormatError):
        engine.compile(
            wat('(module (func (export "f") (result i32) i32.const 1))')[:-4] + b"\x41\x01\x6a\x0b"
        ).instantiate().call("f")


@pytest.mark.parametrize("section", ["lawow.native", "wasmedge"])
def test_machine_code_that_a_guest_brings_is_never_run(engine: CommandEngine, section: str) -> None:
    other = CommandEngine(command=wasmedge()).compile(
        wat('(module (func (export "f") (result i32) i32.const 2))')
    )
    assert other.machine_code is not None
    honest = wat('(module (func (export "f") (result i32) i32.const 1))')
    with pytest.raises(Refused, match="machine code"):
        engine.compile(honest + custom_section(section, other.machine_code))


def test_a_command_that_is_not_wasmedge_is_told(tmp_path: Path) -> None:
    with pytest.raises(LawowError, match="does not run"):
        CommandEngine(command=str(tmp_path / "nothing"))
    with pytest.raises(LawowError, match="reports no version"):
        CommandEngine(command="/bin/echo")
