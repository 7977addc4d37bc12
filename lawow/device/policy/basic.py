"""Where a call runs: the hook that an elastic function asks before each call, and three answers to it.

A policy is asked only where both places are possible, and is told how long each call took where it ran.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

__all__ = ["Automatic", "ElasticCall", "Local", "Place", "Policy", "Remote"]


class Place(Enum):
    """Where a call may run."""

    LOCAL = "local"
    REMOTE = "remote"

    @property
    def other(self) -> Place:
        """The place that is not this one."""
        return Place.REMOTE if self is Place.LOCAL else Place.LOCAL


@dataclass(frozen=True, slots=True)
class ElasticCall:
    """A call that is about to be made. `digest` is the module's SHA-256 in hex.

    `size` is how much work there is, in a unit of the caller's that grows with it: elements of lists, or the
    number if there is but one; 0 if nobody knows. `sent_bytes` would travel to the edge. `is_cold`: the edge
    has to prepare the module first. `path` names the elastic functions whose versions here the call is made
    within, the outermost first, each once. `inner_seconds`, which `learn` is told, is how much of the call's
    time its own calls of other elastic functions took.
    """

    digest: str
    export: str
    arguments: int
    deadline_seconds: float | None
    size: float = 0.0
    sent_bytes: int = 0
    is_cold: bool = False
    path: tuple[str, ...] = ()
    inner_seconds: float = 0.0


class Policy(Protocol):
    """Decides where calls run.

    It may have more, and is told more then: ``notice(link)`` of the network, ``travelled(edge, bytes,
    seconds)`` of each exchange with an edge, before `learn` is told of the call; ``look_again()`` and
    ``pursue(objective)`` of `lawow.device.notifier.Informed`, as `Adaptive` has them.
    """

    def decide(self, call: ElasticCall) -> Place:
        """Return where to run the call. Must not block."""

    def learn(self, call: ElasticCall, place: Place, seconds: float) -> None:
        """Take note that a call returned after so many seconds, all of it: transfer, preparing, running."""


class Local:
    """Always at home."""

    def decide(self, call: ElasticCall) -> Place:
        """Return `Place.LOCAL`."""
        return Place.LOCAL

    def learn(self, call: ElasticCall, place: Place, seconds: float) -> None:
        """Nothing depends on it."""


class Remote:
    """Always on the edge."""

    def decide(self, call: ElasticCall) -> Place:
        """Return `Place.REMOTE`."""
        return Place.REMOTE

    def learn(self, call: ElasticCall, place: Place, seconds: float) -> None:
        """Nothing depends on it."""


@dataclass(slots=True)
class _Times:
    """How long an export's calls took, by place, recent ones counting most."""

    mean: dict[Place, float] = field(default_factory=dict)
    since_other: int = 0


class Automatic:
    """Where calls of the export have been quicker, by a moving mean for each place.

    A place that was never tried is tried first, home before the edge; every `probe_every`-th call goes to the
    slower place, to notice that things have changed.
    """

    WEIGHT = 0.25
    """Of the newest call in the mean: the last eight make up nine tenths of it."""

    def __init__(self, probe_every: int = 64) -> None:
        self._probe_every = probe_every
        self._times: dict[tuple[str, str], _Times] = {}

    def decide(self, call: ElasticCall) -> Place:
        """Return the place that was quicker, or the one that is to be tried."""
        times = self._times_of(call)
        for place in Place:
            if place not in times.mean:
                return place
        quicker, slower = sorted(Place, key=lambda place: times.mean[place])
        times.since_other += 1
        if times.since_other < self._probe_every:
            return quicker
        times.since_other = 0
        return slower

    def learn(self, call: ElasticCall, place: Place, seconds: float) -> None:
        """Move the mean of the place towards this call."""
        mean = self._times_of(call).mean
        former = mean.get(place, seconds)
        mean[place] = former + self.WEIGHT * (seconds - former)

    def _times_of(self, call: ElasticCall) -> _Times:
        return self._times.setdefault((call.digest, call.export), _Times())
