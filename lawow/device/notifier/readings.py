"""A reading: a number with its unit, how it was had and from where. One table names all metrics."""

from __future__ import annotations

from dataclasses import dataclass

from lawow.device.provenance import Provenance
from lawow.errors import UsageError

__all__ = ["UNITS", "Reading"]

UNITS = {
    "cpu_utilisation": "ratio",
    "gpu_utilisation": "ratio",
    "temperature": "celsius",
    "throttled": "ratio",
    "battery_level": "ratio",
    "battery_volts": "volt",
    "battery_amperes": "ampere",
    "battery_charging": "boolean",
    "power": "watt",
    "network_wireless": "boolean",
    "network_signal": "dBm",
    "round_trip": "second",
    "throughput": "bytes/second",
    "bytes_received": "byte",
    "bytes_sent": "byte",
}
"""Metric -> unit. ``throttled`` is the share of its clock that the processor has lost to a lower limit;
``battery_amperes`` is below 0 while the battery is discharged; bytes are counted since the start."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric at one time. Raises `UsageError` for a metric that is not in `UNITS`."""

    metric: str
    value: float
    provenance: Provenance
    source: str

    def __post_init__(self) -> None:
        if self.metric not in UNITS:
            raise UsageError(f"no metric is named {self.metric!r}; there are {', '.join(UNITS)}")

    @property
    def unit(self) -> str:
        """Return the metric's unit."""
        return UNITS[self.metric]
