"""The psutil source, for systems without /proc and /sys: macOS, the BSDs (extra `device`).

On Linux take `LinuxSource`: it knows more metrics, needs no package, and says which file a value came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from lawow.device.notifier.metrics import Absent, Metric, Provenance, Reading
from lawow.errors import UsageError

__all__ = ["PsutilSource"]


class PsutilSource:
    """CPU utilisation, battery level, charge state, and bytes of all interfaces, from psutil."""

    def __init__(self) -> None:
        """Raise `UsageError` without psutil."""
        if find_spec("psutil") is None:
            raise UsageError("metrics of this system need psutil: pip install 'lawow[device]'")

    def read(self, seconds: float, known: Mapping[Metric, Reading]) -> list[Reading | Absent]:
        """Read what psutil has. CPU utilisation is the mean since the reading before."""
        values = {**_cpu(), **_battery(), **_traffic()}
        return [
            Absent(metric, f"psutil has no {metric.value} here")
            if value is None
            else Reading(metric, value, Provenance.MEASURED, seconds, "psutil")
            for metric, value in values.items()
        ]


def _cpu() -> dict[Metric, float | str | None]:
    import psutil

    return {Metric.CPU_UTILISATION: psutil.cpu_percent(interval=None)}


def _battery() -> dict[Metric, float | str | None]:
    import psutil

    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if battery is None:
        return {Metric.BATTERY_LEVEL: None, Metric.CHARGE_STATE: None}
    states: dict[bool | None, str | None] = {True: "charging", False: "discharging", None: None}
    return {Metric.BATTERY_LEVEL: battery.percent, Metric.CHARGE_STATE: states[battery.power_plugged]}


def _traffic() -> dict[Metric, float | str | None]:
    import psutil

    counters = [
        value for name, value in psutil.net_io_counters(pernic=True).items() if name not in ("lo", "lo0")
    ]
    received = float(sum(counter.bytes_recv for counter in counters))
    return {
        Metric.BYTES_IN: received,
        Metric.BYTES_OUT: float(sum(counter.bytes_sent for counter in counters)),
    }
