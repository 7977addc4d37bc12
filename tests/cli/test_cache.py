"""``lawow cache`` and ``lawow engines`` from the shell."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.test_exec import Run, lawow, settle  # noqa: F401
from tests.runtime.builders import FIBONACCI, wat
from tests.runtime.wasmedge import wasmedge


@pytest.fixture
def kept(lawow: Run, tmp_path: Path) -> Path:  # noqa: F811
    """The folder of a cache that holds one module."""
    settle(tmp_path / "fib.wasm", wat(FIBONACCI))
    assert lawow("exec", "fib.wasm", "fib", "10").stdout == "55\n"
    return tmp_path / "cache" / "lawow" / "code"


def test_show_lists_what_is_kept_and_for_which_export(lawow: Run, kept: Path) -> None:  # noqa: F811
    document = json.loads(lawow("cache", "show", "--json").stdout)
    assert document["folder"] == str(kept)
    assert [item["exports"] for item in document["files"]] == [["fib"]]
    assert document["bytes"] == sum(path.stat().st_size for path in kept.iterdir()) <= document["limit_bytes"]
    assert "fib" in lawow("cache", "show").stdout


def test_verify_finds_and_removes_damage(lawow: Run, kept: Path) -> None:  # noqa: F811
    assert lawow("cache", "verify").returncode == 0
    (code,) = kept.glob("*.cwasm")
    code.write_bytes(code.read_bytes()[:-1] + b"\xff")
    done = lawow("cache", "verify")
    assert (done.returncode, code.name in done.stdout) == (3, True)
    assert lawow("cache", "verify", "--remove").returncode == 0
    assert not code.exists()
    assert lawow("exec", "fib.wasm", "fib", "10").stdout == "55\n"


def test_prune_removes_the_oldest_or_all(lawow: Run, kept: Path, tmp_path: Path) -> None:  # noqa: F811
    for path in kept.iterdir():
        os.utime(path, (1, 1))
    settle(tmp_path / "other.wasm", wat('(module (func (export "f") (result i32) (i32.const 1)))'))
    lawow("exec", "other.wasm", "f")
    document = json.loads(lawow("cache", "show", "--json").stdout)
    newest = document["files"][0]
    lawow("cache", "prune", "--to", f"{document['bytes'] - 1}")
    assert (kept / newest["file"]).exists()
    assert len(list(kept.iterdir())) < 6
    assert json.loads(lawow("cache", "prune", "--json").stdout)["bytes"] == 0
    assert list(kept.iterdir()) == []


def test_without_a_cache_there_is_nothing_to_show(lawow: Run) -> None:  # noqa: F811
    assert lawow("cache", "show").returncode == lawow("cache", "verify").returncode == 0


def test_a_cache_open_to_others_is_refused(lawow: Run, kept: Path) -> None:  # noqa: F811
    kept.chmod(0o755)
    done = lawow("cache", "show")
    assert (done.returncode, "chmod 700" in done.stderr) == (4, True)


def test_engines_are_listed_with_release_and_abilities(
    lawow: Run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAWOW_WASMEDGE", wasmedge())
    engines = {item["name"]: item for item in json.loads(lawow("engines", "--json").stdout)["engines"]}
    assert list(engines) == ["wasmtime", "wasmedge", "wasmedge-interpreter"]
    assert all(item["version"] and not item["problem"] for item in engines.values())
    assert engines["wasmedge"]["capabilities"]["fuel"].startswith("no")


def test_an_engine_that_is_not_here_is_told(lawow: Run, monkeypatch: pytest.MonkeyPatch, kept: Path) -> None:  # noqa: F811
    monkeypatch.delenv("LAWOW_WASMEDGE", raising=False)
    monkeypatch.setenv("PATH", os.path.dirname(shutil.which("true") or ""))
    if shutil.which("wasmedge") is None:
        done = lawow("exec", "fib.wasm", "fib", "10", "--engine", "wasmedge")
        assert (done.returncode, "not installed" in done.stderr) == (1, True)
        assert "not usable" in lawow("engines").stdout


def test_both_engines_run_the_same_module_from_the_cache(
    lawow: Run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    kept: Path,
) -> None:
    monkeypatch.setenv("LAWOW_WASMEDGE", wasmedge())
    for engine in ("wasmtime", "wasmedge", "wasmedge", "wasmedge-interpreter"):
        done = lawow("exec", "fib.wasm", "fib", "10", "--engine", engine, "--repeat", "3")
        assert (done.stdout, "3 calls: least" in done.stderr) == ("55\n", True)
