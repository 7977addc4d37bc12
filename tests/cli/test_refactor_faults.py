"""Whatever the disk refuses whenever: `lawow refactor` and `lawow sign` say one sentence and leave nothing
behind. An APK, a set as an archive, a set as a folder; results, certificates, plan pages, new folders."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.refactor.builders import binary_manifest, make_zip
from tests.refactor.conftest import app_apk, build_app  # noqa: F401  # fixtures
from tests.refactor.test_inputs import SPLIT
from tests.tools import run, tool

Done = subprocess.CompletedProcess[str]
CALLS = {"write": "ENOSPC", "fsync": "EIO", "rename": "ENOSPC", "mkdir": "EACCES"}
WORDS = {"ENOSPC": "no space left on device", "EIO": "input/output error", "EACCES": "permission denied"}


@pytest.fixture
def app(app_apk: Path, tmp_path: Path) -> Path:  # noqa: F811
    path = tmp_path / "in" / "app.apk"
    path.parent.mkdir()
    path.write_bytes(app_apk.read_bytes())
    return path


def refactor(app: Path, out: Path, *tracing: str | Path) -> Done:
    """Run the command, under strace if there is something to trace."""
    return traced(app.parent.parent, tracing, "refactor", app, "--debug-key", "--out", out, "--json")


def traced(folder: Path, tracing: Sequence[str | Path], *arguments: str | Path) -> Done:
    """Run any command, its system calls written to a log in `folder`; bytecode files would only disturb."""
    argv = [sys.executable, "-m", "lawow", *map(str, arguments)]
    tracer = [tool("strace"), "-o", str(folder / "log"), *map(str, tracing)] if tracing else []
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


def set_of_apks(app_apk: Path, folder: Path) -> dict[str, bytes]:  # noqa: F811
    manifest = binary_manifest(folder, min_sdk=24, text=SPLIT.replace("{split}", "config.en"))
    return {
        "base.apk": app_apk.read_bytes(),
        "en.apk": make_zip({"AndroidManifest.xml": manifest, "res/x": b"x"}),
    }


def inputs_of(kind: str, app_apk: Path, folder: Path) -> tuple[Path, tuple[str, ...]]:  # noqa: F811
    """Make the input of one kind and return it with the command that reads it; results go to ``{out}``."""
    place = folder / "in"
    place.mkdir()
    if kind in ("sign", "plan"):
        (place / "app.apk").write_bytes(app_apk.read_bytes())
        options = (
            ("--debug-key", "--out", "{out}.apk") if kind == "sign" else ("--plan", "--html", "{out}.html")
        )
        return place, ("sign" if kind == "sign" else "refactor", str(place / "app.apk"), *options)
    files = set_of_apks(app_apk, folder)
    if kind == "archive":
        source = place / "app.apks"
        source.write_bytes(make_zip(files, stored=list(files)))
    else:
        source = place / "app"
        source.mkdir()
        for name, data in files.items():
            (source / name).write_bytes(data)
    return place, ("refactor", str(source), "--debug-key", "--out", "{out}/deep", "--json")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "calls"),
    [
        ("archive", ("write",)),
        ("folder", ("rename", "mkdir")),
        ("sign", tuple(CALLS)),
        ("plan", tuple(CALLS)),
    ],
)
def test_an_error_at_any_write_of_other_results_leaves_nothing_behind(
    kind: str,
    calls: tuple[str, ...],
    app_apk: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    place, command = inputs_of(kind, app_apk, tmp_path)
    before, results = contents(tmp_path), tmp_path / "results"
    results.mkdir()
    arguments = [text.format(out=results / "counted") for text in command]
    done = traced(tmp_path, ["-e", f"trace={','.join(CALLS)}"], *arguments)
    assert done.returncode == 0, done.stderr
    log, written = (tmp_path / "log").read_text(), len(contents(results))
    assert written == {"archive": 4, "folder": 5, "sign": 1, "plan": 1}[kind]
    shutil.rmtree(results)
    for call in calls:
        for when in range(1, log.count(f"{call}(") + 1):
            results.mkdir()
            arguments = [text.format(out=results / "out") for text in command]
            done = traced(tmp_path, ["-e", f"inject={call}:error={CALLS[call]}:when={when}"], *arguments)
            left = contents(results)
            shutil.rmtree(results)
            if done.returncode == 0:  # click's own empty write, by which it tries the stream
                assert (call, len(left)) == ("write", written)
                continue
            assert done.returncode == 1, f"{call} number {when}: {done.stderr}"
            assert WORDS[CALLS[call]] in done.stderr
            assert (done.stderr.count("\n"), left) == (1, {}), f"{call} number {when}"
    assert {name: data for name, data in contents(tmp_path).items() if name != "log"} == before
    assert place.exists()


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
