"""The shortcut answers what it is sure of, and leaves everything else to the usual way."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lawow.errors import GuestTrap
from lawow.execution import shortcut
from lawow.execution.extractor import open_package
from lawow.execution.preparation import Preparer, Request
from lawow.execution.shortcut import Outcome, explain, run_again
from lawow.runtime import bare
from tests.runtime.builders import FIBONACCI, wat

MORE = """
(module
  (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
  (func (export "wide") (param i64 i32) (result i32 i64) local.get 1 local.get 0)
  (func (export "single") (param f32) (result f32) local.get 0)
  (func (export "bad") unreachable))
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of which every export is in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "m.wasm"
    path.write_bytes(wat(MORE))
    time.sleep(0.12)
    for export in ("half", "wide", "single", "bad"):
        request = Request(str(path), "", export)
        Preparer().prepare(open_package(str(path)).find(export), request).remember()
    return str(path)


def run(path: str, name: str, *texts: str) -> Outcome | None:
    return run_again(path, name, list(texts), lambda: 4)


def results(path: str, name: str, *texts: str) -> list[str] | None:
    outcome = run(path, name, *texts)
    return None if outcome is None else outcome.results


def test_integers_and_doubles_are_answered(module: str) -> None:
    assert results(module, "half", "5") == ["2.5"]
    assert results(module, "half", "-1") == ["-0.5"]
    assert results(module, "wide", "-1", "4294967295") == ["-1", "-1"]
    assert results(module, "wide", "9223372036854775808", "7") == ["7", "-9223372036854775808"]


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("half", ["2.5"]),
        ("half", ["inf"]),
        ("half", []),
        ("half", ["1", "2"]),
        ("wide", ["1", "4294967296"]),
        ("wide", ["1", "-2147483649"]),
        ("wide", ["1", "0x1"]),
        ("wide", ["1", "x"]),
        ("wide", ["1", "-"]),
        ("wide", ["1", ""]),
        ("wide", ["1", "\u0663"]),
        ("wide", ["1" * 25, "1"]),
        ("single", ["1"]),
        ("nope", []),
    ],
)
def test_what_needs_a_second_look_is_left_to_the_usual_way(module: str, name: str, texts: list[str]) -> None:
    assert run(module, name, *texts) is None


def test_a_file_that_is_new_changed_or_missing_is_left_to_the_usual_way(module: str, tmp_path: Path) -> None:
    assert run(str(tmp_path / "missing"), "half", "1") is None
    path = Path(module)
    path.write_bytes(wat(FIBONACCI))
    assert run(module, "half", "1") is None


def test_a_trap_is_explained_by_the_usual_modules(module: str) -> None:
    outcome = run(module, "bad")
    assert outcome is not None
    assert outcome.trap
    error = explain(outcome)
    assert isinstance(error, GuestTrap)
    assert (error.code, error.frames) == ("unreachable", ("function[3]",))


def test_a_cache_that_others_can_write_is_not_used(module: str, tmp_path: Path) -> None:
    assert run(module, "half", "1") is not None
    (tmp_path / "cache" / "lawow" / "code").chmod(0o755)
    assert run(module, "half", "1") is None


@pytest.mark.parametrize("library", ["", "/nonexistent.so", __file__])
def test_a_library_that_cannot_be_loaded_is_left_to_the_usual_way(
    module: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortcut, "find_library", lambda folders: (library, "problem" if not library else ""))
    assert run(module, "half", "1") is None


def test_a_library_of_another_release_is_left_to_the_usual_way(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bare, "VERSIONED_SYMBOL", "set_vmctx_memory_49_0_0")
    assert run(module, "half", "1") is None


def test_without_the_native_part_of_ctypes_the_usual_way_is_taken(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bare, "native", None)
    assert run(module, "half", "1") is None


def test_every_function_that_the_shortcut_calls_exists(module: str) -> None:
    """The names are resolved one by one; none may be missing in the pinned release."""
    from lawow.runtime.libwasmtime import library

    for name in (
        *("wasm_config_new", "wasm_engine_new_with_config", "wasmtime_module_deserialize_file"),
        *("wasmtime_store_new", "wasmtime_store_limiter", "wasmtime_store_context", "wasmtime_instance_new"),
        *("wasmtime_instance_export_get", "wasmtime_func_call_unchecked", "wasmtime_module_new"),
        *("wasmtime_module_serialize", "wasmtime_config_parallel_compilation_set"),
    ):
        assert library().has(name)
