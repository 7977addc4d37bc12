"""Ends a run of the library when its time is over, or when told to: between two nodes of the graph.

The engine stops a guest, and never what a host function does for it. A node that takes long by itself is not
ended either; whoever cannot wait for it ends the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

from lawow.runtime.nn.onnx_runtime import load
from lawow.runtime.watchdog import Watchdog

__all__ = ["RunOptions", "RunStopper"]

_TOKEN = 1
NEVER = float("inf")


class RunOptions(Protocol):
    """The part of ``onnxruntime.RunOptions`` that is used: the library looks at it between nodes."""

    terminate: bool


class RunStopper:
    """For one run at a time. `until` is when it has to end, by `time.monotonic`; to be set beforehand."""

    def __init__(self) -> None:
        self.until = NEVER
        self._watchdog = Watchdog(self._look)
        self._running: RunOptions | None = None

    @contextmanager
    def run(self) -> Iterator[RunOptions]:
        """Lend options for a run, which is ended in time."""
        options: RunOptions = load().RunOptions()
        self._running = options
        try:
            if self.until != NEVER:
                self._watchdog.arm(_TOKEN, max(self.until - monotonic(), 0.0))
            yield options
        finally:
            self._watchdog.disarm(_TOKEN)
            self._running = None

    def stop(self) -> None:
        """End the run that is under way on another thread; without one no effect."""
        running = self._running
        if running is not None:
            running.terminate = True

    def _look(self) -> None:
        if self._watchdog.expired(_TOKEN):
            self.stop()
