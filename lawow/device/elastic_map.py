"""A batch of calls of one function, spread over leases and the device: ThinkAir's parallel offloading.

`lawow.device.balance` says which place takes which call. A call that was not started at a lease, or whose
outcome is unknown and that may run twice, is made elsewhere; any other outcome is the call's own. What no
lease takes runs here. A lease that was lost rests, and is tried again with one call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

from lawow.channel.documents import Value
from lawow.device.balance import HERE, Balance
from lawow.device.policy.estimate import Estimate
from lawow.errors import LawowError

__all__ = ["Mapped", "Site", "spread"]

T = TypeVar("T")
Arguments = Sequence[Value]


@dataclass(frozen=True, slots=True)
class Mapped(Generic[T]):
    """How one call of a batch ended. `edge` is where it ran, None for here; `seconds` all that it took."""

    edge: str | None
    seconds: float
    results: tuple[T, ...]
    error: Exception | None

    @property
    def result(self) -> T:
        """What it returned. Raises what it raised."""
        if self.error is not None:
            raise self.error
        return self.results[0]


@dataclass(frozen=True, slots=True)
class Site(Generic[T]):
    """A place that runs calls; `name` is the edge's, None is the device's.

    `run` makes a call; it is told whether that is alone there as it begins.
    """

    name: str | None
    pace: Estimate
    run: Callable[[Arguments, bool], T]


class _Batch(Generic[T]):
    """A batch under way: threads that run calls, and the balance that all of them ask."""

    def __init__(
        self,
        inputs: Sequence[Arguments],
        sites: Sequence[Site[T]],
        balance: Balance,
        may_go_on: Callable[[LawowError], bool],
        stops_early: bool,
    ) -> None:
        self.ended: dict[int, Mapped[T]] = {}
        self._inputs = inputs
        self._sites = sites
        self._balance = balance
        self._may_go_on = may_go_on
        self._stops_early = stops_early
        self._is_stopped = False
        self._changed = threading.Condition()

    def work(self, place: int) -> None:
        """Run calls in a place until there are no more."""
        while (index := self._next(place)) is not None:
            self._run(place, index)

    def stop(self) -> None:
        """Let nothing more begin."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _next(self, place: int) -> int | None:
        """Wait for a call that this place is to make; None once there is none left."""
        with self._changed:
            while not (self._is_stopped or self._balance.is_over):
                now = time.monotonic()
                index = self._balance.take(place, now)
                if index is not None:
                    return index
                rest = self._balance.wakes_at(place) - now
                self._changed.wait(rest if rest > 0 else None)
            return None

    def _run(self, place: int, index: int) -> None:
        site, values = self._sites[place], self._inputs[index]
        started = time.perf_counter()
        try:
            result = site.run(values, self._balance.running(place) == 1)
        except LawowError as error:
            seconds = time.perf_counter() - started
            if place != HERE and self._may_go_on(error):
                self._give_back(place, index)
            else:
                self._end(place, index, Mapped(site.name, seconds, (), error))
        except Exception as error:  # noqa: BLE001  # a native version's own; who called map has to get it
            self._end(place, index, Mapped(site.name, time.perf_counter() - started, (), error))
        else:
            self._end(place, index, Mapped(site.name, time.perf_counter() - started, (result,), None))

    def _end(self, place: int, index: int, mapped: Mapped[T]) -> None:
        with self._changed:
            self.ended[index] = mapped
            self._is_stopped |= self._stops_early and mapped.error is not None
            self._balance.end(place, index, mapped.seconds if mapped.error is None else None)
            self._changed.notify_all()

    def _give_back(self, place: int, index: int) -> None:
        with self._changed:
            self._balance.give_back(place, index, time.monotonic())
            self._changed.notify_all()


def spread(
    inputs: Sequence[Arguments],
    sizes: Sequence[float],
    sites: Sequence[Site[T]],
    *,
    in_flight: int,
    is_for_device: Callable[[int], bool],
    may_go_on: Callable[[LawowError], bool],
    stops_early: bool,
) -> dict[int, Mapped[T]]:
    """Make all calls and return how they ended, by index; with `stops_early` none begins after an error.

    The first of `sites` is the device, whose calls run in this thread; each lease has `in_flight` threads.
    `may_go_on` tells whether a call that a lease failed may be made elsewhere.
    """
    balance = Balance(sizes, [site.pace for site in sites], in_flight, is_for_device)
    batch = _Batch(inputs, sites, balance, may_go_on, stops_early)
    threads = [
        threading.Thread(
            target=copy_context().run, args=(batch.work, place), name=f"lawow-map-{place}", daemon=True
        )
        for place in range(HERE + 1, len(sites))
        for _ in range(min(in_flight, len(inputs)))
    ]
    for thread in threads:
        thread.start()
    try:
        batch.work(HERE)
    finally:
        batch.stop()  # it is over, or interrupted
        for thread in threads:
            thread.join()
    return batch.ended
