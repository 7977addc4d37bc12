"""The default decision: where a call costs least by what was learned, hard limits first.

What it has not tried it tries only where that can pay and cannot cost much: the way to the edge alone must
cost clearly less than the call here, or little beside all calls so far. A call that is larger than any that
was tried there is expected to grow as it does here. What it has tried and found worse it tries again out of
a budget, `EXPLORE` of all that the chosen place has cost; so looking around is predicted to cost no more than
that share. It stays where it is for gains below `STAY`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log

from lawow.device.policy.basic import ElasticCall, Place
from lawow.device.policy.cost import CostModel, Link, Objective, Prediction
from lawow.device.policy.estimate import Estimate

__all__ = ["Adaptive", "Explanation"]

EXPLORE = 0.015
STAY = 0.03
LARGER = log(4.0)
"""By which a look at a place may exceed all calls that were tried there: curiosity trusts no long line."""
CLEARLY = 0.25
FIRST_TRY = 0.1
"""The edge is first tried once the way costs a quarter of the call here, or a tenth of all calls here."""
APART = 8
"""Calls between two tries of the other place, at least."""
LOOKS = 3
"""Calls that a look takes which is asked for: so many in a row are believed of an edge (`LOST_IN_A_ROW`)."""
LOOK_MOST = 10.0
"""Times the chosen place's cost that a look may cost when it is asked for: no call hangs for curiosity."""
LEAST_REST = 0.2
"""Of a call's time, at least, is no travel: that is measured with errors, and the rest must not be noise."""
FIRST_SLOPE = 1.5
"""Of the time here over the size, before any is seen: to be wrong about a large call here is what is dear."""
STEEPEST = 3.0
FIRST_REST_SLOPE = 0.5
STEEPEST_REST = 1.5
"""A rest is a constant and the work: to think little of a large one costs a try, to think much of it shuts
the edge out just where it pays most."""
LOST_IN_A_ROW = 2
"""Calls in a row that a network may delay by a lost packet each; one more, and the edge is slower."""
SPREAD_OVER = 50.0
"""Calls that preparing a cold edge is charged to; it is paid once, and the module stays warm."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The numbers behind a choice. A place that was never tried has None; `reason` says what decided."""

    place: Place
    reason: str
    local: Prediction | None
    remote: Prediction | None
    link: Link
    local_calls: int
    remote_calls: int

    def __str__(self) -> str:
        parts = [f"{self.place.value}: {self.reason}"]
        for name, prediction, calls in (
            ("here", self.local, self.local_calls),
            ("edge", self.remote, self.remote_calls),
        ):
            if prediction is not None:
                parts.append(
                    f"{name} {prediction.seconds * 1000:.3f} ms, {prediction.mwh:.4f} mWh, "
                    f"cost {prediction.cost:.4g} ({calls} calls)"
                )
        return "; ".join(parts)


@dataclass(slots=True)
class _Function:
    """What is known of one export."""

    local: Estimate = field(default_factory=lambda: Estimate(FIRST_SLOPE, STEEPEST))
    rest: Estimate = field(
        default_factory=lambda: Estimate(FIRST_REST_SLOPE, STEEPEST_REST, LOST_IN_A_ROW + 1)
    )
    prepare_seconds: float = 0.0
    last: Place = Place.LOCAL
    budget: float = 0.0
    since: int = 0
    looks: int = 0
    spent_here: float = 0.0

    def rest_seconds(self, log_size: float, local: float) -> float:
        """Return the time beyond the travel; `local` is that of the call here.

        A larger call than any that was tried there grows as calls here do, since it is the same code, up to
        what it takes here: an edge that is slower than its device shows that with smaller ones.
        """
        rest = self.rest
        seconds = exp(rest.level + rest.slope * log_size)
        beyond = log_size - rest.largest
        if beyond > 0.0 and self.local.slope > rest.slope and seconds < local:
            return min(seconds * exp((self.local.slope - rest.slope) * beyond), local)
        return seconds


class Adaptive:
    """Learns call by call. `model` says what counts; `link` is told by who measures the network."""

    def __init__(self, model: CostModel | None = None, link: Link | None = None) -> None:
        self.model = CostModel() if model is None else model
        self.link = Link() if link is None else link
        self._functions: dict[tuple[str, str], _Function] = {}
        self._spent = 0.0
        self._prepare_seconds = 0.0
        self._own_model = self.model
        self._limited = self.model.has_limits()

    def notice(self, link: Link) -> None:
        """Take note of a new measurement of the network; it is in force with the next call."""
        self.link = link

    def look_again(self) -> None:
        """Things have changed: try the other place with each function's next calls, where that may pay.

        It may if what is known of the place makes such a call no dearer than `LOOK_MOST` of those here.
        """
        for item in list(self._functions.values()):
            item.looks = LOOKS

    def pursue(self, objective: Objective | None) -> None:
        """Let another objective count from the next call on; None is the one that the model came with.

        What was learned stays, as does the gain it takes to leave a place. Raises as `CostModel`.
        """
        self.model = self._own_model if objective is None else self._own_model.pursuing(objective)
        self._limited = self.model.has_limits()
        self._spent = 0.0  # all that was summed up is of the other objective
        for item in list(self._functions.values()):
            item.spent_here = item.budget = 0.0

    def decide(self, call: ElasticCall) -> Place:
        """Return where to run the call. A few microseconds; no clock, no chance, nothing that blocks."""
        return self._choose(call)[0]

    def explain(self, call: ElasticCall) -> Explanation:
        """Return what `decide` would say of this call now, and why. Changes nothing."""
        item = self._function(call)
        kept = (item.budget, item.since, item.last, item.looks)
        place, reason = self._choose(call)
        item.budget, item.since, item.last, item.looks = kept
        x = log(1.0 + call.size)
        local = remote = None
        if item.local.calls:
            local = self.model.prediction(Place.LOCAL, item.local.seconds(x))
        if item.rest.calls:
            rest = item.rest_seconds(x, item.local.seconds(x)) if item.local.calls else item.rest.seconds(x)
            remote = self.model.prediction(Place.REMOTE, self._travel(call) + rest, rest)
        return Explanation(place, reason, local, remote, self.link, item.local.calls, item.rest.calls)

    def learn(self, call: ElasticCall, place: Place, seconds: float) -> None:
        """Take note that a call returned after so many seconds, all of it."""
        item = self._function(call)
        x = log(1.0 + call.size)
        self._spent += self.model.cost(place, seconds)
        if place is Place.LOCAL:
            item.spent_here += self.model.cost(place, seconds)
            item.local.learn(x, seconds)
            return
        rest = max(seconds - self._travel(call), seconds * LEAST_REST)
        if call.is_cold:  # preparing is no part of what the next calls take
            item.prepare_seconds = seconds
            self._prepare_seconds = max(self._prepare_seconds, seconds)
        else:
            item.rest.learn(x, rest)

    # inside

    def _choose(self, call: ElasticCall) -> tuple[Place, str]:
        """Return the place and the reason; counts what trying the other one may cost."""
        item = self._function(call)
        travel = self.link.round_trip_seconds + call.sent_bytes / self.link.bytes_per_second
        x = log(1.0 + call.size)
        if not item.local.calls:
            return self._first(item, x, travel)
        local = exp(item.local.level + item.local.slope * x)
        rest = item.rest_seconds(x, local) if item.rest.calls else 0.0
        if self._limited or call.deadline_seconds is not None:
            place = self._within_limits(call, local, travel + rest, rest)
            if place is not None:
                return place, "the other place misses a limit by more"
        model = self.model
        here = model.local_rate * local
        there = model.remote_rate * (travel + rest) + model.edge_rate * rest
        if call.is_cold:
            there += model.remote_rate * item.prepare_seconds / SPREAD_OVER
        if not item.rest.calls:
            if there >= here:
                return Place.LOCAL, "the way there alone costs more"
            if there > here * CLEARLY and there > FIRST_TRY * item.spent_here:
                return Place.LOCAL, "the way there costs too much for a first try"
            return Place.REMOTE, "never tried there, and the way costs less than the call here"
        return self._weigh(item, x, here, there)

    def _first(self, item: _Function, x: float, travel: float) -> tuple[Place, str]:
        """Return where to run a function that was never tried here: nobody knows how long that takes.

        The first of its calls may be by far the largest. What the way to the edge costs is known: once that
        is less than all calls so far have cost, the edge is safer, until a call comes that is no larger.
        """
        if item.rest.calls:
            if x > item.rest.largest:
                return Place.REMOTE, "never tried here, and larger than any so far"
            return Place.LOCAL, "never tried here"
        way = self.model.remote_rate * (travel + self._prepare_seconds)
        if self.link.round_trip_seconds and way <= self._spent:
            return Place.REMOTE, "never tried, and the way there costs less than all calls so far"
        return Place.LOCAL, "never tried here"

    def _weigh(self, item: _Function, x: float, here: float, there: float) -> tuple[Place, str]:
        """Return the cheaper place, the last one if there is little between them, or a place to look at."""
        if item.last is Place.LOCAL:
            place = Place.REMOTE if there < here * (1 - STAY) else Place.LOCAL
        else:
            place = Place.LOCAL if here < there * (1 - STAY) else Place.REMOTE
        item.last = place
        cost, other = (here, there) if place is Place.LOCAL else (there, here)
        item.budget += EXPLORE * cost
        item.since += 1
        if item.looks:
            item.looks -= 1
            if other <= LOOK_MOST * cost:
                item.since = 0
                return place.other, "a look at the other place, since things have changed"
        known = item.rest if place is Place.LOCAL else item.local
        if item.since >= APART and x <= known.largest + LARGER and other - cost <= item.budget:
            item.budget = min(item.budget, 4 * cost) - max(other - cost, 0.0)
            item.since = 0
            return place.other, "a look at the other place"
        return place, "costs less"

    def _within_limits(
        self, call: ElasticCall, local: float, remote: float, edge_seconds: float
    ) -> Place | None:
        """Return the place that the hard limits demand, None if both meet them (or the edge is not known)."""
        model = self.model
        here = model.breaks(model.prediction(Place.LOCAL, local), call.deadline_seconds)
        there = model.breaks(model.prediction(Place.REMOTE, remote, edge_seconds), call.deadline_seconds)
        if max(here, there) <= 1:
            return None
        return Place.LOCAL if here <= there else Place.REMOTE

    def _travel(self, call: ElasticCall) -> float:
        return self.link.seconds(call.sent_bytes)

    def _function(self, call: ElasticCall) -> _Function:
        key = (call.digest, call.export)
        item = self._functions.get(key)
        if item is None:
            item = self._functions[key] = _Function()
        return item
