"""The edge's one SQLite file: tenants, tokens, who owns which module, which modules were refused.

Write-ahead log with ``synchronous=FULL``: a committed transaction is on the disk. The server and the ``lawow
token`` command use the file at the same time. Errors of SQLite leave this module as `StorageFailed`.
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

__all__ = ["Database"]

SCHEMA_VERSION = 1
BUSY_SECONDS = 10.0

SCHEMA = """
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
            if version == 0:
                for statement in SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise Refused(
                    f"{path}: made by another version of lawow (schema {version}, this one writes "
                    f"{SCHEMA_VERSION}); use that version or another --data folder"
                )

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
