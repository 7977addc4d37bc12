"""Tenants, what each may use, and their tokens.

A token is ``lawow_`` and 256 random bits in base64url. Only its SHA-256 is kept, so the database opens no
door. With that much randomness no salt and no slow hash is needed, and looking the hash up by index tells an
attacker's clock nothing about the token; what was found is compared again in constant time. A tenant's name
matches one regular expression, never becomes part of a path, and is never used for a second tenant: what the
audit log and a certificate say of a name is about one. Every change is written to the audit log with it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lawow.edge.audit import operator_name, write_record
from lawow.edge.database import OWNERS, Database
from lawow.edge.policies import DEFAULT_SCOPES, QUOTAS, TenantPolicy, default_quotas, require_scopes
from lawow.errors import UsageError
from lawow.limits import EDGE, EdgeLimits

__all__ = ["Identity", "IssuedToken", "TenantRecord", "Tenants", "TokenRecord", "TokenTerms"]

TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
TOKEN = re.compile(r"lawow_[A-Za-z0-9_-]{43}")
MODULE = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
TOKEN_BYTES = 32
MODULES_PER_TOKEN = 256


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. `credential` names the token or certificate and is no secret; no `modules`: all of them."""

    tenant: str
    scopes: frozenset[str]
    credential: str
    modules: frozenset[str] = frozenset()
    requests_per_second: int | None = None

    def may_use(self, digest: str) -> bool:
        """Tell whether this credential is for a module of the tenant, by SHA-256 in hex."""
        return not self.modules or digest in self.modules


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """What a token is for. `modules` in hex, none: all; `expires_unix` None: until it is revoked."""

    scopes: tuple[str, ...] = DEFAULT_SCOPES
    modules: tuple[str, ...] = ()
    expires_unix: int | None = None
    requests_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token. This is the only moment at which `token` exists in clear."""

    id: str
    tenant: str
    token: str
    terms: TokenTerms


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is known of a token afterwards; times are seconds since 1970."""

    id: str
    tenant: str
    created_unix: int
    revoked_unix: int | None
    terms: TokenTerms


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """What is known of a tenant; `quotas` are those that were set for it alone."""

    name: str
    created_unix: int
    removed_unix: int | None
    quotas: Mapping[str, int]
    grants: tuple[str, ...]


class Tenants:
    """Who may use this edge, and how much."""

    def __init__(self, database: Database, limits: EdgeLimits = EDGE) -> None:
        self._database = database
        self._defaults = default_quotas(limits)
        self._policies: dict[str, TenantPolicy] = {}
        self._seen = -1

    def add(self, name: str) -> None:
        """Make a tenant. Raises `UsageError` for a bad name, or one that is or was somebody's."""
        _require_name(name)
        with self._database.transaction() as connection:
            if not _insert(connection, name):
                raise UsageError(f"the tenant {name} exists already, or was removed; names are used once")

    def change(
        self, name: str, quotas: Mapping[str, int | None], grants: Sequence[str] | None = None
    ) -> TenantRecord:
        """Change quotas (None: back to the default) and, unless None, all grants; in force at once."""
        with self._database.transaction() as connection:
            before = _live_record(connection, name)
            changed = {**before.quotas, **quotas}
            kept = {key: value for key, value in changed.items() if value is not None}
            granted = sorted(set(before.grants if grants is None else grants))
            connection.execute(
                "UPDATE tenants SET quotas = ?, grants = ? WHERE name = ?",
                (json.dumps(kept), json.dumps(granted), name),
            )
            facts = " ".join(f"{key}={value}" for key, value in quotas.items())
            also = "" if grants is None else f" grants={','.join(granted) or 'none'}"
            write_record(connection, operator_name(), "tenant-set", f"{name} {facts}{also}")
        return self.get(name)

    def remove(self, name: str) -> TenantRecord:
        """End a tenant for good: its tokens, its modules, its name."""
        now = int(time.time())
        with self._database.transaction() as connection:
            _live_record(connection, name)
            connection.execute("UPDATE tenants SET removed_unix = ? WHERE name = ?", (now, name))
            connection.execute(
                "UPDATE tokens SET revoked_unix = ? WHERE tenant = ? AND revoked_unix IS NULL", (now, name)
            )
            for table in (*OWNERS, "refused_modules"):
                connection.execute(f"DELETE FROM {table} WHERE tenant = ?", (name,))
            write_record(connection, operator_name(), "tenant-removed", name)
        return self.get(name)

    def get(self, name: str) -> TenantRecord:
        """Return a tenant, removed ones too. Raises `UsageError` if there never was one."""
        rows = self._database.query(f"{SELECT_TENANT} WHERE name = ?", (name,))
        if not rows:
            raise UsageError(f"there is no tenant {name!r}; `lawow tenant list` shows all")
        return _tenant(rows[0])

    def all(self) -> list[TenantRecord]:
        """Return all tenants by name, removed ones too."""
        return [_tenant(row) for row in self._database.query(f"{SELECT_TENANT} ORDER BY name")]

    def policy(self, name: str) -> TenantPolicy:
        """Return a tenant's quotas and grants as they are now; cheap enough to ask for each call."""
        number = self._database.change_number()
        if number != self._seen:
            self._policies.clear()
            self._seen = number
        policy = self._policies.get(name)
        if policy is None:
            rows = self._database.query(f"{SELECT_TENANT} WHERE name = ?", (name,))
            policy = self._policies[name] = self._policy(_tenant(rows[0]) if rows else None)
        return policy

    def issue(self, tenant: str, terms: TokenTerms | None = None) -> IssuedToken:
        """Make a token for `tenant`, who is created if new. Raises `UsageError` for a bad name or terms."""
        _require_name(tenant)
        terms = _proper(terms or TokenTerms())
        issued = IssuedToken(
            f"t{secrets.token_hex(6)}", tenant, f"lawow_{secrets.token_urlsafe(TOKEN_BYTES)}", terms
        )
        with self._database.transaction() as connection:
            if not _insert(connection, tenant):
                _live_record(connection, tenant)
            connection.execute(
                "INSERT INTO tokens VALUES (?, ?, ?, ?, NULL, ?, ?, ?, ?)",
                (
                    *(issued.id, tenant, _digest(issued.token), int(time.time())),
                    *(json.dumps(terms.scopes), json.dumps(terms.modules)),
                    *(terms.expires_unix, terms.requests_per_second),
                ),
            )
            subject = f"{tenant} {issued.id} scopes={','.join(terms.scopes)}"
            write_record(connection, operator_name(), "token-issued", subject)
        return issued

    def identify(self, token: str) -> Identity | None:
        """Return whom a token that is in force belongs to and what it is for, or None."""
        if not TOKEN.fullmatch(token):
            return None
        digest = _digest(token)
        rows = self._database.query(
            "SELECT digest, tenant, id, scopes, modules, requests_per_second FROM tokens "
            "WHERE digest = ? AND revoked_unix IS NULL AND (expires_unix IS NULL OR expires_unix > ?)",
            (digest, int(time.time())),
        )
        if not rows or not hmac.compare_digest(_bytes(rows[0][0]), digest):
            return None
        _, tenant, name, scopes, modules, rate = rows[0]
        return Identity(
            str(tenant), frozenset(_texts(scopes)), str(name), frozenset(_texts(modules)), _optional(rate)
        )

    def exists(self, name: str) -> bool:
        """Tell whether a tenant is there and was not removed."""
        rows = self._database.query("SELECT 1 FROM tenants WHERE name = ? AND removed_unix IS NULL", (name,))
        return bool(rows)

    def revoke(self, token_id: str) -> TokenRecord:
        """Make a token invalid from the next request on. Raises `UsageError` if there is no such id."""
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE tokens SET revoked_unix = ? WHERE id = ? AND revoked_unix IS NULL",
                (int(time.time()), token_id),
            )
            if changed.rowcount:
                write_record(connection, operator_name(), "token-revoked", token_id)
        for record in self.tokens():
            if record.id == token_id:
                return record
        raise UsageError(f"no token has the id {token_id!r}; `lawow token --list` shows them")

    def tokens(self) -> list[TokenRecord]:
        """Return all tokens, revoked ones too, by tenant and age."""
        rows = self._database.query(
            "SELECT id, tenant, created_unix, revoked_unix, scopes, modules, expires_unix, "
            "requests_per_second FROM tokens ORDER BY tenant, created_unix, id"
        )
        return [
            TokenRecord(
                *(str(row[0]), str(row[1]), _integer(row[2]), _optional(row[3])),
                TokenTerms(_texts(row[4]), _texts(row[5]), _optional(row[6]), _optional(row[7])),
            )
            for row in rows
        ]

    def revoke_certificate(self, serial: str) -> None:
        """Refuse a client certificate, by its serial number in hex, from the next request on."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO revoked_certificates VALUES (?, ?)", (serial, int(time.time()))
            )
            write_record(connection, operator_name(), "certificate-revoked", serial)

    def revoked_certificates(self) -> dict[str, int]:
        """Return the serial numbers that are refused, and since when."""
        rows = self._database.query("SELECT serial, revoked_unix FROM revoked_certificates")
        return {str(row[0]): _integer(row[1]) for row in rows}

    def is_certificate_revoked(self, serial: str) -> bool:
        """Tell whether a serial number is refused."""
        return bool(self._database.query("SELECT 1 FROM revoked_certificates WHERE serial = ?", (serial,)))

    def _policy(self, record: TenantRecord | None) -> TenantPolicy:
        if record is None:
            return TenantPolicy(self._defaults)
        quotas = {**self._defaults, **record.quotas}
        for name in (name for name, quota in QUOTAS.items() if quota.is_capped):
            quotas[name] = min(quotas[name], self._defaults[name])
        rows = self._database.query("SELECT name, digest FROM models WHERE tenant = ?", (record.name,))
        return TenantPolicy(quotas, record.grants, {str(name): str(digest) for name, digest in rows})


SELECT_TENANT = "SELECT name, created_unix, removed_unix, quotas, grants FROM tenants"


def _insert(connection: sqlite3.Connection, name: str) -> bool:
    """Make a tenant unless the name is taken; tell whether that was done."""
    done = connection.execute(
        "INSERT OR IGNORE INTO tenants (name, created_unix) VALUES (?, ?)", (name, int(time.time()))
    )
    if done.rowcount:
        write_record(connection, operator_name(), "tenant-added", name)
    return bool(done.rowcount)


def _live_record(connection: sqlite3.Connection, name: str) -> TenantRecord:
    """Return a tenant that is there. Raises `UsageError`."""
    row = connection.execute(f"{SELECT_TENANT} WHERE name = ? AND removed_unix IS NULL", (name,)).fetchone()
    if row is None:
        raise UsageError(f"there is no tenant {name!r}, or it was removed; `lawow tenant list` shows all")
    return _tenant(row)


def _require_name(name: str) -> None:
    if not TENANT_NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a tenant: 1 to 63 of a-z, 0-9, '.', '_', '-', "
            "and the first a letter or digit"
        )


def _proper(terms: TokenTerms) -> TokenTerms:
    """Return terms in their kept form. Raises `UsageError`."""
    digests = []
    for text in terms.modules:
        match = MODULE.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} names no module: give sha256: and 64 hex digits in lower case")
        digests.append(match[1])
    if len(digests) > MODULES_PER_TOKEN:
        raise UsageError(
            f"a token for {len(digests)} modules: at most {MODULES_PER_TOKEN}, or all without any"
        )
    return TokenTerms(
        require_scopes(terms.scopes),
        tuple(sorted(set(digests))),
        terms.expires_unix,
        terms.requests_per_second,
    )


def _tenant(row: Sequence[object]) -> TenantRecord:
    quotas = {str(key): int(value) for key, value in json.loads(str(row[3])).items()}
    return TenantRecord(str(row[0]), _integer(row[1]), _optional(row[2]), quotas, _texts(row[4]))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _texts(value: object) -> tuple[str, ...]:
    """Read a list of texts, which this module itself wrote."""
    return tuple(json.loads(str(value)))


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)  # the table is STRICT
    return value


def _integer(value: object) -> int:
    assert isinstance(value, int)  # the table is STRICT
    return value


def _optional(value: object) -> int | None:
    return None if value is None else _integer(value)
