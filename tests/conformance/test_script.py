"""The specification's assertions hold through our binding; what the runner counts is what it ran."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.conformance.converter import COMMAND, find_converter
from tests.conformance.report import Report
from tests.conformance.script import run_file

WAST = Path(__file__).resolve().parent.parent.parent / "fixtures" / "wast"


@pytest.fixture(scope="module")
def engine() -> Iterator[WasmtimeEngine]:
    made = WasmtimeEngine(EXEC_PROFILE)
    yield made
    made.close()


COMMANDS = {
    "binary": 27,
    "calls": 22,
    "control": 43,
    "conversions": 577,
    "floats": 455,
    "integers": 440,
    "memory": 28,
    "memory64": 33,
    "numbers": 26,
    "tables": 72,
    "vectors": 475,
}
"""Our own files: modules and assertions in each."""


def test_every_own_file_is_counted() -> None:
    assert sorted(COMMANDS) == sorted(path.stem for path in WAST.glob("*.wast"))


@pytest.mark.parametrize(("name", "commands"), COMMANDS.items())
def test_own_files_pass_whole(engine: WasmtimeEngine, name: str, commands: int) -> None:
    report = run_file(WAST / f"{name}.wast", engine)
    assert (report.failures, dict(report.unsupported), report.passed) == ([], {}, commands)


def test_a_wrong_expectation_is_a_failure_with_its_line(engine: WasmtimeEngine, tmp_path: Path) -> None:
    path = tmp_path / "wrong.wast"
    path.write_text(
        """(module (func (export "f") (result i32) (i32.const 1)) (func (export "t") unreachable))
           (assert_return (invoke "f") (i32.const 2))
           (assert_trap (invoke "f") "unreachable")
           (assert_trap (invoke "t") "integer overflow")
           (assert_invalid (module (func)) "anything")"""
    )
    report = run_file(path, engine)
    assert [line.split(":")[1] for line in report.failures] == ["2", "3", "4", "5"]


def run_text(engine: WasmtimeEngine, folder: Path, text: str) -> Report:
    path = folder / "test.wast"
    path.write_text(text)
    return run_file(path, engine)


def test_what_cannot_be_asked_is_unsupported_and_not_passed(engine: WasmtimeEngine, tmp_path: Path) -> None:
    """After a call that could not be made the instance is in another state, so nothing of it is judged."""
    report = run_text(
        engine,
        tmp_path,
        """(module $m (global (export "g") i32 (i32.const 1)) (func (export "f") (param externref))
             (func (export "one") (result i32) (i32.const 1)))
           (assert_return (get "g") (i32.const 1))
           (assert_return (invoke "one") (i32.const 1))
           (assert_return (invoke "f" (ref.null extern)))
           (assert_return (invoke "one") (i32.const 1))""",
    )
    assert (report.passed, report.failures) == (2, [])
    assert dict(report.unsupported) == {
        "reading a global": 1,
        "references as arguments": 1,
        "call after one that could not be made": 1,
    }


def test_limits_of_ours_are_unsupported_with_their_name(engine: WasmtimeEngine, tmp_path: Path) -> None:
    report = run_text(engine, tmp_path, '(module (memory 1) (memory 1) (func (export "f"))) (invoke "f")')
    assert dict(report.unsupported) == {
        "module above our limit memories": 1,
        "call into such a module above our limit memories": 1,
    }


def test_functions_of_registered_instances_and_of_spectest_are_imported(
    engine: WasmtimeEngine, tmp_path: Path
) -> None:
    report = run_text(
        engine,
        tmp_path,
        """(module $counter (global $n (mut i32) (i32.const 0))
             (func (export "next") (result i32)
               (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))
           (register "counter" $counter)
           (module (import "counter" "next" (func $next (result i32)))
             (import "spectest" "print_i32" (func $print (param i32)))
             (func (export "twice") (result i32) (call $print (call $next)) (call $next)))
           (assert_return (invoke "twice") (i32.const 2))
           (assert_return (invoke $counter "next") (i32.const 3))
           (assert_unlinkable
             (module (import "spectest" "print_i32" (func (param i64)))) "incompatible import type")
           (assert_unlinkable (module (import "nowhere" "f" (func))) "unknown import")""",
    )
    assert (report.failures, dict(report.unsupported), report.passed) == ([], {}, 7)


def test_vectors_pass_lane_by_lane(engine: WasmtimeEngine, tmp_path: Path) -> None:
    report = run_text(
        engine,
        tmp_path,
        """(module (func (export "add") (param v128 i32 v128) (result i32 v128)
             (local.get 1) (i8x16.add (local.get 0) (local.get 2)))
             (func (export "root") (param v128) (result v128) (f64x2.sqrt (local.get 0))))
           (assert_return
             (invoke "add" (v128.const i8x16 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 -1) (i32.const -7)
             (v128.const i8x16 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1))
             (i32.const -7) (v128.const i8x16 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 0))
           (assert_return (invoke "root" (v128.const f64x2 -1 9)) (v128.const f64x2 nan:canonical 3))
           (assert_return (invoke "root" (v128.const f64x2 -1 9)) (v128.const f64x2 nan:canonical 4))""",
    )
    assert (report.passed, [line.split(":")[1] for line in report.failures]) == (3, ["9"])


def test_malformed_text_is_refused_as_lawow_exec_reads_it(engine: WasmtimeEngine, tmp_path: Path) -> None:
    text = """(assert_malformed (module quote "(func") "unexpected end")
              (assert_malformed (module quote "(func (i32.const 4294967296) drop)") "out of range")"""
    report = run_text(engine, tmp_path, text)
    assert (report.passed, report.failures) == (2, [])


def test_a_converter_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMMAND, "/opt/wasm-tools")
    assert find_converter() == "/opt/wasm-tools"
