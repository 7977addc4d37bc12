"""Systems as folders, a clock that is set, a source that says what it is told, and the tables of cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lawow.device.notifier import (
    Absent,
    Metric,
    Provenance,
    Reading,
    Sample,
    Trigger,
    above,
    all_of,
    any_of,
    below,
    equals,
)

HERE = Path(__file__).parent

PHONE = {
    "proc/stat": "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 100 0 100 700 100 0 0 0 0 0\n",
    "proc/net/dev": "Inter-|   Receive\n face |bytes\n    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n"
    " wlan0: 1000 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0\nrmnet0: 50 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n",
    "proc/net/route": "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    "rmnet0 00000000 01000A0A 0003 0 0 700 00000000 0 0 0\n"
    "wlan0 00000000 0100A8C0 0003 0 0 600 00000000 0 0 0\n"
    "wlan0 0000A8C0 00000000 0001 0 0 600 00FFFFFF 0 0 0\n",
    "proc/net/wireless": "Inter-| sta-|   Quality        |\n face | tus | link level noise |\n"
    " wlan0: 0000   57.  -53.  -256        0      0      0      0      0        0\n",
    "sys/class/net/wlan0/type": "1\n",
    "sys/class/net/wlan0/wireless/.keep": "",
    "sys/class/net/rmnet0/type": "519\n",
    "sys/class/power_supply/ac/type": "Mains\n",
    "sys/class/power_supply/battery/type": "Battery\n",
    "sys/class/power_supply/battery/capacity": "42\n",
    "sys/class/power_supply/battery/voltage_now": "3850000\n",
    "sys/class/power_supply/battery/current_now": "-350000\n",
    "sys/class/power_supply/battery/temp": "314\n",
    "sys/class/power_supply/battery/status": "Discharging\n",
    "sys/class/power_supply/a_pen/type": "Battery\n",
    "sys/class/power_supply/a_pen/scope": "Device\n",
    "sys/class/power_supply/a_pen/capacity": "99\n",
    "sys/class/thermal/thermal_zone0/temp": "51000\n",
    "sys/class/thermal/thermal_zone1/temp": "-274000\n",
    "sys/class/thermal/cooling_device0/type": "thermal-cpufreq-0\n",
    "sys/class/thermal/cooling_device0/max_state": "4\n",
    "sys/class/thermal/cooling_device0/cur_state": "1\n",
    "sys/class/thermal/cooling_device1/type": "Fan\n",
    "sys/class/thermal/cooling_device1/max_state": "1\n",
    "sys/class/thermal/cooling_device1/cur_state": "1\n",
    "sys/class/hwmon/hwmon0/temp1_input": "62500\n",
    "sys/class/powercap/intel-rapl:0/energy_uj": "1000000\n",
    "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "10000000\n",
    "sys/class/powercap/intel-rapl:0:0/energy_uj": "900000\n",
    "sys/class/kgsl/kgsl-3d0/gpu_busy_percentage": "12 %\n",
}
"""Files of a phone: Wi-Fi and a modem, a pen with a battery of its own, a fan, a broken thermal zone."""


def build(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


@dataclass
class Clock:
    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Told:
    """A source whose values a test sets."""

    values: dict[Metric, float | str] = field(default_factory=dict)

    def read(self, seconds: float, known: Mapping[Metric, Reading]) -> list[Reading | Absent]:
        return [
            Reading(metric, value, Provenance.EMULATED, seconds, "told")
            for metric, value in self.values.items()
        ]


def sample(seconds: float, values: Mapping[str, str]) -> Sample:
    readings = {}
    for name, text in values.items():
        metric = Metric(name)
        value = text if metric.unit == "text" else float(text)
        readings[metric] = Reading(metric, value, Provenance.EMULATED, seconds, "case")
    return Sample(seconds, readings)


def trigger(words: Iterator[str]) -> Trigger:
    """Read a trigger as `triggers.txt` has it."""
    kind = next(words)
    if kind in ("all", "any"):
        parts = [trigger(words) for _ in range(int(next(words)))]
        return all_of(*parts) if kind == "all" else any_of(*parts)
    metric = Metric(next(words))
    if kind == "equals":
        return equals(metric, next(words), dwell_seconds=float(next(words)))
    limit, hysteresis, dwell = (float(next(words)) for _ in range(3))
    make = {"below": below, "above": above}[kind]
    return make(metric, limit, hysteresis=hysteresis, dwell_seconds=dwell)


def lines(name: str) -> list[list[str]]:
    """Return the lines of a table as words, without comments and empty lines."""
    text = (HERE / name).read_text()
    return [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
