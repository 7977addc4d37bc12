"""Compiled modules: only what this edge marked is used; bombs are stopped, and remembered."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from pathlib import Path

import pytest

from lawow.edge import compiled_cache
from lawow.edge.compiled_cache import CompiledCache
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.refusals import BadModule
from lawow.limits import COMPILE, EDGE
from tests.edge.builders import Module, numbered


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data")


@pytest.fixture
def cache(folder: DataFolder) -> CompiledCache:
    return CompiledCache(folder, Database(folder.database))


def prepare(cache: CompiledCache, folder: DataFolder, tenant: str, module: Module) -> None:
    source = folder.incoming / "source"
    source.write_bytes(module.wasm)
    asyncio.run(cache.prepare(tenant, module.digest, source))


def code_of(cache: CompiledCache, tenant: str, digest: str) -> bytes | None:
    descriptor = asyncio.run(cache.open(tenant, digest))
    if descriptor is None:
        return None
    with open(descriptor, "rb") as stream:
        return stream.read()


def only_file(folder: DataFolder) -> Path:
    (path,) = folder.compiled.glob("*/*")
    return path


def test_code_comes_back_without_its_mark(cache: CompiledCache, folder: DataFolder) -> None:
    module = numbered(1)
    prepare(cache, folder, "a", module)
    code = code_of(cache, "a", module.digest)
    assert code is not None
    assert code.startswith(b"\x7fELF")
    assert only_file(folder).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("position", [0, 31, 32, 200, -1])
def test_a_flipped_bit_makes_a_file_worthless(
    cache: CompiledCache, folder: DataFolder, position: int
) -> None:
    module = numbered(1)
    prepare(cache, folder, "a", module)
    data = bytearray(only_file(folder).read_bytes())
    data[position] ^= 1
    only_file(folder).write_bytes(data)
    assert code_of(cache, "a", module.digest) is None
    assert list(folder.compiled.glob("*/*")) == []


def test_a_torn_or_empty_file_is_worthless(cache: CompiledCache, folder: DataFolder) -> None:
    module = numbered(1)
    for length in (0, 10, 32, 1000):
        prepare(cache, folder, "a", module)
        os.truncate(only_file(folder), length)
        assert code_of(cache, "a", module.digest) is None


def test_a_mark_holds_for_one_tenant_one_module_one_engine_and_one_key(
    cache: CompiledCache, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, other = numbered(1), numbered(2)
    prepare(cache, folder, "a", module)
    file = only_file(folder)
    content = file.read_bytes()
    prepare(cache, folder, "b", other)
    target = next(path for path in folder.compiled.glob("*/*") if path != file)
    for name in (other.digest, module.digest):
        (target.parent / name).write_bytes(content)
        assert code_of(cache, "b", name) is None
    assert code_of(cache, "a", module.digest) is not None
    with monkeypatch.context() as patch:
        patch.setattr(compiled_cache, "ENGINE", "wasmtime-0.0.0/edge-2/x86_64")
        assert code_of(cache, "a", module.digest) is None
    file.write_bytes(content)
    (folder.root / "key").write_bytes(bytes(32))
    assert code_of(CompiledCache(folder, cache._database), "a", module.digest) is None


def test_a_compile_that_takes_too_long_is_stopped_and_remembered(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child's own limit is minutes; the supervising side kills it as well, which is what this watches."""
    monkeypatch.setattr(compiled_cache, "COMPILE", dataclasses.replace(COMPILE, cpu_seconds=0))
    cache = CompiledCache(folder, Database(folder.database))
    with pytest.raises(BadModule, match="processor time"):
        prepare(cache, folder, "a", numbered(1))
    monkeypatch.undo()
    with pytest.raises(BadModule, match="processor time"):  # although there would be time enough now
        prepare(cache, folder, "a", numbered(1))
    prepare(cache, folder, "b", numbered(1))


def test_an_invalid_module_is_refused_with_the_compilers_reason(
    cache: CompiledCache, folder: DataFolder
) -> None:
    with pytest.raises(BadModule):
        prepare(cache, folder, "a", Module(b"\0asm\1\0\0\0\x0a\x05\0\0", "00" * 32))
    assert list(folder.compiled.glob("*/*")) == []
    assert [path.name for path in folder.incoming.iterdir()] == ["source"]


def test_the_oldest_files_of_a_tenant_go_when_they_take_too_much(folder: DataFolder) -> None:
    limits = dataclasses.replace(EDGE, compiled_bytes_per_tenant=40_000)
    cache = CompiledCache(folder, Database(folder.database), limits)
    modules = [numbered(number) for number in range(5)]
    for module in modules:
        prepare(cache, folder, "a", module)
        time.sleep(0.02)
    kept = {path.name for path in folder.compiled.glob("*/*")}
    assert modules[-1].digest in kept
    assert modules[0].digest not in kept
    assert sum(path.stat().st_size for path in folder.compiled.glob("*/*")) <= 40_000


def test_a_start_removes_what_nobody_owns(cache: CompiledCache, folder: DataFolder) -> None:
    one, two = numbered(1), numbered(2)
    prepare(cache, folder, "a", one)
    prepare(cache, folder, "a", two)
    (only_parent(folder) / "x.part").write_bytes(b"half")
    assert cache.recover({("a", one.digest)}) == 2
    assert only_file(folder).name == one.digest


def only_parent(folder: DataFolder) -> Path:
    (path,) = folder.compiled.iterdir()
    return path
