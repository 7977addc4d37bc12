"""Triggers: conditions on readings that do not flap, by hysteresis and dwell times; combinations of them.

`dev.lawow.Trigger` has the same rules; one table of cases tests both.

- A trigger is inactive at first. It changes only after its condition has held for `dwell_seconds` without
  interruption, in every sample from the first to the last of that time; 0 changes at once.
- `below` becomes active under the limit, and inactive at limit + hysteresis; `above` the other way round.
- A metric that is absent leaves a trigger as it is, and its dwell time begins anew.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

from lawow.device.notifier.metrics import Metric, Sample
from lawow.errors import UsageError

__all__ = [
    "Combination",
    "Condition",
    "Threshold",
    "Trigger",
    "Watch",
    "Word",
    "above",
    "all_of",
    "any_of",
    "below",
    "equals",
]


class Watch(Protocol):
    """A trigger at work: it remembers what has been. For one thread at a time."""

    def update(self, sample: Sample) -> bool:
        """Take a sample, no older than the one before, and return whether the trigger is active now."""


class Trigger(Protocol):
    """A condition. It holds no state itself, so that any number of subscribers may share it."""

    def watch(self) -> Watch:
        """Return a new watch of this condition, inactive."""


@dataclass(frozen=True, slots=True)
class Condition(ABC):
    """A condition on one metric. Raises `UsageError` for a dwell time that is negative or none."""

    metric: Metric
    dwell_seconds: float

    def __post_init__(self) -> None:
        _require(
            math.isfinite(self.dwell_seconds) and self.dwell_seconds >= 0, "dwell_seconds", self.dwell_seconds
        )

    @abstractmethod
    def holds(self, value: float | str, is_active: bool) -> bool:
        """Tell whether the trigger ought to be active at this value, given what it is."""

    def watch(self) -> Watch:
        """Return a new watch of this condition, inactive."""
        return _Dwelling(self)


@dataclass(frozen=True, slots=True)
class Threshold(Condition):
    """A number below or above a limit. Made by `below` and `above`."""

    limit: float
    hysteresis: float
    is_below: bool

    def __post_init__(self) -> None:
        Condition.__post_init__(self)
        _require(math.isfinite(self.limit), "limit", self.limit)
        _require(math.isfinite(self.hysteresis) and self.hysteresis >= 0, "hysteresis", self.hysteresis)
        if self.metric.unit == "text":
            raise UsageError(f"{self.metric.value} is a word, not a number; use equals()")

    def holds(self, value: float | str, is_active: bool) -> bool:
        """Compare with the limit, or with its other side while active."""
        if isinstance(value, str):
            return is_active
        slack = self.hysteresis if is_active else 0.0
        return value < self.limit + slack if self.is_below else value > self.limit - slack


@dataclass(frozen=True, slots=True)
class Word(Condition):
    """A text that is a certain one. Made by `equals`."""

    word: str

    def __post_init__(self) -> None:
        Condition.__post_init__(self)
        if self.metric.unit != "text":
            raise UsageError(f"{self.metric.value} is a number, not a word; use below() or above()")

    def holds(self, value: float | str, is_active: bool) -> bool:
        """Compare the words."""
        return value == self.word


@dataclass(frozen=True, slots=True)
class Combination:
    """Several triggers as one: all of them active, or any. Made by `all_of` and `any_of`."""

    parts: tuple[Trigger, ...]
    is_all: bool

    def watch(self) -> Watch:
        """Return a new watch of all parts."""
        return _Combined([part.watch() for part in self.parts], self.is_all)


def below(metric: Metric, limit: float, *, hysteresis: float = 0.0, dwell_seconds: float = 0.0) -> Trigger:
    """Return a trigger that is active below `limit`, in the metric's unit, until limit + hysteresis."""
    return Threshold(metric, dwell_seconds, limit, hysteresis, is_below=True)


def above(metric: Metric, limit: float, *, hysteresis: float = 0.0, dwell_seconds: float = 0.0) -> Trigger:
    """Return a trigger that is active above `limit`, in the metric's unit, until limit - hysteresis."""
    return Threshold(metric, dwell_seconds, limit, hysteresis, is_below=False)


def equals(metric: Metric, word: str, *, dwell_seconds: float = 0.0) -> Trigger:
    """Return a trigger that is active while a metric of words has this one."""
    return Word(metric, dwell_seconds, word)


def all_of(*parts: Trigger) -> Trigger:
    """Return a trigger that is active while all parts are. Raises `UsageError` without any."""
    return _combination(parts, is_all=True)


def any_of(*parts: Trigger) -> Trigger:
    """Return a trigger that is active while one of its parts is. Raises `UsageError` without any."""
    return _combination(parts, is_all=False)


class _Dwelling:
    """A condition with its dwell time."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition
        self._is_active = False
        self._changing_since: float | None = None

    def update(self, sample: Sample) -> bool:
        reading = sample.readings.get(self._condition.metric)
        if reading is None or self._condition.holds(reading.value, self._is_active) == self._is_active:
            self._changing_since = None
            return self._is_active
        if self._changing_since is None:
            self._changing_since = sample.seconds
        if sample.seconds - self._changing_since >= self._condition.dwell_seconds:
            self._is_active = not self._is_active
            self._changing_since = None
        return self._is_active


class _Combined:
    """Watches of which all or any must be active. Each sees every sample."""

    def __init__(self, parts: list[Watch], is_all: bool) -> None:
        self._parts = parts
        self._is_all = is_all

    def update(self, sample: Sample) -> bool:
        active = [part.update(sample) for part in self._parts]
        return all(active) if self._is_all else any(active)


def _combination(parts: tuple[Trigger, ...], *, is_all: bool) -> Trigger:
    if not parts:
        raise UsageError("a combination of triggers needs at least one")
    return Combination(parts, is_all)


def _require(is_good: bool, name: str, found: float) -> None:
    if not is_good:
        raise UsageError(
            f"{name} is {found}; allowed are finite numbers{'' if name == 'limit' else ' from 0'}"
        )
