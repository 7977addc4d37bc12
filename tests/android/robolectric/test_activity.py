"""The demo's Activity, as a person uses it, on Android 15's own classes.

A JVM runs the code of the demo's APK; `lawow serve` with TLS and a token is the edge; the local runtime is
the host build of the app's glue. Each test of the JUnit classes in `java/` is a test here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lawow.device.edge_client import EdgeClient
from lawow.server.tls import make_certificate
from tests.android.robolectric.harness import InstalledApp, cases
from tests.conftest import ROOT, lawow
from tests.server.running import running_edge

MODULES = ROOT / "fixtures" / "app" / "src" / "main" / "wasm"

FUEL = 6_000_000_000
"""Enough for the programs of Table I; too little for the 46th Fibonacci number: a trap that takes seconds."""


@contextmanager
def edge_for_the_app(folder: Path) -> Iterator[dict[str, object]]:
    """Run `lawow serve` over TLS with the app's modules; yield the app's settings and the edge's pid."""
    made = make_certificate(["127.0.0.1"], 2)
    certificate, key, data = folder / "edge.crt", folder / "edge.key", folder / "data"
    certificate.write_bytes(made.certificate_pem)
    key.write_bytes(made.key_pem)
    command = [sys.executable, "-m", "lawow", "serve", "--port", "0", "--json"]
    command += ["--data", str(data), "--cert", str(certificate), "--key", str(key)]
    with running_edge(data, command=command) as edge:
        token = edge.token("phone")
        with EdgeClient(edge.url, token, certificate_sha256=made.leaf.pin) as client:
            for module in sorted(MODULES.glob("*.wasm")):
                client.upload_module(module.read_bytes())
        yield {
            "lawow_edge": edge.url,
            "lawow_token": token,
            "lawow_certificate_sha256": made.leaf.pin,
            "test_edge_pid": edge.process.pid,
        }


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one of the tests writes what the screen says."""
    return tmp_path_factory.mktemp("screen") / "screen.txt"


@pytest.fixture(scope="module")
def outcomes(
    demo: Path, host_glue: Path, host_wasmtime: Path, screen: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What came of each JUnit test."""
    folder = tmp_path_factory.mktemp("app")
    app = InstalledApp.install(demo / "app.apk", demo / "work" / "classes", folder)
    runtime = {"lawow_library": host_glue, "lawow_wasmtime": host_wasmtime, "lawow_fuel": FUEL}
    with edge_for_the_app(tmp_path_factory.mktemp("edge")) as settings:
        return app.run("WithEdge", "WithoutEdge", **settings, **runtime, test_screen=screen)


@pytest.fixture(scope="module")
def split_outcomes(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same of the app that `lawow refactor` has split: it knows the edge, and has no local runtime."""
    folder, out = tmp_path_factory.mktemp("slim"), tmp_path_factory.mktemp("split")
    with edge_for_the_app(tmp_path_factory.mktemp("edge")) as settings:
        address = ("--edge", str(settings["lawow_edge"]))
        pin = ("--certificate-sha256", str(settings["lawow_certificate_sha256"]))
        lawow("refactor", demo / "app.apk", "--out", out, "--debug-key", *address, *pin)
        app = InstalledApp.install(out / "app-slim.apk", demo / "work" / "classes", folder)
        return app.run("SplitApp", lawow_token=settings["lawow_token"])


@pytest.mark.parametrize("case", [*cases("WithEdge"), *cases("WithoutEdge")])
def test_activity(outcomes: dict[str, str], case: str) -> None:
    outcome = outcomes.get(case, "did not run")
    assert outcome == "passed", outcome


@pytest.mark.parametrize("case", cases("SplitApp"))
def test_activity_of_the_split_app(split_outcomes: dict[str, str], case: str) -> None:
    outcome = split_outcomes.get(case, "did not run")
    assert outcome == "passed", outcome


def test_the_guide_shows_the_screen(outcomes: dict[str, str], screen: Path) -> None:
    assert outcomes["WithEdge.theScreenReadsTopDown"] == "passed"
    shown = "".join(f"    {line}\n" for line in screen.read_text().splitlines())
    assert without_seconds(shown) in without_seconds((ROOT / "docs" / "android.md").read_text())


def without_seconds(text: str) -> str:
    return re.sub(r"\d\.\d{4} s", "# s", text)
