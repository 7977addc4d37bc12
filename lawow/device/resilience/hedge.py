"""Starts a call here as well when the edge has not answered for longer than it nearly always does.

The first result wins, and the other run is asked to stop. So a slow answer costs the usual wait and the call
here, not ten seconds of a lost connection. Only for calls that may run twice. Dean and Barroso, "The Tail at
Scale" (2013), hedge after the 95th percentile for a twentieth of additional load; here that load is local.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from math import ceil
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from lawow.channel.documents import Value
from lawow.device.cancel import Cancel
from lawow.device.outcomes import failure_of
from lawow.device.policy import Place
from lawow.device.resilience.copies import own_copies, take_over
from lawow.errors import HostLost, LawowError, UsageError

__all__ = ["Ended", "Hedge"]

T = TypeVar("T")
Attempt = Callable[[Sequence[Value], Cancel], T]
"""Makes the call with these arguments, and stops if it can when it is told to."""
WINDOW = 128
"""Latest answers that the quantile is of: six of them are above the 95th percentile."""


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """How a run ended. `values` are its own arguments, `seconds` its own time."""

    place: Place
    seconds: float
    values: Sequence[Value]
    results: tuple[T, ...]
    error: BaseException | None

    @property
    def result(self) -> T:
        """What it returned. Raises what it raised."""
        if self.error is not None:
            raise self.error
        return self.results[0]

    @property
    def is_answer(self) -> bool:
        """Whether it is the call's own result or error: nothing that another run could do better."""
        return not isinstance(self.error, LawowError) or failure_of(self.error) is None


class Hedge:
    """Learns how long the edge takes, function by function. For several threads.

    It hedges after the `quantile` of the last 128 answers, from `least_calls` answers on, never before
    `shortest_seconds`. No call is sent while `most_abandoned` that lost are still waiting for the edge.
    `hedged` counts the calls that were started here as well.
    """

    def __init__(
        self,
        *,
        quantile: float = 0.95,
        least_calls: int = 20,
        shortest_seconds: float = 0.001,
        most_abandoned: int = 16,
    ) -> None:
        """Raises `UsageError` for a quantile that is not between 0 and 1, and counts below 1."""
        if not 0 < quantile < 1 or least_calls < 1 or most_abandoned < 1:
            raise UsageError("a hedge takes a quantile between 0 and 1, and counts from 1 on")
        self.hedged = 0
        self._quantile = quantile
        self._least_calls = least_calls
        self._shortest_seconds = shortest_seconds
        self._most_abandoned = most_abandoned
        self._seconds: dict[tuple[str, str], deque[float]] = {}
        self._abandoned: list[threading.Thread] = []
        self._lock = threading.Lock()

    def delay(self, key: tuple[str, str]) -> float | None:
        """Return how long the edge has for a call of this function (digest, export); None: too few calls."""
        with self._lock:
            known = sorted(self._seconds.get(key, ()))
        if len(known) < self._least_calls:
            return None
        return max(known[ceil(self._quantile * len(known)) - 1], self._shortest_seconds)

    def learn(self, key: tuple[str, str], seconds: float) -> None:
        """Take note that the edge answered after so long."""
        with self._lock:
            self._seconds.setdefault(key, deque(maxlen=WINDOW)).append(seconds)

    def run(
        self, key: tuple[str, str], values: Sequence[Value], there: Attempt[T], here: Attempt[T]
    ) -> Ended[T]:
        """Make the call there, and here as well if that takes long; return how the first one ended.

        The caller's lists are as that one left its copies. If the edge fails before its time is over, that
        is returned and nothing was run here. Raises `HostLost` if too many calls wait for the edge.
        """
        delay = self.delay(key)
        if delay is None:
            first = _attempt(Place.REMOTE, values, there, Cancel())
        else:
            self._require_room()
            first = self._race(key, values, there, here, delay)
            if first.error is None:
                take_over(values, first.values)
        if first.place is Place.REMOTE and first.error is None:
            self.learn(key, first.seconds)
        return first

    def _race(
        self, key: tuple[str, str], values: Sequence[Value], there: Attempt[T], here: Attempt[T], delay: float
    ) -> Ended[T]:
        race: _Race[T] = _Race()
        remote = race.start(Place.REMOTE, values, there)
        try:
            with contextlib.suppress(Empty):
                return race.wait(delay)
            with self._lock:
                self.hedged += 1
            race.start(Place.LOCAL, values, here)
            first = race.wait()
            if first.place is Place.REMOTE and not first.is_answer:
                first = race.wait()
            if first.place is Place.LOCAL:
                self.learn(
                    key, delay
                )  # it took at least as long: without it the quantile would sink for ever
            return first
        finally:
            race.cancel()
            with self._lock:
                self._abandoned.append(remote)

    def _require_room(self) -> None:
        with self._lock:
            self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
            if len(self._abandoned) >= self._most_abandoned:
                raise HostLost(
                    f"{len(self._abandoned)} calls that ran here meanwhile are still waiting for the edge; "
                    "this one was not sent"
                )


class _Race(Generic[T]):
    """Runs of one call, each in a thread of its own and with arguments of its own."""

    def __init__(self) -> None:
        self._ended: SimpleQueue[Ended[T]] = SimpleQueue()
        self._cancel = Cancel()

    def start(self, place: Place, values: Sequence[Value], attempt: Attempt[T]) -> threading.Thread:
        own, context = own_copies(values), copy_context()  # whose call it is goes along
        thread = threading.Thread(
            target=lambda: self._ended.put(context.run(_attempt, place, own, attempt, self._cancel)),
            name=f"lawow-hedge-{place.value}",
            daemon=True,
        )
        thread.start()
        return thread

    def wait(self, timeout_seconds: float | None = None) -> Ended[T]:
        """Return how the next one ended. Raises `Empty` if none did in that time."""
        return self._ended.get(timeout=timeout_seconds)

    def cancel(self) -> None:
        """Stop those that still run; it does nothing to one that is over."""
        self._cancel.set()


def _attempt(place: Place, values: Sequence[Value], attempt: Attempt[T], cancel: Cancel) -> Ended[T]:
    started = time.perf_counter()
    results: tuple[T, ...] = ()
    error: BaseException | None = None
    try:
        results = (attempt(values, cancel),)
    except BaseException as raised:  # noqa: BLE001  # whatever it is, who waits has to get it
        error = raised
    return Ended(place, time.perf_counter() - started, values, results, error)
