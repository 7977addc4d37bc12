"""Whether the edge wants new work: not while it drains, and not with a disk that is nearly full."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

__all__ = ["Readiness"]


class Readiness:
    """What ``GET /v1/ready`` tells. `drain_seconds`: how long to say no before connections are refused."""

    def __init__(self, folder: Path, free_bytes: int) -> None:
        self._folder = folder
        self._free_bytes = free_bytes
        self.is_draining = False
        self.drain_seconds = 0.0
        self.stopping = asyncio.Event()
        """Set when connections are refused and answers under way should end."""

    def state(self) -> str:
        """Return ``ready``, ``not-ready``, ``draining`` or ``stopping``."""
        if self.stopping.is_set():
            return "stopping"
        if self.is_draining:
            return "draining"
        return "ready" if self.reason_against() is None else "not-ready"

    def reason_against(self) -> str | None:
        """Return why no new work is wanted, or None. Asks the file system each time."""
        if self.is_draining:
            return "the edge is about to stop"
        try:
            facts = os.statvfs(self._folder)
        except OSError:
            return "the edge's disk does not answer"
        if facts.f_bavail * facts.f_frsize < self._free_bytes:
            return f"the edge's disk has less than ready_free_bytes, {self._free_bytes}, left"
        return None
