"""The kernels of `fixtures/dalvik` as class files and as a dex file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.dalvik.judge import compile_java, dex_of


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the class files."""
    sources = sorted((ROOT / "fixtures" / "dalvik").glob("*.java"))
    return compile_java(sources, tmp_path_factory.mktemp("kernels"))


@pytest.fixture(scope="session")
def kernels(classes: Path) -> bytes:
    """The dex file."""
    return dex_of(classes, classes.parent)
