"""Units of energy: milliwatt-hours, as the papers use them."""

from __future__ import annotations

__all__ = ["JOULES_PER_MWH"]

JOULES_PER_MWH = 3.6
