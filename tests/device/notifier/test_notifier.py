"""The Notifier: readings of a machine's own files, triggers that do not flicker, subscribers who are told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.device.notifier import (
    AllOf,
    AnyOf,
    LinuxSource,
    ModelSource,
    Notifier,
    Reading,
    ReplaySource,
    Trigger,
)
from lawow.device.profiles import load_device
from lawow.device.provenance import Provenance
from lawow.errors import UsageError

FILES = {
    "proc/stat": "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3\n",
    "proc/net/dev": "Inter-|\n face |\n    lo: 9 0 0 0 0 0 0 0 9 0\n  eth0: 1000 1 0 0 0 0 0 0 2000 1\n",
    "proc/net/wireless": "Inter-|\n face |\n wlan0: 0000   54.  -56.  -256  0\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
    "sys/class/hwmon/hwmon0/temp1_input": "61000\n",
    "sys/class/power_supply/BAT0/capacity": "42\n",
    "sys/class/power_supply/BAT0/voltage_now": "3850000\n",
    "sys/class/power_supply/BAT0/current_now": "1200000\n",
    "sys/class/power_supply/BAT0/status": "Discharging\n",
    "sys/class/powercap/intel-rapl:0/energy_uj": "1000000\n",
    "sys/class/powercap/intel-rapl:0:0/energy_uj": "700000\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq": "900000\n",
    "sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq": "1200000\n",
    "sys/devices/gpu.0/load": "250\n",
}


def machine(root: Path, **changed: str) -> Path:
    for name, text in {**FILES, **changed}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def values(source: LinuxSource, now: float) -> dict[str, float]:
    return {reading.metric: reading.value for reading in source.read(now)}


def test_a_machine_is_read_in_base_units(tmp_path: Path) -> None:
    source = LinuxSource(machine(tmp_path))
    assert values(source, 0.0) == {
        "temperature": 61.0,
        "throttled": 0.25,
        "gpu_utilisation": 0.25,
        "battery_level": 0.42,
        "battery_volts": 3.85,
        "battery_amperes": -1.2,
        "battery_charging": 0.0,
        "bytes_received": 1000,
        "bytes_sent": 2000,
        "network_wireless": 1.0,
        "network_signal": -56.0,
    }


def test_utilisation_and_power_come_from_what_grew(tmp_path: Path) -> None:
    source = LinuxSource(machine(tmp_path))
    values(source, 0.0)
    machine(
        tmp_path,
        **{
            "proc/stat": "cpu  175 0 100 725 100 0 0 0 0 0\n",
            "sys/class/powercap/intel-rapl:0/energy_uj": "11000000\n",
        },
    )
    later = values(source, 2.0)
    assert later["cpu_utilisation"] == 0.75
    assert later["power"] == 5.0


@given(st.sampled_from(sorted(FILES)), st.binary(max_size=60))
def test_nonsense_in_any_file_ends_no_reading(
    tmp_path_factory: pytest.TempPathFactory, name: str, junk: bytes
) -> None:
    root = machine(tmp_path_factory.mktemp("machine"))
    (root / name).write_bytes(junk)
    source = LinuxSource(root)
    for now in (0.0, 1.0):
        assert all(reading.provenance is Provenance.MEASURED for reading in source.read(now))


def test_a_machine_without_anything_tells_no_more_than_it_has(tmp_path: Path) -> None:
    assert set(values(LinuxSource(tmp_path), 0.0)) <= {"bytes_received", "bytes_sent", "network_wireless"}


def reading(metric: str, value: float) -> Mapping[str, Reading]:
    return {metric: Reading(metric, value, Provenance.MEASURED, "test")}


def held(trigger: Trigger, *steps: tuple[float, float]) -> list[bool]:
    return [trigger.update(reading("temperature", value), now) for now, value in steps]


def test_a_trigger_holds_from_its_threshold_until_its_release() -> None:
    trigger = Trigger("temperature", above=80, release=70)
    assert held(trigger, (0, 79), (1, 81), (2, 75), (3, 70), (4, 69), (5, 75)) == [
        False, True, True, True, False, False,
    ]  # fmt: skip


def test_a_short_peak_is_no_reason() -> None:
    trigger = Trigger("temperature", above=80, dwell_seconds=10)
    assert held(trigger, (0, 90), (9, 79), (10, 90), (19, 90), (20, 90)) == [False] * 4 + [True]


def test_below_is_the_mirror_of_above() -> None:
    trigger = Trigger("temperature", below=0.2, release=0.3)
    assert held(trigger, (0, 0.25), (1, 0.19), (2, 0.25), (3, 0.31)) == [False, True, True, False]


def test_a_metric_that_is_missing_changes_nothing() -> None:
    trigger = Trigger("temperature", above=80)
    held(trigger, (0, 90))
    assert trigger.update({}, 1.0)


@given(st.lists(st.floats(60.1, 80.0)))
def test_between_release_and_threshold_nothing_ever_changes(values: list[float]) -> None:
    trigger = Trigger("temperature", above=80, release=60)
    assert not any(held(trigger, *enumerate(values)))
    held(trigger, (1e6, 90.0))
    assert all(held(trigger, *((1e6 + index, value) for index, value in enumerate(values, 1))))


def test_conditions_combine() -> None:
    both = AllOf(Trigger("temperature", above=80), Trigger("battery_level", below=0.2))
    one = AnyOf(Trigger("temperature", above=80), Trigger("battery_level", below=0.2))
    hot, low = reading("temperature", 90), reading("battery_level", 0.1)
    assert (both.update(hot, 0), one.update(hot, 0)) == (False, True)
    assert both.update({**hot, **low}, 1)


@pytest.mark.parametrize(
    "wrong",
    [{}, {"above": 1.0, "below": 2.0}, {"above": 1.0, "release": 2.0}, {"below": 1.0, "release": 0.5}],
)
def test_a_trigger_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Trigger("temperature", **wrong)
    with pytest.raises(UsageError, match="battery_level"):
        Trigger("batery", above=1.0)


def test_subscribers_are_told_of_each_change_once_until_they_leave() -> None:
    rows = [(time, Reading("battery_level", level, Provenance.MEASURED, "trace")) for time, level in
            ((0.0, 0.5), (10.0, 0.15), (20.0, 0.4), (30.0, 0.1))]  # fmt: skip
    notifier, told = Notifier([ReplaySource(rows)]), []
    end = notifier.subscribe(Trigger("battery_level", below=0.2, release=0.3), lambda on, _: told.append(on))
    for now in range(0, 30, 5):
        notifier.poll(float(now))
    end()
    notifier.poll(30.0)
    assert told == [True, False]


def test_a_device_in_the_model_empties_its_battery_by_what_it_draws() -> None:
    source = ModelSource(load_device("mate10"), utilisation=1.0)
    list(source.read(0.0))
    readings = {item.metric: item for item in source.read(3600.0)}
    assert readings["power"].value == 3.5
    assert readings["battery_level"].value == pytest.approx(1 - 3500 / 15200)
    assert readings["battery_level"].provenance is Provenance.MODELLED


def test_what_was_measured_of_the_network_is_a_reading_and_a_link() -> None:
    notifier = Notifier([])
    assert notifier.link() is None
    notifier.tell_link(0.02, 1e6, "ping")
    assert notifier.poll(0.0)["round_trip"].unit == "second"
    link = notifier.link()
    assert link is not None
    assert link.seconds(500_000) == pytest.approx(0.52)


def test_the_thread_polls_until_it_is_closed() -> None:
    import threading

    seen = threading.Event()
    notifier = Notifier(
        [ReplaySource([(0.0, Reading("temperature", 90, Provenance.MEASURED, "t"))])], interval_seconds=0.01
    )
    notifier.subscribe(Trigger("temperature", above=80), lambda on, _: seen.set())
    notifier.start()
    assert seen.wait(10)
    notifier.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "lawow-notifier"]
