"""A policy that hears of network, heat and battery: replayed traces decide where calls run."""

from __future__ import annotations

import json

import pytest

from lawow.device.notifier import Informed, Metric, Notifier, TraceSource, When, below, equals
from lawow.device.policy import Adaptive, Automatic, CostModel, ElasticCall, Link, Objective, Place
from lawow.errors import UsageError
from tests.device.notifier.builders import Clock

CALL = ElasticCall("d", "f", 1, None, 10.0, 100_000)
WATTS = {"local_watts": 6.0, "remote_watts": 2.0}
LOW = below(Metric.BATTERY_LEVEL, 30, hysteresis=5)


def trace(*points: tuple[float, str, float | str]) -> TraceSource:
    lines = (json.dumps({"seconds": at, "metric": metric, "value": value}) for at, metric, value in points)
    return TraceSource("\n".join(lines).encode())


class World:
    """A device whose trace is replayed, and a function that takes `local` and `remote` seconds."""

    def __init__(
        self, source: TraceSource, when: list[When] | None = None, model: CostModel | None = None
    ) -> None:
        self.clock = Clock()
        self.local, self.remote, self.way = 0.06, 0.084, 0.0
        self.notifier = Notifier([source], clock=self.clock)
        self.adaptive = Adaptive(model)
        self.policy = Informed(self.adaptive, self.notifier, **({} if when is None else {"when": when}))

    def at(self, seconds: float) -> None:
        self.clock.seconds = seconds
        self.notifier.sample()

    def calls(self, count: int) -> list[Place]:
        places = []
        for _ in range(count):
            place = self.policy.decide(CALL)
            if place is Place.REMOTE and self.way:
                self.policy.travelled("edge", CALL.sent_bytes, self.way)
            self.policy.learn(CALL, place, self.local if place is Place.LOCAL else self.remote + self.way)
            places.append(place)
        return places

    def mostly(self) -> Place:
        """Return where nine of ten calls go, once it has settled."""
        self.calls(10)
        places = self.calls(30)
        best = max(Place, key=places.count)
        assert places.count(best) >= 27
        return best


def test_energy_counts_while_the_battery_is_low_and_time_again_at_the_other_side_of_the_hysteresis() -> None:
    """The paper's Jetson: time keeps the call at home, energy sends it away."""
    levels = [(0, 80.0), (10, 29.0), (20, 33.0), (30, 36.0)]
    world = World(
        trace(*((at, "battery_level", level) for at, level in levels)),
        [When(LOW, Objective.named("energy"))],
        CostModel(**WATTS),
    )
    places = []
    for at, _ in levels:
        world.at(at)
        places.append(world.mostly())
    assert places == [Place.LOCAL, Place.REMOTE, Place.REMOTE, Place.LOCAL]


def test_what_was_known_of_a_network_is_there_again_with_it() -> None:
    """Wi-Fi is quick, the cellular network slow: the first call after the change back goes to the edge."""
    kinds = [(0, "wifi"), (10, "cellular"), (20, "wifi"), (30, "cellular")]
    world = World(trace(*((at, "network_kind", kind) for at, kind in kinds)))
    world.remote = 0.005
    places = []
    for at, kind in kinds:
        world.way = 0.01 if kind == "wifi" else 0.5
        world.at(at)
        places.append(world.mostly())
    assert places == [Place.REMOTE, Place.LOCAL] * 2
    world.way = 0.01
    links = {kind: meter.link.seconds(CALL.sent_bytes) for (_, kind), meter in world.policy._meters.items()}
    assert links == {"wifi": pytest.approx(0.01), "cellular": pytest.approx(0.5)}


def test_another_network_is_tried_at_once() -> None:
    """Nothing is known of it, whatever the former one was like."""
    world = World(trace((0, "network_kind", "cellular"), (10, "network_kind", "wifi")))
    world.remote, world.way = 0.005, 2.0
    world.at(0)
    assert world.mostly() is Place.LOCAL
    assert world.calls(50) == [Place.LOCAL] * 50  # a look would cost thirty times as much
    world.way = 0.01
    world.at(10)
    assert Place.REMOTE in world.calls(2)
    assert world.mostly() is Place.REMOTE


@pytest.mark.parametrize(("when", "last"), [(None, Place.LOCAL), ([], Place.REMOTE)])
def test_the_other_place_is_looked_at_when_throttling_ends(when: list[When] | None, last: Place) -> None:
    """Nobody runs the call here to see that the device is quick again; a budget of tries takes longer."""
    points = [(0, 0.0), (10, 60.0), (20, 8.0), (30, 2.0)]
    world = World(trace(*((at, "throttling", percent) for at, percent in points)), when)
    world.remote = 0.3
    places = []
    for (at, _), local in zip(points, (0.05, 1.0, 1.0, 0.05), strict=True):
        world.local = local
        world.at(at)
        places.append(world.mostly())
    assert places == [Place.LOCAL, Place.REMOTE, Place.REMOTE, last]


def test_what_others_measure_reaches_the_policy_at_once_and_what_calls_measure_the_notifier() -> None:
    world = World(trace((0, "round_trip", 0.25), (10, "throughput", 2e6)))
    world.at(0)
    assert world.adaptive.link.round_trip_seconds == 0.25
    world.at(10)
    assert world.adaptive.link == Link(0.25, pytest.approx(2e6))
    world.clock.seconds = 11
    world.notifier.report(Metric.ROUND_TRIP, 0.5, source="the application")
    assert world.adaptive.link == Link(0.5, pytest.approx(2e6))
    other = World(trace((0, "battery_level", 50)))
    for _ in range(20):
        other.policy.travelled("edge", 0, 0.125)
    other.at(1)
    reading = other.notifier.latest.readings[Metric.ROUND_TRIP]
    assert (reading.value, reading.source) == (pytest.approx(0.125), "calls of elastic functions")
    assert other.adaptive.link.round_trip_seconds == pytest.approx(0.125)


def test_a_policy_that_cannot_pursue_an_objective_is_refused_at_once() -> None:
    notifier, rule = Notifier([]), [When(LOW, Objective.named("energy"))]
    with pytest.raises(UsageError, match="Automatic pursues no objective"):
        Informed(Automatic(), notifier, rule)
    with pytest.raises(UsageError, match="watts of both places"):
        Informed(Adaptive(), notifier, rule)


def test_of_several_triggers_the_first_one_counts_and_a_closed_policy_hears_nothing() -> None:
    energy, both = Objective.named("energy"), Objective.named("both")
    world = World(
        trace((0, "battery_level", 20), (0, "network_kind", "wifi"), (10, "battery_level", 90)),
        [When(LOW, energy), When(equals(Metric.NETWORK_KIND, "wifi"), both)],
        CostModel(**WATTS),
    )
    world.at(0)
    assert world.adaptive.model.objective == energy
    world.at(10)
    assert world.adaptive.model.objective == both
    world.policy.close()
    world.notifier.report(Metric.ROUND_TRIP, 9.0, source="the application")
    assert world.adaptive.link == Link()
