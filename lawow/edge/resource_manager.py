"""The Resource Manager: which hosts meet a module's requirements, in which order, and whether one has room.

It knows hosts and no tenants' modules. A `ResourceOffer` is made for each host that meets everything that is
required; when one is accepted it becomes a `Reservation`, which counts against the host and the tenant, and
then a `lawow.edge.leases.Lease`. A requirement about something that is not known of a host is not met.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from lawow.edge.hosts import Host
from lawow.edge.refusals import Busy, Conflict
from lawow.limits import EDGE, EdgeLimits

__all__ = ["MIXED_OFFERS", "Match", "Requirements", "Reservation", "ResourceManager", "ResourceOffer"]

MIXED_OFFERS = 3
"""How many offers the provider leaves to the application where the choice is mixed."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a module needs; 0, "" and None ask for nothing.

    `engine_version` matches whole leading parts (``50`` matches 50.0.1). `tee` is a technology's name, or
    ``any``. `latency_seconds` bounds the round trip, `price_ceiling` the price of an hour in `currency`.
    """

    cpu_cores: int = 0
    memory_bytes: int = 0
    engine: str = ""
    engine_version: str = ""
    accelerator: str = ""
    tee: str = ""
    latency_seconds: float | None = None
    price_ceiling: float | None = None
    currency: str = ""

    def unmet(self, host: Host) -> list[str]:
        """Return why `host` does not do, in words for whoever asks; empty if it does."""
        checks = (
            (host.cpu_cores >= self.cpu_cores, f"it has {host.cpu_cores} cores"),
            (host.memory_bytes >= self.memory_bytes, f"an instance gets {host.memory_bytes} bytes"),
            (not self.engine or host.engine == self.engine, f"its engine is {host.engine}"),
            (
                not self.engine_version or f"{host.engine_version}.".startswith(f"{self.engine_version}."),
                f"its engine has version {host.engine_version}",
            ),
            (
                not self.accelerator or self.accelerator in host.accelerators,
                f"modules reach {', '.join(host.accelerators) or 'no accelerator'} on it",
            ),
            (
                not self.tee or bool(host.tee) if self.tee in ("", "any") else self.tee == host.tee,
                f"it is {host.tee or 'no confidential machine'}",
            ),
            (self._is_near(host), "its round trip is not known to be short enough"),
            (self._is_affordable(host), "its price is not known to be low enough"),
        )
        return [reason for is_met, reason in checks if not is_met]

    def _is_near(self, host: Host) -> bool:
        figure = host.round_trip_seconds
        return self.latency_seconds is None or (figure is not None and figure.value <= self.latency_seconds)

    def _is_affordable(self, host: Host) -> bool:
        if self.price_ceiling is None:
            return True
        figure = host.price_per_hour
        return figure is not None and host.currency == self.currency and figure.value <= self.price_ceiling


@dataclass(frozen=True, slots=True)
class ResourceOffer:
    """One host, offered until `expires_unix`."""

    id: str
    host: Host
    expires_unix: float

    def document(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {"offer": self.id, "expires_unix": self.expires_unix, "host": self.host.document()}


@dataclass(frozen=True, slots=True)
class Reservation:
    """An accepted offer for which there is room; made and turned into a lease in one transaction."""

    tenant: str
    host: str


@dataclass(frozen=True, slots=True)
class Match:
    """Hosts that meet requirements, best first, and for each other host why not."""

    hosts: tuple[Host, ...]
    unmet: tuple[tuple[str, tuple[str, ...]], ...]


class ResourceManager:
    """The hosts of one edge. The first is the one that runs it."""

    def __init__(self, hosts: Sequence[Host], limits: EdgeLimits = EDGE) -> None:
        self.hosts = tuple(hosts)
        self._limits = limits

    def match(
        self, requirements: Requirements, choice: str, measured_round_trip_seconds: float | None = None
    ) -> Match:
        """Return the hosts to offer; with a mixed choice only the first few in the provider's order."""
        hosts = [
            host.with_round_trip(measured_round_trip_seconds) if host.is_here else host for host in self.hosts
        ]
        judged = [(host, tuple(requirements.unmet(host))) for host in hosts]
        fit = sorted((host for host, reasons in judged if not reasons), key=_preference)
        if choice == "mixed":
            fit = fit[:MIXED_OFFERS]
        return Match(tuple(fit), tuple((host.name, reasons) for host, reasons in judged if reasons))

    def reserve(self, connection: sqlite3.Connection, tenant: str, host: str) -> Reservation:
        """Take room on this host, within the caller's transaction. Raises `Busy`, `Conflict`."""
        found = next((item for item in self.hosts if item.name == host), None)
        if found is None:
            raise Conflict(f"the host {host} is no longer one of this edge; make a new request")
        if not found.is_here:
            raise Conflict(f"the host {host} has an edge of its own; make the request at {found.url}")
        rows = connection.execute(
            "SELECT COUNT(*), COALESCE(SUM(tenant = ?), 0) FROM leases WHERE is_held = 1", (tenant,)
        ).fetchone()
        for held, name in ((rows[0], "leases"), (rows[1], "leases_per_tenant")):
            limit = getattr(self._limits, name)
            if held >= limit:
                raise Busy(f"{limit} leases are in force, which is the limit {name}", retry_after_seconds=10)
        return Reservation(tenant, host)


def _preference(host: Host) -> tuple[float, float, bool]:
    """The provider's order: cheap, near, its own machine; what is not known comes last."""
    price, trip = host.price_per_hour, host.round_trip_seconds
    return (
        math.inf if price is None else price.value,
        math.inf if trip is None else trip.value,
        not host.is_here,
    )
