"""Energy of calls: a power model, samples with provenance, and the ledger that adds them up.

Units: watts, seconds, joules, and milliwatt-hours (1 mWh = 3.6 J), as the papers use them. All power is of
the whole device, so a call's energy is what the device draws from its start to its end. No figure is without
a provenance, and sums of different provenance are never mixed. A ledger may be given to elastic functions
(`ledger=`), which then enter each run of each call.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from lawow.device.energy_units import JOULES_PER_MWH
from lawow.device.policy.basic import Place
from lawow.device.profiles.device import DeviceProfile
from lawow.device.provenance import Provenance
from lawow.errors import UsageError

__all__ = ["EnergyCounter", "EnergyLedger", "EnergySample", "EnergyTotal", "PowerModel"]

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


class EnergyCounter(Protocol):
    """An instrument: a meter in the cable, power rails, `lawow.device.energy_counter.PackageCounter`."""

    @property
    def provenance(self) -> Provenance:
        """How far it can be trusted."""

    @property
    def source(self) -> str:
        """Which instrument, and what of the device it sees."""

    def joules(self) -> float | None:
        """Return what was drawn since any fixed time, never less than before; None if it cannot tell."""


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

    def __str__(self) -> str:
        where = "here" if self.place is Place.LOCAL else "on the edge"
        return (
            f"{self.export} {where}: {self.mwh_per_call:.4g} mWh a call ({self.calls:,} calls, "
            f"{self.provenance.value})"
        )


@dataclass(slots=True, eq=False)
class _Run:
    """A run that is under way. `inner` runs of other calls in it are charged to these while they last."""

    place: Place
    outer: _Run | None
    inner: int = 0
    seconds: float = 0.0
    joules: float = 0.0
    is_shared: bool = False
    is_unknown: bool = False
    is_over: bool = False


class EnergyLedger:
    """Samples, newest last, and sums by function, place and provenance. For several threads.

    `source` is what `run` takes energy from: a model of the device, or an instrument. `missed` counts runs
    whose energy the instrument could not tell. `clock` gives seconds.
    """

    def __init__(
        self,
        source: PowerModel | EnergyCounter | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.samples: deque[EnergySample] = deque(maxlen=SAMPLES_KEPT)
        self.source = source
        self.missed = 0
        self._clock = clock
        self._sums: dict[tuple[str, Place, Provenance], tuple[int, float, float]] = {}
        self._lock = threading.RLock()
        self._running: dict[int, _Run] = {}
        self._last: tuple[float, float | None] = (0.0, None)
        self._current: ContextVar[_Run | None] = ContextVar("lawow_energy_run", default=None)

    def add(self, sample: EnergySample) -> None:
        """Take a sample in."""
        key = (sample.export, sample.place, sample.provenance)
        with self._lock:
            self.samples.append(sample)
            calls, seconds, mwh = self._sums.get(key, (0, 0.0, 0.0))
            self._sums[key] = (calls + 1, seconds + sample.seconds, mwh + sample.mwh_per_call)

    def require_source(self) -> None:
        """Raise `UsageError` unless `run` has something to take energy from."""
        if self.source is None:
            raise UsageError("this ledger has no source; make it with a PowerModel or an energy counter")

    @contextmanager
    def run(self, export: str, place: Place) -> Iterator[None]:
        """Enter what the device draws while the block runs, however it ends.

        Runs at the same time share time and energy evenly, and a run within another one is charged alone, so
        that sums are what the device drew. What an instrument measured and was shared is `MODELLED`: nobody
        measured the shares. Raises `UsageError` for a ledger without source.
        """
        outer = self._current.get()
        item = self._begin(place, outer)
        token = self._current.set(item)
        try:
            yield
        finally:
            self._current.reset(token)
            self._end(item, export)

    def totals(self, export: str | None = None) -> Iterator[EnergyTotal]:
        """Yield the sums, one for each function, place and provenance, or those of one function alone."""
        with self._lock:
            sums = list(self._sums.items())
        for (name, place, provenance), numbers in sums:
            if export in (None, name):
                yield EnergyTotal(name, place, provenance, *numbers)

    def summary(self) -> str:
        """Return a line for each sum: what a call of each function costs here and on the edge."""
        return "\n".join(sorted(str(total) for total in self.totals()))

    # inside

    def _begin(self, place: Place, outer: _Run | None) -> _Run:
        self.require_source()
        item = _Run(place, outer)
        with self._lock:
            self._charge()
            if outer is not None:
                outer.inner += 1
                self._running.pop(id(outer), None)
            self._running[id(item)] = item
        return item

    def _end(self, item: _Run, export: str) -> None:
        with self._lock:
            self._charge()
            self._running.pop(id(item), None)
            item.is_over = True
            outer = item.outer
            if outer is not None:
                outer.inner -= 1
                if not outer.inner and not outer.is_over:
                    self._running[id(outer)] = outer
            if item.is_unknown:
                self.missed += 1
            else:
                self.add(self._sample(item, export))

    def _charge(self) -> None:
        """Divide what was drawn since the last run began or ended among those that were under way."""
        now, source = self._clock(), self.source
        before, counted = self._last
        joules = None if source is None or isinstance(source, PowerModel) else source.joules()
        self._last = (now, joules)
        running = self._running.values()
        if not running:
            return
        if isinstance(source, PowerModel):
            drawn: float | None = max(source.watts(item.place) for item in running) * (now - before)
        else:
            drawn = None if joules is None or counted is None else joules - counted
        for item in running:
            item.seconds += (now - before) / len(running)
            item.joules += (drawn or 0.0) / len(running)
            item.is_shared |= len(running) > 1
            item.is_unknown |= drawn is None

    def _sample(self, item: _Run, export: str) -> EnergySample:
        source = self.source
        assert source is not None  # `require_source` asked
        provenance, name = source.provenance, source.source
        if item.is_shared and not isinstance(source, PowerModel):
            provenance, name = Provenance.MODELLED, f"{name}, shared evenly by runs at the same time"
        return EnergySample(export, item.place, item.seconds, item.joules / JOULES_PER_MWH, provenance, name)
