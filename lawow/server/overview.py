"""What an operator wants to see of a running edge, and a tenant of itself, as one JSON document.

Calls are counted in memory as they end; what runs and which leases are held is looked up, and the document
made, when somebody asks: twice a second at most however many ask, so it may be half a second old. Everything
is bounded: windows of two minutes, the `TENANTS` that called last (a tenant that is dropped begins anew), the
`LEASES` newest leases. Never arguments or results.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

from lawow import __version__
from lawow.edge.call_windows import CallWindow, latency_slot
from lawow.edge.leases import Lease, LeaseBook
from lawow.edge.meter import Meter
from lawow.edge.supervisor import Load, Supervisor
from lawow.edge.usage import Usage
from lawow.server.observing import CallFacts
from lawow.server.readiness import Readiness

__all__ = ["Document", "Overview", "Section"]

TENANTS = 128
LEASES = 100
EDGE_STEP_SECONDS, TENANT_STEP_SECONDS = 1, 5
WINDOW_SECONDS = 120
LOOK_SECONDS = 0.5

Document = dict[str, object]
Section = Callable[[str | None], Mapping[str, int | float | str | None]]
"""Figures of another part of the edge: of a tenant, or of all for None."""


@dataclass(slots=True)
class _Figures:
    """What was counted of one tenant, or of the edge."""

    window: CallWindow
    outcomes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Look:
    """What was found at one moment, newest lease first, and the documents that were made of it."""

    taken: float
    loads: Mapping[str, Load]
    leases: list[Lease]
    documents: dict[str | None, Document] = field(default_factory=dict)


def _window(step_seconds: int) -> CallWindow:
    return CallWindow(step_seconds, WINDOW_SECONDS // step_seconds)


class Overview:
    """The figures of one edge. For one event loop."""

    def __init__(
        self,
        supervisor: Supervisor,
        leases: LeaseBook,
        meter: Meter,
        readiness: Readiness,
        clock: Callable[[], float] = time.monotonic,
        has_view: Callable[[str], bool] = lambda lease: False,
    ) -> None:
        """`has_view` tells whether there is a picture of a lease's instance."""
        self._has_view = has_view
        self._supervisor = supervisor
        self._leases = leases
        self._meter = meter
        self._readiness = readiness
        self._clock = clock
        self._started_unix = time.time()
        self._edge = _Figures(_window(EDGE_STEP_SECONDS))
        self._tenants: OrderedDict[str, _Figures] = OrderedDict()
        self._sections: dict[str, Section] = {}
        self._look: _Look | None = None
        self._looking = asyncio.Lock()

    def add_section(self, name: str, section: Section) -> None:
        """Show another part's figures under a name; whoever draws the document needs not know them."""
        self._sections[name] = section

    def observe_call(self, facts: CallFacts) -> None:
        """Count a call, in about a microsecond."""
        second, slot, outcome = int(self._clock()), latency_slot(facts.whole_seconds), facts.outcome
        for figures in (self._edge, self._caller(facts.tenant)):
            figures.window.record(second, slot)
            figures.outcomes[outcome] += 1

    def observe_usage(self, tenant: str, usage: Usage) -> None:
        """Count the calls that ended on the data plane since this was last told."""
        if not usage.outcomes:
            return
        second = int(self._clock())
        for figures in (self._edge, self._caller(tenant)):
            for slot, count in usage.slots.items():
                figures.window.record(second, slot, count)
            figures.outcomes.update(usage.outcomes)

    def _caller(self, name: str) -> _Figures:
        """Return the figures of a tenant that has called last."""
        figures = self._tenants.get(name) or self._add(name)
        self._tenants.move_to_end(name)
        return figures

    def sample(self) -> None:
        """Remember how much memory the workers have now; for once a second."""
        second, loads = int(self._clock()), self._supervisor.loads()
        self._edge.window.note_memory(second, sum(load.memory_bytes for load in loads.values()))
        for name, load in loads.items():
            figures = self._tenants.get(name)
            if figures is None and len(self._tenants) < TENANTS:  # nobody who calls makes room for a sample
                figures = self._add(name)
            if figures is not None:
                figures.window.note_memory(second, load.memory_bytes)

    async def document(self, tenant: str | None) -> Document:
        """Return the figures of a tenant, or of the edge and all tenants for None. Raises `StorageFailed`."""
        look = await self._look_around()
        if tenant not in look.documents:
            look.documents[tenant] = self._document(tenant, look)
        return look.documents[tenant]

    def _document(self, tenant: str | None, look: _Look) -> Document:
        figures = self._edge if tenant is None else self._tenants.get(tenant)
        figures = figures or _Figures(_window(TENANT_STEP_SECONDS))
        leases = [lease for lease in look.leases if tenant in (None, lease.tenant)]
        second = int(self._clock())
        names = self._names(look) if tenant is None else [tenant]
        return {
            "version": __version__,
            "tenant": tenant,
            "state": self._readiness.state(),
            "reason": self._readiness.reason_against(),
            "time_unix": time.time(),
            "started_unix": self._started_unix,
            "window_seconds": WINDOW_SECONDS,
            **self._numbers(tenant, figures, look, second),
            "series": {
                "step_seconds": figures.window.step_seconds,
                **asdict(figures.window.series(second)),
            },
            "tenants": [self._tenant(name, look, second) for name in sorted(names[:TENANTS])],
            "tenants_left_off": max(0, len(names) - TENANTS),
            "leases": [self._lease(lease, tenant) for lease in leases[:LEASES]],
            "leases_left_off": max(0, len(leases) - LEASES),
            "sections": {name: dict(section(tenant)) for name, section in self._sections.items()},
        }

    def _lease(self, lease: Lease, tenant: str | None) -> Document:
        """Return a lease; a view is its own tenant's to see, so it stands in no document of all tenants."""
        has_view = tenant is not None and self._has_view(lease.id)
        return {"tenant": lease.tenant, **lease.document(), "has_view": has_view}

    def _tenant(self, name: str, look: _Look, second: int) -> Document:
        figures = self._tenants.get(name) or _Figures(_window(TENANT_STEP_SECONDS))
        return {"tenant": name, **self._numbers(name, figures, look, second)}

    def _numbers(self, tenant: str | None, figures: _Figures, look: _Look, second: int) -> Document:
        """Return what the edge and each tenant have in common."""
        quantiles = figures.window.quantiles(second)
        connections = self._meter.connections()
        loads = [load for name, load in look.loads.items() if tenant in (None, name)]
        states = Counter(lease.state.value for lease in look.leases if tenant in (None, lease.tenant))
        return {
            "calls_per_second": figures.window.calls_per_second(second),
            "p50_seconds": quantiles.p50,
            "p99_seconds": quantiles.p99,
            "outcomes": dict(figures.outcomes),
            "workers": sum(load.workers for load in loads),
            "instances": sum(load.instances for load in loads),
            "waiting": sum(load.waiting for load in loads),
            "memory_bytes": sum(load.memory_bytes for load in loads),
            "connections": sum(connections.values()) if tenant is None else connections.get(tenant, 0),
            "lease_states": dict(states),
        }

    def _names(self, look: _Look) -> list[str]:
        """Return the tenants that there is something to tell of: who called last comes first."""
        holders = (lease.tenant for lease in look.leases)
        return list(dict.fromkeys((*reversed(self._tenants), *look.loads, *holders)))

    def _add(self, tenant: str) -> _Figures:
        """Begin to count a tenant, and drop the one that has not called for longest beyond `TENANTS`."""
        figures = self._tenants[tenant] = _Figures(_window(TENANT_STEP_SECONDS))
        if len(self._tenants) > TENANTS:
            self._tenants.popitem(last=False)
        return figures

    async def _look_around(self) -> _Look:
        async with self._looking:
            now = self._clock()
            if self._look is None or now - self._look.taken >= LOOK_SECONDS:
                leases = await asyncio.to_thread(self._leases.held)
                leases.sort(key=lambda lease: (-lease.created_unix, lease.id))
                self._look = _Look(now, self._supervisor.loads(), leases)
            return self._look
