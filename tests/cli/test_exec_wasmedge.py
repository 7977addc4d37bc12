"""``lawow exec`` and ``lawow engines`` in a process that can load WasmEdge's library."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.test_exec_grants import GUEST, installed
from tests.conftest import ROOT
from tests.runtime.builders import FIBONACCI, SPIN, wat
from tests.runtime.test_wasi import guest
from tests.runtime.wasmedge import environment, python_with_library

__all__ = ["installed"]

BOTH = pytest.mark.parametrize("engine", ["wasmedge", "wasmedge-interpreter"])


def lawow(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{ROOT}:{folder / 'site'}"
    return subprocess.run(
        [python_with_library(), "-m", "lawow", *arguments],
        cwd=folder,
        env={**environment(), "PYTHONPATH": path, "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_library_is_listed_with_its_release_and_its_weaknesses(tmp_path: Path) -> None:
    document = json.loads(lawow(tmp_path, "engines", "--json").stdout)
    found = {item["name"]: item for item in document["engines"]}
    for name in ("wasmedge", "wasmedge-interpreter"):
        assert found[name]["version"] == "0.14.1"
        assert found[name]["capabilities"]["driven by"] == "its library, in this process"
        assert not [word for word in found[name]["capabilities"].values() if word.startswith("no:")]
        assert found[name]["advisories"][0]["fixed_in"] == "0.16.0"
    assert "CVE-2025-69261" in lawow(tmp_path, "engines").stdout


@BOTH
def test_numbers_strings_fuel_and_the_cache(tmp_path: Path, engine: str) -> None:
    (tmp_path / "fib.wasm").write_bytes(wat(FIBONACCI))
    (tmp_path / "arrays.wasm").write_bytes((ROOT / "fixtures/wasm/arrays.wasm").read_bytes())
    for _ in range(2):  # compiled, then from the cache
        done = lawow(tmp_path, "exec", "fib.wasm", "fib", "20", "--engine", engine, "--repeat", "3")
        assert (done.stdout, "3 calls: least" in done.stderr) == ("6765\n", True)
    done = lawow(tmp_path, "exec", "arrays.wasm", "upper", "grüße", "--signature", "S>S", "--engine", engine)
    assert (done.stdout, done.stderr) == ("GRüßE\n", "")
    done = lawow(tmp_path, "exec", "fib.wasm", "fib", "20", "--engine", engine, "--fuel", "1000")
    assert (done.returncode, "fuel is more than 1000" in done.stderr) == (4, True)


@BOTH
def test_what_a_guest_says_and_how_it_ends(tmp_path: Path, engine: str) -> None:
    body = "(drop (call $say (i32.const 1) (i32.const 5))) (call $proc_exit (i32.const {}))"
    (tmp_path / "say.wasm").write_bytes(guest(body.format(0), result=""))
    (tmp_path / "exit.wasm").write_bytes(guest(body.format(7), result=""))
    (tmp_path / "spin.wasm").write_bytes(wat(SPIN))
    (tmp_path / "deep.wasm").write_bytes(wat('(module (func $f (export "f") (call $f) (call $f)))'))
    done = lawow(tmp_path, "exec", "say.wasm", "f", "--engine", engine)
    assert (done.returncode, done.stdout) == (0, "hello")
    done = lawow(tmp_path, "exec", "exit.wasm", "f", "--engine", engine)
    assert (done.returncode, "status 7" in done.stderr) == (5, True)
    done = lawow(tmp_path, "exec", "spin.wasm", "spin", "--engine", engine, "--timeout", "0.3")
    assert (done.returncode, "deadline_seconds" in done.stderr) == (4, True)
    done = lawow(tmp_path, "exec", "deep.wasm", "f", "--engine", engine)
    assert (done.returncode, "call stack exhausted" in done.stderr) == (5, True)


@BOTH
def test_host_functions_answer_fail_and_are_stopped(installed: Path, engine: str) -> None:
    (installed / "guest.wasm").write_bytes(wat(GUEST))
    options = ("--grant", "sensor", "--engine", engine)
    done = lawow(installed, "exec", "guest.wasm", "read", "3", *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1.5\n", "")
    done = lawow(installed, "exec", "guest.wasm", "fail", *options)
    assert (done.returncode, "sensor.fail: division by zero" in done.stderr) == (5, True)
    done = lawow(installed, "exec", "guest.wasm", "wait", *options, "--timeout", "0.5")
    assert (done.returncode, "deadline_seconds" in done.stderr) == (4, True)
