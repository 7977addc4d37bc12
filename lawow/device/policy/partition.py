"""The cheapest way to cut a call graph in two: MAUI's optimisation, solved exactly as a minimum cut.

Each function costs something here and something there, and each pair that calls each other costs a transfer
if they are apart. With costs of 0 or more that is a minimum cut, so no solver for integer programs is needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import pairwise

from lawow.errors import UsageError

__all__ = ["remote_part"]

SOURCE, SINK = "\0here", "\0there"


def remote_part(
    local: Mapping[str, float],
    remote: Mapping[str, float],
    transfers: Mapping[tuple[str, str], float],
    pinned: frozenset[str] = frozenset(),
    followers: Iterable[tuple[str, str]] = (),
) -> frozenset[str]:
    """Return the functions that run on the edge in the cheapest cut; those `pinned` stay here.

    Of each pair of `followers` the second one is there if the first one is: an edge does not call back.
    Costs are 0 or more, in one unit, a transfer's may be infinite. Work grows as nodes x edges^2
    (Edmonds-Karp). Raises `UsageError` for a negative cost or a function without one.
    """
    if set(local) != set(remote) or not all(set(pair) <= set(local) for pair in transfers):
        raise UsageError("each function needs a cost here and a cost there, those that transfer too")
    if any(cost < 0 for table in (local, remote, transfers) for cost in table.values()):
        raise UsageError("costs must be 0 or more")
    room: dict[str, dict[str, float]] = {name: {} for name in (*local, SOURCE, SINK)}
    for name in local:
        _add(room, SOURCE, name, float("inf") if name in pinned else remote[name])
        _add(room, name, SINK, local[name])
    for (first, second), cost in transfers.items():
        _add(room, first, second, cost)
        _add(room, second, first, cost)
    for leader, follower in followers:
        _add(room, follower, leader, float("inf"))
    while (path := _path(room))[-1] == SINK:
        flow = min(room[first][second] for first, second in pairwise(path))
        for first, second in pairwise(path):
            room[first][second] -= flow
            room[second][first] += flow
    return frozenset(local) - _reached(room).keys()


def _add(room: dict[str, dict[str, float]], first: str, second: str, cost: float) -> None:
    room[first][second] = room[first].get(second, 0.0) + cost
    room[second].setdefault(first, 0.0)


def _reached(room: dict[str, dict[str, float]]) -> dict[str, str]:
    """Return the nodes that can be reached from the source, each with the one before it."""
    before, waiting = {SOURCE: SOURCE}, deque([SOURCE])
    while waiting:
        node = waiting.popleft()
        for other, left in room[node].items():
            if left > 1e-15 and other not in before:
                before[other] = node
                waiting.append(other)
    return before


def _path(room: dict[str, dict[str, float]]) -> list[str]:
    """Return a shortest path with room from source to sink; the source alone if there is none."""
    before = _reached(room)
    path = [SINK] if SINK in before else [SOURCE]
    while path[0] != SOURCE:
        path.insert(0, before[path[0]])
    return path
