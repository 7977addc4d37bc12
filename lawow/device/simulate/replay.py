"""One device, one edge, one policy, in virtual time; and the oracle that knows every call's cost beforehand.

What a call would take in each place is drawn once, from the seed, before any policy sees it: so all policies
and the oracle face the very same luck. Times are the cost model's (`lawow.device.policy.cost`): here, work x
slowdown x noise; on the edge, network + work x noise, and preparing with a function's first call there.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lawow.device.energy import PowerModel
from lawow.device.policy import CostModel, ElasticCall, Link, Objective, Place, Policy
from lawow.device.profiles import DeviceProfile, NetworkProfile
from lawow.device.profiles.network import RETRANSMISSION_SECONDS, NetworkPhase
from lawow.device.simulate.workload import SimCall

__all__ = ["Draw", "Hearing", "Outcome", "Scenario", "draws", "model_of", "oracle_cost", "replay"]

LOST_AGAIN = 5
"""Times that one message is lost at most: longer cuts are a matter of fallback, not of cost."""


class Hearing(Protocol):
    """A policy that is told of measurements of the network."""

    def notice(self, link: Link) -> None:
        """Take note of a measurement."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is around the calls. `local_load` holds (from seconds, factor): how much slower the device is.

    `noise` is the standard deviation of the logarithm of run times; `measure_seconds` how often the device
    measures its network, with an error of `measure_noise`.
    """

    device: DeviceProfile
    network: NetworkProfile
    objective: Objective = field(default_factory=Objective)
    prepare_seconds: float = 0.05
    noise: float = 0.05
    local_load: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    measure_seconds: float = 5.0
    measure_noise: float = 0.1
    price_per_second: float = 0.0
    seed: int = 0

    def load_at(self, seconds: float) -> float:
        """Return how many times slower than usual the device is."""
        starts = [start for start, _ in self.local_load]
        return self.local_load[max(bisect_right(starts, seconds) - 1, 0)][1]


@dataclass(frozen=True, slots=True)
class Draw:
    """What one call takes: here, there (without preparing), and of that on the edge itself."""

    local: float
    remote: float
    edge: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Sums over a replay, in the cost model's units; `cost` is made of the three after it."""

    cost: float
    seconds: float
    mwh: float
    price: float
    remote_calls: int
    calls: int


def model_of(scenario: Scenario) -> CostModel:
    """Return the cost model of a scenario's device, network, objective and price."""
    power = PowerModel.of_device(scenario.device, scenario.network.kind)
    return CostModel(
        scenario.objective,
        local_watts=power.local_watts,
        remote_watts=power.remote_watts,
        price_per_second=scenario.price_per_second,
    )


def draws(calls: Sequence[SimCall], scenario: Scenario) -> list[Draw]:
    """Return what each call takes in each place; the same for the same seed."""
    chance = random.Random(scenario.seed)
    made = []
    for call in calls:
        factor = scenario.device.slowdown_of(call.export).value * scenario.load_at(call.at_seconds)
        local = call.edge_seconds * factor * math.exp(chance.gauss(0, scenario.noise))
        edge = call.edge_seconds * math.exp(chance.gauss(0, scenario.noise))
        made.append(Draw(local, edge + _exchange(call, scenario.network.at(call.at_seconds), chance), edge))
    return made


def _exchange(call: SimCall, phase: NetworkPhase, chance: random.Random) -> float:
    """Return how long one exchange takes, with this call's jitter and losses."""
    seconds = phase.round_trip_seconds
    seconds += chance.expovariate(1 / phase.jitter_seconds) if phase.jitter_seconds else 0.0
    for _ in range(LOST_AGAIN):
        if chance.random() >= phase.loss:
            break
        seconds += max(RETRANSMISSION_SECONDS, 2 * phase.round_trip_seconds)
    return (
        seconds
        + call.sent_bytes / phase.up_bytes_per_second
        + call.received_bytes / phase.down_bytes_per_second
    )


def replay(calls: Sequence[SimCall], drawn: Sequence[Draw], scenario: Scenario, policy: Policy) -> Outcome:
    """Let a policy decide each call and learn from it. Work grows linearly with the calls."""
    model, warm = model_of(scenario), set[str]()
    chance = random.Random(scenario.seed + 1)
    cost = seconds = mwh = price = 0.0
    remote_calls, next_measure = 0, 0.0
    for call, draw in zip(calls, drawn, strict=True):
        if call.at_seconds >= next_measure:
            _measure(call.at_seconds, scenario, policy, chance)
            next_measure = call.at_seconds + scenario.measure_seconds
        asked = ElasticCall("", call.export, 1, None, call.size, call.sent_bytes, call.export not in warm)
        place = policy.decide(asked)
        taken = draw.local
        if place is Place.REMOTE:
            taken = draw.remote + (scenario.prepare_seconds if asked.is_cold else 0.0)
            warm.add(call.export)
            remote_calls += 1
        policy.learn(asked, place, taken)
        paid = model.prediction(place, taken, draw.edge)
        cost, seconds, mwh, price = (
            cost + paid.cost,
            seconds + paid.seconds,
            mwh + paid.mwh,
            price + paid.price,
        )
    return Outcome(cost, seconds, mwh, price, remote_calls, len(calls))


def _measure(now: float, scenario: Scenario, policy: Policy, chance: random.Random) -> None:
    """Tell a policy that listens what the device measures of its network, with the error of measuring."""
    notice = getattr(policy, "notice", None)
    if notice is not None:
        phase = scenario.network.at(now)
        off = math.exp(chance.gauss(0, scenario.measure_noise))
        trip = (phase.round_trip_seconds + phase.jitter_seconds) * off
        notice(Link(trip, phase.up_bytes_per_second / off))


def oracle_cost(calls: Sequence[SimCall], drawn: Sequence[Draw], scenario: Scenario) -> float:
    """Return the least cost that any choice can have, knowing all beforehand.

    A function's calls depend on each other by its preparing alone: it is paid once, or all of them stay.
    """
    model, total = model_of(scenario), 0.0
    for name in {call.export for call in calls}:
        costs = [
            (model.cost(Place.LOCAL, draw.local), model.cost(Place.REMOTE, draw.remote, draw.edge))
            for call, draw in zip(calls, drawn, strict=True)
            if call.export == name
        ]
        stays = sum(here for here, _ in costs)
        prepare = model.cost(Place.REMOTE, scenario.prepare_seconds)
        total += min(stays, prepare + sum(min(pair) for pair in costs))
    return total
