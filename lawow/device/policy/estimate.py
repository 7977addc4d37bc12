"""How long a call takes, by its size: a power law that is learned call by call, and follows changes at once.

``seconds = level x (1 + size) ^ slope``. The slope is what the code does with its arguments (0, 1 for a scan,
2 for insertion sort, 1.5 for a product of matrices by elements) and is fitted over many calls; the level is
what the machine and the network make of it, and may change from one call to the next.
"""

from __future__ import annotations

from math import exp, log

__all__ = ["Estimate"]

LEVEL_WEIGHT = 0.2
"""Of the newest call in the level: the last ten make up nine tenths of it."""
MEMORY = 0.98
"""By which older calls count less in the slope with each new one: fifty calls or so make it."""
JUMP = log(1.4)
"""Some calls in a row that are off by so much, to the same side, are no noise: the level jumps there."""
BELIEF = 0.2
"""How firmly the first slope is believed: as if log sizes had been seen that differ by so much in sum."""
FAR = 1.0
"""Logarithm by which one call may lie off the line and still draw the slope with all its weight."""
SHORTEST = 1e-7


class Estimate:
    """The power law of one function in one place. `calls` went into it; 0: nothing is known.

    `largest` is the largest log size among them.
    """

    __slots__ = (
        "_first_slope",
        "_in_a_row",
        "_off",
        "_steepest",
        "_sx",
        "_sxx",
        "_sxy",
        "_sy",
        "_weight",
        "calls",
        "largest",
        "level",
        "slope",
    )

    def __init__(self, slope: float, steepest: float, in_a_row: int = 2) -> None:
        """`slope` is believed until sizes differ enough to see one; no slope is above `steepest`.

        `in_a_row` calls that are off make the level jump.
        """
        self.calls = 0
        self.largest = 0.0
        self.level = 0.0
        self._steepest = steepest
        self.slope = self._first_slope = slope
        self._in_a_row = in_a_row
        self._off = 0
        self._weight = self._sx = self._sy = self._sxx = self._sxy = 0.0

    def seconds(self, log_size: float) -> float:
        """Return how long a call of that size is going to take; `log_size` is ``log(1 + size)``."""
        return exp(self.level + self.slope * log_size)

    def learn(self, log_size: float, seconds: float) -> None:
        """Take note of a call."""
        value = log(max(seconds, SHORTEST))
        self.calls += 1
        self.largest = max(self.largest, log_size)
        if self.calls == 1:
            self.level = value - self.slope * log_size
        near = self.level + self.slope * log_size
        self._fit_slope(log_size, min(max(value, near - FAR), near + FAR))
        off = value - self.level - self.slope * log_size
        side = 0 if abs(off) <= JUMP else 1 if off > 0 else -1
        self._off = self._off + side if side * self._off > 0 else side  # calls in a row, by the side's sign
        if abs(self._off) >= self._in_a_row:
            self.level += off
            self._off = 0
        else:
            self.level += LEVEL_WEIGHT * min(max(off, -FAR), FAR)

    def _fit_slope(self, x: float, y: float) -> None:
        """Least squares with forgetting; when the slope turns, the level does so around the mean size."""
        self._weight = self._weight * MEMORY + 1
        self._sx = self._sx * MEMORY + x
        self._sy = self._sy * MEMORY + y
        self._sxx = self._sxx * MEMORY + x * x
        self._sxy = self._sxy * MEMORY + x * y
        mean = self._sx / self._weight
        spread = max(self._sxx - mean * self._sx, 0.0)
        slope = (self._sxy - mean * self._sy + BELIEF * self._first_slope) / (spread + BELIEF)
        slope = min(max(slope, 0.0), self._steepest)
        self.level += (self.slope - slope) * mean
        self.slope = slope
