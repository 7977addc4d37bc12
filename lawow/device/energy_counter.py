"""The energy counter that Linux has on Intel and AMD processors, as a source of an `EnergyLedger`.

Refuses, as `UsageError`, a machine without it and a user who may not read it.
"""

from __future__ import annotations

from pathlib import Path

from lawow.device.notifier.power import POWERCAP, PackageEnergy
from lawow.device.notifier.tree import Missing, Tree
from lawow.device.provenance import Provenance
from lawow.errors import UsageError

__all__ = ["PackageCounter"]


class PackageCounter:
    """The processor packages by powercap (RAPL). Not the whole device: no screen, no radio, no memory.

    The kernel counts about every millisecond, so one call of less is uncertain, and many together are right.
    Other programs on the machine are counted as well.
    """

    provenance = Provenance.MEASURED

    def __init__(self, root: Path = Path("/")) -> None:
        """Raises `UsageError` if there is none, or if this user may not read it."""
        self._energy = PackageEnergy(Tree(root))
        try:
            _, zones = self._energy.read()
        except Missing as error:
            raise UsageError(
                f"no energy counter: {error}; the file is root's alone on most systems: let this user "
                "read it, or give the ledger a PowerModel"
            ) from None
        self.source = f"{POWERCAP}/{', '.join(zones)}: processor packages alone"

    def joules(self) -> float | None:
        """Return the joules since this object was made."""
        try:
            return self._energy.read()[0]
        except Missing:
            return None
