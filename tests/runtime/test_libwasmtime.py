"""The library is found by name, checked by version, and its pointers have one owner."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

from lawow.errors import FormatError, LawowError, LocalProtocolError
from lawow.runtime import libwasmtime as lib
from lawow.runtime.places import find_library
from tests.runtime.builders import FIBONACCI, wat


def test_the_release_is_the_one_that_the_package_depends_on() -> None:
    requirements = importlib.metadata.requires("lawow") or []
    assert f"wasmtime=={lib.VERSION}" in requirements
    assert importlib.metadata.version("wasmtime") == lib.VERSION


def test_the_library_of_this_environment_is_found_and_is_of_that_release() -> None:
    path = Path(lib.library().path)
    assert path.is_relative_to(Path(importlib.metadata.distribution("wasmtime").locate_file("")).resolve())
    major, minor, _ = lib.VERSION.split(".")
    assert lib.library().has(f"set_vmctx_memory_{major}_{minor}_0")


def empty_library(folder: Path, release: str) -> None:
    """Put a file in the place of the library, in an installation of `release`."""
    real = Path(lib.library().path)
    copy = folder.joinpath(*real.parts[-3:])
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"not even a library")
    (folder / f"wasmtime-{release}.dist-info").mkdir()


@pytest.mark.parametrize(
    ("release", "sentence"),
    [
        ("", "is not installed; .*pip install .*wasmtime=="),
        ("49.0.0", f"is not release {re.escape(lib.VERSION)}; .*pip install"),
        (lib.VERSION, "cannot be loaded: .*pip install"),
    ],
    ids=["missing", "another release", "damaged"],
)
def test_a_wrong_engine_is_reported_with_the_command_that_repairs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, sentence: str
) -> None:
    if release:
        empty_library(tmp_path, release)
    monkeypatch.setattr(lib, "_loaded", [])
    monkeypatch.setattr(sys, "path", ["", str(tmp_path)])
    with pytest.raises(LawowError, match=sentence):
        lib.library()


def test_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "plan9")
    assert find_library(sys.path)[1].startswith("no WebAssembly engine for plan9")


def test_every_function_of_the_table_exists_in_the_library() -> None:
    missing = [name for name in lib._PROTOTYPES if not lib.library().has(name)]
    assert missing == []


def test_a_handle_frees_once_and_cannot_be_used_afterwards() -> None:
    freed: list[int] = []
    handle = lib.Handle(42, freed.append)
    assert handle.pointer == 42
    handle.close()
    handle.close()
    del handle
    assert freed == [42]
    closed = lib.Handle(43, freed.append)
    closed.close()
    with pytest.raises(LocalProtocolError, match="closed"):
        _ = closed.pointer


def test_a_handle_that_was_given_away_is_not_freed() -> None:
    freed: list[int] = []
    handle = lib.Handle(42, freed.append)
    assert handle.give_away() == 42
    handle.close()
    assert freed == []
    with pytest.raises(LocalProtocolError):
        handle.give_away()


def test_a_null_pointer_is_no_handle() -> None:
    with pytest.raises(LawowError, match="out of memory"):
        lib.Handle(0, id)


def test_a_forgotten_handle_is_freed_with_its_owner() -> None:
    freed: list[int] = []
    lib.Handle(42, freed.append)
    assert freed == [42]


def test_text_is_translated_and_its_errors_have_a_place() -> None:
    assert lib.wat_to_wasm(FIBONACCI.encode()) == wat(FIBONACCI)
    with pytest.raises(FormatError, match=r"expected.*:1:1"):
        lib.wat_to_wasm(b"nonsense")
    with pytest.raises(FormatError):
        lib.wat_to_wasm(b"(module \xff)")
