"""Tests of WasmEdge's library in this process; `test_wasmedge_library` runs them where it can be loaded."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lawow.errors import (
    FormatError,
    GuestTrap,
    LawowError,
    LimitExceeded,
    LocalProtocolError,
    Refused,
    UsageError,
)
from lawow.formats.wasm_edit import custom_section
from lawow.limits import CALL
from lawow.runtime import libwasmedge, wasmedge
from lawow.runtime.base import CompiledModule, Instance
from lawow.runtime.grants import Directory, Grants
from lawow.runtime.host_functions import GuestMemory, HostFunction
from lawow.runtime.lowering import TypedCaller
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasmedge_library import LibraryEngine
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.conftest import ROOT
from tests.runtime.builders import FIBONACCI, SPIN, wat
from tests.runtime.generated_calls import CALLS, MODULE, generated_calls, outcome, require_traps
from tests.runtime.test_grants import FILES, HOSTED, READ, WRITE, host
from tests.runtime.test_lowering import CASES, RESULT_BYTES, call
from tests.runtime.test_wasi import guest

COUNTER = """
(module
  (memory (export "memory") 1) (global $count (mut i32) (i32.const 0))
  (func (export "add") (param i32) (result i32)
    (global.set $count (i32.add (global.get $count) (local.get 0)))
    (i32.store8 (i32.const 100) (global.get $count))
    (global.get $count)))
"""
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
RECURSIONS = {
    "plain": '(func $f (export "f") (call $f) (call $f))',
    "as a loop": '(func $f (export "f") (result i32) (i32.add (i32.const 1) (call $f)))',
    "two": '(func $f (export "f") (call $g) (call $g)) (func $g (call $f) (call $f))',
    "many locals": f'(func $f (export "f") (local {"i64 " * 1000}) (call $f) (local.set 7 (i64.const 1)))',
    "large frames": '(func $f (export "f") (param i64) (result i64) '
    + "".join(f"(call $f (i64.add (local.get 0) (i64.const {n})))" for n in range(200))
    + "i64.add " * 199
    + ")",
    "indirect": "(table 1 funcref) (elem (i32.const 0) $f) (type $t (func))"
    '(func $f (export "f") (call_indirect (type $t) (i32.const 0)) (call_indirect (type $t) (i32.const 0)))',
}
SLEEP = """
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "sleep") (result i32)
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 3600000000000))
    (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))))
"""


@pytest.fixture(scope="module", params=["compiled", "interpreter"])
def engine(request: pytest.FixtureRequest) -> Iterator[LibraryEngine]:
    made = LibraryEngine(is_compiled=request.param == "compiled")
    yield made
    made.close()


@pytest.fixture(scope="module")
def wasmtime() -> Iterator[WasmtimeEngine]:
    made = WasmtimeEngine(EXEC_PROFILE)
    yield made
    made.close()


def limit_of(error: pytest.ExceptionInfo[LimitExceeded]) -> str:
    return error.value.limit


def trap_of(instance: Instance, export: str, *arguments: int, seconds: float = 60) -> GuestTrap:
    with instance, pytest.raises(GuestTrap) as caught:
        instance.call(export, arguments, deadline_seconds=seconds)
    return caught.value


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


_arrays: dict[object, CompiledModule] = {}


def arrays(engine: LibraryEngine | WasmtimeEngine) -> CompiledModule:
    """Return the module of strings and lists, compiled once for each engine."""
    if engine not in _arrays:
        _arrays[engine] = engine.compile((ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes())
    return _arrays[engine]


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


def test_a_deadline_stops_endless_loops_wherever_they_are(engine: LibraryEngine) -> None:
    with engine.compile(wat(SPIN)).instantiate() as instance:
        with pytest.raises(LimitExceeded) as caught:
            instance.call("spin", deadline_seconds=0.1)
        assert limit_of(caught) == "deadline_seconds"
        with pytest.raises(LocalProtocolError):
            instance.call("one")
    for text in (
        "(module (func $f (loop (br 0))) (start $f))",
        '(module (func $f (export "_initialize") (loop (br 0))))',
    ):
        with pytest.raises(LimitExceeded) as caught:
            engine.compile(wat(text)).instantiate(deadline_seconds=0.1)
        assert limit_of(caught) == "deadline_seconds"


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


@pytest.mark.parametrize("kind", RECURSIONS)
def test_endless_recursion_of_any_kind_is_a_trap(engine: LibraryEngine, kind: str) -> None:
    module = engine.compile(wat(f"(module {RECURSIONS[kind]})"))
    arguments = (1,) * len(module.exports["f"].params)
    for _ in range(3):
        assert trap_of(module.instantiate(), "f", *arguments).code == "stack-overflow"


def test_deep_recursion_that_ends_is_no_overflow(engine: LibraryEngine) -> None:
    text = """(module (func $f (export "f") (param i32) (result i32)
      (if (result i32) (local.get 0)
        (then (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))))
        (else (i32.const 0)))))"""
    with engine.compile(wat(text)).instantiate() as instance:
        assert [instance.call("f", (20_000,)) for _ in range(20)] == [(20_000,)] * 20


def test_memory_and_tables_grow_to_their_limits_and_no_further(engine: LibraryEngine) -> None:
    text = """(module (memory (export "m") 2) (table 1 funcref)
      (func (export "memory") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "table") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))"""
    module = engine.compile(wat(text))
    with module.instantiate(memory_bytes=4 << 16) as instance:
        assert [instance.call("memory", (pages,)) for pages in (3, 2, 1)] == [(-1,), (2,), (-1,)]
        assert instance.memory_bytes == 4 << 16
        most = CALL.table_elements
        assert [instance.call("table", (count,)) for count in (most, most - 1, 1)] == [(-1,), (1,), (-1,)]
    with module.instantiate(memory_bytes=1 << 34) as instance:
        assert [instance.call("memory", (pages,)) for pages in (65534, 65533)] == [(-1,), (2,)]
        assert instance.memory_bytes == (1 << 32) - (1 << 16)
    with pytest.raises(LimitExceeded) as caught:
        module.instantiate(memory_bytes=1 << 16)
    assert limit_of(caught) == "memory_bytes"
    for text, limit in (
        ("(module (table 100001 funcref))", "table_elements"),
        ("(module" + " (table 1 funcref)" * 5 + ")", "tables"),
    ):
        with pytest.raises(LimitExceeded) as caught:
            engine.compile(wat(text))
        assert limit_of(caught) == limit


def test_limits_that_are_fixed_are_refused_not_ignored(engine: LibraryEngine) -> None:
    module = engine.compile(wat(COUNTER))
    with module.instantiate(memory_bytes=1 << 20) as instance:
        instance.limit_memory(1 << 20)
        with pytest.raises(Refused):
            instance.limit_memory(1 << 21)
    with pytest.raises(Refused):
        module.instantiate(table_elements=5)
    with pytest.raises(LocalProtocolError, match="no fuel"):
        module.instantiate(fuel=5)


@pytest.mark.parametrize("is_compiled", [True, False])
def test_fuel_is_counted_over_all_calls_of_an_instance(is_compiled: bool) -> None:
    engine = LibraryEngine(is_compiled=is_compiled, has_fuel=True)
    module = engine.compile(wat(FIBONACCI))
    with module.instantiate(fuel=20_000) as instance:
        left = [instance.fuel_left or 0]
        for _ in range(3):
            assert instance.call("fib", (10,)) == (55,)
            left.append(instance.fuel_left or 0)
        assert left[0] - left[1] == left[1] - left[2] == left[2] - left[3] > 177  # calls of fib
        with pytest.raises(LimitExceeded) as caught:
            instance.call("fib", (25,))
        assert (limit_of(caught), instance.fuel_left) == ("fuel", 0)
    with module.instantiate() as instance:
        assert instance.call("fib", (15,)) == (610,)


def test_a_host_function_gets_arguments_and_memory(engine: LibraryEngine) -> None:
    def write(memory: GuestMemory, at: int, length: int) -> int:
        memory.write(at, b"x" * length)
        return length

    with engine.compile(wat(HOSTED)).instantiate(grants=host(name=write)) as instance:
        assert instance.call("read", (-3, 0.5)) == (-1.5,)
        assert instance.call("name", (10, 3)) == (3,)
        assert instance.call("letter", (12,)) == (ord("x"),)


@pytest.mark.parametrize(
    ("at", "length"),
    [(65536, 1), (65535, 2), (-1, 1), (0, -1), (0, 1 << 30), (0x7FFFFFFF, 0x7FFFFFFF), (-1, -1)],
)
def test_pointers_out_of_the_memory_end_the_guest(engine: LibraryEngine, at: int, length: int) -> None:
    assert (
        trap_of(hosted(engine).instantiate(grants=host()), "name", at, length).code == "host-function-failed"
    )


@pytest.mark.parametrize("wrong", ["text", (1, 2), (), 1j, 1 << 70])
def test_a_host_function_that_returns_something_else_ends_the_guest(
    engine: LibraryEngine, wrong: object
) -> None:
    instance = hosted(engine).instantiate(grants=host(name=lambda *given: wrong))
    assert trap_of(instance, "name", 0, 0).code == "host-function-failed"


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, MemoryError])
def test_what_a_host_function_raises_reaches_its_own_caller_alone(
    engine: LibraryEngine, kind: type[BaseException]
) -> None:
    def fail(memory: GuestMemory, at: int, length: int) -> int:
        raise kind(f"secret {at}")

    module = hosted(engine)
    for turn in range(25):
        with module.instantiate(grants=host(name=fail)) as one, module.instantiate(grants=host()) as other:
            with pytest.raises(GuestTrap, match=f"sensor.name: secret {turn}"):
                one.call("name", (turn, 0))
            assert other.call("name", (0, 5)) == (5,)


def test_imports_are_provided_by_grants_of_the_right_type_alone(engine: LibraryEngine) -> None:
    module = hosted(engine)
    with pytest.raises(Refused, match=r"sensor\.read"):
        module.instantiate()
    wrong = [*host().functions[:1], HostFunction("sensor", "name", ">", print)]
    with pytest.raises(LawowError, match="incompatible import type"):
        module.instantiate(grants=Grants(functions=wrong))


def hosted(engine: LibraryEngine) -> CompiledModule:
    if (engine, HOSTED) not in _arrays:
        _arrays[engine, HOSTED] = engine.compile(wat(HOSTED))
    return _arrays[engine, HOSTED]


def test_an_instance_is_neither_called_nor_closed_while_it_runs(engine: LibraryEngine) -> None:
    refused: list[Exception] = []

    def meddle(memory: GuestMemory, at: int, length: int) -> int:
        for action in (
            lambda: instance.call("letter", (0,)),
            lambda: instance.read_memory(0, 1),
            instance.close,
        ):
            with pytest.raises(LocalProtocolError) as caught:
                action()
            refused.append(caught.value)
        return 1

    with hosted(engine).instantiate(grants=host(name=meddle)) as instance:
        assert instance.call("name", (0, 0)) == (1,)
    assert len(refused) == 3


def test_what_a_guest_says_goes_to_its_caller_alone(
    engine: LibraryEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    out, err = bytearray(), bytearray()
    body = """(drop (call $say (i32.const 1) (i32.const 5)))
              (drop (call $say (i32.const 2) (i32.const 3))) (i32.const 7)"""
    module = engine.compile(guest(body))
    with module.instantiate(stdout=out.extend, stderr=err.extend) as instance:
        assert [instance.call("f"), instance.call("f")] == [(7,), (7,)]
    assert (bytes(out), bytes(err)) == (b"hellohello", b"helhel")
    assert module.instantiate().call("f") == (7,)  # nobody listens
    assert capfd.readouterr() == ("", "")


def test_a_flood_of_output_passes_and_stops_at_the_deadline(engine: LibraryEngine) -> None:
    counted = [0]

    def count(data: bytes) -> None:
        counted[0] += len(data)

    text = """(local $n i32) (loop $again
      (drop (call $say (i32.const 1) (i32.const 60000)))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const {times}))))
      (i32.const 0)"""
    with engine.compile(guest(text.format(times=100))).instantiate(stdout=count) as instance:
        assert instance.call("f") == (0,)
    assert counted == [6_000_000]
    with (
        engine.compile(guest(text.format(times="0xffffffff"))).instantiate(stdout=count) as instance,
        pytest.raises(LimitExceeded),
    ):
        instance.call("f", deadline_seconds=0.3)


def test_an_output_that_nobody_reads_any_more_costs_no_results(engine: LibraryEngine) -> None:
    def gone(data: bytes) -> None:
        raise BrokenPipeError

    with engine.compile(guest("(call $say (i32.const 1) (i32.const 5))")).instantiate(
        stdout=gone
    ) as instance:
        assert [instance.call("f"), instance.call("f")] == [(0,), (0,)]


def test_what_a_listener_raises_stops_the_guest(engine: LibraryEngine) -> None:
    def fail(data: bytes) -> None:
        raise RuntimeError("listener")

    body = "(drop (call $say (i32.const 1) (i32.const 5))) (loop (br 0)) (i32.const 0)"
    with engine.compile(guest(body)).instantiate(stdout=fail) as instance:
        with pytest.raises(RuntimeError, match="listener"):
            instance.call("f")
        with pytest.raises(LocalProtocolError):
            instance.call("f")


def test_nothing_but_the_grants_is_there(engine: LibraryEngine, tmp_path: Path) -> None:
    body = "(call $environ_sizes_get (i32.const 0) (i32.const 4)) drop (i32.load (i32.const 0))"
    module = engine.compile(guest(body))
    assert module.instantiate().call("f") == (0,)
    assert module.instantiate(grants=Grants(environment=[("A", "1"), ("B", "ä")])).call("f") == (2,)
    arguments = engine.compile(guest(body.replace("environ", "args")))
    assert arguments.instantiate().call("f") == (1,)  # the program's name, which is empty
    assert arguments.instantiate(grants=Grants(arguments=["one", "two"])).call("f") == (2,)
    folders = engine.compile(guest("(call $fd_prestat_get (i32.const 3) (i32.const 0))"))
    assert folders.instantiate().call("f") != (0,)
    grants = Grants([Directory(str(tmp_path), "/data", False)])
    assert folders.instantiate(grants=grants).call("f") == (0,)
    beyond = engine.compile(guest("(call $fd_prestat_get (i32.const 4) (i32.const 0))"))
    assert beyond.instantiate(grants=grants).call("f") != (0,)


def test_a_granted_folder_can_be_read_and_its_parents_cannot(engine: LibraryEngine, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "note.txt").write_text("A")
    (tmp_path / "note.txt").write_text("B")
    module = engine.compile(wat(FILES))
    for count in (1, 2):
        folders = [Directory(str(inside), f"/data{number}", False) for number in range(count)]
        with module.instantiate(grants=Grants(folders)) as instance:
            assert instance.call("open", (100, 8, 0, READ)) == (0,)
            assert instance.call("read", (int.from_bytes(instance.read_memory(8, 4), "little"),)) == (65,)
            assert instance.call("open", (108, 11, 0, READ)) != (0,)
            assert instance.call("open", (100, 8, 1, READ | WRITE)) != (0,)
    with module.instantiate(grants=Grants([Directory(str(inside), "/data", True)])) as instance:
        assert instance.call("open", (100, 8, 1, READ | WRITE)) == (0,)
    with pytest.raises(UsageError, match="cannot be opened"):
        module.instantiate(grants=Grants([Directory(str(tmp_path / "x"), "/", True)]))
    (tmp_path / "a:b").mkdir()
    with pytest.raises(Refused, match="colon"):
        module.instantiate(grants=Grants([Directory(str(tmp_path / "a:b"), "/", True)]))


def test_standard_input_is_read_only_if_granted(engine: LibraryEngine) -> None:
    module = engine.compile(wat(FILES))
    reading, writing = os.pipe()
    kept = os.dup(0)
    os.dup2(reading, 0)
    try:
        os.write(writing, b"Z")
        assert module.instantiate().call("read", (0,)) == (0,)
        assert module.instantiate(grants=Grants(stdin=True)).call("read", (0,)) == (ord("Z"),)
    finally:
        os.dup2(kept, 0)
        for descriptor in (reading, writing, kept):
            os.close(descriptor)


@pytest.mark.parametrize("status", [0, 7])
def test_an_exit_has_its_status(engine: LibraryEngine, status: int) -> None:
    body = f"(call $proc_exit (i32.const {status})) (i32.const 1)"
    trap = trap_of(engine.compile(guest(body)).instantiate(), "f")
    assert (trap.code, trap.status) == ("exit", status)
    without = engine.compile(guest(body.removesuffix("(i32.const 1)"), result=""))
    if status == 0:
        assert without.instantiate().call("f") == ()
    else:
        assert trap_of(without.instantiate(), "f").status == status


def test_a_guest_that_waits_for_its_host_is_left_behind(engine: LibraryEngine) -> None:
    waiting = threading.Event()

    def wait(memory: GuestMemory, at: int, length: int) -> int:
        waiting.wait(60)
        return 0

    sleeping = engine.compile(wat(SLEEP)).instantiate()
    hanging = hosted(engine).instantiate(grants=host(name=wait))
    for instance, export, arguments in ((sleeping, "sleep", ()), (hanging, "name", (0, 0))):
        with pytest.raises(LimitExceeded, match="left behind") as caught:
            instance.call(export, arguments, deadline_seconds=0.1)
        assert limit_of(caught) == "deadline_seconds"
        with pytest.raises(LocalProtocolError):
            instance.call(export, arguments)
        instance.close()
    waiting.set()
    assert engine.compile(wat(FIBONACCI)).instantiate().call("fib", (10,)) == (55,)


def test_1000_instances_leave_nothing_behind(engine: LibraryEngine) -> None:
    plain, speaking = (
        engine.compile(wat(COUNTER)),
        engine.compile(guest("(call $say (i32.const 1) (i32.const 5))")),
    )
    host_module = hosted(engine)

    def use(turns: int) -> None:
        for turn in range(turns):
            with plain.instantiate() as instance:
                instance.call("add", (turn,))
                instance.write_memory(0, bytes(65536))
            if turn % 20 == 0:
                with speaking.instantiate() as instance:
                    instance.call("f")
                with host_module.instantiate(grants=host()) as instance:
                    instance.call("name", (0, 1))

    use(200)
    before = footprint()
    use(1000)
    after = footprint()
    assert after[1:] == before[1:]
    assert after[0] - before[0] < 8 << 20  # bytes; the memories alone would be 62 MiB


def footprint() -> tuple[int, int, int]:
    """Return this process's resident bytes, descriptors and threads."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096, len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def test_closing_twice_and_in_any_order_frees_once(engine: LibraryEngine) -> None:
    own = LibraryEngine(is_compiled=engine.is_compiled)
    module = own.compile(guest("(call $say (i32.const 1) (i32.const 5))"))
    instance = module.instantiate()
    own.close()
    module.close()
    module.close()
    assert instance.call("f") == (0,)
    instance.close()
    instance.close()
    with pytest.raises(LocalProtocolError):
        instance.call("f")
    with pytest.raises(LocalProtocolError):
        instance.read_memory(0, 1)
    with pytest.raises(LocalProtocolError):
        _ = instance.memory_bytes


def test_an_instance_that_cannot_be_made_frees_what_it_had(engine: LibraryEngine) -> None:
    for text, code in (
        ("(module (func $f unreachable) (start $f))", "unreachable"),
        ('(module (memory 1) (data (i32.const 65535) "ab"))', "memory-out-of-bounds"),
    ):
        module = engine.compile(wat(text))
        for _ in range(3):
            with pytest.raises(GuestTrap) as caught:
                module.instantiate()
            assert caught.value.code == code


def test_another_engine_traps_as_before_after_a_call(engine: LibraryEngine, wasmtime: WasmtimeEngine) -> None:
    text = '(module (memory 1) (func (export "f") (result i32) (i32.load (i32.const 65536))))'
    reference, module = wasmtime.compile(wat(text)), engine.compile(wat(text))
    for compiled in (reference, module, reference, module, reference):
        with compiled.instantiate() as instance, pytest.raises(GuestTrap) as caught:
            instance.call("f")
        assert caught.value.code == "memory-out-of-bounds"


def test_compiled_code_is_loaded_from_a_file(engine: LibraryEngine, tmp_path: Path) -> None:
    module = engine.compile(wat(FIBONACCI))
    kept = tmp_path / "kept.cwasm"
    kept.write_bytes(module.serialize())
    loaded = engine.load(str(kept))
    assert list(module.exports) == list(loaded.exports) == ["fib"]
    assert loaded.instantiate().call("fib", (10,)) == (55,)
    kept.write_bytes(wat(FIBONACCI) + custom_section("lawow.native", b"no shared object"))
    with pytest.raises(FormatError):
        engine.load(str(kept))


@pytest.mark.parametrize("section", ["lawow.native", "wasmedge"])
def test_machine_code_that_a_guest_brings_is_never_run(engine: LibraryEngine, section: str) -> None:
    other = LibraryEngine().compile(wat('(module (func (export "f") (result i32) i32.const 2))'))
    assert other.machine_code is not None
    with pytest.raises(Refused, match="machine code"):
        engine.compile(wat(FIBONACCI) + custom_section(section, other.machine_code))


@pytest.mark.parametrize(
    "wasm",
    [
        wat('(module (func (export "f") (result i32) i32.const 1))')[:-4] + b"\x41\x01\x6a\x0b",
        wat('(module (memory i64 1) (func (export "f")))'),
        wat('(module (tag $t) (func (export "f") (throw $t)))'),
        b"\0asm\x0d\0\1\0",
        b"\0asm",
        b"",
    ],
)
def test_what_wasmedge_does_not_take_is_a_format_error(engine: LibraryEngine, wasm: bytes) -> None:
    with pytest.raises(FormatError):
        engine.compile(wasm)


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


def test_another_release_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libwasmedge, "RELEASE", "0.99.0")
    monkeypatch.setattr(libwasmedge, "_loaded", [])
    with pytest.raises(LawowError, match=r"is WasmEdge 0\.14\.1; LAWOW knows the layouts of 0\.99\.0"):
        LibraryEngine()


def test_the_library_is_preferred_unless_a_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAWOW_WASMEDGE", raising=False)
    assert isinstance(wasmedge.find_wasmedge(), LibraryEngine)
    monkeypatch.setenv("LAWOW_WASMEDGE", "/nowhere/wasmedge")
    with pytest.raises(LawowError, match="does not run"):
        wasmedge.find_wasmedge()
    monkeypatch.setenv("LAWOW_WASMEDGE_LIBRARY", libwasmedge.library().path)
    assert isinstance(wasmedge.find_wasmedge(), LibraryEngine)
