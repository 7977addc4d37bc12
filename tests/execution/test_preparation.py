"""Code comes from the cache where it may, and is compiled where it is safe; memory stays small either way."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lawow.errors import FormatError, LimitExceeded, Refused
from lawow.execution.extractor import open_package
from lawow.execution.preparation import Prepared, Preparer, Request
from lawow.execution.reactor import run_export
from tests.runtime.builders import FIBONACCI, empty_functions, module, name, section, wat

OTHER = '(module (func (export "fib") (param i32) (result i32) (i32.const 77)))'


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


def settled(path: Path, data: bytes) -> Request:
    """Write a module and wait until its times tell it from the next change."""
    path.write_bytes(data)
    time.sleep(0.12)
    return Request(str(path), "", "fib")


def again(request: Request) -> Request:
    """Return the request of a later run, which looks at the file anew."""
    return Request(request.path, request.member, request.name)


def prepare(request: Request, **options: bool) -> Prepared:
    prepared = Preparer(**options).prepare(open_package(request.path).find(request.name), request)
    prepared.remember()
    return prepared


def answer(prepared: Prepared) -> tuple[int | float, ...]:
    return run_export(prepared, ["10"], label="test").results


def large(text: str = FIBONACCI) -> bytes:
    """Return a module above the size that is compiled in this process."""
    return wat(text) + section(0, name("padding") + bytes(300_000))


@pytest.mark.parametrize("data", [wat(FIBONACCI), large()], ids=["small", "large"])
def test_the_second_run_of_an_unchanged_file_comes_from_the_cache(tmp_path: Path, data: bytes) -> None:
    request = settled(tmp_path / "m.wasm", data)
    assert Preparer().from_cache(request) is None
    assert answer(prepare(request)) == (55,)
    cached = Preparer().from_cache(request)
    assert cached is not None
    assert answer(cached) == (55,)


@pytest.mark.parametrize("pad", [False, True], ids=["small", "large"])
def test_a_changed_file_is_never_answered_by_old_code(tmp_path: Path, pad: bool) -> None:
    path = tmp_path / "m.wasm"
    request = settled(path, large() if pad else wat(FIBONACCI))
    assert answer(prepare(request)) == (55,)
    facts = path.stat()
    path.write_bytes(large(OTHER) if pad else wat(OTHER))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert Preparer().from_cache(again(request)) is None
    assert answer(prepare(again(request))) == (77,)


def test_a_file_replaced_while_its_guest_runs_is_not_taken_for_what_ran(tmp_path: Path) -> None:
    path = tmp_path / "m.wasm"
    request = settled(path, wat(FIBONACCI))
    preparer = Preparer()
    prepared = preparer.from_cache(request) or preparer.from_small_file(request)
    assert prepared is not None
    assert answer(prepared) == (55,)
    replaced = settled(path, wat(OTHER))
    prepared.remember()
    assert Preparer().from_cache(replaced) is None


def test_a_copy_of_a_known_module_is_not_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(settled(tmp_path / "a.wasm", wat(FIBONACCI)))
    copy = settled(tmp_path / "b.wasm", wat(FIBONACCI))
    monkeypatch.setattr("lawow.runtime.wasmtime_engine.WasmtimeEngine.compile", None)
    assert answer(prepare(copy)) == (55,)
    cached = Preparer().from_small_file(copy)
    assert cached is not None
    assert answer(cached) == (55,)


def test_without_cache_nothing_is_read_or_written(tmp_path: Path, cache_home: Path) -> None:
    for data in (wat(FIBONACCI), large()):
        request = settled(tmp_path / "m.wasm", data)
        assert answer(prepare(request, use_cache=False)) == (55,)
        assert not cache_home.exists()
        assert Preparer(use_cache=False).from_cache(request) is None


def test_a_module_with_fuel_is_another_entry(tmp_path: Path) -> None:
    request = settled(tmp_path / "m.wasm", wat(FIBONACCI))
    prepare(request)
    assert Preparer(with_fuel=True).from_cache(request) is None
    assert answer(prepare(request, with_fuel=True)) == (55,)


def test_a_large_module_without_a_usable_cache_still_runs(tmp_path: Path, cache_home: Path) -> None:
    cache_home.write_text("not a folder")
    assert answer(prepare(settled(tmp_path / "m.wasm", large()))) == (55,)


def test_an_unknown_export_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "m.wasm"
    settled(path, wat(FIBONACCI))
    request = Request(str(path), "", "nope")
    prepare(request)
    assert Preparer().from_cache(request) is None


def test_a_small_file_is_told_from_everything_else(tmp_path: Path) -> None:
    path = tmp_path / "m"
    for data in (b"", b"PK\3\4", FIBONACCI.encode(), large(), empty_functions(6_000), b"\0asm\x0d\0\1\0"):
        assert Preparer().from_small_file(settled(path, data)) is None
    prepared = Preparer().from_small_file(settled(path, wat(FIBONACCI)))
    assert prepared is not None
    assert answer(prepared) == (55,)


@pytest.mark.parametrize("pad", [b"", section(0, name("padding") + bytes(300_000))], ids=["small", "large"])
def test_missing_imports_are_refused_before_anything_is_compiled(
    tmp_path: Path, pad: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    wasm = wat(
        """(module
             (import "env" "log" (func)) (import "env" "memory" (memory 1))
             (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
             (import "wasi_snapshot_preview1" "nope" (func)))"""
    )
    request = settled(tmp_path / "m.wasm", wasm + pad)
    monkeypatch.setattr("lawow.runtime.wasmtime_engine.WasmtimeEngine.compile", None)
    with pytest.raises(Refused) as caught:
        prepare(request)
    text = str(caught.value)
    assert "env.log (func), env.memory (memory), wasi_snapshot_preview1.nope (func);" in text
    assert "sched_yield" not in text


def test_a_module_that_hit_a_limit_of_the_compiler_is_not_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[object] = []

    def too_slow(*given: object) -> tuple[str, str]:
        tries.append(given)
        raise LimitExceeded("cpu_seconds", "more than that", 60, subject="compiling", hint="it was stopped")

    monkeypatch.setattr("lawow.runtime.compile_worker.compile_in_child", too_slow)
    request = settled(tmp_path / "bomb.wasm", large())
    sentences = []
    for _ in range(2):
        with pytest.raises(LimitExceeded) as caught:
            prepare(request)
        sentences.append((caught.value.limit, caught.value.hint))
    assert len(tries) == 1
    assert sentences[0] == ("cpu_seconds", "it was stopped")
    assert sentences[1][0] == "cpu_seconds"
    assert "--no-cache tries again" in sentences[1][1]
    with pytest.raises(LimitExceeded):
        prepare(request, use_cache=False)
    assert len(tries) == 2


def test_an_invalid_large_module_is_reported_with_its_file(tmp_path: Path) -> None:
    bad = module(
        section(1, b"\1\x60\0\0"),
        section(3, b"\1\0"),
        section(10, b"\1\3\0\x20\x0b"),
        section(0, name("x") + bytes(300_000)),
    )
    request = settled(tmp_path / "bad.wasm", bad)
    with pytest.raises(FormatError, match=r"bad\.wasm: is not a valid WebAssembly module"):
        prepare(request)


def test_a_scan_that_refuses_is_reported_with_its_file(tmp_path: Path) -> None:
    request = settled(tmp_path / "bomb.wasm", empty_functions(100_001))
    with pytest.raises(LimitExceeded, match=r"bomb\.wasm: functions is 100001"):
        prepare(request)
