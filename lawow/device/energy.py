"""Energy of calls: a power model, samples with provenance, and the ledger that adds them up.

Units: watts, seconds, joules, and milliwatt-hours (1 mWh = 3.6 J), as the papers use them. All power is of
the whole device, so a call's energy is what the device draws from its start to its end. No figure is without
a provenance, and sums of different provenance are never mixed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from lawow.device.energy_units import JOULES_PER_MWH
from lawow.device.policy.basic import Place
from lawow.device.profiles.device import DeviceProfile
from lawow.device.provenance import Provenance

__all__ = ["EnergyLedger", "EnergySample", "EnergyTotal", "PowerModel"]

SAMPLES_KEPT = 10_000
"""Newest samples that a ledger remembers one by one; sums hold all."""


@dataclass(frozen=True, slots=True)
class EnergySample:
    """What one call of `export` drew. `source` names the instrument or the model."""

    export: str
    place: Place
    seconds: float
    mwh_per_call: float
    provenance: Provenance
    source: str


@dataclass(frozen=True, slots=True)
class PowerModel:
    """What a device draws, in watts, while a call runs here and while it runs on an edge."""

    local_watts: float
    remote_watts: float
    provenance: Provenance
    source: str

    @classmethod
    def of_device(cls, device: DeviceProfile, network: str) -> PowerModel:
        """Return the model of a device on a kind of network; it is never better than `MODELLED`.

        The watts may have been measured; that this very call drew them is what the model says.
        """
        return cls(
            device.busy_watts.value,
            device.offloaded_watts_on(network).value,
            Provenance.MODELLED,
            f"{device.name} on {network}: busy {device.busy_watts.value:g} W, "
            f"offloaded {device.offloaded_watts_on(network).value:g} W",
        )

    def watts(self, place: Place) -> float:
        """Return the power while a call runs in that place."""
        return self.local_watts if place is Place.LOCAL else self.remote_watts

    def mwh(self, place: Place, seconds: float) -> float:
        """Return the energy of a call of so many seconds in mWh."""
        return self.watts(place) * seconds / JOULES_PER_MWH

    def sample(self, export: str, place: Place, seconds: float) -> EnergySample:
        """Return the sample of one call."""
        return EnergySample(export, place, seconds, self.mwh(place, seconds), self.provenance, self.source)


@dataclass(frozen=True, slots=True)
class EnergyTotal:
    """What the calls of one function in one place drew, of one provenance."""

    export: str
    place: Place
    provenance: Provenance
    calls: int
    seconds: float
    mwh: float

    @property
    def mwh_per_call(self) -> float:
        """Return the mean energy of a call."""
        return self.mwh / self.calls


class EnergyLedger:
    """Samples, newest last, and sums by function, place and provenance."""

    def __init__(self) -> None:
        self.samples: deque[EnergySample] = deque(maxlen=SAMPLES_KEPT)
        self._sums: dict[tuple[str, Place, Provenance], tuple[int, float, float]] = {}

    def add(self, sample: EnergySample) -> None:
        """Take a sample in."""
        self.samples.append(sample)
        key = (sample.export, sample.place, sample.provenance)
        calls, seconds, mwh = self._sums.get(key, (0, 0.0, 0.0))
        self._sums[key] = (calls + 1, seconds + sample.seconds, mwh + sample.mwh_per_call)

    def totals(self) -> Iterator[EnergyTotal]:
        """Yield the sums, one for each function, place and provenance."""
        for (export, place, provenance), sums in self._sums.items():
            yield EnergyTotal(export, place, provenance, *sums)
