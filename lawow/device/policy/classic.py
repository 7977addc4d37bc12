"""Deciders of the literature, to compare with: a partition, a threshold, Q-learning."""

from __future__ import annotations

import random
from collections.abc import Mapping
from math import log2

from lawow.device.policy.basic import ElasticCall, Place
from lawow.device.policy.cost import CostModel

__all__ = ["QLearning", "Static", "Threshold"]


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
