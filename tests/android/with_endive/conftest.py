"""The same JVM with the engine in Java: Endive's JARs, and no native library."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lawow.resources import android_stub
from tests.android.builders import Jvm
from tests.android.test_android_api import GOAL
from tests.conftest import CACHE
from tests.tools import run

JARS = {
    "runtime-1.2.0.jar": "360c2eb16dc43d5e057ddfe7d162cced7010d25efbd32c6f851502330d4efe67",
    "wasm-1.2.0.jar": "3ec07534781714da4ae1e3703b04c552a3f943a31de15fcb58222929a800bfe6",
}


@pytest.fixture(scope="session")
def endive() -> list[Path]:
    """Endive's two JARs; fetched once by name through Maven."""
    folder = CACHE / "maven"
    for file, digest in JARS.items():
        name, version = file.removesuffix(".jar").split("-")
        if not (folder / file).exists():
            run(
                "mvn",
                "-q",
                "-B",
                GOAL,
                f"-Dartifact=run.endive:{name}:{version}",
                f"-DoutputDirectory={folder}",
            )
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest
    return [folder / file for file in JARS]


@pytest.fixture(scope="session")
def local_jvm(jvm: Jvm, endive: list[Path]) -> Jvm:
    """A JVM whose apps are packed with ``--runtime java``."""
    return jvm.with_classes(android_stub("prebuilt", "lawow-endive.jar"), *endive).with_properties(
        local="java"
    )
