"""The specification's assertions hold through our binding; what the runner counts is what it ran."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.conformance.suite import run_file

WAST = Path(__file__).resolve().parent.parent.parent / "fixtures" / "wast"


@pytest.fixture(scope="module")
def engine() -> Iterator[WasmtimeEngine]:
    made = WasmtimeEngine(EXEC_PROFILE)
    yield made
    made.close()


@pytest.mark.parametrize(("name", "assertions"), [("numbers", 26), ("memory", 28), ("calls", 22)])
def test_own_files_pass_whole(engine: WasmtimeEngine, name: str, assertions: int) -> None:
    report = run_file(WAST / f"{name}.wast", engine)
    assert (report.failures, dict(report.unsupported), report.passed) == ([], {}, assertions)


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


def test_what_cannot_be_asked_is_unsupported_and_not_passed(engine: WasmtimeEngine, tmp_path: Path) -> None:
    path = tmp_path / "more.wast"
    path.write_text(
        """(module $m (global (export "g") i32 (i32.const 1)) (func (export "f") (param externref)))
           (register "m" $m)
           (assert_return (get "g") (i32.const 1))
           (assert_return (invoke "f" (ref.null extern)))"""
    )
    report = run_file(path, engine)
    assert (report.passed, report.failures, report.unsupported.total()) == (1, [], 3)
