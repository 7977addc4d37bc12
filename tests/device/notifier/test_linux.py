"""The Linux source on folders that are built like systems, hostile ones too, and on this system."""

from __future__ import annotations

import os
import random
from pathlib import Path

import psutil
import pytest

from lawow.device.notifier import LinuxSource, Metric, Notifier, Provenance, PsutilSource, Sample
from lawow.errors import UsageError
from lawow.limits import NOTIFIER
from tests.device.notifier.builders import PHONE, Clock, build

BATTERY = "sys/class/power_supply/battery"


def samples(root: Path, later: dict[str, str | bytes]) -> Sample:
    """Read a system, change files ten seconds later, and return what is read then."""
    clock = Clock()
    notifier = Notifier([LinuxSource(root)], clock=clock)
    notifier.sample()
    clock.seconds = 10.0
    build(root, later)
    return notifier.sample()


def test_a_phone_is_read_in_full(tmp_path: Path) -> None:
    later: dict[str, str | bytes] = {
        "proc/stat": "cpu  130 0 120 740 110 0 0 0 0 0\n",
        "sys/class/powercap/intel-rapl:0/energy_uj": "500000\n",  # past its range: 9.5 J in 10 s
    }
    found = samples(build(tmp_path, PHONE), later)
    assert {metric.value: reading.value for metric, reading in found.readings.items()} == {
        "cpu_utilisation": 50.0,
        "gpu_utilisation": 12.0,
        "device_temperature": 62.5,
        "battery_temperature": 31.4,
        "throttling": 25.0,
        "battery_level": 42.0,
        "battery_voltage": 3.85,
        "battery_current": -0.35,
        "charge_state": "discharging",
        "network_kind": "wifi",
        "signal": -53.0,
        "power": 0.95,
        "bytes_in": 1050.0,
        "bytes_out": 507.0,
    }
    assert not found.absent
    assert {reading.provenance for reading in found.readings.values()} == {Provenance.MEASURED}
    assert found.readings[Metric.BATTERY_CURRENT].source == f"/{BATTERY}/current_now in µA"


def test_a_system_that_has_nothing_says_where_was_looked(tmp_path: Path) -> None:
    found = samples(tmp_path, {})
    assert not found.readings
    assert found.absent[Metric.BATTERY_LEVEL] == "/sys/class/power_supply: nothing there"
    assert found.absent[Metric.CPU_UTILISATION] == "/proc/stat: No such file or directory"
    assert all(text.startswith("/") for text in found.absent.values())
    assert len(found.absent) == len(PHONE_METRICS)


PHONE_METRICS = set(Metric) - {
    Metric.THERMAL_STATUS,
    Metric.THERMAL_HEADROOM,
    Metric.ROUND_TRIP,
    Metric.THROUGHPUT,
    Metric.ENERGY,
}


@pytest.mark.parametrize(
    ("file", "content", "metric", "reason"),
    [
        (f"{BATTERY}/capacity", "", "battery_level", "found '', which is no whole number"),
        (f"{BATTERY}/capacity", "101\n", "battery_level", "found 101, allowed is 0 to 100"),
        (f"{BATTERY}/capacity", "4.2e1", "battery_level", "found '4.2e1', which is no whole number"),
        (f"{BATTERY}/capacity", "٤٢", "battery_level", "found '٤٢', which is no whole number"),
        (f"{BATTERY}/capacity", "9" * 5000, "battery_level", f"found '{'9' * 40}', which is no whole number"),
        (f"{BATTERY}/capacity", b"\xff\xfe4", "battery_level", "no text"),
        (f"{BATTERY}/capacity", b"4" * 200_000, "battery_level", f"more than {NOTIFIER.file_bytes} bytes"),
        (
            f"{BATTERY}/status",
            "On fire\n",
            "charge_state",
            "found 'on fire', allowed are charging, discharging",
        ),
        (f"{BATTERY}/temp", "99999\n", "battery_temperature", "found 99999, allowed is -1000 to 2000"),
        ("proc/stat", "intr 1 2 3\n", "cpu_utilisation", "its first line is not that of all processors"),
        ("proc/stat", "cpu  a b c d e f g h i\n", "cpu_utilisation", "found 'a', which is no whole number"),
        ("proc/net/dev", "a\nb\nwlan0: 1 2\n", "bytes_in", "a line has 2 counters, allowed are 9 and more"),
        (
            "proc/net/route",
            "I\n../../../etc 00000000 0 3 0 0 0 00000000 0\n",
            "network_kind",
            "found '../../../etc', which is no interface",
        ),
        (
            "sys/class/powercap/intel-rapl:0/energy_uj",
            "999999999999999999\n",
            "power",
            "found 100000000000 W, allowed is up to 10000",
        ),
    ],
)
def test_nonsense_is_absent_with_file_and_reason_and_the_rest_is_read(
    tmp_path: Path, file: str, content: str | bytes, metric: str, reason: str
) -> None:
    found = samples(build(tmp_path, PHONE), {file: content})
    assert Metric(metric) not in found.readings
    assert reason in found.absent[Metric(metric)]
    assert found.absent[Metric(metric)].startswith("/")
    assert len(found.readings) > 8


def test_pipes_folders_and_dead_links_in_place_of_files_hold_nobody_up(tmp_path: Path) -> None:
    root = build(tmp_path, PHONE)
    for name, make in (("capacity", os.mkfifo), ("temp", os.mkdir)):
        (root / BATTERY / name).unlink()
        make(root / BATTERY / name)
    (root / BATTERY / "voltage_now").unlink()
    (root / BATTERY / "voltage_now").symlink_to("voltage_now")
    found = samples(root, {})
    assert found.absent[Metric.BATTERY_LEVEL].endswith("capacity: not a file")
    assert found.absent[Metric.BATTERY_TEMPERATURE].endswith("temp: not a file")
    assert "voltage_now: Too many levels of symbolic links" in found.absent[Metric.BATTERY_VOLTAGE]
    assert found.readings[Metric.CHARGE_STATE].value == "discharging"


def test_whatever_the_files_hold_nothing_escapes(tmp_path: Path) -> None:
    chance = random.Random(7)
    root = build(tmp_path, PHONE)
    source = LinuxSource(root)
    names = sorted(PHONE)
    for turn in range(300):
        name = chance.choice(names)
        content = bytearray(PHONE[name].encode())
        for _ in range(chance.randint(1, 6)):
            content[chance.randrange(len(content) + 1) :][:1] = bytes([chance.randrange(256)])
            at = chance.randrange(len(content) + 1)
            content[at : at + chance.randint(0, 9)] = chance.randbytes(chance.randint(0, 3))
        build(root, {name: bytes(content)})
        found = source.read(float(turn), {})
        assert {item.metric for item in found} == PHONE_METRICS


def test_a_battery_that_goes_and_one_that_comes_are_noticed(tmp_path: Path) -> None:
    root = build(tmp_path, PHONE)
    source = LinuxSource(root)
    source.read(0.0, {})
    (root / BATTERY).rename(root / "elsewhere")
    absent = {item.metric: item for item in source.read(1.0, {})}[Metric.BATTERY_LEVEL]
    assert "no battery among a_pen, ac" in str(absent)
    build(root, {"sys/class/power_supply/BAT1/type": "Battery", "sys/class/power_supply/BAT1/capacity": "7"})
    found = {item.metric: item for item in source.read(2.0, {})}[Metric.BATTERY_LEVEL]
    assert getattr(found, "value", None) == 7.0


@pytest.mark.parametrize(
    ("route", "kind"),
    [
        ("rmnet0 00000000 0 0003 0 0 0 00000000 0\n", "cellular"),
        ("", "none"),
    ],
)
def test_the_kind_is_that_of_the_default_route(tmp_path: Path, route: str, kind: str) -> None:
    found = samples(build(tmp_path, PHONE), {"proc/net/route": f"header\n{route}"})
    assert found.readings[Metric.NETWORK_KIND].value == kind


def test_psutil_says_the_same_of_this_system() -> None:
    """psutil is the judge: its counters before and after enclose ours."""
    before = PsutilSource().read(0.0, {})
    ours = {item.metric: item for item in LinuxSource().read(0.0, {})}
    after = PsutilSource().read(0.0, {})
    for metric in (Metric.BYTES_IN, Metric.BYTES_OUT):
        low, value, high = (_value(items, metric) for items in (before, list(ours.values()), after))
        assert low <= value <= high
    battery = psutil.sensors_battery()
    assert (Metric.BATTERY_LEVEL in {m for m, item in ours.items() if hasattr(item, "value")}) == (
        battery is not None
    )


def _value(items: list[object], metric: Metric) -> float:
    return next(float(item.value) for item in items if getattr(item, "metric", None) is metric)  # type: ignore[attr-defined]


def test_without_psutil_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lawow.device.notifier.psutil_source.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'lawow\[device\]'"):
        PsutilSource()
