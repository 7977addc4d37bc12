"""Whatever the disk refuses whenever: `lawow refactor` says one sentence and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.refactor.conftest import app_apk, build_app  # noqa: F401  # fixtures
from tests.tools import run, tool

CALLS = {"write": "ENOSPC", "fsync": "EIO", "rename": "ENOSPC", "mkdir": "EACCES"}
WORDS = {"ENOSPC": "no space left on device", "EIO": "input/output error", "EACCES": "permission denied"}


@pytest.fixture
def app(app_apk: Path, tmp_path: Path) -> Path:  # noqa: F811
    path = tmp_path / "in" / "app.apk"
    path.parent.mkdir()
    path.write_bytes(app_apk.read_bytes())
    return path


def refactor(app: Path, out: Path, *tracing: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command, under strace if there is something to trace; bytecode files would only disturb."""
    argv = [sys.executable, "-m", "lawow", "refactor", str(app), "--debug-key", "--out", str(out), "--json"]
    tracer = [tool("strace"), "-o", str(app.parent.parent / "log"), *map(str, tracing)] if tracing else []
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*tracer, *argv], capture_output=True, text=True, cwd=ROOT, env=env, timeout=120, check=False
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(item.relative_to(folder)): item.read_bytes() for item in folder.rglob("*") if item.is_file()}


def count(app: Path, call: str, out: Path) -> int:
    """Return how often a run makes a system call, by running it once; its results are removed again."""
    assert refactor(app, out, "-e", f"trace={call}").returncode == 0
    return (app.parent.parent / "log").read_text().count(f"{call}(")


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_an_error_at_any_write_leaves_nothing_behind(app: Path, tmp_path: Path, call: str) -> None:
    error, times = CALLS[call], count(app, call, tmp_path / "counted" / "deep")
    assert times >= 2 or call == "fsync"
    for when in range(1, times + 1):
        out = tmp_path / f"out{when}" / "deep"
        done = refactor(app, out, "-e", f"inject={call}:error={error}:when={when}")
        if done.returncode == 0:  # click's own empty write, by which it tries the stream
            assert call == "write"
            assert len(contents(out)) == 4
            continue
        assert done.returncode == 1, f"{call} number {when}: {done.stderr}"
        assert WORDS[error] in done.stderr
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr
        assert not (tmp_path / f"out{when}").exists() or contents(tmp_path / f"out{when}") == {}
        assert contents(app.parent) == {"app.apk": app.read_bytes()}


@pytest.mark.slow
def test_an_error_over_results_of_a_former_run_leaves_those(app: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    times = count(app, "rename", out)
    former = contents(out)
    for when in range(1, times + 1):
        done = refactor(app, out, "-e", f"inject=rename:error=EIO:when={when}")
        assert done.returncode == 1, done.stderr
        assert contents(out) == former


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 32 KiB, which is less than the slim APK has."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = run("mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", place, check=False)
    if mounted.returncode:
        pytest.skip(f"this machine lets nobody mount: {mounted.stderr.strip()}")
    yield place
    run("umount", place)


def test_a_disk_that_is_full_keeps_nothing(app: Path, small_disk: Path) -> None:
    done = refactor(app, small_disk / "out")
    assert done.returncode == 1
    assert re.search(r"no space left on device", done.stderr)
    assert list(small_disk.iterdir()) == []


def test_a_reader_that_goes_away_keeps_the_results(app: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    argv = [
        sys.executable,
        "-m",
        "lawow",
        "refactor",
        str(app),
        "--debug-key",
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == ""
    assert len(contents(tmp_path / "out")) == 4
