"""A stand-in for the runtime: a small library that passes for wasmtime, so that most tests are quick."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.pack.runtimes import ABIS
from tests.formats.elf_samples import shared_library


@pytest.fixture(scope="session")
def runtime_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `--runtime-dir` takes it."""
    folder = tmp_path_factory.mktemp("runtime")
    for abi in ABIS:
        (folder / abi).mkdir()
        (folder / abi / "libwasmtime.so").write_bytes(shared_library(abi))
    return folder
