"""What belongs to one tenant of a supervisor, what runs of all, and what a call comes to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from lawow.edge.messages import Close
from lawow.edge.worker_process import WorkerProcess

__all__ = ["Finished", "Lane", "Load"]


@dataclass(frozen=True, slots=True)
class Finished:
    """A call that returned. `peak_memory_bytes` is the worker's, over its whole life."""

    results: bytes
    prepare_seconds: float
    run_seconds: float
    peak_memory_bytes: int


@dataclass(frozen=True, slots=True)
class Load:
    """What runs at a moment. `instances` are open sessions and running calls."""

    workers: int
    instances: int
    waiting: int
    memory_bytes: int

    def __add__(self, other: Load) -> Load:
        return Load(
            self.workers + other.workers,
            self.instances + other.instances,
            self.waiting + other.waiting,
            self.memory_bytes + other.memory_bytes,
        )


@dataclass(slots=True)
class Lane:
    """What belongs to one tenant."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    worker: WorkerProcess | None = None
    idle_since: float = 0.0
    charged_at: float = 0.0
    idle_timer: asyncio.TimerHandle | None = None
    closing: list[Close] = field(default_factory=list)

    @property
    def is_busy(self) -> bool:
        """Whether something runs or waits."""
        return self.turn.locked() or self.waiting > 0 or bool(self.closing)

    def load(self, sessions: int) -> Load:
        """Return what runs of it, beside so many open sessions."""
        worker = self.worker
        return Load(
            workers=int(worker is not None),
            instances=sessions + int(worker is not None and self.turn.locked()),
            waiting=self.waiting,
            memory_bytes=worker.memory_bytes() if worker is not None else 0,
        )
