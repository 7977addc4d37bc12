"""Battery and power on Linux: ``/sys/class/power_supply`` and ``/sys/class/powercap``.

Source: the kernel's Documentation/ABI/testing/sysfs-class-power (microvolt, microampere, tenths of a degree)
and sysfs-class-powercap (microjoule).
"""

from __future__ import annotations

from lawow.device.notifier.calibration import CurrentCalibration
from lawow.device.notifier.tree import Missing, Tree

__all__ = ["POWERCAP", "Battery", "PackageEnergy", "PackagePower"]

SUPPLIES = "/sys/class/power_supply"
POWERCAP = "/sys/class/powercap"
STATES = ("charging", "discharging", "not charging", "full")
MOST_WATTS = 10_000


class Battery:
    """The device's own battery: the first supply of type ``Battery`` whose scope is not another device."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._folder = ""
        self._calibration = CurrentCalibration()

    def level(self) -> tuple[float, str]:
        """Return the charge in percent, and the file."""
        path = f"{self._found()}/capacity"
        return float(self._tree.number(path, 0, 100)), path

    def voltage(self) -> tuple[float, str]:
        """Return the voltage in V, and the file."""
        path = f"{self._found()}/voltage_now"
        return self._tree.number(path, 0, 1e9) / 1e6, path

    def temperature(self) -> tuple[float, str]:
        """Return the temperature in degrees Celsius, and the file."""
        path = f"{self._found()}/temp"
        return self._tree.number(path, -1000, 2000) / 10, path

    def state(self) -> tuple[str, str]:
        """Return whether it is charged, one of `STATES`, and the file."""
        path = f"{self._found()}/status"
        state = self._tree.text(path).lower()
        if state not in STATES:
            raise Missing(f"{path}: found {state[:40]!r}, allowed are {', '.join(STATES)}")
        return state, path

    def current(self) -> tuple[float, str]:
        """Return the current in A, corrected by `CurrentCalibration`, and the file with its unit."""
        path = f"{self._found()}/current_now"
        raw = self._tree.number(path, -1e9, 1e9)
        amperes = self._calibration.amperes(raw, self.state()[0])
        if amperes is None:
            raise Missing(f"{path}: found {raw}, unit {self._calibration.unit}")
        return amperes, f"{path} in {self._calibration.unit}"

    def _found(self) -> str:
        if not self._folder or not self._tree.holds(self._folder):
            self._folder = self._search()
        return self._folder

    def _search(self) -> str:
        names = self._tree.names(SUPPLIES)
        for name in names:
            folder = f"{SUPPLIES}/{name}"
            if self._says(f"{folder}/type") == "Battery" and self._says(f"{folder}/scope") != "Device":
                return folder
        raise Missing(
            f"{SUPPLIES}: {'no battery among ' + ', '.join(names[:8]) if names else 'nothing there'}"
        )

    def _says(self, path: str) -> str:
        try:
            return self._tree.text(path)
        except Missing:
            return ""


class PackageEnergy:
    """What the processor packages have drawn, added up over their counters' ranges."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._before: dict[str, int] = {}
        self._joules = 0.0

    def read(self) -> tuple[float, tuple[str, ...]]:
        """Return the joules since the first reading, and the zones; other zones than before add nothing."""
        now = {name: self._energy(name) for name in self._packages()}
        if now.keys() == self._before.keys():
            self._joules += (
                sum(self._drawn(name, self._before[name], item) for name, item in now.items()) / 1e6
            )
        self._before = now
        return self._joules, tuple(now)

    def _packages(self) -> list[str]:
        """Zones as ``intel-rapl:0``; ``intel-rapl:0:1`` is a part of one and counted there."""
        names = [name for name in self._tree.names(POWERCAP) if name.count(":") == 1]
        packages = [name for name in names if self._tree.holds(f"{POWERCAP}/{name}/energy_uj")]
        if not packages:
            raise Missing(f"{POWERCAP}: {'no zone has energy_uj' if names else 'nothing there'}")
        return packages

    def _energy(self, name: str) -> int:
        return self._tree.number(f"{POWERCAP}/{name}/energy_uj", 0, 2**64)

    def _drawn(self, name: str, before: int, now: int) -> int:
        """Return the microjoules between two readings; the counter begins anew after its range."""
        if now >= before:
            return now - before
        return now - before + self._tree.number(f"{POWERCAP}/{name}/max_energy_range_uj", 1, 2**64)


class PackagePower:
    """What the processor packages draw, from the energy they have drawn since the reading before."""

    def __init__(self, tree: Tree) -> None:
        self._energy = PackageEnergy(tree)
        self._before: tuple[float, float, tuple[str, ...]] | None = None

    def watts(self, seconds: float) -> tuple[float, str]:
        """Return the mean power in W since the last call, and the folder."""
        joules, zones = self._energy.read()
        before, self._before = self._before, (seconds, joules, zones)
        if before is None or before[2] != zones or seconds <= before[0]:
            raise Missing(f"{POWERCAP}: needs a second reading")
        watts = (joules - before[1]) / (seconds - before[0])
        if watts > MOST_WATTS:
            raise Missing(f"{POWERCAP}: found {watts:.0f} W, allowed is up to {MOST_WATTS}")
        return watts, f"{POWERCAP}/{', '.join(zones)}"
