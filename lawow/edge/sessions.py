"""Which sessions are open, whose they are, and which were lost.

A session is one live instance in its tenant's worker. It ends when its owner closes it, when nothing has
called it for `EdgeLimits.session_idle_seconds` (both are forgotten: `NotFound` from then on), and when its
guest or its worker dies: that is remembered for a while, so that its owner learns of it (`SessionLost`). A
session of another tenant is not found, as if it had never been.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lawow.edge.refusals import Busy, NotFound, SessionLost
from lawow.limits import EdgeLimits

__all__ = ["SessionTable"]

LOSSES_REMEMBERED = 64


@dataclass(slots=True)
class _Session:
    digest: str
    timer: asyncio.TimerHandle | None = None

    def stop_clock(self) -> None:
        """Do not count the time as idle."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


@dataclass(slots=True)
class _Holder:
    """One tenant."""

    open: dict[str, _Session] = field(default_factory=dict)
    opening: int = 0
    lost: OrderedDict[str, str] = field(default_factory=OrderedDict)


class SessionTable:
    """The sessions of all tenants. For one event loop."""

    def __init__(self, limits: EdgeLimits, on_idle: Callable[[str, str], None]) -> None:
        """`on_idle` is called with tenant and session when nothing has used the session for too long."""
        self._limits = limits
        self._on_idle = on_idle
        self._holders: dict[str, _Holder] = {}

    @contextmanager
    def opening(self, tenant: str, limit: int) -> Iterator[None]:
        """Count a session as open while it is made. Raises `Busy` if the tenant has `limit` of them."""
        holder = self._holders.setdefault(tenant, _Holder())
        if len(holder.open) + holder.opening >= limit:
            raise Busy(
                f"{limit} sessions of this tenant are open, which is the limit sessions_per_tenant; close "
                "one, let one expire, or have `lawow tenant set NAME --sessions N` allow more",
                retry_after_seconds=self._limits.session_idle_seconds,
            )
        holder.opening += 1
        try:
            yield
        finally:
            holder.opening -= 1

    @staticmethod
    def new_name() -> str:
        """Return a name that nobody can guess: 32 hex digits."""
        return secrets.token_hex(16)

    def add(self, tenant: str, session: str, digest: str) -> None:
        """Remember a session that is open now, of the module `digest`."""
        self._holders.setdefault(tenant, _Holder()).open[session] = _Session(digest)
        self._start_clock(tenant, session)

    def digest_of(self, tenant: str, session: str) -> str:
        """Return the module of an open session. Raises `NotFound`, `SessionLost`."""
        holder = self._holders.get(tenant, _Holder())
        if session in holder.lost:
            raise SessionLost(f"the session is lost with all its state: {holder.lost[session]}")
        if session not in holder.open:
            raise NotFound("there is no such session; it was closed, or not used for too long")
        return holder.open[session].digest

    @contextmanager
    def using(self, tenant: str, session: str) -> Iterator[None]:
        """Stop the clock of a session while it works. Raises as `digest_of`."""
        self.digest_of(tenant, session)
        self._holders[tenant].open[session].stop_clock()
        try:
            yield
        finally:
            self._start_clock(tenant, session)

    def end(self, tenant: str, session: str) -> str:
        """Forget a session and return its module's digest. Raises as `digest_of`."""
        digest = self.digest_of(tenant, session)
        self._holders[tenant].open.pop(session).stop_clock()
        return digest

    def lose(self, tenant: str, session: str, reason: str) -> None:
        """Remember that an open session is lost, and why; no effect on one that is not open."""
        holder = self._holders.get(tenant, _Holder())
        found = holder.open.pop(session, None)
        if found is None:
            return
        found.stop_clock()
        holder.lost[session] = reason
        if len(holder.lost) > LOSSES_REMEMBERED:
            holder.lost.popitem(last=False)

    def lose_all(self, tenant: str, reason: str) -> int:
        """Lose all sessions of a tenant; return how many there were."""
        names = list(self._holders.get(tenant, _Holder()).open)
        for session in names:
            self.lose(tenant, session, reason)
        return len(names)

    def uses(self, tenant: str, digest: str) -> bool:
        """Tell whether an open session of the tenant is an instance of the module."""
        return any(session.digest == digest for session in self._holders.get(tenant, _Holder()).open.values())

    def has_any(self, tenant: str) -> bool:
        """Tell whether a tenant's worker holds state."""
        return bool(self.count(tenant))

    def count(self, tenant: str) -> int:
        """Return how many sessions of a tenant are open."""
        return len(self._holders.get(tenant, _Holder()).open)

    def close(self) -> None:
        """Stop all clocks."""
        for holder in self._holders.values():
            for session in holder.open.values():
                session.stop_clock()
        self._holders.clear()

    def _start_clock(self, tenant: str, session: str) -> None:
        """Have the session end if nothing uses it for a while; no effect if it is open no more."""
        found = self._holders.get(tenant, _Holder()).open.get(session)
        if found is not None:
            found.stop_clock()
            loop, seconds = asyncio.get_running_loop(), self._limits.session_idle_seconds
            found.timer = loop.call_later(seconds, self._on_idle, tenant, session)
