"""Leases at rest: who holds what, in which state, until when.

Every change is a committed transaction, so what was answered is on the disk. A lease that is past its end
is `EXPIRED` to whoever looks, also before `OffloadManager.sweep` has written that down. Another tenant's
lease is not found. The token of a lease opens its part of the data plane; only its SHA-256 is kept.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lawow.edge.clock import Clock
from lawow.edge.database import Database
from lawow.edge.lease_states import ENDED, Event, State, next_state
from lawow.edge.lease_tables import create_lease_tables
from lawow.edge.refusals import NotFound
from lawow.edge.resource_manager import Reservation
from lawow.limits import EDGE, EdgeLimits

__all__ = ["Lease", "LeaseBook", "new_id"]

COLUMNS = "id, tenant, digest, host, state, reason, created_unix, expires_unix, received_bytes, shared_lease"
TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Lease:
    """A tenant's hold on a host for one module.

    `digest` is the module's SHA-256 in hex. `shared_lease` is the owner's lease whose instance this one uses,
    or "". `received_bytes` of the module are on the disk. `reason` says why the instance or the lease ended.
    """

    id: str
    tenant: str
    digest: str
    host: str
    state: State
    reason: str
    created_unix: float
    expires_unix: float
    received_bytes: int
    shared_lease: str

    def document(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "lease": self.id,
            "state": self.state.value,
            "module": f"sha256:{self.digest}",
            "host": self.host,
            "is_shared": bool(self.shared_lease),
            "created_unix": self.created_unix,
            "expires_unix": self.expires_unix,
            "reason": self.reason or None,
        }


class LeaseBook:
    """All leases of an edge. Methods block on the disk; call them from a thread where that matters."""

    def __init__(self, database: Database, clock: Clock, limits: EdgeLimits = EDGE) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits
        create_lease_tables(database)

    def grant(
        self, connection: sqlite3.Connection, reservation: Reservation, digest: str, shared_lease: str
    ) -> tuple[Lease, str]:
        """Turn a reservation into a lease, within its transaction; return it and its token."""
        now, token = self._clock(), secrets.token_urlsafe(TOKEN_BYTES)
        expires = now + self._limits.lease_seconds
        lease = Lease(
            new_id(),
            reservation.tenant,
            digest,
            reservation.host,
            State.RESERVED,
            "",
            now,
            expires,
            0,
            shared_lease,
        )
        connection.execute(
            f"INSERT INTO leases ({COLUMNS}, is_held, token_sha256) VALUES (?,?,?,?,?,?,?,?,?,?,1,?)",
            (*_row(lease), _hash(token)),
        )
        return lease, token

    def get(self, tenant: str, lease_id: str) -> Lease:
        """Return a lease of the tenant. Raises `NotFound`, the same for unknown and for others'."""
        return self._one("id = ? AND tenant = ?", (lease_id, tenant))

    def owner_of(self, lease: Lease) -> Lease:
        """Return the lease whose instance `lease` uses: its own, or the one that is shared."""
        return self.by_id(lease.shared_lease) if lease.shared_lease else lease

    def by_id(self, lease_id: str) -> Lease:
        """Return anybody's lease, for the edge itself. Raises `NotFound`."""
        return self._one("id = ?", (lease_id,))

    def of_token(self, token: str) -> Lease:
        """Return the lease that a token of the data plane opens. Raises `NotFound`."""
        return self._one("token_sha256 = ?", (_hash(token),))

    def token_sha256(self, lease: Lease) -> bytes:
        """Return the hash of a lease's token, for whoever opens its part of the data plane."""
        rows = self._database.query("SELECT token_sha256 FROM leases WHERE id = ?", (lease.id,))
        if not rows or not isinstance(rows[0][0], bytes):
            raise NotFound("there is no such lease")
        return rows[0][0]

    def of_tenant(self, tenant: str) -> list[Lease]:
        """Return the tenant's leases, oldest first, those that ended a short while ago among them."""
        return self._all("tenant = ? ORDER BY created_unix, id", (tenant,))

    def held(self) -> list[Lease]:
        """Return all leases that have not been ended, those that are due among them."""
        rows = self._database.query(f"SELECT {COLUMNS} FROM leases WHERE is_held = 1")
        return [_lease(row) for row in rows]

    def move(self, lease: Lease, event: Event, reason: str = "") -> Lease:
        """Let an event happen to a lease and return it as it is then. Raises `Conflict`, `LeaseEnded`."""
        with self._database.transaction() as connection:
            return self.move_within(connection, lease, event, reason)

    def move_within(
        self, connection: sqlite3.Connection, lease: Lease, event: Event, reason: str = ""
    ) -> Lease:
        """Do it within the caller's transaction. The end of a lease ends those that share its instance."""
        row = connection.execute(f"SELECT {COLUMNS} FROM leases WHERE id = ?", (lease.id,)).fetchone()
        if row is None:
            raise NotFound("there is no such lease")
        now, found = self._clock(), _lease(row)
        state = next_state(self._as_of(found, now).state if event is not Event.EXPIRE else found.state, event)
        is_held = state not in ENDED
        expires = now + self._limits.lease_seconds if is_held else now
        connection.execute(
            "UPDATE leases SET state = ?, reason = ?, is_held = ?, expires_unix = ? WHERE id = ?",
            (state.value, reason, int(is_held), expires, lease.id),
        )
        if not is_held:
            self._end_sharing(connection, lease, now)
        return replace(found, state=state, reason=reason, expires_unix=expires)

    def renew(self, lease: Lease, *, by_use: bool = False) -> Lease:
        """Let the lease's time begin anew; by use only where less than half is left, to spare the disk.

        Raises `LeaseEnded`.
        """
        now = self._clock()
        if by_use and lease.expires_unix - now > self._limits.lease_seconds / 2:
            return lease
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE leases SET expires_unix = ? WHERE id = ? AND is_held = 1 AND expires_unix > ?",
                (now + self._limits.lease_seconds, lease.id, now),
            ).rowcount
        if not changed:
            next_state(self.get(lease.tenant, lease.id).state, Event.RECALL)  # says what it has become
        return replace(lease, expires_unix=now + self._limits.lease_seconds)

    def record_received(self, lease: Lease, received_bytes: int) -> None:
        """Write down how much of the module is on the disk."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE leases SET received_bytes = ? WHERE id = ?", (received_bytes, lease.id)
            )

    def due(self) -> Sequence[Lease]:
        """Return leases in force that are past their end."""
        now = self._clock()
        return [lease for lease in self.held() if lease.expires_unix <= now]

    def forget_old(self, connection: sqlite3.Connection) -> None:
        """Forget leases that ended long ago."""
        before = self._clock() - self._limits.remembered_seconds
        connection.execute("DELETE FROM leases WHERE is_held = 0 AND expires_unix <= ?", (before,))

    def _end_sharing(self, connection: sqlite3.Connection, lease: Lease, now: float) -> None:
        connection.execute("DELETE FROM shared_modules WHERE lease = ?", (lease.id,))
        connection.execute(
            "UPDATE leases SET state = ?, reason = ?, is_held = 0, expires_unix = ? "
            "WHERE shared_lease = ? AND is_held = 1",
            (State.REVOKED.value, "the owner of the shared module ended it", now, lease.id),
        )

    def _one(self, condition: str, parameters: tuple[str | bytes, ...]) -> Lease:
        found = self._all(condition, parameters)
        if not found:
            raise NotFound("there is no such lease")
        return found[0]

    def _all(self, condition: str, parameters: tuple[str | bytes, ...]) -> list[Lease]:
        rows = self._database.query(f"SELECT {COLUMNS} FROM leases WHERE {condition}", parameters)
        now = self._clock()
        return [self._as_of(_lease(row), now) for row in rows]

    def _as_of(self, lease: Lease, now: float) -> Lease:
        if lease.state in ENDED or lease.expires_unix > now:
            return lease
        return replace(lease, state=State.EXPIRED, reason="not used in time")


def new_id() -> str:
    """Return an identifier that nobody can guess: 32 hex digits."""
    return secrets.token_hex(16)


def _row(lease: Lease) -> tuple[str | float, ...]:
    """Return the values of `COLUMNS`."""
    texts = (lease.id, lease.tenant, lease.digest, lease.host, lease.state.value, lease.reason)
    return (*texts, lease.created_unix, lease.expires_unix, lease.received_bytes, lease.shared_lease)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _lease(row: Sequence[object]) -> Lease:
    name, tenant, digest, host, state, reason, created, expires, received, shared = map(str, row)
    times = float(created), float(expires)
    return Lease(name, tenant, digest, host, State(state), reason, *times, int(received), shared)
