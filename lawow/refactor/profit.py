"""What offloading a method would bring, before anything runs: an estimate, unless a profile measured it.

The time of a call on the device is a polynomial in N, the number of elements in its arrays
(`lawow.refactor.loop_cost`). Its weights are right within a factor of three or so, which is why a profile
overrules them, and why a gain is told together with the N from which on there is one. A profile gives the
height of the polynomial, and the loops its shape. A call on the edge takes the round trip, its bytes over the
bandwidth, and the edge's own time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

from lawow.refactor.costs import CallCost
from lawow.refactor.loop_cost import Polynomial
from lawow.refactor.timings import MethodTime

__all__ = ["Basis", "Conditions", "Gain", "estimate_seconds", "expected_gain", "first_gain", "fitted"]


@dataclass(frozen=True, slots=True)
class Conditions:
    """Device, network and edge. `elements` is N; `edge_speed` is how many times faster the edge computes."""

    elements: int = 1_000
    round_trip_seconds: float = 0.010
    bits_per_second: float = 50e6
    edge_speed: float = 3.0


class Basis(Enum):
    """Where the time on the device comes from. `BOUNDED`: all calls took less together than the estimate."""

    ESTIMATED = "estimated"
    MEASURED = "measured"
    BOUNDED = "bounded"


@dataclass(frozen=True, slots=True)
class Gain:
    """Seconds of one call on the device and by the edge."""

    local_seconds: float
    remote_seconds: float
    elements: int
    bytes_moved: int

    @property
    def seconds(self) -> float:
        """What one call gains; negative where it loses."""
        return self.local_seconds - self.remote_seconds


def estimate_seconds(cost: Polynomial, elements: int) -> float:
    """Return the seconds of a call with arrays of so many elements."""
    return sum(part * math.pow(elements, power / 2) for power, part in enumerate(cost)) / 1e9


def fitted(cost: Polynomial, measured: MethodTime, elements: int) -> tuple[Polynomial, Basis]:
    """Return the cost as a profile has it, for calls with so many elements.

    Without a number of calls, the time of all of them is the most that one can have taken.
    """
    each, estimate = measured.seconds_each, estimate_seconds(cost, elements)
    if each is None and estimate <= measured.seconds:
        return cost, Basis.ESTIMATED
    seconds, basis = (measured.seconds, Basis.BOUNDED) if each is None else (each, Basis.MEASURED)
    if not estimate:
        return (seconds * 1e9,), basis
    return tuple(part * seconds / estimate for part in cost), basis


def expected_gain(cost: Polynomial, call: CallCost, conditions: Conditions) -> Gain:
    """Return what a call gains."""
    elements = conditions.elements
    local = estimate_seconds(cost, elements)
    moved = call.total_bytes + elements * call.per_element_bytes
    travel = conditions.round_trip_seconds + 8 * moved / conditions.bits_per_second
    return Gain(local, travel + local / conditions.edge_speed, elements, moved)


def first_gain(cost: Polynomial, call: CallCost, conditions: Conditions) -> int | None:
    """Return the least power of two of elements from which on a call gains; None if none below 2^30 does."""
    for power in range(31):
        if expected_gain(cost, call, replace(conditions, elements=1 << power)).seconds > 0:
            return 1 << power
    return None
