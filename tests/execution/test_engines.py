"""Which engine is taken, what is said of it, and which of its releases are known to be weak."""

from __future__ import annotations

import pytest

from lawow.errors import LawowError, UsageError
from lawow.execution.advisories import ADVISORIES
from lawow.execution.engines import NAMES, describe_engines, make_engine
from lawow.runtime.wasmedge_command import CommandEngine
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.wasmedge import wasmedge


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """WasmEdge's command is named, and no library."""
    monkeypatch.setenv("LAWOW_WASMEDGE", wasmedge())
    monkeypatch.delenv("LAWOW_WASMEDGE_LIBRARY", raising=False)


@pytest.mark.usefixtures("named")
def test_an_engine_is_made_by_its_name() -> None:
    assert isinstance(make_engine("wasmtime"), WasmtimeEngine)
    compiled, interpreter = make_engine("wasmedge"), make_engine("wasmedge-interpreter")
    assert isinstance(compiled, CommandEngine)
    assert isinstance(interpreter, CommandEngine)
    assert (compiled.is_compiled, interpreter.is_compiled) == (True, False)
    with pytest.raises(UsageError, match="there are wasmtime"):
        make_engine("v8")


def test_a_library_that_was_named_is_taken_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAWOW_WASMEDGE", wasmedge())
    monkeypatch.setenv("LAWOW_WASMEDGE_LIBRARY", "/nowhere/libwasmedge.so")
    with pytest.raises(LawowError, match=r"cannot be loaded: /nowhere/libwasmedge\.so"):
        make_engine("wasmedge")
    assert [item.problem[:25] for item in describe_engines()] == ["", *["WasmEdge's library cannot"] * 2]


@pytest.mark.usefixtures("named")
def test_every_engine_says_the_same_things_of_itself() -> None:
    found = {item.name: item for item in describe_engines()}
    assert tuple(found) == NAMES
    assert len({tuple(item.capabilities) for item in found.values()}) == 1
    assert found["wasmedge"].capabilities["driven by"] == "its command, a process for each call"
    assert found["wasmedge"].capabilities["fuel"].startswith("no")
    assert found["wasmedge-interpreter"].capabilities["fuel"].startswith("yes")


@pytest.mark.parametrize(
    ("engine", "version", "names"),
    [
        ("wasmtime", "43.0.0", {"CVE-2026-34971", "CVE-2026-115893", "GHSA-vqjp-4c8c-hfgg"}),
        ("wasmtime", "36.0.18", {"CVE-2026-115893"}),
        ("wasmtime", "36.0.22", set()),
        ("wasmtime", "50.0.1", {"GHSA-43j2-gcp4-m22g"}),
        ("wasmtime", "50.0.2", set()),
        ("wasmtime", "51.0.0", set()),
        ("wasmtime", "0.40.0", {"CVE-2023-26489", "CVE-2026-115893", "GHSA-vqjp-4c8c-hfgg"}),
        ("wasmedge", "0.14.1", {"CVE-2025-69261"}),
        ("wasmedge-interpreter", "0.15.0-rc.1", {"CVE-2025-69261"}),
        ("wasmedge", "0.16.0", set()),
        ("wamr", "0.14.1", set()),
    ],
)
def test_known_weaknesses_are_told_by_release(engine: str, version: str, names: set[str]) -> None:
    assert {item.name for item in ADVISORIES if item.fixed_in(engine, version)} == names


def test_the_release_that_ends_a_weakness_is_the_one_of_its_own_line() -> None:
    item = next(item for item in ADVISORIES if item.name == "CVE-2026-34971")
    versions = ("31.9.9", "32.0.0", "36.0.6", "36.0.7", "37.0.0", "42.0.1", "43.0.0", "43.0.1")
    fixes = [item.fixed_in("wasmtime", version) for version in versions]
    assert fixes == ["", "36.0.7", "36.0.7", "", "42.0.2", "42.0.2", "43.0.1", ""]
