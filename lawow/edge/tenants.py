"""Tenants and their tokens.

A token is ``lawow_`` and 256 random bits in base64url. Only its SHA-256 is kept, so the database opens no
door. With that much randomness no salt and no slow hash is needed, and looking the hash up by index tells an
attacker's clock nothing about the token. A tenant's name matches one regular expression and never becomes
part of a path.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from dataclasses import dataclass

from lawow.edge.database import Database
from lawow.errors import UsageError

__all__ = ["IssuedToken", "Tenants", "TokenRecord"]

TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
TOKEN = re.compile(r"lawow_[A-Za-z0-9_-]{43}")
TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token. This is the only moment at which `token` exists in clear."""

    id: str
    tenant: str
    token: str


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is known of a token afterwards; times are seconds since 1970."""

    id: str
    tenant: str
    created_unix: int
    revoked_unix: int | None


class Tenants:
    """Who may use this edge."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def issue(self, tenant: str) -> IssuedToken:
        """Make a token for `tenant`, who is created if new. Raises `UsageError` for a bad name."""
        if not TENANT_NAME.fullmatch(tenant):
            raise UsageError(
                f"{tenant!r} is no name for a tenant: 1 to 63 of a-z, 0-9, '.', '_', '-', "
                "and the first a letter or digit"
            )
        issued = IssuedToken(
            f"t{secrets.token_hex(6)}", tenant, f"lawow_{secrets.token_urlsafe(TOKEN_BYTES)}"
        )
        now = int(time.time())
        with self._database.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO tenants VALUES (?, ?)", (tenant, now))
            connection.execute(
                "INSERT INTO tokens VALUES (?, ?, ?, ?, NULL)",
                (issued.id, tenant, _digest(issued.token), now),
            )
        return issued

    def tenant_of(self, token: str) -> str | None:
        """Return the tenant whom a token that is in force belongs to, or None."""
        if not TOKEN.fullmatch(token):
            return None
        rows = self._database.query(
            "SELECT tenant FROM tokens WHERE digest = ? AND revoked_unix IS NULL", (_digest(token),)
        )
        return str(rows[0][0]) if rows else None

    def revoke(self, token_id: str) -> TokenRecord:
        """Make a token invalid from the next request on. Raises `UsageError` if there is no such id."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE tokens SET revoked_unix = ? WHERE id = ? AND revoked_unix IS NULL",
                (int(time.time()), token_id),
            )
        for record in self.tokens():
            if record.id == token_id:
                return record
        raise UsageError(f"no token has the id {token_id!r}; `lawow token --list` shows them")

    def tokens(self) -> list[TokenRecord]:
        """Return all tokens, revoked ones too, by tenant and age."""
        rows = self._database.query(
            "SELECT id, tenant, created_unix, revoked_unix FROM tokens ORDER BY tenant, created_unix, id"
        )
        return [
            TokenRecord(
                str(row[0]), str(row[1]), _integer(row[2]), None if row[3] is None else _integer(row[3])
            )
            for row in rows
        ]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _integer(value: object) -> int:
    assert isinstance(value, int)  # the table is STRICT
    return value
