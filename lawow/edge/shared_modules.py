"""Shared modules: an instance with a name, offloaded once; later devices are redirected to it.

The owner is the tenant who holds the lease with the instance. A device of the owner asks for it as
``NAME``, one of a tenant that the owner granted it to as ``OWNER/NAME``; to everybody else it does not
exist. Whoever was redirected may call it; only the owner's own lease may initialise it, rest it, read or
replace its state, recall it. Taking a grant back, the name, or the owner's lease ends the leases of those
who were redirected.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from lawow.edge.clock import Clock
from lawow.edge.database import Database
from lawow.edge.lease_states import ENDED, Event
from lawow.edge.leases import Lease, LeaseBook
from lawow.edge.refusals import Conflict, NotFound, TooLarge
from lawow.limits import EDGE, EdgeLimits

__all__ = ["SharedModule", "SharedModules"]


@dataclass(frozen=True, slots=True)
class SharedModule:
    """A name, the owner's lease behind it, and the other tenants who may use it."""

    owner: str
    name: str
    lease: str
    tenants: tuple[str, ...]

    def document(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {"name": self.name, "lease": self.lease, "tenants": list(self.tenants)}


class SharedModules:
    """The names of all tenants."""

    def __init__(
        self, database: Database, leases: LeaseBook, clock: Clock, limits: EdgeLimits = EDGE
    ) -> None:
        self._database = database
        self._leases = leases
        self._clock = clock
        self._limits = limits

    def share(self, shared: SharedModule) -> SharedModule:
        """Give the owner's lease a name, or change who may use it.

        Raises `Conflict`, `NotFound`, `TooLarge`.
        """
        lease = self._leases.get(shared.owner, shared.lease)
        if lease.state in ENDED or lease.shared_lease:
            raise Conflict(f"only the owner's own lease in force can be shared; this one is {_kind(lease)}")
        known = [item for item in self.of_owner(shared.owner) if item.name != shared.name]
        for count, limit in (
            (len(known) + 1, "shared_modules_per_tenant"),
            (len(shared.tenants), "tenants_per_shared_module"),
        ):
            if count > getattr(self._limits, limit):
                raise TooLarge(f"{count} are beyond the limit {limit}, {getattr(self._limits, limit)}")
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO shared_modules VALUES (?, ?, ?, ?)",
                (shared.owner, shared.name, shared.lease, json.dumps(shared.tenants)),
            )
            self._revoke_ungranted(connection, shared.owner)
        return shared

    def withdraw(self, owner: str, name: str) -> None:
        """Take a name back. Raises `NotFound`."""
        self.get(owner, name)
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM shared_modules WHERE owner = ? AND name = ?", (owner, name))
            self._revoke_ungranted(connection, owner)

    def get(self, owner: str, name: str) -> SharedModule:
        """Return one of the owner's. Raises `NotFound`."""
        for item in self.of_owner(owner):
            if item.name == name:
                return item
        raise NotFound("there is no such shared module")

    def of_owner(self, owner: str) -> list[SharedModule]:
        """Return the owner's, by name."""
        rows = self._database.query(
            "SELECT owner, name, lease, tenants FROM shared_modules WHERE owner = ? ORDER BY name", (owner,)
        )
        return [_shared(row) for row in rows]

    def resolve(self, tenant: str, name: str) -> Lease:
        """Return the owner's lease behind ``NAME`` or ``OWNER/NAME``. Raises `NotFound`."""
        owner, _, rest = name.rpartition("/")
        shared = self.get(owner or tenant, rest)
        if tenant not in (shared.owner, *shared.tenants):
            raise NotFound("there is no such shared module")
        return self._leases.get(shared.owner, shared.lease)

    def _revoke_ungranted(self, connection: sqlite3.Connection, owner: str) -> None:
        """End the leases that use an instance of the owner's by no name any more."""
        rows = connection.execute(
            "SELECT owner, name, lease, tenants FROM shared_modules WHERE owner = ?", (owner,)
        )
        granted = {(item.lease, tenant) for item in map(_shared, rows) for tenant in (owner, *item.tenants)}
        own = {row[0] for row in connection.execute("SELECT id FROM leases WHERE tenant = ?", (owner,))}
        now = self._clock()
        for lease in self._leases.held():
            is_granted = (lease.shared_lease, lease.tenant) in granted
            if lease.shared_lease in own and not is_granted and lease.expires_unix > now:
                self._leases.move_within(connection, lease, Event.REVOKE, "the owner took the grant back")


def _kind(lease: Lease) -> str:
    return "another's shared instance" if lease.shared_lease else lease.state.value


def _shared(row: Sequence[object]) -> SharedModule:
    tenants = tuple(str(item) for item in json.loads(str(row[3])))
    return SharedModule(str(row[0]), str(row[1]), str(row[2]), tenants)
