"""Counts what tenants use, and says no beyond their quotas.

Counting costs no write: calls and processor time are summed in memory and go to the database together, every
`EdgeLimits.usage_flush_seconds` and at the end. A crash loses what was counted since, never more. Quotas are
read as they are at that moment. They are checked before a call; one that is under way may finish, so that
processor time may exceed its quota by the last call.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lawow.edge.database import Database, Value
from lawow.edge.policies import QUOTAS, TenantPolicy, current_day, seconds_to_next_day
from lawow.edge.rates import RateLimiter
from lawow.edge.refusals import QuotaExceeded
from lawow.edge.tenants import Identity

__all__ = ["Meter", "Usage", "read_usage"]

MICROS = 1_000_000
DAYS_KEPT = 400


@dataclass(slots=True)
class Usage:
    """What a tenant used in one day."""

    day: int
    calls: int = 0
    cpu_seconds: float = 0.0


def read_usage(database: Database, tenant: str, day: int) -> Usage:
    """Return what was written of a tenant's day."""
    rows = database.query("SELECT calls, cpu_micros FROM usage WHERE tenant = ? AND day = ?", (tenant, day))
    calls, micros = (_integer(rows[0][0]), _integer(rows[0][1])) if rows else (0, 0)
    return Usage(day, calls, micros / MICROS)


class Meter:
    """Usage of all tenants. For one event loop; `flush` may run in a thread."""

    def __init__(
        self,
        database: Database,
        policy: Callable[[str], TenantPolicy],
        day: Callable[[], int] = current_day,
    ) -> None:
        self._database = database
        self.policy = policy
        self._day = day
        self._rates = RateLimiter()
        self._usage: dict[str, Usage] = {}
        self._unwritten: set[str] = set()
        self._late: list[tuple[Value, ...]] = []
        self._connections: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.refusals: Counter[str] = Counter()
        """How often each quota said no since the start."""

    def admit_request(self, identity: Identity) -> None:
        """Count a request. Raises `QuotaExceeded` beyond the rate of the tenant or of the token."""
        rates = [("tenant", identity.tenant, self.policy(identity.tenant).quotas["requests_per_second"])]
        if identity.requests_per_second is not None:
            rates.append(("token", identity.credential, identity.requests_per_second))
        for kind, name, rate in rates:
            wait = self._rates.take(f"{kind} {name}", rate, rate)
            if wait is not None:
                raise self._refuse("requests_per_second", rate, rate, wait, of=kind)

    def enter_connection(self, tenant: str) -> None:
        """Count a connection as a tenant's. Raises `QuotaExceeded`; then it is not counted."""
        limit = self.policy(tenant).quotas["connections"]
        if self._connections[tenant] >= limit:
            raise self._refuse("connections", limit, self._connections[tenant], 1)
        self._connections[tenant] += 1

    def leave_connection(self, tenant: str) -> None:
        """Count a connection no more."""
        self._connections[tenant] -= 1
        if not self._connections[tenant]:
            del self._connections[tenant]

    def connections(self) -> Mapping[str, int]:
        """Return how many connections each tenant has that has any."""
        return self._connections

    def admit_call(self, tenant: str) -> None:
        """Count a call. Raises `QuotaExceeded` if the day's calls or processor time are used up."""
        quotas, usage = self.policy(tenant).quotas, self._today(tenant)
        for name, used in (("calls", usage.calls), ("cpu_seconds", int(usage.cpu_seconds))):
            if used >= quotas[name]:
                raise self._refuse(name, quotas[name], used, seconds_to_next_day())
        with self._lock:
            usage.calls += 1
            self._unwritten.add(tenant)

    def count_calls(self, tenant: str, calls: int) -> None:
        """Count calls that were made already. Raises `QuotaExceeded` as `admit_call` would for one more."""
        usage = self._today(tenant)
        with self._lock:
            usage.calls += calls - 1
        self.admit_call(tenant)

    def charge(self, tenant: str, cpu_seconds: float) -> None:
        """Add processor time that a tenant's worker has used."""
        usage = self._today(tenant)
        with self._lock:
            usage.cpu_seconds += cpu_seconds
            self._unwritten.add(tenant)

    def flush(self) -> None:
        """Write what was counted. Raises `StorageFailed`; then it is still counted and written later."""
        with self._lock:
            names, self._unwritten = self._unwritten, set()
            late, self._late = self._late, []
            rows = [*late, *(_row(name, self._usage[name]) for name in names)]
        if not rows:
            return
        try:
            with self._database.transaction() as connection:
                connection.executemany("INSERT OR REPLACE INTO usage VALUES (?, ?, ?, ?)", rows)
                connection.execute("DELETE FROM usage WHERE day < ?", (self._day() - DAYS_KEPT,))
        except BaseException:
            with self._lock:
                self._unwritten |= names
                self._late += late
            raise

    def _today(self, tenant: str) -> Usage:
        day = self._day()
        usage = self._usage.get(tenant)
        if usage is None or usage.day != day:
            with self._lock:
                if usage is not None and tenant in self._unwritten:
                    self._late.append(_row(tenant, usage))
                usage = self._usage[tenant] = read_usage(self._database, tenant, day)
        return usage

    def _refuse(
        self, name: str, limit: int, used: int, wait_seconds: float, of: str = "tenant"
    ) -> QuotaExceeded:
        self.refusals[name] += 1
        option = QUOTAS[name].option
        mend = "lawow token --tenant NAME" if of == "token" else "lawow tenant set NAME"
        return QuotaExceeded(
            f"the quota {name} of this {of} is {limit} ({QUOTAS[name].meaning}), and {used} are used; "
            f"`{mend} {option} N` on the edge allows more",
            quota=name,
            limit=limit,
            used=used,
            retry_after_seconds=wait_seconds,
        )


def _row(tenant: str, usage: Usage) -> tuple[Value, ...]:
    return tenant, usage.day, usage.calls, round(usage.cpu_seconds * MICROS)


def _integer(value: object) -> int:
    assert isinstance(value, int)  # the table is STRICT
    return value
