"""The app of textbook kernels: sources in `fixtures/kernels`, compiled by javac and dx."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fixtures.build import DX, maven_jar
from tests.conftest import ROOT
from tests.refactor.builders import binary_manifest, make_zip
from tests.tools import run

__all__ = ["KERNELS", "build_kernels", "compile_dex"]

KERNELS = "dev.lawow.kernels"


def build_kernels(folder: Path) -> bytes:
    """Return the APK."""
    dex = compile_dex(sorted((ROOT / "fixtures" / "kernels").rglob("*.java")), folder)
    return make_zip({"AndroidManifest.xml": binary_manifest(folder / "manifest"), "classes.dex": dex})


def compile_dex(sources: Iterable[Path], folder: Path) -> bytes:
    """Return Java sources as a dex file; class files and the dex file stay in the folder."""
    options = ("--release", "8", "-nowarn", "-Xlint:-options", "-encoding", "UTF-8")
    run("javac", *options, "-d", folder / "classes", *sources)
    dex = folder / "classes.dex"
    dx = ("java", "-cp", maven_jar(DX), "com.android.dx.command.Main", "--dex", "--min-sdk-version=21")
    run(*dx, f"--output={dex}", folder / "classes")
    return dex.read_bytes()
