"""Battery currents in ampere, whatever unit and sign the vendor gives them.

Android and Linux both say: microampere, positive while charging. Some vendors give milliampere, and some turn
the sign around. A device that runs draws between 10 mA and 10 A: 10,000 to 10,000,000 in microampere, 10 to
10,000 in milliampere. So the largest value seen tells the unit: above 10,000 it is microampere for good; up
to 10,000, while discharging, milliampere. A small value while charging can be either (a full battery is fed
a few mA), and is no reading until the unit is known. The sign is that of the charge state.

`dev.lawow.CurrentCalibration` is the same rule; one table of cases tests both.
"""

from __future__ import annotations

__all__ = ["CurrentCalibration"]

BORDER = 10_000
MICRO, MILLI = 1e-6, 1e-3
MOST_AMPERES = 100


class CurrentCalibration:
    """The unit of one battery, learnt from what it says."""

    def __init__(self) -> None:
        self._scale: float | None = None

    def amperes(self, raw: int, charge_state: str) -> float | None:
        """Return the current in A, positive while charging; None as long as the unit is not known."""
        if abs(raw) > BORDER:
            self._scale = MICRO
        elif raw and charge_state == "discharging" and self._scale is None:
            self._scale = MILLI
        if self._scale is None or abs(raw) * self._scale > MOST_AMPERES:
            return None
        size = abs(raw) * self._scale
        if charge_state == "discharging":
            return -size
        return size if charge_state == "charging" else raw * self._scale

    @property
    def unit(self) -> str:
        """The unit that the vendor gives: ``µA``, ``mA``, or ``unknown``."""
        return {None: "unknown", MICRO: "µA", MILLI: "mA"}[self._scale]
