"""Where readings come from when not from this machine: a device file's model, or a trace that is replayed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Protocol

from lawow.device.notifier.readings import Reading
from lawow.device.profiles import DeviceProfile
from lawow.device.provenance import Provenance
from lawow.errors import UsageError

__all__ = ["ModelSource", "ReplaySource", "Source"]


class Source(Protocol):
    """Something that can be asked for readings."""

    def read(self, now: float) -> Iterable[Reading]:
        """Return what there is now, by any clock of seconds that goes forward; gaps are left out."""


class ReplaySource:
    """Readings by time: at each time the newest of each metric that is not later."""

    def __init__(self, readings: Iterable[tuple[float, Reading]]) -> None:
        """Takes pairs of seconds and reading, in any order."""
        self._rows: dict[str, list[tuple[float, Reading]]] = {}
        for seconds, reading in sorted(readings, key=lambda pair: pair[0]):
            self._rows.setdefault(reading.metric, []).append((seconds, reading))

    def read(self, now: float) -> Sequence[Reading]:
        """Return the newest readings at that time."""
        found = []
        for rows in self._rows.values():
            index = bisect_right(rows, now, key=lambda pair: pair[0])
            if index:
                found.append(rows[index - 1][1])
        return found


class ModelSource:
    """Power, and the battery that it empties, of a device that is busy for a share of the time.

    Set `utilisation` as it changes. A device without a battery has no ``battery_level``.
    """

    def __init__(self, device: DeviceProfile, utilisation: float = 0.0, level: float = 1.0) -> None:
        self._device = device
        self._level = level
        self._before: float | None = None
        self._utilisation = 0.0
        self.utilisation = utilisation

    @property
    def utilisation(self) -> float:
        """The share of the time that the device is busy, from 0 to 1."""
        return self._utilisation

    @utilisation.setter
    def utilisation(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise UsageError(f"utilisation is a share from 0 to 1; found {value}")
        self._utilisation = value

    def read(self, now: float) -> Sequence[Reading]:
        """Return utilisation, power and what is left of the battery since the last reading."""
        idle, busy = self._device.idle_watts.value, self._device.busy_watts.value
        watts = idle + (busy - idle) * self._utilisation
        values = {"cpu_utilisation": self._utilisation, "power": watts}
        battery = self._device.battery_mwh
        if battery is not None:
            passed = 0.0 if self._before is None else now - self._before
            self._level = max(self._level - watts * passed / 3.6 / battery.value, 0.0)
            values["battery_level"] = self._level
        self._before = now
        source = f"model of {self._device.name}"
        return [Reading(key, value, Provenance.MODELLED, source) for key, value in values.items()]
