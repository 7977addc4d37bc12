"""Models at rest: the tenant's own by name, within quotas shared with modules, one file for equal bytes."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.model_store import ModelStore, StoredModel, require_model_name
from lawow.edge.module_store import ModuleStore, StagedModule, StoredModule
from lawow.edge.refusals import BadRequest, NotFound, TooLarge
from lawow.edge.tenants import Tenants
from lawow.limits import EDGE

LIMITS = dataclasses.replace(
    EDGE, models_per_tenant=2, modules_per_tenant=3, bytes_per_tenant=300, model_bytes=200
)


class Kept:
    """Stores on one folder."""

    def __init__(self, root: Path) -> None:
        self.folder = DataFolder(root)
        self.database = Database(self.folder.database)
        self.tenants = Tenants(self.database, LIMITS)
        for tenant in ("a", "b"):
            self.tenants.issue(tenant)
        self.modules = ModuleStore(self.folder, self.database, LIMITS, self.tenants.policy)
        self.models = ModelStore(self.modules, self.database, LIMITS)

    def keep(self, tenant: str, name: str, data: bytes) -> bool:
        with self.modules.begin(tenant, "model") as upload:
            upload.write(data)
            return self.models.keep(tenant, upload.path, StoredModel(name, upload.seal(), upload.size_bytes))

    def keep_module(self, tenant: str, data: bytes) -> None:
        with self.modules.begin(tenant) as upload:
            upload.write(data)
            stored = StoredModule(upload.seal(), upload.size_bytes, ())
            self.modules.keep(tenant, [StagedModule(upload.path, stored)])

    def files(self) -> set[bytes]:
        return {path.read_bytes() for path in (*self.folder.blobs(), *self.folder.incoming.iterdir())}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "data")


def names(kept: Kept, tenant: str) -> list[str]:
    return [item.name for item in kept.models.list(tenant)]


def test_a_model_is_kept_by_name_and_is_part_of_the_tenants_policy(kept: Kept) -> None:
    assert kept.keep("a", "eyes", b"one")
    assert names(kept, "a") == ["eyes"]
    assert names(kept, "b") == []
    assert kept.tenants.policy("a").models == {"eyes": hashlib.sha256(b"one").hexdigest()}
    assert kept.tenants.policy("b").models == {}


def test_another_model_takes_the_place_of_the_one_of_that_name(kept: Kept) -> None:
    assert kept.keep("a", "eyes", b"one")
    assert not kept.keep("a", "eyes", b"two")
    assert not kept.keep("a", "eyes", b"two")
    assert kept.tenants.policy("a").models == {"eyes": hashlib.sha256(b"two").hexdigest()}
    assert kept.files() == {b"two"}


def test_equal_bytes_are_one_file_until_the_last_owner_goes(kept: Kept) -> None:
    kept.keep("a", "eyes", b"same")
    kept.keep("a", "ears", b"same")
    kept.keep("b", "eyes", b"same")
    kept.models.remove("a", "eyes")
    kept.tenants.remove("b")
    assert kept.files() == {b"same"}
    assert names(kept, "b") == []
    kept.models.remove("a", "ears")
    assert kept.files() == set()
    with pytest.raises(NotFound):
        kept.models.remove("a", "ears")


def test_modules_and_models_share_the_quotas(kept: Kept) -> None:
    kept.keep_module("a", b"m" * 150)
    with pytest.raises(TooLarge, match="--module-bytes"):
        kept.keep("a", "eyes", b"e" * 151)
    assert kept.keep("a", "eyes", b"e" * 150)
    with pytest.raises(TooLarge, match="bytes_per_tenant"):
        kept.keep_module("a", b"n")
    kept.models.remove("a", "eyes")
    kept.keep_module("a", b"n")
    kept.keep_module("a", b"o")
    with pytest.raises(TooLarge, match="modules_per_tenant"):
        kept.keep("a", "eyes", b"e")
    assert kept.files() == {b"m" * 150, b"n", b"o"}


def test_models_are_few(kept: Kept) -> None:
    assert kept.keep("a", "eyes", b"1")
    assert kept.keep("a", "ears", b"2")
    with pytest.raises(TooLarge, match="models_per_tenant"):
        kept.keep("a", "nose", b"3")
    assert not kept.keep("a", "ears", b"3")


def test_a_model_that_is_too_large_is_refused_while_it_comes(kept: Kept) -> None:
    with kept.modules.begin("a", "model") as upload, pytest.raises(TooLarge, match="model_bytes"):
        upload.write(bytes(201))


@pytest.mark.parametrize("name", ["", ".", "-a", "a/b", "a b", "ä", "a" * 64, "a\n"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match="1 to 63"):
        require_model_name(name)


def test_a_start_keeps_files_of_models_and_removes_models_without_a_file(kept: Kept) -> None:
    kept.keep("a", "eyes", b"one")
    kept.keep("a", "ears", b"two")
    kept.folder.blob(hashlib.sha256(b"two").hexdigest()).unlink()
    recovery = kept.modules.recover()
    assert (recovery.blobs_removed, recovery.modules_lost) == (0, 1)
    assert names(kept, "a") == ["eyes"]
    assert kept.files() == {b"one"}
