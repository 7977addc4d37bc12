"""The stub library uses nothing that the oldest supported Android lacks. Judge: animal-sniffer."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lawow.resources import android_stub
from tests.conftest import CACHE
from tests.tools import run

GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
ARTIFACTS = {
    "animal-sniffer-1.23.jar": (
        "org.codehaus.mojo:animal-sniffer:1.23",
        "a175ba9f939bca4b7066961842507dd5d25ad4236249c13cfbd3407ae436dedd",
    ),
    "asm-9.6.jar": (
        "org.ow2.asm:asm:9.6",
        "3c6fac2424db3d4a853b669f4e3d1d9c3c552235e19a319673f887083c2303a1",
    ),
    "android-api-level-21-5.0.1_r2.signature": (
        "net.sf.androidscents.signature:android-api-level-21:5.0.1_r2:signature",
        "479854cb9d63fe1603a8421a84e9b9466cf5e4309c07e1cfcfcde3e6906fe146",
    ),
}

NEWER = """
public class Newer {
    Object encoder() { return java.util.Base64.getEncoder(); }
}
"""


@pytest.fixture(scope="module")
def judge() -> list[Path]:
    """The judge's two JARs and the list of what API 21 has; fetched once by name through Maven."""
    folder = CACHE / "maven"
    found = []
    for file, (artifact, digest) in ARTIFACTS.items():
        if not (folder / file).exists():
            run("mvn", "-q", "-B", GOAL, f"-Dartifact={artifact}", f"-DoutputDirectory={folder}")
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest
        found.append(folder / file)
    return found


def missing_in_api_21(judge: list[Path], classes: Path, folder: Path) -> str:
    """Return what the judge says about a JAR or a class file; nothing if all is well."""
    sniffer, asm, signatures = judge
    path = f"{sniffer}:{asm}:{folder}"
    run("javac", "-cp", path, "-d", folder, Path(__file__).parent / "judge" / "ApiCheck.java")
    return run("java", "-cp", path, "ApiCheck", signatures, classes, "dev.lawow", check=False).stdout


def test_the_stub_needs_nothing_beyond_api_21(judge: list[Path], tmp_path: Path) -> None:
    assert missing_in_api_21(judge, android_stub("prebuilt", "lawow-stub.jar"), tmp_path) == ""


def test_the_judge_finds_a_newer_class(judge: list[Path], tmp_path: Path) -> None:
    (tmp_path / "Newer.java").write_text(NEWER)
    run("javac", "--release", "8", "-Xlint:-options", "-d", tmp_path, tmp_path / "Newer.java")
    assert "Undefined reference: java.util.Base64" in missing_in_api_21(
        judge, tmp_path / "Newer.class", tmp_path
    )
