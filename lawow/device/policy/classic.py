"""Deciders of the literature, to compare with: a partition, a threshold, MAUI's call graph, Q-learning."""

from __future__ import annotations

import random
from collections.abc import Mapping
from math import log2

from lawow.device.policy.basic import ElasticCall, Place
from lawow.device.policy.cost import CostModel
from lawow.device.policy.partition import remote_part

__all__ = ["CallGraph", "QLearning", "Static", "Threshold"]

ROOT = "\0app"
"""The part of an app that stays and makes the calls."""


class Static:
    """A partition that was made beforehand: a place for each export, `otherwise` for the rest."""

    def __init__(self, places: Mapping[str, Place], otherwise: Place = Place.LOCAL) -> None:
        self._places = dict(places)
        self._otherwise = otherwise

    def decide(self, call: ElasticCall) -> Place:
        """Return the export's place."""
        return self._places.get(call.export, self._otherwise)

    def learn(self, call: ElasticCall, place: Place, seconds: float) -> None:
        """Nothing depends on it."""


class Threshold:
    """On the edge from a size on, at home below it; nothing is learned."""

    def __init__(self, size: float) -> None:
        self._size = size

    def decide(self, call: ElasticCall) -> Place:
        """Return the place by the call's size."""
        return Place.REMOTE if call.size >= self._size else Place.LOCAL

    def learn(self, call: ElasticCall, place: Place, seconds: float) -> None:
        """Nothing depends on it."""


class CallGraph:
    """MAUI's way: profile all functions in both places, solve for the best cut, keep it for `every` calls.

    The graph is a star here: the app calls each function, and the transfer is part of the measured time.
    """

    def __init__(self, model: CostModel | None = None, every: int = 100, profile_calls: int = 2) -> None:
        self._model = CostModel() if model is None else model
        self._every = every
        self._profile_calls = profile_calls
        self._costs: dict[str, dict[Place, list[float]]] = {}
        self._remote: frozenset[str] = frozenset()
        self._left = 0

    def decide(self, call: ElasticCall) -> Place:
        """Return a place that is still to be profiled, else the one of the last solution."""
        costs = self._costs.setdefault(call.export, {place: [] for place in Place})
        for place in Place:
            if len(costs[place]) < self._profile_calls:
                return place
        if self._left == 0:
            self._solve()
        self._left -= 1
        return Place.REMOTE if call.export in self._remote else Place.LOCAL

    def learn(self, call: ElasticCall, place: Place, seconds: float) -> None:
        """Keep the newest costs of the function there."""
        kept = self._costs.setdefault(call.export, {place: [] for place in Place})[place]
        kept.append(self._model.cost(place, seconds))
        del kept[: -self._every]

    def _solve(self) -> None:
        means = {
            name: {place: sum(kept) / len(kept) for place, kept in costs.items()}
            for name, costs in self._costs.items()
            if all(costs.values())
        }
        local = {ROOT: 0.0} | {name: costs[Place.LOCAL] for name, costs in means.items()}
        remote = {ROOT: 0.0} | {name: costs[Place.REMOTE] for name, costs in means.items()}
        transfers = {(ROOT, name): 0.0 for name in means}
        self._remote = remote_part(local, remote, transfers, frozenset([ROOT]))
        self._left = self._every


class QLearning:
    """A table of values by function and power of two of the size, tried at random now and then.

    Of one step: a call leads to no other state, so there is no future to discount.
    """

    RATE = 0.2
    EPSILON = 0.1

    def __init__(self, model: CostModel | None = None, seed: int = 0) -> None:
        self._model = CostModel() if model is None else model
        self._chance = random.Random(seed)
        self._values: dict[tuple[str, int], dict[Place, float]] = {}

    def decide(self, call: ElasticCall) -> Place:
        """Return the place of the least cost so far, or one by chance."""
        values = self._values_of(call)
        for place in Place:
            if place not in values:
                return place
        if self._chance.random() < self.EPSILON:
            return self._chance.choice(list(Place))
        return min(Place, key=values.__getitem__)

    def learn(self, call: ElasticCall, place: Place, seconds: float) -> None:
        """Move the value towards this call's cost."""
        values = self._values_of(call)
        cost = self._model.cost(place, seconds)
        former = values.get(place, cost)
        values[place] = former + self.RATE * (cost - former)

    def _values_of(self, call: ElasticCall) -> dict[Place, float]:
        return self._values.setdefault((call.export, int(log2(1 + call.size))), {})
