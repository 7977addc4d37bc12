"""The Offload Manager: the first contact of a device that wishes to offload.

It takes a request, asks the `ResourceManager` which hosts meet it, offers them, and turns the offer that the
application selects, or that the provider does, into a lease with its `RemoteOffloadHandler`. Requests and
selections have their effect once for each ``Idempotency-Key``. Offers and leases end by themselves.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from lawow.edge.answers import Answers, Document
from lawow.edge.clock import Clock
from lawow.edge.database import Database
from lawow.edge.lease_states import Event, State, next_state
from lawow.edge.leases import Lease, LeaseBook, new_id
from lawow.edge.refusals import Busy, Conflict, EdgeRefusal, LeaseEnded, NotFound
from lawow.edge.remote_offload_handler import RemoteOffloadHandler
from lawow.edge.resource_manager import Requirements, ResourceManager, ResourceOffer
from lawow.edge.shared_modules import SharedModules
from lawow.limits import EDGE, EdgeLimits

__all__ = ["CHOICES", "OffloadManager", "OffloadRequest"]

CHOICES = ("application", "provider", "mixed")
"""Who selects: the application among all offers, the provider, the application among the provider's few."""


@dataclass(frozen=True, slots=True)
class OffloadRequest:
    """What a device asks for: a module by its SHA-256 in hex, or a shared module by name; and what it needs.

    `round_trip_seconds` is what the device measured to this edge, if it did.
    """

    digest: str
    shared: str
    choice: str
    requirements: Requirements
    round_trip_seconds: float | None = None


class OffloadManager:
    """The requests of all tenants. Methods that are not coroutines block on the disk."""

    def __init__(
        self,
        database: Database,
        resources: ResourceManager,
        leases: LeaseBook,
        shared: SharedModules,
        remote: RemoteOffloadHandler,
        clock: Clock,
        limits: EdgeLimits = EDGE,
    ) -> None:
        self.resources = resources
        self.leases = leases
        self.shared = shared
        self.remote = remote
        self._database = database
        self._answers = Answers(database, clock, limits)
        self._clock = clock
        self._limits = limits

    def request(self, tenant: str, asked: OffloadRequest, key: str | None) -> Document:
        """Take a request and return it with its offers, or with the lease where the provider selects.

        All of it is on the disk. No offer is no error: the answer says of each host what is not met. Raises
        `Busy`, `Conflict`, `BadRequest`; `NotFound` for a shared module that is not there for this tenant.
        """
        return self._answers.once(
            tenant, key, asdict(asked), lambda connection: self._request(connection, tenant, asked)
        )

    def find(self, tenant: str, request_id: str) -> Document:
        """Return a request as it was answered, in its present state. Raises `NotFound`."""
        rows = self._database.query(
            "SELECT document, state, expires_unix FROM offload_requests WHERE id = ? AND tenant = ?",
            (request_id, tenant),
        )
        if not rows:
            raise NotFound("there is no such request")
        document = json.loads(str(rows[0][0]))
        assert isinstance(document, dict)  # `_request` wrote it
        is_over = float(str(rows[0][2])) <= self._clock() and rows[0][1] in (State.REQUESTED, State.OFFERED)
        return {**document, "state": State.EXPIRED.value if is_over else str(rows[0][1])}

    def select(self, tenant: str, offer_id: str, key: str | None) -> Document:
        """Accept an offer and return the lease with its token.

        Raises `NotFound`, `Conflict`, `LeaseEnded`, `Busy`.
        """
        return self._answers.once(
            tenant, key, {"offer": offer_id}, lambda connection: self._select(connection, tenant, offer_id)
        )

    def describe(self, lease: Lease) -> Document:
        """Return a lease as the API shows it."""
        endpoint = self.remote.endpoint(lease)
        return {
            **lease.document(),
            "module_is_present": self.remote.has_module(lease),
            "received_bytes": self.remote.offset(lease),
            "endpoint": None if endpoint is None else endpoint.document(),
        }

    async def sweep(self) -> int:
        """End what is due, clear up after ended leases, forget old ones; return how many were due."""
        due = await asyncio.to_thread(self.leases.due)
        for lease in due:
            try:
                await self.remote.end(lease, Event.EXPIRE, "not used in time")
            except EdgeRefusal:
                continue  # it is being changed, or has ended; the next sweep looks again
        held = {lease.id for lease in await asyncio.to_thread(self.leases.held)}
        for lease_id in self.remote.with_session() - held:
            await self.remote.clear(self.leases.by_id(lease_id))
        await asyncio.to_thread(self._forget_old)
        return len(due)

    def _request(self, connection: sqlite3.Connection, tenant: str, asked: OffloadRequest) -> Document:
        now = self._clock()
        count = connection.execute(
            "SELECT COUNT(*) FROM offload_requests WHERE tenant = ? AND expires_unix > ?", (tenant, now)
        ).fetchone()[0]
        if count >= self._limits.requests_per_tenant:
            raise Busy(
                f"{count} requests are open, the limit requests_per_tenant",
                retry_after_seconds=self._limits.offer_seconds,
            )
        source = self.shared.resolve(tenant, asked.shared) if asked.shared else None
        digest, shared_lease = (asked.digest, "") if source is None else (source.digest, source.id)
        match = self.resources.match(asked.requirements, asked.choice, asked.round_trip_seconds)
        hosts = [host for host in match.hosts if source is None or host.name == source.host]
        expires = now + self._limits.offer_seconds
        offers = [ResourceOffer(new_id(), host, expires) for host in hosts]
        state = next_state(State.REQUESTED, Event.OFFER) if offers else State.REQUESTED
        document: Document = {
            "request": new_id(),
            "state": state.value,
            "choice": asked.choice,
            "module": f"sha256:{digest}",
            "expires_unix": expires,
            "offers": [offer.document() for offer in offers],
            "unmet": [{"host": name, "reasons": list(reasons)} for name, reasons in match.unmet],
            "lease": None,
        }
        self._keep(connection, tenant, document, shared_lease, offers)
        mine = next((offer for offer in offers if offer.host.is_here), None)
        if asked.choice == "provider" and mine is not None:
            document |= {"lease": self._select(connection, tenant, mine.id), "state": State.RESERVED.value}
        return document

    def _keep(
        self,
        connection: sqlite3.Connection,
        tenant: str,
        document: Document,
        shared_lease: str,
        offers: Sequence[ResourceOffer],
    ) -> None:
        digest = str(document["module"]).removeprefix("sha256:")
        row = (document["request"], tenant, digest, shared_lease, document["state"])
        connection.execute(
            "INSERT INTO offload_requests VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*row, json.dumps(document), document["expires_unix"]),
        )
        connection.executemany(
            "INSERT INTO offers VALUES (?, ?, ?)",
            [(offer.id, document["request"], offer.host.name) for offer in offers],
        )

    def _select(self, connection: sqlite3.Connection, tenant: str, offer_id: str) -> Document:
        row = connection.execute(
            "SELECT r.id, r.digest, r.shared_lease, r.state, r.expires_unix, o.host FROM offers o "
            "JOIN offload_requests r ON r.id = o.request WHERE o.id = ? AND r.tenant = ?",
            (offer_id, tenant),
        ).fetchone()
        if row is None:
            raise NotFound("there is no such offer")
        if row[3] == State.RESERVED:
            raise Conflict("an offer of this request was selected before; make a new request")
        if row[4] <= self._clock():
            raise LeaseEnded("the offer has expired; make a new request")
        state = next_state(State(row[3]), Event.SELECT)
        reservation = self.resources.reserve(connection, tenant, row[5])
        if row[2]:
            self._require_shared(connection, tenant, row[2])
        lease, token = self.leases.grant(connection, reservation, row[1], row[2])
        connection.execute("UPDATE offload_requests SET state = ? WHERE id = ?", (state.value, row[0]))
        return {**self.describe_new(lease), "token": token}

    def describe_new(self, lease: Lease) -> Document:
        """Return a lease that is being granted, which no other connection to the database sees yet."""
        return {
            **lease.document(),
            "module_is_present": self.remote.has_module(lease),
            "received_bytes": 0,
            "endpoint": None,
        }

    def _require_shared(self, connection: sqlite3.Connection, tenant: str, lease_id: str) -> None:
        """Refuse what was shared when it was offered and is no more. Raises `LeaseEnded`."""
        rows = connection.execute("SELECT owner, tenants FROM shared_modules WHERE lease = ?", (lease_id,))
        if not any(tenant in (row[0], *json.loads(row[1])) for row in rows):
            raise LeaseEnded("the shared module is no longer there; make a new request")

    def _forget_old(self) -> None:
        with self._database.transaction() as connection:
            before = self._clock() - self._limits.remembered_seconds
            connection.execute("DELETE FROM offload_requests WHERE expires_unix <= ?", (before,))
            self._answers.forget_old(connection)
            self.leases.forget_old(connection)
