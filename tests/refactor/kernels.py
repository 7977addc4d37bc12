"""The app of textbook kernels: sources in `fixtures/kernels`, compiled by javac and dx."""

from __future__ import annotations

from pathlib import Path

from fixtures.build import DX, maven_jar
from tests.conftest import ROOT
from tests.refactor.builders import binary_manifest, make_zip
from tests.tools import run

__all__ = ["KERNELS", "build_kernels"]

KERNELS = "dev.lawow.kernels"


def build_kernels(folder: Path) -> bytes:
    """Return the APK."""
    sources = sorted((ROOT / "fixtures" / "kernels").rglob("*.java"))
    options = ("--release", "8", "-nowarn", "-Xlint:-options", "-encoding", "UTF-8")
    run("javac", *options, "-d", folder / "classes", *sources)
    dex = folder / "classes.dex"
    dx = ("java", "-cp", maven_jar(DX), "com.android.dx.command.Main", "--dex", "--min-sdk-version=21")
    run(*dx, f"--output={dex}", folder / "classes")
    contents = {"AndroidManifest.xml": binary_manifest(folder / "manifest"), "classes.dex": dex.read_bytes()}
    return make_zip(contents)
