"""MAUI's partition over the graph of nested calls: what it settles on is the cheapest of all that can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.device.policy import CallGraph, ElasticCall, Place, Policy


@dataclass
class Function:
    """What a call costs in seconds here and on the edge, the way there, and what it calls how often."""

    name: str
    here: float
    edge: float
    way: float
    inner: list[tuple[Function, int]] = field(default_factory=list)

    def all(self) -> Iterator[Function]:
        yield self
        for function, _ in self.inner:
            yield from function.all()

    def on_edge(self) -> float:
        return self.edge + sum(count * function.on_edge() for function, count in self.inner)

    def cost(self, away: set[str]) -> float:
        """Return the seconds of a call if the functions `away` are offloaded where they are called here."""
        if self.name in away:
            return self.way + self.on_edge()
        return self.here + sum(count * function.cost(away) for function, count in self.inner)

    def least(self) -> float:
        names = [function.name for function in self.all()]
        choices = product((False, True), repeat=len(names))
        return min(
            self.cost({name for name, is_away in zip(names, choice, strict=True) if is_away})
            for choice in choices
        )


def call(function: Function, policy: Policy, path: tuple[str, ...] = ()) -> float:
    """Make a call as an elastic function does, and return its seconds."""
    asked = ElasticCall("d", function.name, 1, None, path=path)
    place = policy.decide(asked)
    if place is Place.REMOTE:
        seconds, inner = function.way + function.on_edge(), 0.0
    else:
        within = (*path, function.name)
        inner = sum(call(item, policy, within) for item, count in function.inner for _ in range(count))
        seconds = function.here + inner
    policy.learn(replace(asked, inner_seconds=inner), place, seconds)
    return seconds


class Star(CallGraph):
    """The same without knowing who calls whom."""

    def decide(self, call: ElasticCall) -> Place:
        return super().decide(replace(call, path=()))

    def learn(self, call: ElasticCall, place: Place, seconds: float) -> None:
        super().learn(replace(call, path=(), inner_seconds=0.0), place, seconds)


def settled(function: Function, policy: Policy) -> float:
    for _ in range(60):
        call(function, policy)
    return call(function, policy)


SECONDS = st.integers(1, 50).map(lambda value: value / 1000)
COUNT = st.integers(1, 4)


@st.composite
def functions(draw: st.DrawFn) -> Function:
    """An app's function with up to three within it, one of them deeper."""

    def leaf(name: str) -> Function:
        return Function(name, draw(SECONDS), draw(SECONDS), draw(SECONDS))

    top, left, right, deep = (leaf(name) for name in ("top", "left", "right", "deep"))
    left.inner = [(deep, draw(COUNT))] if draw(st.booleans()) else []
    top.inner = [(left, draw(COUNT)), (right, draw(COUNT))][: draw(st.integers(0, 2))]
    return top


@settings(max_examples=200, deadline=None)
@given(functions())
def test_what_it_settles_on_is_the_cheapest_of_all_partitions(function: Function) -> None:
    assert settled(function, CallGraph(every=10)) == pytest.approx(function.least())


def test_without_the_graph_the_best_partition_is_missed() -> None:
    """Profiled while the inner function ran here, the outer one looks worse here than it would be."""
    inner = Function("inner", 0.05, 0.01, 0.02)
    outer = Function("outer", 0.02, 0.01, 0.10, [(inner, 4)])
    assert outer.least() == pytest.approx(0.14)
    assert settled(outer, CallGraph(every=10)) == pytest.approx(0.14)
    assert settled(outer, Star(every=10)) == pytest.approx(0.15)


def test_a_function_may_run_there_by_itself_and_here_within_another() -> None:
    """The way costs more than the call, unless the app asks: then there is nothing else to do here."""
    policy = CallGraph(every=10)
    alone, within = Function("f", 0.05, 0.01, 0.01), Function("f", 0.05, 0.01, 0.1)
    outer = Function("outer", 0.01, 0.01, 1.0, [(within, 1)])
    costs = [call(alone, policy) + call(outer, policy) for _ in range(60)]
    assert costs[-1] == pytest.approx(0.02 + 0.06)


def test_recursive_calls_run_here_as_a_part_of_the_outermost() -> None:
    policy = CallGraph()
    again = ElasticCall("d", "f", 1, None, path=("f",))
    for _ in range(10):
        assert policy.decide(again) is Place.LOCAL
        policy.learn(again, Place.LOCAL, 5.0)
    assert policy._nodes == {}
