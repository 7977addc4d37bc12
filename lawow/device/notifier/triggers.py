"""Conditions on readings: a threshold with hysteresis and a minimum time on each side, and combinations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from lawow.device.notifier.readings import UNITS, Reading
from lawow.errors import UsageError

__all__ = ["AllOf", "AnyOf", "Condition", "Trigger"]


class Condition(Protocol):
    """Holds or does not, and is told of each new set of readings."""

    def update(self, readings: Mapping[str, Reading], now: float) -> bool:
        """Return whether it holds now."""


class Trigger:
    """Holds once a metric was `above` (or `below`) for `dwell_seconds`; ends once past `release` for as long.

    `release` lies on the other side of the threshold, or is it. A metric that is missing changes nothing.
    """

    def __init__(
        self,
        metric: str,
        *,
        above: float | None = None,
        below: float | None = None,
        release: float | None = None,
        dwell_seconds: float = 0.0,
    ) -> None:
        """Raises `UsageError` for an unknown metric, or a threshold and release that make no sense."""
        if metric not in UNITS:
            raise UsageError(f"no metric is named {metric!r}; there are {', '.join(UNITS)}")
        threshold = above if above is not None else below
        if threshold is None or (above is not None and below is not None):
            raise UsageError(f"a trigger on {metric} is either above or below something")
        self._sign = 1.0 if above is not None else -1.0
        self._metric = metric
        self._threshold = threshold
        self._release = threshold if release is None else release
        if (self._threshold - self._release) * self._sign < 0:
            raise UsageError(f"a trigger on {metric} that begins at {threshold} cannot end at {release}")
        self._dwell_seconds = dwell_seconds
        self._holds = False
        self._since: float | None = None

    def update(self, readings: Mapping[str, Reading], now: float) -> bool:
        """Return whether it holds now."""
        reading = readings.get(self._metric)
        if reading is None:
            return self._holds
        if self._holds:
            wants_change = (reading.value - self._release) * self._sign < 0
        else:
            wants_change = (reading.value - self._threshold) * self._sign > 0
        if not wants_change:
            self._since = None
            return self._holds
        self._since = now if self._since is None else self._since
        if now - self._since >= self._dwell_seconds:
            self._holds, self._since = not self._holds, None
        return self._holds


class AllOf:
    """Holds while all of its conditions do."""

    def __init__(self, *conditions: Condition) -> None:
        self._conditions = conditions

    def update(self, readings: Mapping[str, Reading], now: float) -> bool:
        """Return whether all hold; each is told of the readings, whatever the others say."""
        held = [condition.update(readings, now) for condition in self._conditions]
        return all(held)


class AnyOf:
    """Holds while one of its conditions does."""

    def __init__(self, *conditions: Condition) -> None:
        self._conditions = conditions

    def update(self, readings: Mapping[str, Reading], now: float) -> bool:
        """Return whether one holds; each is told of the readings, whatever the others say."""
        held = [condition.update(readings, now) for condition in self._conditions]
        return any(held)
