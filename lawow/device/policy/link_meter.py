"""What the way to an edge is like, learned from exchanges: how many bytes travelled, and for how long.

``seconds = round trip + bytes x seconds per byte``, by least squares of what each exchange is off as a share
of its time, older ones forgotten. What exchanges do not tell, as the round trip if all are large, stays as it
was. One that is far off moves little; a second one to the same side is believed, those before are forgotten.
"""

from __future__ import annotations

from math import exp, log

from lawow.device.policy.cost import Link

__all__ = ["LinkMeter"]

MEMORY = 0.9
"""By which older exchanges count less with each new one: twenty or so make the figures."""
BELIEF = 0.02
"""Weight, beside an exchange, of leaving a figure as it is."""
FAR = log(2.0)
"""Logarithm by which one exchange may be off before it takes a second one to believe it."""
SUSPECTED_FOR = 4
"""Exchanges within which the second one has to come: sizes that a change does not touch may lie between."""
ASSUMED_BYTES_PER_SECOND = 12.5e6
"""Of 100 Mbit/s, until an exchange says more: only to divide the first one."""
SHORTEST_SECONDS = 1e-6
QUICKEST = 1e-12
"""Seconds per byte."""


class LinkMeter:
    """One way. `exchanges` went into it; `is_known` once there was one, or it was told."""

    def __init__(self) -> None:
        self.exchanges = 0
        self.is_known = False
        self._trip = 0.0
        self._per_byte = 1 / ASSUMED_BYTES_PER_SECOND
        self._suspect, self._since = 0.0, SUSPECTED_FOR
        self._forget()

    @property
    def link(self) -> Link:
        """Round trip and bandwidth as they are believed to be now."""
        return Link(self._trip, 1 / self._per_byte)

    def tell(self, link: Link) -> None:
        """Take over what others have measured; an infinite bandwidth is one that nobody has."""
        self.is_known = True
        self._forget()
        self._trip = link.round_trip_seconds
        if 0 < link.bytes_per_second < float("inf"):
            self._per_byte = max(1 / link.bytes_per_second, QUICKEST)

    def learn(self, exchanged_bytes: int, seconds: float) -> None:
        """Take note of an exchange: bytes in both directions, and the time they were on their way."""
        seconds = max(seconds, SHORTEST_SECONDS)
        if not self.is_known:
            self._begin(exchanged_bytes, seconds)
        self.exchanges += 1
        expected = max(self._trip + self._per_byte * exchanged_bytes, SHORTEST_SECONDS)
        off = log(seconds / expected)
        self._since += 1
        if abs(off) > FAR:
            is_second = self.exchanges == 1 or (self._since <= SUSPECTED_FOR and off * self._suspect > 0)
            self._suspect, self._since = off, 0
            if is_second:
                self._forget()
                self._move(exchanged_bytes, seconds)
            else:
                seconds = expected * exp(FAR if off > 0 else -FAR)
        self._fit(exchanged_bytes, seconds)

    def _begin(self, size: int, seconds: float) -> None:
        """Divide the first exchange: what the bytes do not take at the usual pace is the round trip."""
        self.is_known = True
        transfer = min(size / ASSUMED_BYTES_PER_SECOND, seconds / 2)
        self._trip = seconds - transfer
        if size:
            self._per_byte = max(transfer / size, QUICKEST)

    def _move(self, size: int, seconds: float) -> None:
        """Let an exchange of that size take so long, by the figure that matters most to it."""
        transfer = self._per_byte * size
        if transfer > self._trip and seconds > self._trip:
            self._per_byte = max((seconds - self._trip) / size, QUICKEST)
        else:
            self._trip = max(seconds - transfer, 0.0)

    def _forget(self) -> None:
        """Let the figures stand by themselves: the next exchange counts for far more."""
        self._ones = self._cross = self._squares = self._one_sum = self._byte_sum = 0.0

    def _fit(self, size: int, seconds: float) -> None:
        """Solve the two normal equations; a figure that would be negative is none, and the other one all."""
        one, many = 1 / seconds, size / seconds
        self._ones = self._ones * MEMORY + one * one
        self._cross = self._cross * MEMORY + one * many
        self._squares = self._squares * MEMORY + many * many
        self._one_sum = self._one_sum * MEMORY + one
        self._byte_sum = self._byte_sum * MEMORY + many
        trip, per_byte = max(self._trip, SHORTEST_SECONDS), self._per_byte
        ones, squares = self._ones + BELIEF / trip**2, self._squares + BELIEF / per_byte**2
        first, second = self._one_sum + BELIEF / trip, self._byte_sum + BELIEF / per_byte
        divisor = ones * squares - self._cross**2
        self._trip = (first * squares - second * self._cross) / divisor
        self._per_byte = (second * ones - first * self._cross) / divisor
        if self._trip < 0:
            self._trip, self._per_byte = 0.0, second / squares
        elif self._per_byte < QUICKEST:
            self._trip, self._per_byte = first / ones, QUICKEST
