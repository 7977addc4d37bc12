"""Modules at rest: whole or absent, the tenant's own, within its quota, repaired when they rot."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.module_store import ModuleStore, StagedModule, StoredExport, StoredModule
from lawow.edge.refusals import Busy, NotFound, StorageFailed, TooLarge
from lawow.edge.tenants import Tenants
from lawow.limits import EDGE
from tests.edge.builders import Module, numbered

LIMITS = dataclasses.replace(EDGE, modules_per_tenant=3, bytes_per_tenant=300, module_bytes=200)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data")


@pytest.fixture
def store(folder: DataFolder) -> ModuleStore:
    database = Database(folder.database)
    for tenant in ("a", "b"):
        Tenants(database).issue(tenant)
    return ModuleStore(folder, database, LIMITS)


def keep(store: ModuleStore, tenant: str, module: Module) -> bool:
    with store.begin(tenant) as upload:
        upload.write(module.wasm)
        assert upload.seal() == module.digest
        exports = (StoredExport("number", ">i", "number: func() -> s32"),)
        stored = StoredModule(module.digest, upload.size_bytes, exports)
        return store.keep(tenant, [StagedModule(upload.path, stored)])[0]


def files(folder: DataFolder) -> list[Path]:
    return [*folder.blobs(), *folder.incoming.iterdir()]


def test_a_kept_module_is_there_with_its_bytes_and_exports(store: ModuleStore, folder: DataFolder) -> None:
    module = numbered(1)
    assert keep(store, "a", module)
    assert not keep(store, "a", module)
    stored = store.get("a", module.digest)
    assert stored.size_bytes == len(module.wasm)
    assert stored.export("number").signature == ">i"
    assert store.verified_blob(module.digest).read_bytes() == module.wasm
    assert len(files(folder)) == 1


def test_an_upload_that_is_not_kept_leaves_nothing(store: ModuleStore, folder: DataFolder) -> None:
    with store.begin("a") as upload:
        upload.write(b"half")
        assert len(files(folder)) == 1
    assert files(folder) == []


def test_a_module_is_its_owners_alone(store: ModuleStore) -> None:
    module = numbered(2)
    keep(store, "a", module)
    assert store.list("b") == []
    with pytest.raises(NotFound):
        store.get("b", module.digest)
    assert keep(store, "b", module), "for b it is new"


def test_the_first_byte_beyond_the_limit_is_refused(store: ModuleStore) -> None:
    with store.begin("a") as upload:
        upload.announce(200)
        with pytest.raises(TooLarge, match="module_bytes is 200"):
            upload.announce(201)
        upload.write(bytes(200))
        with pytest.raises(TooLarge):
            upload.write(b"x")


@pytest.mark.promise("N10")
def test_uploads_under_way_count_for_the_quota_and_stop_counting(store: ModuleStore) -> None:
    with store.begin("a") as first, store.begin("a") as second:
        first.write(bytes(200))
        second.write(bytes(100))
        with pytest.raises(TooLarge, match="bytes_per_tenant"):
            second.write(b"x")
        with pytest.raises(Busy):
            store.begin("a")
        with store.begin("b") as other:
            other.write(bytes(200))
    with store.begin("a") as again:
        again.write(bytes(200))


def test_the_number_of_modules_is_limited(store: ModuleStore) -> None:
    for number in range(3):
        keep(store, "a", numbered(number))
    with pytest.raises(TooLarge, match="modules_per_tenant"):
        keep(store, "a", numbered(4))
    assert not keep(store, "a", numbered(0)), "what is there may come again"


def test_a_start_removes_what_was_interrupted(store: ModuleStore, folder: DataFolder) -> None:
    keep(store, "a", numbered(1))
    (folder.incoming / "x.part").write_bytes(b"half an upload")
    (folder.incoming / "folder").mkdir()
    (folder.incoming / "folder" / "y").write_bytes(b"unpacked")
    orphan = folder.blob("ab" * 32)
    orphan.parent.mkdir()
    orphan.write_bytes(b"renamed, but not recorded")
    recovery = store.recover()
    assert (recovery.uploads_removed, recovery.blobs_removed, recovery.modules_lost) == (2, 1, 0)
    assert len(files(folder)) == 1
    assert store.list("a") != []


def test_a_start_forgets_modules_whose_blob_is_gone(store: ModuleStore, folder: DataFolder) -> None:
    module = numbered(1)
    keep(store, "a", module)
    folder.blob(module.digest).unlink()
    assert store.recover().modules_lost == 1
    assert store.list("a") == []


@pytest.mark.promise("F5")
@pytest.mark.parametrize("position", [0, 20, -1])
def test_one_flipped_bit_is_noticed_and_set_aside(
    store: ModuleStore, folder: DataFolder, position: int
) -> None:
    module = numbered(1)
    keep(store, "a", module)
    damaged = bytearray(module.wasm)
    damaged[position] ^= 4
    folder.blob(module.digest).write_bytes(damaged)
    with pytest.raises(NotFound, match="upload it again"):
        store.verified_blob(module.digest)
    assert (folder.damaged / module.digest).read_bytes() == damaged
    with pytest.raises(NotFound):
        store.get("a", module.digest)
    assert keep(store, "a", module)


def test_a_failing_database_takes_the_blob_back(
    store: ModuleStore, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StorageFailed("the database refuses")

    monkeypatch.setattr(store, "_record", refuse)
    with pytest.raises(StorageFailed):
        keep(store, "a", numbered(1))
    assert files(folder) == []


def test_a_failing_flush_is_final(
    store: ModuleStore, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with store.begin("a") as upload:
        upload.write(b"x")
        monkeypatch.setattr("os.fsync", fail)
        with pytest.raises(StorageFailed, match="input/output error"):
            upload.seal()
    assert files(folder) == []
