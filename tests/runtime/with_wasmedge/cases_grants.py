"""What a guest reaches in WasmEdge's library is what was granted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lawow.errors import (
    GuestTrap,
    LawowError,
    LimitExceeded,
    LocalProtocolError,
    Refused,
    UsageError,
)
from lawow.runtime.grants import Directory, Grants
from lawow.runtime.host_functions import GuestMemory, HostFunction
from lawow.runtime.wasmedge_library import LibraryEngine
from tests.runtime.builders import wat
from tests.runtime.test_grants import FILES, HOSTED, READ, WRITE, host
from tests.runtime.test_wasi import guest
from tests.runtime.with_wasmedge.helpers import hosted, trap_of


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
    sockets = wat(
        '(module (import "wasi_snapshot_preview1" "sock_open" (func (param i32 i32 i32) (result i32))))'
    )
    with pytest.raises(Refused, match="sock_open"):  # WasmEdge has it
        engine.compile(sockets).instantiate()
    wrong = [*host().functions[:1], HostFunction("sensor", "name", ">", print)]
    with pytest.raises(LawowError, match="incompatible import type"):
        module.instantiate(grants=Grants(functions=wrong))


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
