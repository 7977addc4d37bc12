"""``lawow exec --state``: a command goes on where an earlier one stopped, on any engine."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lawow.formats.state import decode_state
from tests.conftest import ROOT
from tests.runtime.builders import wat
from tests.runtime.state_programs import PROGRAMS, SPEAKER
from tests.runtime.wasmedge import environment, python_with_library, wasmedge

COUNTER = """(module (global $n (mut i32) (i32.const 0)) (memory 1)
  (func (export "add") (param i32) (result i32)
    (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n))
  (func (export "trap") (global.set $n (i32.const -1)) unreachable)
  (func (export "_start")))"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "count.wasm").write_bytes(wat(COUNTER))

    def lawow(*arguments: str, command: str = "") -> subprocess.CompletedProcess[str]:
        found = {"LAWOW_WASMEDGE": command} if command else {}
        return subprocess.run(
            [python_with_library(), "-m", "lawow", "exec", *arguments],
            cwd=tmp_path,
            env={**environment(), "XDG_CACHE_HOME": str(tmp_path / "cache"), **found},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return lawow


def test_commands_go_on_from_each_other_on_three_engines(run: Run, tmp_path: Path) -> None:
    engines = ("wasmtime", "wasmedge", "wasmedge-interpreter", "wasmtime")
    done = [run("count.wasm", "add", "5", "--state", "count.state", "--engine", engine) for engine in engines]
    assert [item.stdout for item in done] == ["5\n", "10\n", "15\n", "20\n"], done[1].stderr
    assert stat.S_IMODE((tmp_path / "count.state").stat().st_mode) == 0o600
    # Without the option, and after it, nothing is remembered: compiled code of both kinds lies in the cache.
    assert run("count.wasm", "add", "5").stdout == "5\n"
    assert run("count.wasm", "add", "5", "--no-cache", "--state", "count.state").stdout == "25\n"
    assert run("count.wasm", "add", "1", "--json").stdout.startswith('{"module": "count.wasm"')


def test_a_trap_and_a_full_disk_leave_the_state_as_it_was(run: Run, tmp_path: Path) -> None:
    run("count.wasm", "add", "5", "--state", "count.state")
    before = (tmp_path / "count.state").read_bytes()
    assert run("count.wasm", "trap", "--state", "count.state").returncode == 5
    assert (tmp_path / "count.state").read_bytes() == before
    assert decode_state(before).globals[0].pattern == 5
    assert run("count.wasm", "add", "5", "--state", "nowhere/count.state").returncode == 1
    assert sorted(os.listdir(tmp_path)) == ["cache", "count.state", "count.wasm"]


def test_what_the_guest_says_is_said_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "speaker.wasm").write_bytes(wat(SPEAKER))
    assert run("speaker.wasm", "say", "--state", "s").stdout == "hello0\n"
    assert run("speaker.wasm", "say", "--state", "s").stdout == "hello0\n"


def test_lists_go_into_an_instance_that_goes_on(run: Run) -> None:
    module = str(ROOT / "fixtures" / "wasm" / "arrays.wasm")
    call = (module, "accumulate_all", "[1, 2, 3]", "--signature", "[i>i", "--state", "s")
    assert [run(*call).stdout for _ in range(2)] == ["6\n", "12\n"]


@pytest.mark.parametrize("data", [b"", b"LWST", b"\0" * 300])
def test_a_file_that_is_no_state_is_named_and_stays(run: Run, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "wrong").write_bytes(data)
    done = run("count.wasm", "add", "1", "--state", "wrong")
    assert done.returncode == 3
    assert done.stderr.startswith("lawow: wrong: state: ")
    assert (tmp_path / "wrong").read_bytes() == data


def test_a_state_of_another_module_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other.wasm").write_bytes(PROGRAMS["generator"].wasm)
    run("count.wasm", "add", "1", "--state", "s")
    done = run("other.wasm", "next", "1", "--state", "s")
    assert done.returncode == 3
    assert "is of another module" in done.stderr


def test_a_module_with_state_out_of_reach_is_refused_with_the_reason(run: Run, tmp_path: Path) -> None:
    text = '(module (global (mut externref) (ref.null extern)) (func (export "f")))'
    (tmp_path / "opaque.wasm").write_bytes(wat(text))
    done = run("opaque.wasm", "f", "--state", "s")
    assert done.returncode == 4
    assert "global 0 holds references" in done.stderr
    assert not (tmp_path / "s").exists()


def test_options_that_contradict_it_are_usage_errors(run: Run) -> None:
    assert run("count.wasm", "add", "1", "--state", "s", "--repeat", "2").returncode == 2
    assert run("count.wasm", "_start", "--state", "s").returncode == 2
    done = run("count.wasm", "add", "1", "--state", "s", "--engine", "wasmedge", command=wasmedge())
    assert done.returncode == 4
    assert "keeps no instance between calls" in done.stderr


def test_a_fault_of_the_module_is_not_told_of_the_file(run: Run, tmp_path: Path) -> None:
    text = '(module (func (export "_initialize") (param i32)) (func (export "f")))'
    (tmp_path / "odd.wasm").write_bytes(wat(text))
    done = run("odd.wasm", "f", "--state", "s")
    assert done.returncode == 3
    assert "_initialize must take and return nothing" in done.stderr
    assert not done.stderr.startswith("lawow: s: ")
