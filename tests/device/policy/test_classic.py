"""The deciders to compare with do what their papers say."""

from __future__ import annotations

from lawow.device.policy import CallGraph, ElasticCall, Place, Policy, QLearning, Static, Threshold

TIMES = {"heavy": {Place.LOCAL: 1.0, Place.REMOTE: 0.1}, "light": {Place.LOCAL: 0.001, Place.REMOTE: 0.05}}


def call(export: str, size: float = 1.0) -> ElasticCall:
    return ElasticCall("d", export, 1, None, size)


def run(policy: Policy, calls: int) -> dict[str, list[Place]]:
    places: dict[str, list[Place]] = {name: [] for name in TIMES}
    for _ in range(calls):
        for name, times in TIMES.items():
            place = policy.decide(call(name))
            policy.learn(call(name), place, times[place])
            places[name].append(place)
    return places


def test_a_static_partition_is_obeyed() -> None:
    policy = Static({"heavy": Place.REMOTE})
    assert [policy.decide(call(name)) for name in ("heavy", "other")] == [Place.REMOTE, Place.LOCAL]


def test_a_threshold_divides_by_size() -> None:
    policy = Threshold(100)
    assert [policy.decide(call("f", size)) for size in (99, 100)] == [Place.LOCAL, Place.REMOTE]


def test_the_call_graph_is_solved_once_all_was_profiled() -> None:
    places = run(CallGraph(every=10), 50)
    assert set(places["heavy"][10:]) == {Place.REMOTE}
    assert set(places["light"][20:]) == {Place.LOCAL}


def test_q_learning_comes_to_the_cheaper_place_but_for_its_tries() -> None:
    places = run(QLearning(seed=1), 500)
    assert places["heavy"].count(Place.REMOTE) > 440
    assert places["light"].count(Place.LOCAL) > 440
