"""A small new module is scanned, compiled and run by the short way, and everything else is left alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lawow.errors import GuestTrap
from lawow.execution.first_run import FirstRun, run_first
from lawow.execution.shortcut import explain, new_guest, run_again
from lawow.runtime.bare import BareGuest
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.builders import FIBONACCI, empty_functions, name, section, wat

OTHER = '(module (func (export "fib") (param i32) (result i32) (i32.const 77)))'


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


def settled(path: Path, data: bytes) -> str:
    """Write a module and wait until its times tell it from the next change."""
    path.write_bytes(data)
    time.sleep(0.12)
    return str(path)


def first(path: str, *texts: str, export: str = "fib") -> FirstRun | None:
    return run_first(path, export, list(texts), lambda: 4)


def cached(path: str, *texts: str) -> list[str] | None:
    outcome = run_again(path, "fib", list(texts), lambda: 4)
    return None if outcome is None else outcome.results


def results(run: FirstRun | None) -> list[str]:
    assert run is not None
    run.remember()
    return run.outcome.results


def refuse(*given: object, **named: object) -> bool:
    raise AssertionError("this must not be called")


def test_a_new_module_runs_and_is_remembered(tmp_path: Path) -> None:
    path = settled(tmp_path / "m.wasm", wat(FIBONACCI))
    assert cached(path, "10") is None
    assert results(first(path, "10")) == ["55"]
    assert cached(path, "10") == ["55"]


def test_the_code_is_that_of_the_usual_engine() -> None:
    guest = new_guest(in_one_thread=True)
    assert guest is not None
    assert guest.compile(wat(FIBONACCI))
    assert guest.serialize() == WasmtimeEngine(EXEC_PROFILE).compile(wat(FIBONACCI)).serialize()


def test_a_copy_of_a_known_module_is_not_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results(first(settled(tmp_path / "a.wasm", wat(FIBONACCI)), "10"))
    copy = settled(tmp_path / "b.wasm", wat(FIBONACCI))
    monkeypatch.setattr(BareGuest, "compile", refuse)
    assert results(first(copy, "10")) == ["55"]
    assert cached(copy, "10") == ["55"]


def test_damaged_code_in_the_cache_is_compiled_again(tmp_path: Path, cache_home: Path) -> None:
    results(first(settled(tmp_path / "a.wasm", wat(FIBONACCI)), "10"))
    (code,) = cache_home.rglob("*.cwasm")
    damaged = bytearray(code.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    code.write_bytes(damaged)
    assert results(first(settled(tmp_path / "b.wasm", wat(FIBONACCI)), "10")) == ["55"]


def test_a_file_replaced_while_its_guest_runs_is_not_taken_for_what_ran(tmp_path: Path) -> None:
    path = settled(tmp_path / "m.wasm", wat(FIBONACCI))
    run = first(path, "10")
    settled(tmp_path / "m.wasm", wat(OTHER))
    assert results(run) == ["55"]
    assert cached(path, "10") is None


def test_a_file_changed_a_moment_ago_runs_and_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "m.wasm"
    path.write_bytes(wat(FIBONACCI))
    assert results(first(str(path), "10")) == ["55"]
    time.sleep(0.12)
    assert cached(str(path), "10") is None


def test_without_a_usable_cache_the_module_runs(tmp_path: Path, cache_home: Path) -> None:
    cache_home.write_text("not a folder")
    assert results(first(settled(tmp_path / "m.wasm", wat(FIBONACCI)), "10")) == ["55"]


def test_a_trap_is_explained_and_the_code_remembered(tmp_path: Path) -> None:
    path = settled(tmp_path / "m.wasm", wat('(module (func (export "fib") (param i32) unreachable))'))
    run = first(path, "1")
    assert run is not None
    run.remember()
    error = explain(run.outcome)
    assert isinstance(error, GuestTrap)
    assert error.code == "unreachable"
    assert cached(path, "1") == []  # no results, but a trap again


UNUSUAL: dict[str, bytes] = {
    "text": FIBONACCI.encode(),
    "empty": b"",
    "a component": b"\0asm\x0d\0\1\0",
    "malformed": wat(FIBONACCI)[:-1],
    "too large": wat(FIBONACCI) + section(0, name("padding") + bytes(256 << 10)),
    "too many functions to be cheap": empty_functions(6_000),
    "an interface": wat(FIBONACCI) + section(0, name("lawow:wit") + b"package a:b;"),
    "an import": wat('(module (import "env" "f" (func)) (func (export "fib") (param i32)))'),
    "a float": wat('(module (func (export "fib") (param i32) (result f32) (f32.const 1)))'),
    "a vector": wat('(module (func (export "fib") (param v128)))'),
    "no such export": wat('(module (func (export "fob") (param i32)))'),
    "an export of another kind": wat('(module (memory (export "fib") 1))'),
    "an initialize with a parameter": wat(
        '(module (func (export "_initialize") (param i32)) (func (export "fib") (param i32)))'
    ),
    "an initialize with results": wat(
        '(module (func (export "_initialize") (result i32) (i32.const 1)) (func (export "fib") (param i32)))'
    ),
}


@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_anything_else_is_left_to_the_usual_way_before_it_is_compiled(
    tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BareGuest, "compile", refuse)
    assert first(settled(tmp_path / "m.wasm", data), "1") is None


def test_a_module_that_the_engine_refuses_is_left_to_the_usual_way(tmp_path: Path) -> None:
    wasm = bytearray(wat('(module (func (export "fib") (param i32) (result i32) (i32.const 7)))'))
    wasm[wasm.rindex(b"\x41\x07")] = 0x42  # an i64.const where an i32 is to be
    assert first(settled(tmp_path / "m.wasm", bytes(wasm)), "1") is None


@pytest.mark.parametrize("texts", [[], ["1", "2"], ["0x1"], ["x"], ["4294967296"]])
def test_arguments_that_need_a_second_look_are_left_to_the_usual_way(
    tmp_path: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BareGuest, "compile", refuse)
    assert first(settled(tmp_path / "m.wasm", wat(FIBONACCI)), *texts) is None


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: None], ids=["folder", "pipe", "nothing"]
)
def test_what_is_no_file_is_left_to_the_usual_way(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "m.wasm")
    assert first(str(tmp_path / "m.wasm"), "1") is None
