"""``lawow tenant``, ``token`` and ``audit``, as an operator runs them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from lawow.edge.data_folder import DataFolder
from lawow.edge.database import MODULES, Database
from lawow.edge.tenants import Tenants
from tests.conftest import lawow


def asked(*arguments: str | Path) -> object:
    return json.loads(lawow(*arguments, "--json").stdout)


def refused(*arguments: str | Path) -> str:
    done = lawow(*arguments, check=False)
    assert done.returncode in (2, 4), done
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_tenant_from_its_first_day_to_its_last(tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    added = asked("tenant", "add", "acme", "--memory", "64MiB", "--calls", "1000", *data)
    assert added["quotas"]["memory_bytes"] == 64 << 20  # type: ignore[index]
    changed = asked("tenant", "set", "acme", "--calls", "default", "--sessions", "2", *data)
    assert changed["quotas"]["calls"] is None  # type: ignore[index]
    assert changed["quotas"]["sessions"] == 2  # type: ignore[index]
    lines = [line.split() for line in lawow("tenant", "show", "acme", *data).stdout.splitlines()]
    assert ["--memory", "64MiB", "memory", "of", "all"] in [line[:5] for line in lines]
    assert ["--calls", "10,000,000", "default", "calls", "and"] in [line[:5] for line in lines]
    issued = asked("token", "--tenant", "acme", "--scope", "call", "--expires", "30d", "--rate", "5", *data)
    assert issued["scopes"] == ["call"]  # type: ignore[index]
    removed = asked("tenant", "remove", "acme", *data)
    assert removed["removed"]  # type: ignore[index]
    assert [item["revoked"] is None for item in asked("token", "--list", *data)] == [False]  # type: ignore[attr-defined]
    for again in (
        ("tenant", "add", "acme"),
        ("token", "--tenant", "acme"),
        ("tenant", "set", "acme", "--calls", "1"),
    ):
        assert "removed" in refused(*again, *data)
    assert [item["tenant"] for item in asked("tenant", "list", *data)] == ["acme"]  # type: ignore[attr-defined]
    state = asked("audit", "verify", *data)
    shown = [json.loads(line) for line in lawow("audit", "show", "--json", *data).stdout.splitlines()]
    assert [item["action"] for item in shown] == [
        *("tenant-added", "tenant-set", "tenant-set", "token-issued", "tenant-removed")
    ]
    assert shown[-1]["hash"] == state["head"]  # type: ignore[index]
    assert "are whole" in lawow("audit", "verify", "--head", shown[0]["hash"], *data).stdout
    assert refused("audit", "verify", "--head", "0" * 64, *data)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("tenant", "add", "No"), "no name for a tenant"),
        (("tenant", "add", "a", "--calls", "-1"), "a whole number"),
        (("tenant", "add", "a", "--calls", "1MiB"), "a whole number"),
        (("tenant", "add", "a", "--memory", "1MB"), "KiB, MiB or GiB"),
        (("tenant", "add", "a", "--memory", "9" * 15 + "GiB"), "at most"),
        (("tenant", "set", "a"), "nothing to change"),
        (("tenant", "show", "a"), "there is no tenant"),
        (("tenant", "remove", "a"), "there is no tenant"),
        (("token", "--tenant", "a", "--scope", "root"), "the scopes are"),
        (("token", "--tenant", "a", "--expires", "0d"), "no duration"),
        (("token", "--tenant", "a", "--expires", "9999d"), "no duration"),
        (("token", "--tenant", "a", "--module", "x"), "names no module"),
        (("token", "--list", "--scope", "call"), "belong to a new token"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_changes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    data = tmp_path / "data"
    Database(DataFolder(data).database).close()
    assert sentence in refused(*arguments, "--data", data)
    assert asked("tenant", "list", "--data", data) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("tenant", "list"),
        ("tenant", "show", "acme"),
        ("tenant", "set", "acme", "--calls", "1"),
        ("tenant", "remove", "acme"),
        ("token", "--list"),
        ("token", "--revoke", "t0"),
        ("audit", "show"),
        ("audit", "verify"),
        ("certs", "revoke", "1"),
    ],
)
def test_a_slip_in_the_path_is_told_and_no_edge_is_made_there(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Else the log of an edge that is not there would be whole, and a certificate be revoked nowhere."""
    assert "is no edge's folder" in refused(*arguments, "--data", tmp_path / "dtaa")
    assert not (tmp_path / "dtaa").exists()


def test_a_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """Its tokens work on and may do what they always did."""
    folder = DataFolder(tmp_path / "data")
    before = Database(folder.database)
    token = Tenants(before).issue("acme").token
    rows = before.query("SELECT id, tenant, digest, created_unix, revoked_unix FROM tokens")
    before.close()
    for path in folder.root.glob("edge.sqlite*"):
        path.unlink()
    old = sqlite3.connect(folder.database)
    old.executescript(MODULES + "PRAGMA user_version = 1; INSERT INTO tenants VALUES ('acme', 1);")
    old.executemany("INSERT INTO tokens VALUES (?, ?, ?, ?, ?)", rows)
    old.commit()
    old.close()
    database = Database(folder.database)
    identity = Tenants(database).identify(token)
    assert identity is not None
    assert (identity.tenant, identity.scopes) == ("acme", {"call", "read", "upload"})
    database.close()
