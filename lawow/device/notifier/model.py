"""A modelled battery, for devices and programs that have none: a charge that the processors' load empties.

Power is idle power and, in proportion to the utilisation of the processors, what full load adds. All its
readings are `MODELLED`: they say what a device of these figures would show, not what this one draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lawow.device.notifier.metrics import Absent, Metric, Provenance, Reading
from lawow.errors import UsageError

__all__ = ["BatteryModel", "BatterySource"]

SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class BatteryModel:
    """The figures of a device, all of them finite and not negative. Raises `UsageError`."""

    capacity_watt_hours: float
    idle_watts: float
    full_load_watts: float
    level_percent: float = 100.0

    def __post_init__(self) -> None:
        figures = (self.capacity_watt_hours, self.idle_watts, self.full_load_watts, self.level_percent)
        if (
            not all(math.isfinite(figure) and figure >= 0 for figure in figures)
            or not self.capacity_watt_hours
        ):
            raise UsageError(
                f"{self} is no battery; its figures are finite and not negative, its capacity not 0"
            )
        if self.full_load_watts < self.idle_watts or self.level_percent > 100:
            raise UsageError(
                f"{self} is no battery; full load draws no less than idling, a level is up to 100"
            )


class BatterySource:
    """Gives level and power of a model by the CPU utilisation that a source before it has read."""

    def __init__(self, model: BatteryModel) -> None:
        self._model = model
        self._left_joules = model.capacity_watt_hours * SECONDS_PER_HOUR * model.level_percent / 100
        self._before: float | None = None

    def read(self, seconds: float, known: Mapping[Metric, Reading]) -> list[Reading | Absent]:
        """Take from the charge what was drawn since the reading before. Without a utilisation: idle power."""
        utilisation = known.get(Metric.CPU_UTILISATION)
        load = float(utilisation.value) / 100 if utilisation else 0.0
        watts = self._model.idle_watts + load * (self._model.full_load_watts - self._model.idle_watts)
        if self._before is not None:
            self._left_joules = max(0.0, self._left_joules - watts * (seconds - self._before))
        self._before = seconds
        level = 100 * self._left_joules / (self._model.capacity_watt_hours * SECONDS_PER_HOUR)
        values = ((Metric.BATTERY_LEVEL, level), (Metric.POWER, watts))
        return [
            Reading(metric, value, Provenance.MODELLED, seconds, "battery model") for metric, value in values
        ]
