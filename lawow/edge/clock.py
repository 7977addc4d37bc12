"""The clock of offers and leases: seconds since 1970 that never jump while the edge runs.

Leases outlive the process, so their ends are dates. But a clock that somebody sets must not end all of them
at once, nor keep them for ever: the date is read once, and from then on the monotonic clock counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock", "steady_clock"]

Clock = Callable[[], float]
"""Returns seconds since 1970."""


def steady_clock() -> Clock:
    """Return a clock that starts at the system's date and advances monotonically."""
    offset = time.time() - time.monotonic()
    return lambda: offset + time.monotonic()
