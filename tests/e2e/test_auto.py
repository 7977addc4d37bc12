"""`lawow refactor --auto` on an app without any WebAssembly: split, judged, run here and on a real edge."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import lawow
from tests.refactor.kernels import KERNELS, build_kernels
from tests.server.running import RunningEdge, call_outcomes, running_edge
from tests.tools import enjarify, run

SEED, ROUNDS = "20261128", "9"
NOWHERE = "http://127.0.0.1:9"  # discard: nobody listens
METHODS = 30
"""Kernels that other classes call; helpers go along in their modules."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The original app, and what --auto makes of it."""
    out = tmp_path_factory.mktemp("auto")
    (out / "app.apk").write_bytes(build_kernels(out))
    chosen = ("--rule", f"{KERNELS}.*", "--exclude", "*Main", "--cases", "60")
    lawow("refactor", out / "app.apk", "--auto", *chosen, "--debug-key", "--judges", "--out", out)
    return out


@pytest.fixture(scope="module")
def edge(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    with running_edge(tmp_path_factory.mktemp("edge") / "data") as running:
        with zipfile.ZipFile(folder / "app-offload.jar") as bundle:
            modules = json.loads(bundle.read("lawow/manifest.json"))["modules"]
            for module in modules:
                data = bundle.read(f"lawow/modules/{module['file']}")
                assert running.put("app", data, module["sha256"]).status == 201
        yield running


@pytest.fixture(scope="module")
def slim(folder: Path) -> list[Path]:
    return _jars(folder / "app-slim.apk", folder)


def _jars(apk: Path, folder: Path) -> list[Path]:
    """Return the classes of an app for a JVM."""
    with zipfile.ZipFile(apk) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dex")]
        archive.extractall(folder / apk.stem, names)
    return [enjarify(folder / apk.stem / name, folder / f"{apk.stem}-{name}.jar") for name in names]


def _run(jars: list[Path], **properties: str) -> str:
    """Return what the app's own main program prints."""
    return _done(jars, **properties).stdout


def _done(jars: list[Path], **properties: str) -> subprocess.CompletedProcess[str]:
    """Run the app's own main program; messages of the JVM about an exception's code are left out."""
    given = [f"-Dlawow.{key}={value}" for key, value in properties.items()]
    options = ("-Xverify:all", "-XX:+UseSerialGC", "-XX:-ShowCodeDetailsInExceptionMessages", "-Xss8m")
    path = ":".join(map(str, jars))
    return run("java", *options, *given, "-cp", path, f"{KERNELS}.Main", SEED, ROUNDS)


@pytest.fixture(scope="module")
def before(folder: Path) -> str:
    """What the original prints: results, changed arrays, exceptions."""
    return _run(_jars(folder / "app.apk", folder))


def test_every_kernel_that_others_call_is_proved_and_offloaded(folder: Path) -> None:
    report = json.loads((folder / "app-slim.report.json").read_text())
    methods = [item for move in report["moved"] for item in move["methods"] if item["export"]]
    assert len(methods) == METHODS
    trials = [trial for move in report["moved"] for trial in move["trials"]]
    assert len(trials) == METHODS
    assert all(trial["equal"] >= 15 and "returned" in trial["outcomes"] for trial in trials)
    assert {judge["name"] for judge in report["judges"]} >= {"apksigner", "zipalign", "aapt", "dexdump"}
    assert all(judge["accepted"] for judge in report["judges"])


def test_the_bundle_says_that_calls_may_be_repeated(folder: Path) -> None:
    with zipfile.ZipFile(folder / "app-offload.jar") as bundle:
        modules = json.loads(bundle.read("lawow/manifest.json"))["modules"]
    assert {module["pure"] for module in modules} == {True}


def test_the_edge_does_what_the_original_did(slim: list[Path], before: str, edge: RunningEdge) -> None:
    assert _run(slim, edge=edge.url, token=edge.token("app")) == before
    counted = call_outcomes(edge)
    assert counted["ok"] > 280  # 108 of them with strings and graphs
    assert counted["trap"] >= 5 * int(ROUNDS)  # exceptions, whose calls the original repeats


@pytest.mark.parametrize("properties", [{"edge": NOWHERE}, {"mode": "local"}], ids=["auto", "local"])
def test_without_an_edge_the_original_runs(slim: list[Path], before: str, properties: dict[str, str]) -> None:
    assert _run(slim, **properties) == before


def test_where_every_call_is_compared_no_difference_is_found(
    folder: Path, before: str, edge: RunningEdge, tmp_path: Path
) -> None:
    """The same modules, whose proof need not be made twice."""
    chosen = ("--rule", f"{KERNELS}.*", "--exclude", "*Main", "--unproved", "--shadow", "1")
    lawow("refactor", folder / "app.apk", "--auto", *chosen, "--debug-key", "--judges", "--out", tmp_path)
    shadowed = _jars(tmp_path / "app-slim.apk", tmp_path)
    done = _done(shadowed, edge=edge.url, token=edge.token("app"))
    assert done.stdout == before
    assert "not offloaded" not in done.stderr
