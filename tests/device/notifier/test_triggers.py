"""Triggers by the table that Java is held to as well, and what no trigger can be made of."""

from __future__ import annotations

import pytest

from lawow.device.notifier import Metric, Trigger, above, all_of, below, equals
from lawow.device.notifier.calibration import CurrentCalibration
from lawow.device.notifier.triggers import Watch
from lawow.errors import UsageError
from tests.device.notifier.builders import lines, sample, trigger


def test_every_sample_of_the_table_gives_what_stands_there() -> None:
    watch: Watch | None = None
    checked = 0
    for words in lines("triggers.txt"):
        if words[0] == "trigger":
            watch = trigger(iter(words[1:])).watch()
            continue
        assert watch is not None
        values = dict(word.split("=") for word in words[2:-1])
        assert watch.update(sample(float(words[1]), values)) == (words[-1] == "active"), words
        checked += 1
    assert checked > 40


def test_every_battery_of_the_table_is_understood() -> None:
    calibration = CurrentCalibration()
    for words in lines("currents.txt"):
        if words[0] == "battery":
            calibration = CurrentCalibration()
            continue
        raw, state, amperes, unit = words
        found = calibration.amperes(int(raw), state)
        shown = "unknown" if found is None else f"{found + 0.0:.6f}".replace("-0.000000", "0.000000")
        assert (shown, calibration.unit) == (amperes, unit), words


def test_watches_of_one_trigger_do_not_share_what_they_remember() -> None:
    shared = below(Metric.BATTERY_LEVEL, 30, hysteresis=5)
    first, second = shared.watch(), shared.watch()
    assert first.update(sample(0, {"battery_level": "29"}))
    assert not second.update(sample(0, {"battery_level": "32"}))
    assert first.update(sample(1, {"battery_level": "32"}))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: below(Metric.BATTERY_LEVEL, float("nan")), "limit is nan; allowed are finite numbers"),
        (
            lambda: above(Metric.BATTERY_LEVEL, 1, hysteresis=-1),
            "hysteresis is -1; allowed are finite numbers from 0",
        ),
        (
            lambda: below(Metric.BATTERY_LEVEL, 1, dwell_seconds=float("inf")),
            "dwell_seconds is inf; allowed are",
        ),
        (lambda: equals(Metric.NETWORK_KIND, "wifi", dwell_seconds=-1), "dwell_seconds is -1; allowed are"),
        (lambda: below(Metric.NETWORK_KIND, 1), "network_kind is a word, not a number; use equals()"),
        (
            lambda: equals(Metric.ROUND_TRIP, "long"),
            "round_trip is a number, not a word; use below() or above()",
        ),
        (all_of, "a combination of triggers needs at least one"),
    ],
)
def test_what_is_no_trigger_is_refused(make: object, sentence: str) -> None:
    assert callable(make)
    with pytest.raises(UsageError) as refused:
        make()
    assert str(refused.value).startswith(sentence)


def test_a_trigger_can_be_compared_and_kept_in_a_set() -> None:
    kept: set[Trigger] = {below(Metric.BATTERY_LEVEL, 30), below(Metric.BATTERY_LEVEL, 30)}
    assert len(kept) == 1
