"""MAUI's decision: profile all functions in both places, cut their call graph where that is cheapest.

A node is a function as it is called along one path: within these elastic functions, or by the app itself. Its
own cost here is without the calls within it; on the edge it takes those along, because an edge does not call
back. So three things are measured of a pair: both here, the inner one on the edge, both on the edge; and the
cut weighs each of them by what it was measured to cost. Source: Cuervo et al., MobiSys 2010, section 5.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lawow.device.policy.basic import ElasticCall, Place
from lawow.device.policy.cost import CostModel
from lawow.device.policy.partition import remote_part

__all__ = ["CallGraph"]

ROOT = "\0app"
"""The part of an app that stays and makes the calls."""
UNPROFILED_FOR = 4
"""Times `profile_calls` that a call stays here for the sake of calls within it that are not profiled yet."""
Path = tuple[str, ...]


@dataclass(slots=True)
class _Node:
    """A function on a path: costs of the newest calls, here without inner ones, on the edge with them.

    `asked` of its calls were to be decided, `stayed` of them ran here.
    """

    here: list[float] = field(default_factory=list)
    there: list[float] = field(default_factory=list)
    inner: dict[Path, _Node] = field(default_factory=dict)
    asked: int = 0
    stayed: int = 0

    def costs(self, place: Place) -> list[float]:
        return self.here if place is Place.LOCAL else self.there

    def mean(self, place: Place) -> float:
        """Return the mean cost of a call; of one that was never made, 0."""
        costs = self.costs(place)
        return sum(costs) / len(costs) if costs else 0.0


@dataclass(slots=True)
class _Graph:
    """What the cut is made of: costs of nodes, costs of pairs that are apart, who follows whom."""

    local: dict[str, float] = field(default_factory=lambda: {ROOT: 0.0})
    remote: dict[str, float] = field(default_factory=lambda: {ROOT: 0.0})
    transfers: dict[tuple[str, str], float] = field(default_factory=dict)
    followers: list[tuple[str, str]] = field(default_factory=list)


class CallGraph:
    """Keeps a solution for `every` decisions. Each function is profiled by `profile_calls` in each place.

    A recursive call runs where the outermost one does, as a part of it.
    """

    def __init__(self, model: CostModel | None = None, every: int = 100, profile_calls: int = 2) -> None:
        self._model = CostModel() if model is None else model
        self._every = every
        self._profile_calls = profile_calls
        self._nodes: dict[Path, _Node] = {}
        self._tops: dict[Path, _Node] = {}
        self._remote: frozenset[str] = frozenset()
        self._left = 0

    def decide(self, call: ElasticCall) -> Place:
        """Return a place that is still to be profiled, else the one of the last solution."""
        path = (*call.path, call.export)
        if call.export in call.path:
            return Place.LOCAL
        node = self._nodes.get(path) or self._new_node(path)
        node.asked += 1
        place = self._place_of(path, node)
        node.stayed += place is Place.LOCAL
        return place

    def learn(self, call: ElasticCall, place: Place, seconds: float) -> None:
        """Keep the newest costs of the function there."""
        if call.export in call.path:
            return
        path = (*call.path, call.export)
        node = self._nodes.get(path) or self._new_node(path)
        kept = node.costs(place)
        kept.append(self._model.cost(place, max(seconds - call.inner_seconds, 0.0)))
        if place is Place.REMOTE and len(kept) == self._profile_calls:
            self._left = 0  # it is known now, so the solution without it is of no use
        del kept[: -self._every]

    # inside

    def _new_node(self, path: Path) -> _Node:
        node = self._nodes[path] = _Node()
        outer = self._nodes.get(path[:-1])
        (self._tops if outer is None else outer.inner)[path] = node
        return node

    def _place_of(self, path: Path, node: _Node) -> Place:
        if len(node.here) < self._profile_calls:
            return Place.LOCAL
        if len(node.there) < self._profile_calls:
            is_early = node.stayed < UNPROFILED_FOR * self._profile_calls
            return Place.LOCAL if is_early and self._is_unprofiled(node.inner.values()) else Place.REMOTE
        if self._left == 0:
            self._solve()
        self._left -= 1
        return Place.REMOTE if _name(path) in self._remote else Place.LOCAL

    def _is_unprofiled(self, nodes: Iterable[_Node]) -> bool:
        least = self._profile_calls
        return any(
            min(len(node.here), len(node.there)) < least or self._is_unprofiled(node.inner.values())
            for node in nodes
        )

    def _solve(self) -> None:
        graph = _Graph()
        for path, node in self._tops.items():
            if node.here and node.there:
                graph.transfers[ROOT, _name(path)] = 0.0  # a part of the measured time
                self._add(graph, path, node, node.asked, node.asked * node.mean(Place.REMOTE))
        self._remote = remote_part(
            graph.local, graph.remote, graph.transfers, frozenset([ROOT]), graph.followers
        )
        self._left = self._every

    def _add(self, graph: _Graph, path: Path, node: _Node, calls: float, there: float) -> None:
        """Add a node that is called so often, and costs `there` on the edge with all within it.

        Inner nodes get as much of `there` as they cost by themselves, and what is more is their transfer: it
        is saved when the outer one goes along.
        """
        name, runs = _name(path), max(node.stayed, 1)
        inner = {at: calls * item.asked / runs * item.mean(Place.REMOTE) for at, item in node.inner.items()}
        share = min(1.0, there / total) if (total := sum(inner.values())) > 0 else 1.0
        graph.local[name] = calls * node.mean(Place.LOCAL)
        graph.remote[name] = max(there - share * total, 0.0)
        for at, item in node.inner.items():
            alone = inner[at] * (1 - share) if item.there else float("inf")
            graph.transfers[name, _name(at)] = alone
            graph.followers.append((name, _name(at)))
            self._add(graph, at, item, calls * item.asked / runs, inner[at] * share)


def _name(path: Path) -> str:
    return "\0".join(path)
