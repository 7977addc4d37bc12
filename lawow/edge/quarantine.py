"""Modules that keep ending their worker rest for a while, for the tenant that called them. Reads no clock."""

from __future__ import annotations

from collections import deque

from lawow.edge.refusals import WorkerLost
from lawow.limits import EdgeLimits

__all__ = ["Quarantine"]


class Quarantine:
    """Losses of workers, by tenant and module, and which modules rest."""

    def __init__(self, limits: EdgeLimits) -> None:
        self._limits = limits
        self._losses: dict[tuple[str, str], deque[float]] = {}
        self._resting: dict[tuple[str, str], float] = {}

    def note_loss(self, tenant: str, digest: str, now: float) -> bool:
        """Take note that the module ended its worker; tell whether it has to rest from now on."""
        key, limits = (tenant, digest), self._limits
        losses = self._losses.setdefault(key, deque(maxlen=limits.worker_losses))
        losses.append(now)
        if len(losses) < limits.worker_losses or now - losses[0] > limits.worker_loss_seconds:
            return False
        del self._losses[key]
        self._resting[key] = now + limits.quarantine_seconds
        return True

    def require_rested(self, tenant: str, digest: str, now: float) -> None:
        """Raise `WorkerLost` while a module that keeps ending its worker rests."""
        until = self._resting.get((tenant, digest))
        if until is None:
            return
        left = until - now
        if left <= 0:
            del self._resting[tenant, digest]
            return
        raise WorkerLost(
            f"the module ended its worker {self._limits.worker_losses} times in a row; it rests for a while",
            retry_after_seconds=left,
        )
