"""Rates and quantiles of calls against lists of all of them, and a memory that does not grow."""

from __future__ import annotations

import itertools
import math
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.edge.call_windows import SLOT_ERROR, CallWindow, Quantiles, latency_slot, slot_seconds

MICRO = 1e-6
LATENCIES = st.one_of(st.floats(0, 1e-4), st.floats(0, 1.0), st.floats(0, 1000.0))


def nearest_rank(values: list[float], percent: int) -> float:
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


@given(st.lists(LATENCIES, min_size=1, max_size=300))
def test_quantiles_are_those_of_all_values_within_the_stated_error(values: list[float]) -> None:
    window = CallWindow(1, 120)
    for value in values:
        window.record(7, latency_slot(value))
    found = window.quantiles(7)
    for percent, quantile in ((50, found.p50), (99, found.p99)):
        assert quantile is not None
        exact = nearest_rank(values, percent)
        assert abs(quantile - exact) <= exact * SLOT_ERROR + MICRO


@given(LATENCIES)
def test_a_slot_is_known_by_a_value_that_is_in_it(value: float) -> None:
    assert latency_slot(slot_seconds(latency_slot(value)) + MICRO / 4) == latency_slot(value)


def test_slots_grow_with_the_values_and_end_somewhere() -> None:
    slots = [latency_slot(micros * MICRO + MICRO / 4) for micros in range(1, 100_000)]
    assert all(0 <= later - earlier <= 1 for earlier, later in itertools.pairwise(slots))
    assert latency_slot(-1.0) == 0
    assert latency_slot(1e9) == latency_slot(1_100.0)


@pytest.mark.parametrize(("step", "buckets"), [(1, 120), (5, 24)])
def test_any_history_gives_what_a_list_of_its_last_two_minutes_gives(step: int, buckets: int) -> None:
    """Bursts and pauses, some longer than the window; asked at random moments."""
    dice, window, calls, second = random.Random(step), CallWindow(step, buckets), [], 1_000
    for _ in range(150):
        second += dice.choice((0, 0, 1, 1, 2, 7, 60, 130))
        for _ in range(dice.randrange(20)):
            value = dice.lognormvariate(-6, 2)
            calls.append((second // step, value))
            window.record(second, latency_slot(value))
        now = second // step
        inside = [value for number, value in calls if number > now - buckets]
        exact = nearest_rank(inside, 99) if inside else None
        found = window.quantiles(second).p99
        assert (found is None) is (exact is None)
        if found is not None and exact is not None:
            assert abs(found - exact) <= exact * SLOT_ERROR + MICRO
        last = [number for number, _ in calls if now - 10 // step <= number < now]
        assert window.calls_per_second(second) == pytest.approx(len(last) / 10)
        series = window.series(second)
        numbers = range(now - buckets + 1, now)
        assert series.calls == [sum(number == each for number, _ in calls) for each in numbers]
        assert [item is None for item in series.p99_seconds] == [count == 0 for count in series.calls]


def test_memory_is_the_most_of_each_step_and_goes_with_it() -> None:
    window = CallWindow(5, 24)
    for second, memory in ((0, 10), (4, 30), (3, 20), (5, 7)):
        window.note_memory(second, memory)
    assert window.series(10).memory_bytes[-2:] == [30, 7]
    assert not any(window.series(500).memory_bytes)


def test_nothing_is_known_without_calls() -> None:
    assert CallWindow(1, 120).quantiles(5) == Quantiles(None, None)


def test_the_memory_of_a_window_has_an_end() -> None:
    """Half a million calls over an hour take no more than the first two minutes of them did."""
    window, sizes = CallWindow(1, 120), []
    tracemalloc.start()
    try:
        for second in range(3_600):
            for number in range(140):
                window.record(second, latency_slot(number**3 * MICRO))
            if second in (240, 3_599):
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[1] < sizes[0] * 1.1
    assert sizes[1] < 400_000
