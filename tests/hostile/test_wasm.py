"""Threats W1 to W12: hostile modules against the whole of ``lawow exec``, and what other tests leave open.

Each kind ends with an exit code of LAWOW's and one sentence; it leaves no traceback, no process, and no file
outside of the cache.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fuzz.run import damage
from lawow.errors import FormatError, GuestTrap, LimitExceeded, Refused
from lawow.formats.bytes import encode_uleb128
from lawow.formats.wasm import inspect_module
from lawow.runtime.grants import Grants
from lawow.runtime.host_functions import HostFunction
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.conftest import ROOT
from tests.runtime.builders import (
    FIBONACCI,
    SPIN,
    empty_functions,
    judge_accepts,
    live_locals,
    many_locals,
    module,
    name,
    section,
    vector,
    wat,
)
from tests.runtime.test_hostile import RECURSIONS

BAD_INPUT, REFUSED, TRAPPED = 3, 4, 5
FLOOD = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2) (data (i32.const 0) "\\10\\00\\00\\00\\ff\\ff\\00\\00")
  (func (export "f") (loop $again (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (br $again))))
"""
MISUSE = """
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "f") (drop (call $random (i32.const 65535) (i32.const -1)))))
"""
WRONG_TYPE = '(module (import "wasi_snapshot_preview1" "fd_write" (func (param i64))) (func (export "f")))'
TOO_LARGE = '(module (memory 20000) (func (export "f")))'


def lying() -> bytes:
    """Return a module whose type section claims four billion entries."""
    return module(section(1, encode_uleb128(2**32 - 1) + b"\x60\0\0"))


CASES = {
    "w1 endless loop": (wat('(module (func (export "f") (loop (br 0))))'), REFUSED, "deadline_seconds"),
    "w1 endless start": (
        wat('(module (func $s (loop (br 0))) (start $s) (func (export "f")))'),
        REFUSED,
        "deadline_seconds",
    ),
    "w2 declared memory": (wat(TOO_LARGE), REFUSED, "memory_bytes is 1310720000"),
    "w3 memories": (wat('(module (memory 1) (memory 1) (func (export "f")))'), REFUSED, "memories is 2"),
    "w3 table": (
        wat('(module (table 200000 funcref) (func (export "f")))'),
        REFUSED,
        "table_elements is 200000",
    ),
    "w4 recursion": (wat('(module (func $f (export "f") (call $f) (call $f)))'), TRAPPED, "exhausted"),
    "w5 locals": (many_locals(2_000, 50_000), REFUSED, "locals_per_function"),
    "w5 live locals": (live_locals(500, 75_000), REFUSED, "local_bytes"),
    "w5 functions": (empty_functions(100_001), REFUSED, "functions"),
    "w6 truncated": (wat(FIBONACCI)[:-3], BAD_INPUT, "offset"),
    "w6 lying count": (lying(), BAD_INPUT, "offset"),
    "w7 pointers": (wat(MISUSE), TRAPPED, "misused a function of its host"),
    "w9 missing import": (
        wat('(module (import "env" "a" (func)) (func (export "f")))'),
        REFUSED,
        "env.a (func)",
    ),
    "w9 wrong type": (wat(WRONG_TYPE), REFUSED, "wasi_snapshot_preview1.fd_write"),
    "w9 shared memory": (
        wat('(module (memory 1 1 shared) (func (export "f")))'),
        REFUSED,
        "needs a shared memory",
    ),
    "w10 trap": (wat('(module (func (export "f") unreachable))'), TRAPPED, "unreachable"),
    "w12 flood": (wat(FLOOD), REFUSED, "deadline_seconds"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_module_is_one_sentence_and_leaves_nothing_behind(tmp_path: Path, case: str) -> None:
    wasm, status, sentence = CASES[case]
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "bad.wasm").write_bytes(wasm)
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    env |= {"TMPDIR": str(tmp_path / "here"), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "lawow", "exec", "bad.wasm", "f", "--timeout", "2"],
        cwd=tmp_path / "here",
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        _, said = process.communicate(timeout=60)
    lines = said.decode().splitlines()
    assert (process.returncode, sentence in lines[-1]) == (status, True), said
    assert "Traceback" not in said.decode()
    assert len([line for line in lines if line.startswith("lawow: ")]) == len(lines)
    with pytest.raises(ProcessLookupError):  # nobody is left of its session
        os.killpg(process.pid, 0)
    outside = {path for path in tmp_path.rglob("*") if tmp_path / "cache" not in (path, *path.parents)}
    assert outside == {tmp_path / "here", tmp_path / "here" / "bad.wasm"}


@pytest.fixture(scope="module")
def engine() -> WasmtimeEngine:
    return WasmtimeEngine(EDGE_PROFILE)


@pytest.mark.promise("W1")
@pytest.mark.parametrize("spinners", [1, 2, 8, 32])
def test_w1_every_spinner_is_stopped_and_the_engine_goes_on(engine: WasmtimeEngine, spinners: int) -> None:
    spin = engine.compile(wat(SPIN))
    ends: list[str] = []

    def run() -> None:
        with spin.instantiate() as instance:
            try:
                instance.call("spin", deadline_seconds=0.1)
            except LimitExceeded as error:
                ends.append(error.limit)

    threads = [threading.Thread(target=run) for _ in range(spinners)]
    for thread in threads:
        thread.start()
    with engine.compile(wat(FIBONACCI)).instantiate() as victim:
        assert victim.call("fib", (20,), deadline_seconds=30) == (6765,)
    for thread in threads:
        thread.join(60)
    assert ends == ["deadline_seconds"] * spinners
    with spin.instantiate() as instance:
        assert instance.call("one", deadline_seconds=5) == (1,)


def test_w3_more_globals_and_segments_than_there_may_be_are_refused(engine: WasmtimeEngine) -> None:
    """Counts that our own limits leave to the engine: one above each is refused, none of them crashes."""
    globals_ = section(6, vector([b"\x7f\0\x41\0\x0b"] * 1_000_001))
    memory = section(5, vector([b"\0\1"]))
    data = section(11, vector([b"\0\x41\0\x0b\0"] * 100_001))
    for wasm in (module(globals_), module(memory, data)):
        inspect_module(wasm)
        with pytest.raises(FormatError, match="not a valid WebAssembly module"):
            engine.compile(wasm)


@pytest.mark.parametrize("kind", RECURSIONS)
def test_w4_recursion_under_a_deadline_is_still_a_trap(engine: WasmtimeEngine, kind: str) -> None:
    with engine.compile(wat(f"(module {RECURSIONS[kind]})")).instantiate() as instance:
        with pytest.raises(GuestTrap) as caught:
            instance.call("f", (1,), deadline_seconds=30)
        assert caught.value.code == "stack-overflow"


def test_w6_no_damaged_module_is_refused_that_the_engine_takes() -> None:
    seed = (ROOT / "fixtures" / "wasi" / "exit_status.wasm").read_bytes()
    chance = random.Random(6)
    for _ in range(20_000):
        data = damage(seed, chance)
        try:
            inspect_module(data)
        except FormatError as error:
            if error.offset is None and not error.structure:
                pytest.fail(f"{error}: names no place")
            if judge_accepts(data):
                pytest.fail(f"{error}: the engine takes {data!r}")


def test_w9_exports_named_like_python_are_exports_like_others(engine: WasmtimeEngine) -> None:
    names = ("__class__", "__init__", "call", "_lock", "close", "", "a b", "\u202e", "\0")
    types, functions = section(1, vector([b"\x60\0\1\x7f"])), section(3, vector([b"\0"] * len(names)))
    exports = section(7, vector([name(text) + b"\0" + bytes((at,)) for at, text in enumerate(names)]))
    bodies = section(10, vector([b"\4\0\x41" + bytes((at,)) + b"\x0b" for at in range(len(names))]))
    compiled = engine.compile(module(types, functions, exports, bodies))
    with compiled.instantiate() as instance:
        assert [instance.call(text) for text in names] == [(at,) for at in range(len(names))]
        assert list(compiled.exports) == list(names)


def test_w9_an_import_with_another_type_than_granted_is_refused_with_its_name(engine: WasmtimeEngine) -> None:
    asks = engine.compile(wat('(module (import "sensor" "read" (func (param i64))))'))
    grants = Grants(functions=[HostFunction("sensor", "read", "i>", lambda memory, which: None)])
    with pytest.raises(Refused, match=r"another type than is provided: sensor\.read"):
        asks.instantiate(grants=grants)
