"""What the Notifier knows: metrics with their unit, readings with their provenance, and what has none.

The same names and units stand in `dev.lawow.Metric`; a test compares both. Currents and powers are counted
from the battery's side: positive while it is charged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from lawow.device.provenance import Provenance

__all__ = ["Absent", "Metric", "Provenance", "Reading", "Sample", "Source"]


class Metric(Enum):
    """Something that can be read. The value is its name; `unit` is the unit of all its readings."""

    CPU_UTILISATION = "cpu_utilisation"
    GPU_UTILISATION = "gpu_utilisation"
    DEVICE_TEMPERATURE = "device_temperature"
    BATTERY_TEMPERATURE = "battery_temperature"
    THROTTLING = "throttling"
    THERMAL_STATUS = "thermal_status"
    THERMAL_HEADROOM = "thermal_headroom"
    BATTERY_LEVEL = "battery_level"
    BATTERY_VOLTAGE = "battery_voltage"
    BATTERY_CURRENT = "battery_current"
    CHARGE_STATE = "charge_state"
    POWER = "power"
    ENERGY = "energy"
    NETWORK_KIND = "network_kind"
    SIGNAL = "signal"
    ROUND_TRIP = "round_trip"
    THROUGHPUT = "throughput"
    BYTES_IN = "bytes_in"
    BYTES_OUT = "bytes_out"

    @property
    def unit(self) -> str:
        """The unit as people write it; ``text`` for a metric whose values are words, "" for a bare number."""
        return _UNITS[self]


_UNITS = {
    Metric.CPU_UTILISATION: "%",  # of all processors together, since the reading before
    Metric.GPU_UTILISATION: "%",
    Metric.DEVICE_TEMPERATURE: "°C",  # of the hottest sensor
    Metric.BATTERY_TEMPERATURE: "°C",
    Metric.THROTTLING: "%",  # of what the strongest cooling in force could do
    Metric.THERMAL_STATUS: "",  # Android's: 0 none, 1 light, 2 moderate, 3 severe, ... 6 shutdown
    Metric.THERMAL_HEADROOM: "",  # Android's: at 1.0 throttling becomes severe
    Metric.BATTERY_LEVEL: "%",
    Metric.BATTERY_VOLTAGE: "V",
    Metric.BATTERY_CURRENT: "A",
    Metric.CHARGE_STATE: "text",  # charging, discharging, not charging, full
    Metric.POWER: "W",  # that the processors draw, on Android all that is measured; modelled: the device
    Metric.ENERGY: "mWh",  # that a device has counted so far; only differences mean something
    Metric.NETWORK_KIND: "text",  # none, wifi, cellular, ethernet, other
    Metric.SIGNAL: "dBm",
    Metric.ROUND_TRIP: "s",
    Metric.THROUGHPUT: "B/s",  # that a transfer of the application reached
    Metric.BYTES_IN: "B",  # since the system started, loopback aside
    Metric.BYTES_OUT: "B",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One value. `seconds` is the Notifier's clock; `source` says where the value stood, for people."""

    metric: Metric
    value: float | str
    provenance: Provenance
    seconds: float
    source: str


@dataclass(frozen=True, slots=True)
class Absent:
    """A metric that a source could have and has not. `looked_at` says where it looked and what it found."""

    metric: Metric
    looked_at: str


@dataclass(frozen=True, slots=True)
class Sample:
    """All that was read at one time: readings by metric, and for each absent metric where was looked."""

    seconds: float
    readings: Mapping[Metric, Reading] = field(default_factory=dict)
    absent: Mapping[Metric, str] = field(default_factory=dict)


class Source(Protocol):
    """Somewhere that metrics come from."""

    def read(self, seconds: float, known: Mapping[Metric, Reading]) -> list[Reading | Absent]:
        """Read all there is now. `seconds` is the Notifier's clock, `known` what earlier sources have read.

        Must not raise because a value is missing or nonsense: that is an `Absent`.
        """
