"""The audit log: what is in it, and that a change to it shows."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lawow.edge.audit import AuditLog, AuditState
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.tenants import Tenants
from lawow.errors import Refused, UsageError


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(DataFolder(tmp_path / "data").database)


def filled(database: Database, count: int = 10) -> AuditState:
    log = AuditLog(database)
    for number in range(count):
        log.write("tenant:acme:t1", "put_module", f"sha256:{number}", "done-201")
    return log.verify()


def test_every_change_of_tenants_and_tokens_is_one_record(database: Database) -> None:
    tenants = Tenants(database)
    issued = tenants.issue("acme")
    tenants.change("acme", {"calls": 5}, ["x"])
    tenants.revoke(issued.id)
    tenants.revoke(issued.id)
    tenants.revoke_certificate("1f")
    tenants.remove("acme")
    records = AuditLog(database).show(100)
    actions = ["tenant-added", "token-issued", "tenant-set", "token-revoked", "certificate-revoked"]
    assert [record.action for record in records] == [*actions, "tenant-removed"]
    assert all(record.who.startswith("operator:") for record in records)
    assert issued.token not in str(records)


def test_what_failed_leaves_no_record(database: Database) -> None:
    tenants = Tenants(database)
    tenants.add("acme")
    with pytest.raises(UsageError):
        tenants.add("acme")
    with pytest.raises(UsageError):
        tenants.change("absent", {"calls": 1})
    assert len(AuditLog(database).show(100)) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET record = replace(record, 'acme', 'evil') WHERE number = 5",
        "UPDATE audit SET hash = 'a' WHERE number = 10",
        "DELETE FROM audit WHERE number = 5",
        "DELETE FROM audit WHERE number = 1; UPDATE audit SET number = number - 1",
        "UPDATE audit SET number = 11 WHERE number = 4; UPDATE audit SET number = 4 WHERE number = 5",
    ],
)
def test_a_record_that_was_changed_or_removed_shows(database: Database, tmp_path: Path, change: str) -> None:
    assert filled(database).records == 10
    connection = sqlite3.connect(tmp_path / "data" / "edge.sqlite")
    connection.executescript(change)
    connection.commit()
    connection.close()
    with pytest.raises(Refused, match="audit record"):
        AuditLog(database).verify()


def test_a_chain_that_was_made_anew_lacks_the_hash_that_was_noted(database: Database, tmp_path: Path) -> None:
    """Whoever may write the file can compute all hashes again; the noted one tells."""
    noted = filled(database).head
    assert AuditLog(database).verify(noted).head == noted
    other = Database(DataFolder(tmp_path / "other").database)
    filled(other, 9)
    with pytest.raises(Refused, match="no audit record has the hash"):
        AuditLog(other).verify(noted)


def test_the_last_records_cannot_go_unnoticed_if_the_head_was_noted(database: Database) -> None:
    noted = filled(database).head
    with database.transaction() as connection:
        connection.execute("DELETE FROM audit WHERE number > 8")
    assert AuditLog(database).verify().records == 8
    with pytest.raises(Refused):
        AuditLog(database).verify(noted)


def test_the_oldest_records_go_and_the_rest_stays_whole(database: Database) -> None:
    log = AuditLog(database, records=20)
    for number in range(55):
        log.write("w", "a", str(number), "done")
    state = log.verify()
    assert 18 <= state.records <= 20
    assert log.show(1)[0].number == 55


def test_long_texts_of_peers_are_cut(database: Database) -> None:
    AuditLog(database).write("w", "a", "x" * 10_000, "done")
    assert len(AuditLog(database).show(1)[0].subject) == 300
