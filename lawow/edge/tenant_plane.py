"""The data plane as the edge sees it: which leases may use it, and what that counts for.

A lease with an instance is admitted to the worker that holds it, which has a listening socket and a
certificate of its own; device and worker then talk without this process. What remains here: telling the
worker who may come, and asking it once a second what was used. Uses renew the lease and its instance's time
and count against the tenant's quotas, as calls over HTTP do; whoever has used a quota up is sent away.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lawow.edge.data_plane import Endpoint
from lawow.edge.execution_handler import ExecutionHandler
from lawow.edge.lease_states import Event, State
from lawow.edge.leases import Lease, LeaseBook
from lawow.edge.messages import Admit
from lawow.edge.meter import Meter
from lawow.edge.refusals import EdgeRefusal, NotFound, QuotaExceeded
from lawow.edge.usage import Usage

__all__ = ["TenantDataPlane"]


@dataclass(slots=True)
class _Opened:
    """A lease that was admitted: `tenant` is whose worker holds the instance `session`."""

    lease: Lease
    tenant: str
    session: str


class TenantDataPlane:
    """The `DataPlane` of a host whose workers serve it."""

    def __init__(self, handler: ExecutionHandler, leases: LeaseBook, meter: Meter, host: str) -> None:
        """`host` is the name or address under which devices reach the listeners."""
        self._handler = handler
        self._leases = leases
        self._meter = meter
        self._host = host
        self._opened: dict[str, _Opened] = {}
        self._calls: Counter[str] = Counter()  # by tenant
        self.observers: list[Callable[[str, Usage], object]] = []  # told the tenant, and what it used

    async def open(self, lease: Lease, session: str) -> Endpoint | None:
        """Admit the lease; None if the worker is not there for it, so that calls go by HTTP."""
        owner = await asyncio.to_thread(self._leases.owner_of, lease)
        token = await asyncio.to_thread(self._leases.token_sha256, lease)
        has_module = not lease.shared_lease  # of a shared instance one sees what it does, not its code
        grant = Admit(owner.digest, False, lease.id, token.hex(), session, has_module)
        try:
            code = self._handler.code_of(owner.tenant, owner.digest)
            port, pin = await self._handler.supervisor.admit(owner.tenant, grant, code)
        except (EdgeRefusal, OSError):
            return None
        self._opened[lease.id] = _Opened(lease, owner.tenant, session)
        return Endpoint(self._host, port, pin, f"/v1/leases/{lease.id}/channel")

    def connect(self, lease_id: str, address: str) -> tuple[str, socket.socket]:
        """Return a connection to the worker behind a lease, and that worker's tenant.

        Whoever it is for, at `address`, has still to show the worker the lease's token. Raises `Busy`, and
        `NotFound`, the same for unknown leases and for those without an instance.
        """
        opened = self._opened.get(lease_id)
        if opened is None:
            raise NotFound("there is no such lease, or it has no instance")
        return opened.tenant, self._handler.supervisor.connect(opened.tenant, address)

    async def close(self, lease: Lease) -> None:
        """Send the lease's clients away."""
        opened = self._opened.pop(lease.id, None)
        if opened is not None:
            await self._dismiss(opened, "lease-ended")

    def figures(self, tenant: str | None) -> Mapping[str, int]:
        """Return what the overview shows: leases that may come, and calls since the start."""
        opened = [item for item in self._opened.values() if tenant in (None, item.tenant)]
        calls = self._calls.total() if tenant is None else self._calls[tenant]
        return {"leases": len(opened), "calls": calls}

    async def look(self) -> None:
        """Ask all workers that serve a lease what was used; call it once a second."""
        await asyncio.gather(
            *(self._look_at(name) for name in {item.tenant for item in self._opened.values()})
        )

    async def _look_at(self, tenant: str) -> None:
        try:
            usages = await self._handler.supervisor.usage(tenant)
        except EdgeRefusal:
            return  # the worker is late or lost; the supervisor deals with it
        for usage in usages:
            await self._note(tenant, usage)

    async def _note(self, tenant: str, usage: Usage) -> None:
        """Account for what a worker says, as far as it is about a lease that it serves."""
        opened = self._opened.get(usage.lease)
        if opened is None or opened.tenant != tenant:
            return
        supervisor = self._handler.supervisor
        self._calls[tenant] += usage.calls
        for observe in self.observers:
            observe(tenant, usage)
        try:
            if not usage.is_alive:
                supervisor.note_loss(tenant, opened.session, "a call on the data plane ended it")
            elif usage.calls:
                supervisor.note_use(tenant, opened.session)
            if usage.calls:
                opened.lease = await asyncio.to_thread(self._used, opened.lease)
                self._meter.count_calls(tenant, usage.calls)
        except QuotaExceeded as error:
            await self._dismiss(opened, error.code)
        except EdgeRefusal:
            return  # lease or instance ended meanwhile

    def _used(self, lease: Lease) -> Lease:
        """Write down that a lease was used, which most uses do not change."""
        if lease.state is State.INITIALISED:
            return self._leases.move(lease, Event.CALL)
        return self._leases.renew(lease, by_use=True)

    async def _dismiss(self, opened: _Opened, code: str) -> None:
        try:
            await self._handler.supervisor.dismiss(opened.tenant, opened.lease.id, code)
        except EdgeRefusal:
            return  # its worker is gone, and its clients with it
