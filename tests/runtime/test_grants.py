"""What a guest may reach is what was granted: folders, variables, input, and functions of the host."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lawow.errors import GuestTrap, LawowError, Refused, UsageError
from lawow.execution.granting import parse_directory, parse_variable, read_grants
from lawow.runtime import host_functions
from lawow.runtime.grants import Directory, Grants
from lawow.runtime.host_functions import GuestMemory, HostFunction
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasmtime_component import ComponentEngine
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.builders import wat
from tests.runtime.test_wasi import guest

ROOT = Path(__file__).resolve().parent.parent.parent
NOT_PERMITTED = (63, 69, 76, 2)  # perm, rofs, notcapable, acces

FILES = """
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "note.txt../note.txt")
  (func (export "open") (param $at i32) (param $length i32) (param $create i32) (param $rights i64)
    (result i32)
    (call $open (i32.const 3) (i32.const 0) (local.get $at)
      (local.get $length) (local.get $create)
      (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 8)))
  (func (export "read") (param $from i32) (result i32)
    (i32.store (i32.const 16) (i32.const 64)) (i32.store (i32.const 20) (i32.const 16))
    (if (call $read (local.get $from) (i32.const 16) (i32.const 1) (i32.const 24))
      (then (return (i32.const -1))))
    (i32.load8_u (i32.const 64))))
"""
READ, WRITE = 1 << 1, 1 << 6

HOSTED = """
(module
  (import "sensor" "read" (func $read (param i32 f64) (result f64)))
  (import "sensor" "name" (func $name (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "read") (param i32 f64) (result f64) (call $read (local.get 0) (local.get 1)))
  (func (export "name") (param i32 i32) (result i32) (call $name (local.get 0) (local.get 1)))
  (func (export "letter") (param i32) (result i32) (i32.load8_u (local.get 0))))
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[WasmtimeEngine]:
    made = WasmtimeEngine(EXEC_PROFILE)
    yield made
    made.close()


def host(
    read: Callable[..., object] = lambda memory, sensor, scale: sensor * scale,
    name: Callable[..., object] = lambda memory, at, length: len(memory.read(at, length)),
) -> Grants:
    return Grants(
        functions=[
            HostFunction("sensor", "read", "iF>F", read),  # type: ignore[arg-type]
            HostFunction("sensor", "name", "ii>i", name),  # type: ignore[arg-type]
        ]
    )


def test_a_granted_folder_can_be_read_and_its_parents_cannot(engine: WasmtimeEngine, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "note.txt").write_text("A")
    (tmp_path / "note.txt").write_text("B")
    module = engine.compile(wat(FILES))
    with module.instantiate(grants=Grants([Directory(str(inside), "/data", False)])) as instance:
        assert instance.call("open", (100, 8, 0, READ)) == (0,)
        assert instance.call("read", (4,)) == (ord("A"),)
        assert instance.call("open", (108, 11, 0, READ))[0] in NOT_PERMITTED
    with module.instantiate() as instance:
        assert instance.call("open", (100, 8, 0, READ)) != (0,)


@pytest.mark.parametrize("writable", [True, False])
def test_a_folder_is_written_only_if_it_was_granted_for_writing(
    engine: WasmtimeEngine, tmp_path: Path, writable: bool
) -> None:
    grants = Grants([Directory(str(tmp_path), "/data", writable)])
    with engine.compile(wat(FILES)).instantiate(grants=grants) as instance:
        (status,) = instance.call("open", (100, 8, 1, READ | WRITE))  # 1: create
    assert (status == 0) == writable == (tmp_path / "note.txt").exists()


def test_a_folder_that_is_gone_is_a_usage_error(engine: WasmtimeEngine, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be opened"):
        engine.compile(wat(FILES)).instantiate(grants=Grants([Directory(str(tmp_path / "x"), "/", True)]))


def test_variables_are_the_granted_ones_and_no_others(engine: WasmtimeEngine) -> None:
    body = "(call $environ_sizes_get (i32.const 0) (i32.const 4)) drop (i32.load (i32.const 0))"
    module = engine.compile(guest(body))
    with module.instantiate() as none, module.instantiate(grants=Grants((), [("A", "1"), ("B", "ä")])) as two:
        assert (none.call("f"), two.call("f")) == ((0,), (2,))


def test_standard_input_is_read_only_if_granted(tmp_path: Path) -> None:
    (tmp_path / "files.wasm").write_bytes(wat(FILES))
    for options, result in ((["--stdin"], "90\n"), ([], "0\n")):
        done = subprocess.run(
            [sys.executable, "-m", "lawow", "exec", "files.wasm", "read", "0", *options],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path)},
            input="Z",
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == result


def test_given_input_is_read_by_each_instance_from_its_beginning(engine: WasmtimeEngine) -> None:
    module = engine.compile(wat(FILES))
    for given, first in ((b"Z\0more", 90), (b"", 0), (b"Z", 90)):
        with module.instantiate(grants=Grants(stdin=given)) as instance:
            assert instance.call("read", (0,)) == (first,)


def test_a_component_is_given_no_bytes_as_its_input(tmp_path: Path) -> None:
    components = ComponentEngine(EXEC_PROFILE)
    (tmp_path / "code").write_bytes(components.compile(wat("(component)")))
    loaded = components.load(str(tmp_path / "code"))
    with pytest.raises(Refused, match="bytes as standard input"):
        loaded.instantiate(grants=Grants(stdin=b"text"))


def test_a_host_function_gets_arguments_and_memory(engine: WasmtimeEngine) -> None:
    def write(memory: GuestMemory, at: int, length: int) -> int:
        memory.write(at, b"x" * length)
        return length

    with engine.compile(wat(HOSTED)).instantiate(grants=host(name=write)) as instance:
        assert instance.call("read", (-3, 0.5)) == (-1.5,)
        assert instance.call("name", (10, 3)) == (3,)
        assert instance.call("letter", (12,)) == (ord("x"),)


def test_host_functions_that_were_not_granted_are_refused(engine: WasmtimeEngine) -> None:
    module = engine.compile(wat(HOSTED))
    with pytest.raises(Refused, match=r"sensor\.read"):
        module.instantiate()
    with pytest.raises(Refused, match=r"another type than is provided: sensor\.name"):
        module.instantiate(
            grants=Grants(functions=[*host().functions[:1], HostFunction("sensor", "name", ">", print)])
        )


@pytest.mark.parametrize(
    ("at", "length"),
    [(65536, 1), (65535, 2), (-1, 1), (0, -1), (0, 1 << 30), (0x7FFFFFFF, 0x7FFFFFFF), (-1, -1)],
)
def test_pointers_out_of_the_memory_end_the_guest(engine: WasmtimeEngine, at: int, length: int) -> None:
    with (
        engine.compile(wat(HOSTED)).instantiate(grants=host()) as instance,
        pytest.raises(GuestTrap) as caught,
    ):
        instance.call("name", (at, length))
    assert caught.value.code == "host-function-failed"


@pytest.mark.parametrize("wrong", ["text", (1, 2), (), 1j, 1 << 70])
def test_a_host_function_that_returns_something_else_ends_the_guest(
    engine: WasmtimeEngine, wrong: object
) -> None:
    grants = host(name=lambda *given: wrong)
    with engine.compile(wat(HOSTED)).instantiate(grants=grants) as instance, pytest.raises(GuestTrap):
        instance.call("name", (0, 0))


def test_what_a_host_function_raises_reaches_its_own_caller_alone(engine: WasmtimeEngine) -> None:
    def fail(memory: GuestMemory, at: int, length: int) -> int:
        raise ValueError(f"secret {at}")

    module = engine.compile(wat(HOSTED))
    for turn in range(100):
        with module.instantiate(grants=host(name=fail)) as one, module.instantiate(grants=host()) as other:
            with pytest.raises(GuestTrap, match=f"sensor.name: secret {turn}") as caught:
                one.call("name", (turn, 0))
            assert caught.value.__cause__ is None
            assert other.call("name", (0, 5)) == (5,)


def test_what_functions_remember_is_shared_among_them_and_ends_with_the_instance(
    engine: WasmtimeEngine,
) -> None:
    class Memory:
        """Counts calls; `alive` counts the objects."""

        alive = 0

        def __init__(self) -> None:
            self.calls = 0
            Memory.alive += 1

        def __del__(self) -> None:
            Memory.alive -= 1

        def count(self) -> int:
            self.calls += 1
            return self.calls

    def read(state: Memory, memory: GuestMemory, sensor: int, scale: float) -> float:
        return state.count()

    def name(state: Memory, memory: GuestMemory, at: int, length: int) -> int:
        return state.count()

    grants = Grants(
        functions=[
            HostFunction("sensor", "read", "iF>F", read, state=Memory),
            HostFunction("sensor", "name", "ii>i", name, state=Memory),
        ]
    )
    module = engine.compile(wat(HOSTED))
    first, second = module.instantiate(grants=grants), module.instantiate(grants=grants)
    assert [first.call("read", (0, 0.0)), first.call("name", (0, 0))] == [(1.0,), (2,)]
    assert second.call("name", (0, 0)) == (1,)
    assert Memory.alive == 2
    first.close()
    assert Memory.alive == 1
    assert second.call("read", (0, 0.0)) == (2.0,)
    second.close()
    assert Memory.alive == 0


def test_state_that_cannot_be_made_is_the_error_of_the_instance(engine: WasmtimeEngine) -> None:
    def fail() -> object:
        raise LawowError("not installed")

    grants = Grants(
        functions=[HostFunction("sensor", name, ">", print, state=fail) for name in ("read", "name")]
    )
    with pytest.raises(LawowError, match="not installed"):
        engine.compile(wat(HOSTED)).instantiate(grants=grants)


class Offers:
    """Stands for the distributions that are installed."""

    def __init__(self, *entries: EntryPoint) -> None:
        self._entries = entries

    def __call__(self) -> tuple[EntryPoint, ...]:
        return self._entries


FUNCTIONS = [HostFunction("sensor", "read", "iF>F", lambda memory, sensor, scale: scale)]
BROKEN = [1, 2]


def offer(name: str, what: str = "FUNCTIONS") -> EntryPoint:
    return EntryPoint(name, f"tests.runtime.test_grants:{what}", host_functions.GROUP)


def test_host_functions_are_found_by_the_name_of_their_grant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_functions, "_entries", Offers(offer("sensor"), offer("other")))
    assert host_functions.granted_names() == ["nn", "other", "sensor"]
    assert [item.name for item in host_functions.find_host_functions(["sensor", "sensor"])] == ["read"]


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([], "offered here: nn"),
        ([offer("other")], "offered here: nn, other"),
        ([offer("sensor"), offer("sensor")], "more than once"),
        ([offer("sensor", "NOTHING")], "cannot be loaded"),
        ([offer("sensor", "BROKEN")], "something else"),
    ],
)
def test_offers_that_cannot_be_used_are_explained(
    monkeypatch: pytest.MonkeyPatch, entries: list[EntryPoint], sentence: str
) -> None:
    monkeypatch.setattr(host_functions, "_entries", Offers(*entries))
    with pytest.raises(UsageError, match=sentence):
        host_functions.find_host_functions(["sensor"])


def test_options_become_grants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN", "value")
    folder = parse_directory(f"{tmp_path}::/data:ro")
    assert (folder.host, folder.guest, folder.is_writable) == (str(tmp_path), "/data", False)
    assert parse_directory(f"{tmp_path}::.").is_writable
    assert (parse_variable("A=b=c"), parse_variable("OWN")) == (("A", "b=c"), ("OWN", "value"))
    assert read_grants((), (), False, ()) is None


@pytest.mark.parametrize(
    "text", ["", "/", "::", "/tmp::", "::/x", "/tmp::/x:rw", "/nowhere::/x", "/etc/passwd::/x"]
)
def test_a_folder_that_cannot_be_granted_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_directory(text)


@pytest.mark.parametrize("text", ["", "=x", "LAWOW_NO_SUCH_VARIABLE", "A=\0"])
def test_a_variable_that_cannot_be_granted_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_variable(text)
