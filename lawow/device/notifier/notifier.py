"""Reads sources at intervals, keeps the newest readings, and tells subscribers when a condition changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lawow.device.notifier.readings import Reading
from lawow.device.notifier.sources import Source
from lawow.device.notifier.triggers import Condition
from lawow.device.policy.cost import Link
from lawow.device.provenance import Provenance

__all__ = ["Notifier"]

INTERVAL_SECONDS = 5.0


@dataclass(slots=True)
class _Subscription:
    condition: Condition
    tell: Callable[[bool, Mapping[str, Reading]], None]
    holds: bool = False


class Notifier:
    """The newest reading of each metric, in `readings`. Of two sources with one metric the later wins.

    Use `poll` with a clock of your own, or `start` a thread that polls each `interval_seconds`, and `close`.
    """

    def __init__(self, sources: Sequence[Source], interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._sources = sources
        self._interval_seconds = interval_seconds
        self._subscriptions: list[_Subscription] = []
        self._told: dict[str, Reading] = {}
        self._over = threading.Event()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self.readings: Mapping[str, Reading] = {}

    def subscribe(
        self, condition: Condition, tell: Callable[[bool, Mapping[str, Reading]], None]
    ) -> Callable[[], None]:
        """Call `tell` in the polling thread whenever the condition begins or ends; returns what ends that."""
        item = _Subscription(condition, tell)
        with self._lock:
            self._subscriptions.append(item)

        def end() -> None:
            with self._lock:
                if item in self._subscriptions:
                    self._subscriptions.remove(item)

        return end

    def tell_link(self, round_trip_seconds: float, bytes_per_second: float, source: str) -> None:
        """Take a measurement of the network in; it is among the readings from the next poll on."""
        for metric, value in (("round_trip", round_trip_seconds), ("throughput", bytes_per_second)):
            self._told[metric] = Reading(metric, value, Provenance.MEASURED, source)

    def link(self) -> Link | None:
        """Return what a policy's `notice` takes; None as long as the network was not measured."""
        trip, rate = self.readings.get("round_trip"), self.readings.get("throughput")
        return None if trip is None or rate is None else Link(trip.value, rate.value)

    def poll(self, now: float) -> Mapping[str, Reading]:
        """Read all sources and tell who subscribed what has changed; returns the new readings."""
        with self._lock:
            found = {reading.metric: reading for source in self._sources for reading in source.read(now)}
            self.readings = found | self._told
            for item in list(self._subscriptions):
                holds = item.condition.update(self.readings, now)
                if holds != item.holds:
                    item.holds = holds
                    item.tell(holds, self.readings)
            return self.readings

    def start(self) -> None:
        """Poll in a thread until `close`."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lawow-notifier", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread, and wait for it unless this is it."""
        self._over.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while True:
            self.poll(time.monotonic())
            if self._over.wait(self._interval_seconds):
                return
