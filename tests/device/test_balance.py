"""The balance of a batch in virtual time: places end together, losses move on, nobody waits for ever."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.device.balance import HERE, Balance, new_pace
from lawow.device.policy.estimate import Estimate


@dataclass
class Site:
    """A place that takes `seconds` for an item of size 1, one after the other, and `way` to it and back."""

    seconds: float
    way: float = 0.0
    lost_at: float = float("inf")
    free_at: float = 0.0
    done: list[int] = field(default_factory=list)

    def ends_at(self, now: float, size: float) -> float:
        self.free_at = max(self.free_at, now + self.way / 2) + self.seconds * size
        return self.free_at + self.way / 2


def run(
    sizes: list[float],
    sites: list[Site],
    *,
    window: int = 4,
    paces: list[Estimate] | None = None,
    here: bool = True,
) -> float:
    """Return when the batch has ended. The first site is the device."""
    balance = Balance(sizes, paces or [new_pace() for _ in sites], window, lambda index: here)
    now, events = 0.0, list[tuple[float, int, int, float]]()
    while not balance.is_over:
        for place, site in enumerate(sites):
            while (index := balance.take(place, now)) is not None:
                heappush(events, (site.ends_at(now, sizes[index]), place, index, now))
        assert events, "nobody takes what is left"
        ends, place, index, began = heappop(events)
        now = ends
        if sites[place].lost_at <= now:
            sites[place].seconds = 0.01  # it answers at once that it is gone
            balance.give_back(place, index, now)
        else:
            sites[place].done.append(index)
            balance.end(place, index, now - began)
    return now


SECONDS = st.floats(0.001, 1.0)


@settings(max_examples=100, deadline=None)
@given(st.lists(SECONDS, min_size=1, max_size=4), SECONDS, st.floats(0, 0.2), st.integers(30, 200))
def test_places_of_any_speed_end_together(leases: list[float], device: float, way: float, count: int) -> None:
    """At most a tenth, two items of the quickest place and two ways above what they can do, four each.

    A lease begins with one item alone, which takes the way there and back once more.
    """
    sites = [Site(device), *(Site(seconds, way) for seconds in leases)]
    paces = [new_pace() for _ in sites]
    for _ in range(2):  # the first batch teaches
        for site in sites:
            site.free_at, site.done = 0.0, []
        ends = run([1.0] * count, sites, paces=paces)
    rates = [1 / device, *(min(1 / item, 4 / (item + way)) for item in leases)]
    best = count / sum(rates)
    quickest = min(site.seconds + site.way for site in sites)
    assert ends <= 1.1 * best + 2 * quickest + 2 * way
    assert sorted(index for site in sites for index in site.done) == list(range(count))


def test_two_equal_leases_take_half_the_time_of_one_and_half_the_items_each() -> None:
    times = []
    for count in (1, 2):
        sites = [Site(1e9), *(Site(0.1, 0.02) for _ in range(count))]
        times.append(run([1.0] * 100, sites, here=False))
    assert times[1] == pytest.approx(times[0] / 2, rel=0.03)
    assert abs(len(sites[1].done) - len(sites[2].done)) <= 2


def test_a_slow_place_does_not_hold_up_the_end() -> None:
    """It takes its share in the middle of the batch, and leaves the last items to the quick one."""
    sites, paces = [Site(1.0), Site(0.01)], [new_pace(), new_pace()]
    run([1.0] * 200, sites, paces=paces)
    for site in sites:
        site.free_at, site.done = 0.0, []
    assert run([1.0] * 150, sites, paces=paces) < 1.6
    assert len(sites[0].done) == 1


def test_a_place_that_is_thought_to_be_slow_shows_that_it_is_not() -> None:
    """It hung in a former batch. At first it is given one item at a time, which is no full window."""
    paces, sites = [new_pace() for _ in range(3)], [Site(1e9), Site(0.01, 0.02), Site(0.01, 0.02)]
    for pace, seconds in zip(paces[1:], (0.01, 0.6), strict=True):
        for _ in range(5):
            pace.learn(log(2.0), seconds)
    run([1.0] * 100, sites, paces=paces, here=False)
    assert len(sites[2].done) > 35


def test_the_speed_is_learned_by_size() -> None:
    """Of one large and many small items, the slow place does not take the large one."""
    sites, paces = [Site(0.2), Site(0.01)], [new_pace(), new_pace()]
    run([1.0, 2.0, 5.0, 10.0] * 5, sites, paces=paces)
    for site in sites:
        site.free_at, site.done = 0.0, []
    run([1.0] * 20 + [100.0], sites, paces=paces)
    assert 20 in sites[1].done


def test_what_a_lost_lease_had_is_done_elsewhere_and_it_is_tried_again_with_one_item() -> None:
    sites = [Site(0.05), Site(0.01), Site(0.01, lost_at=0.2)]
    run([1.0] * 300, sites)
    assert sorted(index for site in sites for index in site.done) == list(range(300))
    assert 0 < len(sites[2].done) < 40
    balance = Balance([1.0] * 9, [new_pace(), new_pace()], 4, lambda index: False)
    assert [balance.take(1, 0.0), balance.take(1, 0.0), balance.take(HERE, 0.0)] == [0, None, None]
    balance.give_back(1, 0, 5.0)
    assert [balance.take(1, 5.9), balance.take(HERE, 5.9)] == [None, 0]  # the device takes what is left
    assert [balance.take(1, 6.0), balance.take(1, 6.0)] == [1, None]
    balance.give_back(1, 1, 6.0)
    assert (balance.wakes_at(1), balance.take(1, 7.9)) == (8.0, None)


def test_the_device_leaves_to_leases_what_is_not_for_it_however_slow_they_are() -> None:
    paces = [new_pace(), new_pace()]
    sites = [Site(0.001), Site(1.0)]
    for _ in range(2):
        run([1.0] * 5, sites, paces=paces, here=False)
    assert (sites[HERE].done, len(sites[1].done)) == ([], 10)
