"""A stand-in for the runtime, a small library that passes for wasmtime; a small app; a key."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.formats.signing import SigningKey, debug_key
from lawow.pack.runtimes import ABIS
from tests.formats.elf_samples import shared_library
from tests.pack.builders import FIBONACCI, app_tree, wat
from tests.refactor.builders import assemble, binary_manifest, smali_class


@pytest.fixture(scope="session")
def runtime_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `--runtime-dir` takes it."""
    folder = tmp_path_factory.mktemp("runtime")
    for abi in ABIS:
        (folder / abi).mkdir()
        (folder / abi / "libwasmtime.so").write_bytes(shared_library(abi))
    return folder


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The tree of a Gradle module with the source of one WebAssembly module."""
    return app_tree(tmp_path / "app")


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return debug_key()


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The entries of a small app that others assembled: one class, minSdkVersion 26."""
    folder = tmp_path_factory.mktemp("small")
    return {
        "AndroidManifest.xml": binary_manifest(folder / "manifest", min_sdk=26),
        "classes.dex": assemble(folder / "dex", [smali_class("com.example.app.Main")]),
        "res/raw/data.bin": bytes(range(256)) * 20,
    }


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("module") / "fibonacci.wasm"
    path.write_bytes(wat(FIBONACCI))
    return path
