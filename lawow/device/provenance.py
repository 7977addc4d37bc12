"""Where a figure comes from: no energy, temperature or device time stands anywhere without this tag."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

__all__ = ["Figure", "Provenance", "weakest"]


class Provenance(Enum):
    """How far a figure can be trusted, the best first."""

    MEASURED = "measured"
    """Read from an instrument: a sensor, a clock, a published measurement of the very device."""
    EMULATED = "emulated"
    """Measured on a machine that was made to behave like another one."""
    MODELLED = "modelled"
    """Computed from other figures, or assumed; the source says how."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in the unit that its name states, how it was had, and from where."""

    value: float
    provenance: Provenance
    source: str


def weakest(kinds: Iterable[Provenance]) -> Provenance:
    """Return what a figure is that was computed from figures of these kinds (`MODELLED` of none)."""
    order = list(Provenance)
    return max(kinds, key=order.index, default=Provenance.MODELLED)
