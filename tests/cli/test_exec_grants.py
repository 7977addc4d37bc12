"""``lawow exec`` with host functions of an installed distribution, granted by name."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.runtime.builders import wat
from tests.runtime.wasmedge import wasmedge

ROOT = Path(__file__).resolve().parent.parent.parent

HOST = """
import time
from lawow.runtime.host_functions import HostFunction

def functions():
    return [
        HostFunction("sensor", "read", "i>F", lambda memory, which: which / 2),
        HostFunction("sensor", "wait", ">", lambda memory: time.sleep(60)),
        HostFunction("sensor", "fail", ">", lambda memory: 1 / 0),
    ]
"""
GUEST = """
(module
  (import "sensor" "read" (func $read (param i32) (result f64)))
  (import "sensor" "wait" (func $wait))
  (import "sensor" "fail" (func $fail))
  (func (export "read") (param i32) (result f64) (call $read (local.get 0)))
  (func (export "wait") (call $wait))
  (func (export "fail") (call $fail))
  (func (export "often") (param i32) (result i32) (local $i i32)
    (loop $again
      (drop (call $read (local.get $i)))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get 0))))
    (local.get $i)))
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the guest and a distribution that offers host functions."""
    facts = tmp_path / "site" / "sensor-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: sensor\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[lawow.host_functions]\nsensor = sensor_host:functions\n")
    (tmp_path / "site" / "sensor_host.py").write_text(HOST)
    (tmp_path / "guest.wasm").write_bytes(wat(GUEST))
    return tmp_path


def execute(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{ROOT}{os.pathsep}{folder / 'site'}"
    return subprocess.run(
        [sys.executable, "-m", "lawow", "exec", "guest.wasm", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_granted_host_function_answers_also_from_the_cache(installed: Path) -> None:
    for _ in range(2):
        done = execute(installed, "read", "3", "--grant", "sensor")
        assert (done.returncode, done.stdout, done.stderr) == (0, "1.5\n", "")


def test_without_the_grant_nothing_is_linked(installed: Path) -> None:
    done = execute(installed, "read", "3")
    assert (done.returncode, "sensor.read (func)" in done.stderr) == (4, True)
    done = execute(installed, "read", "3", "--grant", "camera")
    assert (done.returncode, "offered here: channel, nn, sensor" in done.stderr) == (2, True)


def test_a_host_function_that_fails_ends_the_guest_without_a_traceback(installed: Path) -> None:
    done = execute(installed, "fail", "--grant", "sensor")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("lawow: a host function failed: sensor.fail: division by zero")
    assert "Traceback" not in done.stderr


def test_a_host_function_that_blocks_ends_at_the_deadline(installed: Path) -> None:
    started = time.monotonic()
    done = execute(installed, "wait", "--grant", "sensor", "--timeout", "0.5")
    assert (done.returncode, "deadline_seconds" in done.stderr) == (4, True)
    assert time.monotonic() - started < 30


def test_many_host_calls_are_stopped_at_the_deadline_too(installed: Path) -> None:
    done = execute(installed, "often", "2000000000", "--grant", "sensor", "--timeout", "0.5")
    assert (done.returncode, "deadline_seconds" in done.stderr) == (4, True)


def test_wasmedge_is_given_no_host_functions(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setenv("LAWOW_WASMEDGE", wasmedge())
    done = execute(installed, "read", "3", "--grant", "sensor", "--engine", "wasmedge")
    assert (done.returncode, "nobody provides" in done.stderr) == (4, True)
