"""The command that runs suites: what it finds, what is absent, and how it ends."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.tools import run

SPECIFICATION, WASI = "WebAssembly specification", "WASI preview 1"


def suite(*options: str | Path, status: int = 0) -> str:
    done = run(sys.executable, "-m", "tests.conformance.suite", *options, cwd=ROOT, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_both_kinds_are_found_below_one_folder(tmp_path: Path) -> None:
    shutil.copy(ROOT / "fixtures" / "wast" / "calls.wast", tmp_path)
    nested = tmp_path / "c" / "testsuite" / "wasm32-wasip1"
    nested.mkdir(parents=True)
    for name in ("manifest.json", "arguments.wasm", "arguments.json"):
        shutil.copy(ROOT / "fixtures" / "wasi" / name, nested)
    report = json.loads(suite(tmp_path, "--json"))
    assert report["absent"] == []
    assert [(item["kind"], item["files"], item["failed"]) for item in report["suites"]] == [
        (SPECIFICATION, 1, []),
        (WASI, 1, []),
    ]
    assert f"{WASI}: 1 files: 1 passed, 0 failed, 0 unsupported" in suite(tmp_path)


def test_an_absent_suite_is_named_and_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "one.wast").write_text('(module (func (export "f"))) (assert_return (invoke "f"))')
    assert f"{WASI}: no tests below {tmp_path}" in suite(tmp_path)
    (tmp_path / "one.wast").unlink()
    assert json.loads(suite(tmp_path, "--json", status=2))["absent"] == [SPECIFICATION, WASI]


def test_a_failure_ends_with_1_and_a_proposal_is_not_asked(tmp_path: Path) -> None:
    wrong = '(module (func (export "f") unreachable)) (assert_return (invoke "f"))'
    (tmp_path / "proposals").mkdir()
    (tmp_path / "proposals" / "new.wast").write_text(wrong)
    assert "unsupported 1: file of a proposal" in suite(tmp_path)
    (tmp_path / "one.wast").write_text(wrong)
    assert "FAILED one.wast:1: assert_return" in suite(tmp_path, status=1)
    assert "2 files: 1 passed, 1 failed, 1 unsupported" in suite(tmp_path, status=1)
