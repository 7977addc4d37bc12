"""Work counted in calls of functions: it can be compared between sizes, whatever the load is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

__all__ = ["MOST_GROWTH", "calls_in"]

MOST_GROWTH = 1.2
"""Between sizes that double, linear work may at most grow with this power of the size."""


def calls_in(step: Callable[[], object]) -> int:
    """Count the calls of functions, Python's own included: a measure of time that no load disturbs."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(note)
    try:
        step()
    finally:
        sys.setprofile(None)
    return count
