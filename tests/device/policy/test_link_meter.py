"""The measured way to an edge: exchanges of all sizes are predicted, changes believed, accidents not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.device.policy import Link, LinkMeter

TRIPS, RATES = st.floats(1e-4, 0.3), st.floats(1e4, 1e9)


def exchanged(meter: LinkMeter, link: Link, sizes: list[int], dice: random.Random) -> None:
    for size in sizes:
        meter.learn(size, link.seconds(size) * dice.lognormvariate(0, 0.05))


@settings(max_examples=100, deadline=None)
@given(TRIPS, RATES, st.integers(0, 10**6))
def test_what_an_exchange_takes_is_predicted_by_its_bytes(trip: float, rate: float, seed: int) -> None:
    """Small and large ones by turns, over links from 10 kB/s to 1 GB/s; then a change of both figures."""
    dice, meter = random.Random(seed), LinkMeter()
    for link in (Link(trip, rate), Link(trip * 4, rate / 20)):
        sizes = [dice.choice((40, 300_000)) for _ in range(80)]
        exchanged(meter, link, sizes, dice)
        for size in (40, 300_000):
            assert meter.link.seconds(size) == pytest.approx(link.seconds(size), rel=0.25)


def test_a_collapse_is_believed_with_the_second_exchange_and_an_accident_is_not() -> None:
    meter = LinkMeter()
    exchanged(meter, Link(0.02, 5e6), [100_000] * 20, random.Random(1))
    usual = meter.link.seconds(100_000)
    meter.learn(100_000, 10.0)
    assert meter.link.seconds(100_000) < 2 * usual
    meter.learn(100_000, usual)
    meter.learn(100_000, 2.0)
    meter.learn(100_000, 2.0)
    assert meter.link.seconds(100_000) == pytest.approx(2.0, rel=0.01)


def test_what_it_is_told_holds_until_an_exchange_says_otherwise() -> None:
    meter = LinkMeter()
    assert not meter.is_known
    meter.tell(Link(0.05, 1e6))
    assert (meter.is_known, meter.link.seconds(50_000)) == (True, pytest.approx(0.1))
    meter.tell(Link(0.01))
    assert meter.link.seconds(50_000) == pytest.approx(0.06)
    meter.learn(0, 0.0)
    assert meter.link.round_trip_seconds == pytest.approx(0.0, abs=1e-5)
