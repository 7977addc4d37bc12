"""Files that several dex tests share; each is assembled once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.formats.dex.builders import DYNAMIC, HANDLE, SAMPLE, baksmali, smali


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Five classes with every kind of item of version 035."""
    return smali(tmp_path_factory.mktemp("sample"), *SAMPLE)


@pytest.fixture(scope="session")
def sample_text(sample: bytes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The sample, disassembled."""
    return baksmali(tmp_path_factory.mktemp("sample-text"), sample)


@pytest.fixture(scope="session")
def dynamic(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The sample and two classes with call sites and method handles, version 039."""
    return smali(tmp_path_factory.mktemp("dynamic"), *SAMPLE, DYNAMIC, HANDLE, api=28)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scratch folder."""
    return tmp_path
