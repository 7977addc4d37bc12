"""The Notifier in Java: names, triggers and corrections of Python; listeners with a clock that is set."""

from __future__ import annotations

from lawow.device.notifier import Metric
from tests.android.builders import Jvm
from tests.device.notifier.builders import HERE, lines

MAIN = "dev.lawow.Notifications"


def table(jvm: Jvm, name: str) -> list[str]:
    """Run a table through Java and return a line for each of its cases."""
    return jvm.run(MAIN, name, stdin=(HERE / f"{name}.txt").read_text()).splitlines()


def test_metrics_have_the_names_and_units_of_python(jvm: Jvm) -> None:
    assert jvm.run(MAIN, "metrics").splitlines() == [f"{metric.value}\t{metric.unit}" for metric in Metric]


def test_every_sample_of_the_table_of_triggers_gives_what_stands_there(jvm: Jvm) -> None:
    assert table(jvm, "triggers") == [words[-1] for words in lines("triggers.txt") if words[0] == "at"]


def test_every_battery_of_the_table_is_understood(jvm: Jvm) -> None:
    wanted = [f"{words[2]} {words[3]}" for words in lines("currents.txt") if words[0] != "battery"]
    assert table(jvm, "currents") == wanted


def test_listeners_hear_each_change_once_and_a_report_stands_for_its_time(jvm: Jvm) -> None:
    absent = "{SIGNAL=looked in vain}"
    report = "throughput 2500000.0 B/s (measured)"
    assert jvm.run(MAIN, "notifier").splitlines() == [
        f"0 false {report} {absent}",
        "handler: of the app",
        "1.0 true battery_level 29.0 % (emulated)",
        f"1 true {report} {absent}",
        f"2 true {report} {absent}",
        "handler: of the app",
        "3.0 false battery_level 36.0 % (emulated)",
        f"3 false null {absent}",
        "handler: of the app",
        f"4 false null {absent}",
    ]


def test_the_thread_samples_by_itself_and_ends_with_the_notifier(jvm: Jvm) -> None:
    assert jvm.run(MAIN, "thread").splitlines() == ["true", "false", "ended"]


def test_what_cannot_be_is_refused_with_what_is_allowed(jvm: Jvm) -> None:
    assert jvm.run(MAIN, "refusals").splitlines() == [
        "limit is NaN; allowed are finite numbers",
        "hysteresis is -1.0; allowed are finite numbers from 0",
        "dwellSeconds is Infinity; allowed are finite numbers from 0",
        "network_kind is a word, not a number; use equals()",
        "round_trip is a number, not a word; use below() or above()",
        "a combination of triggers needs at least one",
        "charge_state cannot be 1.0; report finite numbers",
        "this sample is complete; sources fill it while they are asked",
        "periodMillis is 0; allowed is 10 and more",
        "this is not Android: android.content.Context: this Android does not have it",
    ]
