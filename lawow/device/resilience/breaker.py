"""Spares calls the way to an edge that is gone: after losses in a row none is sent until a probe succeeds.

A probe is one call, at an interval that doubles and is jittered, so that devices which lost an edge together
do not come back to it together. What an edge refuses is no loss: an edge that refuses is there.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lawow.device.edge_client import EdgeProblem
from lawow.errors import HostLost, LawowError, OutcomeUnknown, UsageError

__all__ = ["Breaker"]

T = TypeVar("T")
WORKER_LOST = "worker-lost"


@dataclass(slots=True)
class _Edge:
    """What is known of one edge. `probe_at` is None while calls go there."""

    losses: int = 0
    interval_seconds: float = 0.0
    probe_at: float | None = None
    is_probed: bool = False


class Breaker:
    """One for all edges of a program, each by its name. For several threads.

    `losses` in a row open it; the first probe comes after half to all of `first_seconds`, the next ones twice
    as late each time, at most `longest_seconds`. `clock` gives seconds, `dice` a number from 0 to 1.
    """

    def __init__(
        self,
        *,
        losses: int = 5,
        first_seconds: float = 1.0,
        longest_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
    ) -> None:
        """Raises `UsageError` for no losses, and unless 0 < `first_seconds` <= `longest_seconds`."""
        if losses < 1 or not 0 < first_seconds <= longest_seconds:
            raise UsageError("a breaker takes at least one loss, and 0 < first_seconds <= longest_seconds")
        self._losses = losses
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self._clock = clock
        self._dice = dice
        self._edges: dict[str, _Edge] = {}
        self._lock = threading.RLock()

    def call(self, edge: str, run: Callable[[], T], is_abandoned: Callable[[], bool] = lambda: False) -> T:
        """Return what `run` does, and take note of how it went.

        Raises `HostLost` without running it while the edge is not called. The end of a call that was
        abandoned says nothing of the edge; a probe that says nothing has failed.
        """
        is_probe = self._admit(edge)
        is_lost: bool | None = None
        try:
            result = run()
            is_lost = False
            return result
        except LawowError as error:
            is_lost = _is_loss(error) if not is_abandoned() else None
            raise
        finally:
            self._note(edge, is_probe, is_lost)

    def refusal(self, edge: str) -> str | None:
        """Return why a call would not be sent to the edge now; None if it would be."""
        with self._lock:
            item = self._edges.get(edge, _Edge())
            if item.probe_at is None:
                return None
            left = item.probe_at - self._clock()
            if left <= 0 and not item.is_probed:
                return None
            wait = "one call probes it now" if item.is_probed else f"it is probed in {left:.1f} s"
            return f"{edge} was lost {self._losses} times in a row and is not called; {wait}"

    def _admit(self, edge: str) -> bool:
        """Tell whether the call is a probe. Raises `HostLost` if it is not to be made."""
        with self._lock:
            refusal = self.refusal(edge)
            if refusal is not None:
                raise HostLost(refusal)
            item = self._edges.setdefault(edge, _Edge())
            item.is_probed = item.probe_at is not None
            return item.is_probed

    def _note(self, edge: str, is_probe: bool, is_lost: bool | None) -> None:
        """Take note of a call's end; calls from before the breaker opened change nothing any more."""
        with self._lock:
            item = self._edges[edge]
            if is_probe and is_lost is False:
                self._edges[edge] = _Edge()
            elif is_probe:
                self._wait(item, min(2 * item.interval_seconds, self._longest_seconds))
            elif item.probe_at is None and is_lost is not None:
                item.losses = item.losses + 1 if is_lost else 0
                if item.losses >= self._losses:
                    self._wait(item, self._first_seconds)

    def _wait(self, item: _Edge, interval_seconds: float) -> None:
        item.is_probed = False
        item.interval_seconds = interval_seconds
        item.probe_at = self._clock() + interval_seconds * (1 + self._dice()) / 2


def _is_loss(error: LawowError) -> bool:
    """Tell whether the error says that the edge, or its worker, was not there to the end."""
    if isinstance(error, EdgeProblem):
        return error.code == WORKER_LOST
    return isinstance(error, HostLost | OutcomeUnknown)
