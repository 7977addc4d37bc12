"""What the edge tells of each call to whoever watches it: metrics and traces. Never arguments or results."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lawow.edge.supervisor import Finished
from lawow.errors import LawowError
from lawow.server.problems import problem_of

__all__ = ["CallFacts", "CallWatch", "Observe", "tenant_label"]

LABEL_DIGITS = 8


@dataclass(frozen=True, slots=True)
class CallFacts:
    """One call that was answered. Times in seconds, `started_unix` since 1970.

    `outcome` is ``ok`` or the code of the problem; then `prepare_seconds` and `run_seconds` are unknown, and
    None. `traceparent` is the header that the caller sent, unchecked.
    """

    tenant: str
    digest: str
    outcome: str
    started_unix: float
    transfer_seconds: float
    prepare_seconds: float | None
    run_seconds: float | None
    whole_seconds: float
    traceparent: str | None


class CallWatch:
    """Times one call, and tells the observers how it ended; a context manager around it."""

    def __init__(
        self, tenant: str, digest: str, traceparent: str | None, observers: Sequence[Observe]
    ) -> None:
        self.tenant = tenant
        self._names = (tenant, digest)
        self._traceparent = traceparent
        self._observers = observers
        self._started, self._started_unix = time.perf_counter(), time.time()
        self.transfer_seconds = 0.0
        self.finished: Finished | None = None

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        problem = problem_of(error) if isinstance(error, LawowError) else None
        outcome = "ok" if error is None else problem.code if problem is not None else "aborted"
        finished = self.finished
        facts = CallFacts(
            *self._names,
            outcome,
            self._started_unix,
            self.transfer_seconds,
            finished.prepare_seconds if finished is not None else None,
            finished.run_seconds if finished is not None else None,
            time.perf_counter() - self._started,
            self._traceparent,
        )
        for observe in self._observers:
            observe(facts)


Observe = Callable[[CallFacts], None]


def tenant_label(tenant: str) -> str:
    """Return what stands for a tenant where its name should not be read: 8 hex digits of SHA-256."""
    return hashlib.sha256(tenant.encode()).hexdigest()[:LABEL_DIGITS]
