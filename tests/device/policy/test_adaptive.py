"""The default decision: it follows cost, meets hard limits first, looks around for little, and says why."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.device.policy import Adaptive, CostModel, ElasticCall, Link, Objective, Place
from lawow.device.policy.adaptive import APART
from lawow.errors import UsageError

SECONDS = st.floats(1e-5, 10.0)


def call(size: float = 10.0, *, sent_bytes: int = 0, deadline: float | None = None) -> ElasticCall:
    return ElasticCall("d", "f", 1, deadline, size, sent_bytes)


def taught(local: float, remote: float, model: CostModel | None = None, link: Link | None = None) -> Adaptive:
    policy = Adaptive(model, link)
    for _ in range(5):
        policy.learn(call(), Place.LOCAL, local)
        policy.learn(call(), Place.REMOTE, remote)
    return policy


@settings(deadline=None)
@given(SECONDS, SECONDS)
def test_the_quicker_place_is_chosen(local: float, remote: float) -> None:
    place = taught(local, remote).decide(call())
    if remote < local * 0.9:
        assert place is Place.REMOTE
    if local < remote * 0.9:
        assert place is Place.LOCAL


@settings(deadline=None)
@given(SECONDS, SECONDS, st.floats(1.0, 50.0))
def test_a_worse_network_never_moves_a_call_to_the_edge(local: float, remote: float, factor: float) -> None:
    link = Link(0.01, 1e6)
    policy = taught(local, remote + 0.01 + 0.1, link=link)
    before = policy.decide(call(sent_bytes=100_000))
    policy.notice(Link(0.01 * factor, 1e6 / factor))
    after = policy.decide(call(sent_bytes=100_000))
    assert (before, after) != (Place.LOCAL, Place.REMOTE)


def test_time_alone_stays_where_energy_goes_to_the_edge() -> None:
    watts = {"local_watts": 6.0, "remote_watts": 2.47}
    for objective, expected in (("time", Place.LOCAL), ("energy", Place.REMOTE)):
        model = CostModel(Objective.named(objective), **watts)
        assert taught(0.06001, 0.0844, model).decide(call()) is expected


def test_a_deadline_comes_before_what_is_cheap() -> None:
    model = CostModel(Objective.named("energy"), local_watts=6.0, remote_watts=1.0)
    policy = taught(0.05, 0.2, model)
    assert policy.decide(call()) is Place.REMOTE
    assert policy.decide(call(deadline=0.1)) is Place.LOCAL


def test_of_two_places_that_miss_a_limit_the_one_that_misses_by_less_is_chosen() -> None:
    policy = taught(0.5, 0.2, CostModel(Objective(limit_seconds=0.1)))
    assert policy.decide(call()) is Place.REMOTE


def test_a_price_keeps_a_call_at_home() -> None:
    model = CostModel(Objective(seconds_weight=1.0, price_weight=1.0), price_per_second=100.0)
    assert taught(0.5, 0.1, model).decide(call()) is Place.LOCAL


def test_the_edge_is_not_tried_where_the_way_alone_costs_more() -> None:
    policy = Adaptive(link=Link(0.05, 1e6))
    for _ in range(200):
        assert policy.decide(call()) is Place.LOCAL
        policy.learn(call(), Place.LOCAL, 0.01)


def test_a_first_try_of_the_edge_waits_until_it_can_cost_little() -> None:
    """The way takes three quarters of the call here: an edge that is no quicker would lose that once."""
    policy, tries = Adaptive(link=Link(0.075, 1e9)), []
    while Place.REMOTE not in tries:
        tries.append(policy.decide(call()))
        policy.learn(call(), tries[-1], 0.1 if tries[-1] is Place.LOCAL else 0.175)
    assert 7 <= len(tries) <= 10
    at_once = Adaptive(link=Link(0.02, 1e9))
    at_once.learn(call(), Place.LOCAL, 0.1)
    assert at_once.decide(call()) is Place.REMOTE


def test_a_function_that_was_never_tried_begins_on_the_edge_once_its_way_costs_less_than_all_before() -> None:
    """Its first call may be by far its largest; the first one that is no larger is tried here."""
    policy = Adaptive(link=Link(0.05, 1e9))
    other = ElasticCall("d", "other", 1, None, 5.0)
    assert policy.decide(call(1000.0)) is Place.LOCAL  # nothing is known of anything
    policy.learn(other, Place.LOCAL, 0.06)
    for size in (1000.0, 2000.0):
        assert policy.decide(call(size)) is Place.REMOTE
        policy.learn(call(size), Place.REMOTE, 0.1)
    assert policy.decide(call(1500.0)) is Place.LOCAL
    untold = Adaptive()
    untold.learn(other, Place.LOCAL, 60.0)
    assert untold.decide(call(1000.0)) is Place.LOCAL  # what the way costs nobody told


def test_a_call_much_larger_than_any_on_the_edge_is_expected_to_grow_as_it_does_here() -> None:
    """A sort of quadratic work, as quick there as here, that was tried there with a small array only."""
    policy = Adaptive(link=Link(0.01, 1e9))
    for size in (100.0, 1000.0, 10_000.0) * 5:
        policy.learn(call(size), Place.LOCAL, 1e-8 * size**2)
    policy.learn(call(1000.0), Place.REMOTE, 0.02)
    assert policy.decide(call(100_000.0)) is Place.LOCAL
    said = policy.explain(call(100_000.0))
    assert said.remote is not None
    assert said.remote.seconds == pytest.approx(100.0, rel=0.2)


def test_a_look_is_not_taken_with_a_call_far_larger_than_any_that_was_tried_there() -> None:
    policy = Adaptive()
    for _ in range(5):
        policy.learn(call(1000.0), Place.REMOTE, 0.01)
        policy.learn(call(10.0), Place.LOCAL, 0.011)
    for _ in range(300):
        assert policy.decide(call(1000.0)) is Place.REMOTE
        policy.learn(call(1000.0), Place.REMOTE, 0.01)


@settings(max_examples=25, deadline=None)
@given(st.floats(1.5, 20.0))
def test_looking_around_costs_a_fiftieth_at_most(ratio: float) -> None:
    policy, spent = taught(0.01, 0.01 * ratio), 0.0
    for _ in range(3000):
        place = policy.decide(call())
        seconds = 0.01 if place is Place.LOCAL else 0.01 * ratio
        policy.learn(call(), place, seconds)
        spent += seconds
    assert spent <= 3000 * 0.01 * 1.02


def test_a_place_that_became_better_is_found() -> None:
    policy = taught(0.01, 0.02)
    remote = 0
    for _ in range(APART * 60):
        place = policy.decide(call())
        policy.learn(call(), place, 0.01 if place is Place.LOCAL else 0.002)
        remote += place is Place.REMOTE
    assert remote > APART * 30


def test_sizes_of_one_function_go_to_different_places() -> None:
    policy = Adaptive()
    for size in (10.0, 100.0, 1000.0, 3000.0) * 10:
        policy.learn(call(size), Place.LOCAL, 1e-6 * size)
        policy.learn(call(size), Place.REMOTE, 1e-3)
    assert policy.decide(call(20.0)) is Place.LOCAL
    assert policy.decide(call(5000.0)) is Place.REMOTE


def test_explaining_gives_the_numbers_and_changes_nothing() -> None:
    model = CostModel(Objective.named("both"), local_watts=5.0, remote_watts=3.3)
    asked, quiet = taught(1.3, 0.065, model), taught(1.3, 0.065, model)
    choices = []
    for _ in range(100):
        said = asked.explain(call())
        assert said.local is not None
        assert said.local.seconds == pytest.approx(1.3, rel=0.01)
        assert said.local.mwh == pytest.approx(1.3 * 5 / 3.6, rel=0.01)
        choices.append((asked.decide(call()), said.place))
    assert all(choice is place for choice, place in choices)
    assert [choice for choice, _ in choices] == [quiet.decide(call()) for _ in range(100)]
    assert "here 1300.000 ms, 1.8056 mWh" in str(asked.explain(call()))


def test_energy_without_watts_is_refused_with_what_to_do() -> None:
    with pytest.raises(UsageError, match="give a device file"):
        CostModel(Objective.named("energy"))
    with pytest.raises(UsageError, match="time, energy, both"):
        Objective.named("money")
    with pytest.raises(UsageError, match="weights"):
        Objective(seconds_weight=-1.0)
