"""The control plane's tables in the edge's database: requests, offers, leases, shared modules, answers.

Made beside the others if they are missing, in one transaction. Times are seconds since 1970. A tenant's
name is not a reference: an ended lease may outlive its tenant.
"""

from __future__ import annotations

from lawow.edge.database import Database

__all__ = ["create_lease_tables"]

TABLES = """
CREATE TABLE IF NOT EXISTS offload_requests (
    id            TEXT PRIMARY KEY,
    tenant        TEXT NOT NULL,
    digest        TEXT NOT NULL,
    shared_lease  TEXT NOT NULL,
    state         TEXT NOT NULL,
    document      TEXT NOT NULL,
    expires_unix  REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS offers (
    id            TEXT PRIMARY KEY,
    request       TEXT NOT NULL REFERENCES offload_requests(id) ON DELETE CASCADE,
    host          TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS offers_by_request ON offers (request);
CREATE TABLE IF NOT EXISTS leases (
    id              TEXT PRIMARY KEY,
    tenant          TEXT NOT NULL,
    digest          TEXT NOT NULL,
    host            TEXT NOT NULL,
    state           TEXT NOT NULL,
    reason          TEXT NOT NULL,
    is_held         INTEGER NOT NULL,
    created_unix    REAL NOT NULL,
    expires_unix    REAL NOT NULL,
    received_bytes  INTEGER NOT NULL,
    shared_lease    TEXT NOT NULL,
    token_sha256    BLOB NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leases_by_tenant ON leases (tenant);
CREATE INDEX IF NOT EXISTS leases_by_shared ON leases (shared_lease) WHERE shared_lease <> '';
CREATE TABLE IF NOT EXISTS shared_modules (
    owner         TEXT NOT NULL,
    name          TEXT NOT NULL,
    lease         TEXT NOT NULL,
    tenants       TEXT NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers_given (
    tenant        TEXT NOT NULL,
    key_sha256    BLOB NOT NULL,
    asked_sha256  BLOB NOT NULL,
    answer        BLOB NOT NULL,
    expires_unix  REAL NOT NULL,
    PRIMARY KEY (tenant, key_sha256)
) STRICT, WITHOUT ROWID;
"""


def create_lease_tables(database: Database) -> None:
    """Make the tables that are missing. Raises `StorageFailed`."""
    with database.transaction() as connection:
        for statement in TABLES.split(";"):
            connection.execute(statement)
