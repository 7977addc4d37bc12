"""Tenants and tokens at rest."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.policies import require_grants
from lawow.edge.tenants import Tenants
from lawow.errors import Refused, UsageError
from lawow.runtime.nn import onnx_runtime


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data")


@pytest.fixture
def tenants(folder: DataFolder) -> Tenants:
    return Tenants(Database(folder.database))


def tenant_of(tenants: Tenants, token: str) -> str | None:
    identity = tenants.identify(token)
    return identity.tenant if identity is not None else None


def test_a_token_is_nowhere_on_the_disk(folder: DataFolder, tenants: Tenants) -> None:
    token = tenants.issue("acme").token
    assert len(token) == len("lawow_") + 43
    for path in folder.root.rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes()
            assert token.removeprefix("lawow_").encode() not in path.read_bytes()
    assert tenant_of(tenants, token) == "acme"


def test_tokens_never_repeat_and_one_tenant_may_have_several(tenants: Tenants) -> None:
    issued = [tenants.issue("acme") for _ in range(20)]
    assert len({item.token for item in issued}) == len({item.id for item in issued}) == 20
    assert {tenant_of(tenants, item.token) for item in issued} == {"acme"}


def test_a_revoked_token_is_nobodys_and_the_others_stay(tenants: Tenants) -> None:
    first, second = tenants.issue("acme"), tenants.issue("acme")
    assert tenants.revoke(first.id).revoked_unix is not None
    assert tenant_of(tenants, first.token) is None
    assert tenant_of(tenants, second.token) == "acme"
    assert [record.revoked_unix is None for record in tenants.tokens()].count(True) == 1


def test_revoking_an_unknown_token_says_so(tenants: Tenants) -> None:
    with pytest.raises(UsageError, match="no token has the id"):
        tenants.revoke("t000")


@pytest.mark.parametrize("name", ["", "A", "..", ".a", "-a", "a/b", "a b", "a" * 64, "a\n", "é", "a\0b"])
def test_names_outside_the_alphabet_are_refused(tenants: Tenants, name: str) -> None:
    with pytest.raises(UsageError):
        tenants.issue(name)


@pytest.mark.parametrize(
    "token", ["", "lawow_", "lawow_" + "a" * 42, "lawow_" + "a" * 44, "LAWOW_" + "a" * 43]
)
def test_what_cannot_be_a_token_is_nobodys(tenants: Tenants, token: str) -> None:
    assert tenant_of(tenants, token) is None


def test_files_are_readable_for_the_owner_alone(folder: DataFolder, tenants: Tenants) -> None:
    tenants.issue("acme")
    folder.key()
    for path in [folder.root, *folder.root.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_key_that_others_can_read_is_refused(folder: DataFolder) -> None:
    folder.key()
    (folder.root / "key").chmod(0o644)
    with pytest.raises(Refused, match="others can read it"):
        folder.key()


@pytest.mark.promise("F12")
def test_a_database_of_another_version_is_refused(folder: DataFolder) -> None:
    connection = sqlite3.connect(folder.database)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Refused, match="schema 99"):
        Database(folder.database)


def test_inference_cannot_be_granted_where_its_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    require_grants(["nn", "channel"])
    monkeypatch.setattr(onnx_runtime, "is_installed", lambda: False)
    require_grants(["channel"])
    with pytest.raises(UsageError, match=r"pip install 'lawow\[nn\]'"):
        require_grants(["nn"])
