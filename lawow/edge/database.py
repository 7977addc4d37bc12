"""The edge's one SQLite file: tenants, tokens, usage, the audit log, who owns what, what was refused.

Write-ahead log with ``synchronous=FULL``: a committed transaction is on the disk. The server and the commands
``lawow token``, ``tenant``, ``certs`` and ``audit`` use the file at the same time. A file of an earlier
version is brought up to date when it is opened. Errors of SQLite leave this module as `StorageFailed`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lawow.edge.refusals import StorageFailed
from lawow.errors import Refused

__all__ = ["OWNERS", "Database"]

BUSY_SECONDS = 10.0

MODULES = """
CREATE TABLE tenants (
    name          TEXT PRIMARY KEY,
    created_unix  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE tokens (
    id            TEXT PRIMARY KEY,
    tenant        TEXT NOT NULL REFERENCES tenants(name),
    digest        BLOB NOT NULL UNIQUE,
    created_unix  INTEGER NOT NULL,
    revoked_unix  INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE modules (
    tenant        TEXT NOT NULL REFERENCES tenants(name),
    digest        TEXT NOT NULL,
    bytes         INTEGER NOT NULL,
    exports       TEXT NOT NULL,
    created_unix  INTEGER NOT NULL,
    PRIMARY KEY (tenant, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX modules_by_digest ON modules (digest);
CREATE TABLE refused_modules (
    tenant        TEXT NOT NULL,
    digest        TEXT NOT NULL,
    engine        TEXT NOT NULL,
    reason        TEXT NOT NULL,
    PRIMARY KEY (tenant, digest, engine)
) STRICT, WITHOUT ROWID;
"""
POLICIES = """
ALTER TABLE tenants ADD COLUMN removed_unix INTEGER;
ALTER TABLE tenants ADD COLUMN quotas TEXT NOT NULL DEFAULT '{}';
ALTER TABLE tenants ADD COLUMN grants TEXT NOT NULL DEFAULT '[]';
ALTER TABLE tokens ADD COLUMN scopes TEXT NOT NULL DEFAULT '["call", "read", "upload"]';
ALTER TABLE tokens ADD COLUMN modules TEXT NOT NULL DEFAULT '[]';
ALTER TABLE tokens ADD COLUMN expires_unix INTEGER;
ALTER TABLE tokens ADD COLUMN requests_per_second INTEGER;
CREATE TABLE revoked_certificates (
    serial        TEXT PRIMARY KEY,
    revoked_unix  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE usage (
    tenant        TEXT NOT NULL REFERENCES tenants(name),
    day           INTEGER NOT NULL,
    calls         INTEGER NOT NULL,
    cpu_micros    INTEGER NOT NULL,
    PRIMARY KEY (tenant, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
    number        INTEGER PRIMARY KEY,
    record        TEXT NOT NULL,
    hash          TEXT NOT NULL
) STRICT;
"""
MODELS = """
CREATE TABLE models (
    tenant        TEXT NOT NULL REFERENCES tenants(name),
    name          TEXT NOT NULL,
    digest        TEXT NOT NULL,
    bytes         INTEGER NOT NULL,
    created_unix  INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX models_by_digest ON models (digest);
CREATE VIEW owned_blobs AS
    SELECT tenant, digest, bytes FROM modules UNION ALL SELECT tenant, digest, bytes FROM models;
"""
OWNERS = ("modules", "models")
"""The tables of the view `owned_blobs`: whose rows own files by their digest."""
SCHEMA = (MODULES, POLICIES, MODELS)
"""What each version added to the one before it; the file's `user_version` is how many of them it has."""

Value = str | int | bytes | None


class Database:
    """Two connections, each behind a lock, for any thread; no reader waits for a writer's flush."""

    def __init__(self, path: Path) -> None:
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        # The file is made by us first: SQLite would create it readable for everybody.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        try:
            self._writer = _connect(path)
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = FULL")
            self._create(path)
            self._reader = _connect(path)
            self._reader.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            raise StorageFailed(f"{path}: the edge's database cannot be used: {error}") from None

    def _create(self, path: Path) -> None:
        with self.transaction() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(SCHEMA):
                raise Refused(
                    f"{path}: made by a later version of lawow (schema {version}, this one writes "
                    f"{len(SCHEMA)}); use that version or another --data folder"
                )
            for addition in SCHEMA[version:]:
                for statement in addition.split(";"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(SCHEMA)}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold a write transaction: committed and on the disk at the end, rolled back on any error."""
        with self._write_lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                    self._writer.execute("COMMIT")
                finally:
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise StorageFailed(f"the edge's database refused a write: {error}") from None

    def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        """Return all rows of a query."""
        with self._read_lock:
            try:
                return self._reader.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise StorageFailed(f"the edge's database refused a query: {error}") from None

    def change_number(self) -> int:
        """Return a number that is another one as soon as anybody, also another process, has committed."""
        number = self.query("PRAGMA data_version")[0][0]
        assert isinstance(number, int)
        return number

    def close(self) -> None:
        """Close the connections; everything that was committed stays."""
        with self._read_lock:
            self._reader.close()
        with self._write_lock:
            self._writer.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection
