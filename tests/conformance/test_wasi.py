"""WASI preview 1 as our own modules test it, on both engines; and the runner fails where a test should."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lawow.errors import FormatError
from lawow.runtime.base import Engine
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmedge_command import CommandEngine
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.conformance.report import Unsupported
from tests.conformance.wasi import Case, find_suites, read_case, run_case, run_suite
from tests.runtime.builders import wat
from tests.runtime.wasmedge import wasmedge

SUITE = Path(__file__).resolve().parent.parent.parent / "fixtures" / "wasi"
MODULES = sorted(path.stem for path in SUITE.glob("*.wasm"))

WASMEDGE_DIFFERS = {"poll_nothing": "found 0"}
"""Where WasmEdge 0.14.1 does other than the interface says: it answers a wait for nothing with success."""

SAYS_HELLO = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\05\\00\\00\\00") (data (i32.const 16) "hello")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $exit (i32.const 3))))
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = WasmtimeEngine(EDGE_PROFILE)
    yield made
    made.close()


def hello(folder: Path, facts: object) -> Case:
    (folder / "hello.wasm").write_bytes(wat(SAYS_HELLO))
    (folder / "hello.json").write_text(json.dumps(facts))
    return read_case(folder / "hello.wasm")


def test_there_is_a_module_for_every_source() -> None:
    assert sorted(path.stem for path in SUITE.glob("*.c")) == MODULES
    assert find_suites(SUITE.parent) == [SUITE]


@pytest.mark.parametrize("name", MODULES)
def test_own_modules_pass_on_wasmtime(engine: Engine, name: str) -> None:
    run_case(read_case(SUITE / f"{name}.wasm"), engine)


@pytest.mark.parametrize("name", MODULES)
def test_own_modules_pass_on_wasmedge_but_for_what_is_known(name: str) -> None:
    engine = CommandEngine(is_compiled=False, command=wasmedge())
    if name in WASMEDGE_DIFFERS:
        with pytest.raises(AssertionError, match=WASMEDGE_DIFFERS[name]):
            run_case(read_case(SUITE / f"{name}.wasm"), engine)
    else:
        run_case(read_case(SUITE / f"{name}.wasm"), engine)


def test_a_compiled_command_has_arguments_and_status_on_wasmedge(tmp_path: Path) -> None:
    engine = CommandEngine(command=wasmedge())
    run_case(read_case(SUITE / "arguments.wasm"), engine)
    run_case(hello(tmp_path, {"exit_code": 3, "stdout": "hello"}), engine)


@pytest.mark.parametrize("make", [WasmtimeEngine, CommandEngine])
def test_links_that_the_host_put_into_a_folder_lead_nowhere(make: type[Engine], tmp_path: Path) -> None:
    """Also links that dangle, and links over a folder inside: what they reach is never opened."""
    shutil.copytree(SUITE / "work.dir", tmp_path / "work.dir")
    shutil.copytree(SUITE / "given.dir", tmp_path / "given.dir")
    shutil.copy(SUITE / "escapes.wasm", tmp_path)
    targets = {"absolute": "/etc/passwd", "root": "/", "up": "..", "beside": "../given.dir/text.txt"}
    for name, target in targets.items():
        (tmp_path / "work.dir" / name).symlink_to(target)
    (tmp_path / "work.dir" / "twice").symlink_to("up/given.dir")
    paths = ("absolute", "root/etc/passwd", "up", "up/given.dir/text.txt", "beside", "twice/text.txt")
    case = Case(tmp_path / "escapes.wasm", paths, (), ("work.dir",), ("given.dir",))
    engine = WasmtimeEngine(EDGE_PROFILE) if make is WasmtimeEngine else _interpreter()
    run_case(case, engine)


def _interpreter() -> CommandEngine:
    return CommandEngine(is_compiled=False, command=wasmedge())


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        ({}, "status 3, expected 0"),
        ({"exit_code": 4}, "status 3, expected 4"),
        ({"exit_code": 3, "stdout": "goodbye"}, "standard output b'hello', expected b'goodbye'"),
        ({"exit_code": 3, "stdout": ""}, "standard output b'hello', expected b''"),
        ({"exit_code": 3, "stderr": "hello"}, "standard error b'', expected b'hello'"),
    ],
)
def test_another_end_or_output_is_a_failure(
    engine: Engine, tmp_path: Path, facts: dict[str, object], complaint: str
) -> None:
    with pytest.raises(AssertionError) as caught:
        run_case(hello(tmp_path, facts), engine)
    assert str(caught.value) == complaint
    run_case(hello(tmp_path, {"exit_code": 3}), engine)


def test_a_guest_that_traps_or_never_ends_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.conformance.wasi.DEADLINE_SECONDS", 0.2)
    for name, code in (("trap", "unreachable"), ("spin", "(loop (br 0))")):
        (tmp_path / f"{name}.wasm").write_bytes(wat(f'(module (func (export "_start") {code}))'))
    (tmp_path / "manifest.json").write_text('{"name": "two"}')
    report = run_suite(tmp_path)
    assert [line[:11] for line in report.failures] == ["two: spin: ", "two: trap: "]
    assert "deadline_seconds" in report.failures[0]
    assert report.failures[1].endswith("status 'unreachable', expected 0")


@pytest.mark.parametrize("facts", [[], {"args": "one"}, {"exit_code": "3"}, {"env": ["A=B"]}, {"stdout": 1}])
def test_a_description_of_another_form_is_refused(tmp_path: Path, facts: object) -> None:
    with pytest.raises(FormatError, match=r"hello\.json: is no description"):
        hello(tmp_path, facts)
    (tmp_path / "hello.json").write_text("{")
    with pytest.raises(FormatError, match=r"hello\.json: is no JSON"):
        read_case(tmp_path / "hello.wasm")


def test_what_the_runner_does_not_know_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="operations"):
        hello(tmp_path, {"operations": []})


def test_the_folders_of_a_suite_are_not_changed(engine: Engine) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in SUITE.rglob("*"))
    run_case(read_case(SUITE / "directories.wasm"), engine)
    assert sorted((path, path.stat().st_mtime_ns) for path in SUITE.rglob("*")) == before
