"""One device, one edge, one policy, in virtual time; and the oracle that knows every call's cost beforehand.

What a call would take in each place is drawn once, from the seed, before any policy sees it: so all policies
and the oracle face the very same luck. Times are the cost model's (`lawow.device.policy.cost`): here, work x
slowdown x noise; on the edge, network + work x noise, and preparing with a function's first call there.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from lawow.device.energy import PowerModel
from lawow.device.nesting import deepened
from lawow.device.policy import CostModel, ElasticCall, Link, Objective, Place, Policy
from lawow.device.profiles import DeviceProfile, NetworkProfile
from lawow.device.profiles.network import RETRANSMISSION_SECONDS, NetworkPhase
from lawow.device.simulate.workload import SimCall, outer_calls

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
    """Let a policy decide each call and learn from it. Work grows linearly with the calls.

    A call that runs on the edge takes those within it along: they run there, and nobody is asked.
    """
    run, chance, next_measure = _Replay(calls, drawn, scenario, policy), random.Random(scenario.seed + 1), 0.0
    for index in run.tops:
        now = calls[index].at_seconds
        if now >= next_measure:
            _measure(now, scenario, policy, chance)
            next_measure = now + scenario.measure_seconds
        run.call(index, ())
    return run.outcome()


class _Replay:
    """One policy's run over the calls. `tops` are those that the app makes itself."""

    def __init__(
        self, calls: Sequence[SimCall], drawn: Sequence[Draw], scenario: Scenario, policy: Policy
    ) -> None:
        self._calls, self._drawn, self._policy = calls, drawn, policy
        self._model, self._prepare_seconds = model_of(scenario), scenario.prepare_seconds
        self.tops, self._inner = _nested(calls)
        self._warm = set[str]()
        self._cost = self._seconds = self._mwh = self._price = 0.0
        self._remote_calls = self._asked = 0

    def call(self, index: int, path: tuple[str, ...]) -> tuple[float, float]:
        """Make a call and return its seconds, and those of other functions within it."""
        call, draw = self._calls[index], self._drawn[index]
        asked = ElasticCall(
            "", call.export, 1, None, call.size, call.sent_bytes, call.export not in self._warm, path
        )
        place = self._policy.decide(asked)
        self._asked += 1
        inner_seconds = 0.0
        if place is Place.REMOTE:
            edge = self._edge_seconds(index)
            taken = draw.remote + (edge - draw.edge) + (self._prepare_seconds if asked.is_cold else 0.0)
            self._warm.add(call.export)
            self._remote_calls += 1
            self._pay(place, taken, edge)
        else:
            seconds, inner_seconds = self._inner_calls(index, path) if self._inner else (0.0, 0.0)
            taken = draw.local + seconds
            self._pay(place, draw.local, 0.0)
        self._policy.learn(
            replace(asked, inner_seconds=inner_seconds) if inner_seconds else asked, place, taken
        )
        return taken, inner_seconds

    def outcome(self) -> Outcome:
        """Return the sums."""
        return Outcome(self._cost, self._seconds, self._mwh, self._price, self._remote_calls, self._asked)

    def _inner_calls(self, index: int, path: tuple[str, ...]) -> tuple[float, float]:
        """Make the calls within a call; return their seconds, and those of other functions among them."""
        within, seconds, others = deepened(path, self._calls[index].export), 0.0, 0.0
        for inner in self._inner.get(index, ()):
            taken, deeper = self.call(inner, within)
            seconds += taken
            others += deeper if self._calls[inner].export in within else taken
        return seconds, others

    def _edge_seconds(self, index: int) -> float:
        """Return how long a call runs on the edge, with all that is made within it."""
        inner = self._inner.get(index, ()) if self._inner else ()
        return self._drawn[index].edge + sum(self._edge_seconds(at) for at in inner)

    def _pay(self, place: Place, seconds: float, edge_seconds: float) -> None:
        paid = self._model.prediction(place, seconds, edge_seconds)
        self._cost += paid.cost
        self._seconds += paid.seconds
        self._mwh += paid.mwh
        self._price += paid.price


def _nested(calls: Sequence[SimCall]) -> tuple[Sequence[int], dict[int, list[int]]]:
    """Return the app's own calls, and for each call with others within it these, both in order."""
    if not any(call.within for call in calls):
        return range(len(calls)), {}
    tops: list[int] = []
    inner: dict[int, list[int]] = {}
    for index, outer in enumerate(outer_calls(calls)):
        (tops if outer is None else inner.setdefault(outer, [])).append(index)
    return tops, inner


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

    A function's calls depend on each other by its preparing alone: it is paid once, or all of them stay. Of
    calls within calls no preparing is counted, so that with them the least cost may be less than can be had.
    """
    model, total = model_of(scenario), 0.0
    tops, inner = _nested(calls)
    costs = _least_costs(drawn, inner, model)
    by_export: dict[str, list[tuple[float, float]]] = {}
    for index in tops:
        by_export.setdefault(calls[index].export, []).append(costs[index])
    prepare = model.cost(Place.REMOTE, scenario.prepare_seconds)
    for pairs in by_export.values():
        total += min(sum(here for here, _ in pairs), prepare + sum(min(pair) for pair in pairs))
    return total


def _least_costs(
    drawn: Sequence[Draw], inner: Mapping[int, Sequence[int]], model: CostModel
) -> list[tuple[float, float]]:
    """Return what each call costs here, with the best choice for those within it, and on the edge."""
    costs: list[tuple[float, float]] = []
    edges: list[float] = []
    for index, draw in enumerate(drawn):  # inner calls come before their outer one
        within = inner.get(index, ())
        edge = draw.edge + sum(edges[at] for at in within)
        here = model.cost(Place.LOCAL, draw.local) + sum(min(costs[at]) for at in within)
        costs.append((here, model.cost(Place.REMOTE, draw.remote + edge - draw.edge, edge)))
        edges.append(edge)
    return costs
