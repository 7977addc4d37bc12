"""The round trip to an edge as a metric: the opening of a TCP connection, now and then."""

from __future__ import annotations

from collections.abc import Mapping

from lawow.device.discovery import given_edge, nearest_first
from lawow.device.notifier.metrics import Absent, Metric, Provenance, Reading

__all__ = ["RoundTripSource"]


class RoundTripSource:
    """Measures every `period_seconds`, in the Notifier's thread; each measurement wakes a phone's radio.

    Between measurements the last one stands. An edge that does not answer holds a sample up for two seconds.
    """

    def __init__(self, url: str, period_seconds: float = 60.0) -> None:
        """Take an edge's URL. Raises `UsageError`."""
        self._edge = given_edge(url)
        self._period_seconds = period_seconds
        self._last: Reading | Absent | None = None
        self._measured = 0.0

    def read(self, seconds: float, known: Mapping[Metric, Reading]) -> list[Reading | Absent]:
        """Return the round trip in seconds: the quickest of three, or that the edge was not reached."""
        if self._last is None or seconds - self._measured >= self._period_seconds:
            self._measured = seconds
            self._last = self._measure(seconds)
        return [self._last]

    def _measure(self, seconds: float) -> Reading | Absent:
        trip = nearest_first([self._edge])[0].round_trip_seconds
        if trip is None:
            return Absent(Metric.ROUND_TRIP, f"{self._edge.url}: not reached")
        return Reading(Metric.ROUND_TRIP, trip, Provenance.MEASURED, seconds, f"TCP to {self._edge.url}")
