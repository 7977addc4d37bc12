"""Starts workers, one of them in advance: a start takes 80 ms, which whoever needs the next one saves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from lawow.edge.refusals import WorkerLost
from lawow.edge.worker_process import PlaneIdentity, WorkerProcess, WorkerProfile
from lawow.limits import EdgeLimits

__all__ = ["PlaneSettings", "WorkerStarter"]


@dataclass(frozen=True, slots=True)
class PlaneSettings:
    """How workers serve the data plane: each with a listener and an identity of its own."""

    open_listener: Callable[[], socket.socket]
    make_identity: Callable[[], PlaneIdentity]


class WorkerStarter:
    """Starts workers. For one event loop."""

    def __init__(self, limits: EdgeLimits, plane: PlaneSettings | None) -> None:
        """Without a `plane`, workers serve no data plane."""
        self._limits = limits
        self._plane = plane
        self._spare: asyncio.Task[WorkerProcess] | None = None

    def prepare(self) -> None:
        """Start the spare worker, if there is none."""
        if self._spare is None:
            self._spare = asyncio.get_running_loop().create_task(self._start())

    async def take(self, profile: WorkerProfile) -> WorkerProcess:
        """Return the spare if it lives and fits, else a new worker; and see to the next spare."""
        if profile != WorkerProfile(self._limits.memory_bytes):
            return await self._start(profile)
        self.prepare()
        spare, self._spare = self._spare, None
        assert spare is not None  # just prepared
        with suppress(WorkerLost):
            worker = await spare
            if worker.is_alive:
                self.prepare()
                return worker
            await worker.kill()
        worker = await self._start()
        self.prepare()
        return worker

    async def close(self) -> None:
        """End the spare."""
        if self._spare is None:
            return
        spare, self._spare = self._spare, None
        spare.cancel()  # no effect on one that has started
        with suppress(WorkerLost, asyncio.CancelledError):
            await (await spare).stop()

    async def _start(self, profile: WorkerProfile | None = None) -> WorkerProcess:
        identity = self._plane.make_identity() if self._plane is not None else None
        return await WorkerProcess.start(self._limits, profile, identity)
