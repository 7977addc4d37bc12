"""What a network between a device and an edge does to bytes, and the three networks that the papers name.

The figures are what such links commonly give, not measurements: what runs over them is *emulated*.
"""

from __future__ import annotations

from dataclasses import dataclass

from lawow.errors import UsageError

__all__ = ["LINKS", "LinkShape"]

SLOWEST_BITS = 1_000
LONGEST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class LinkShape:
    """One way of a link, the same in both directions; each figure of 0 leaves the bytes alone.

    `latency_seconds` one way, `jitter_seconds` on top of it, evenly from 0, `bits_per_second` shared by all
    connections, `loss` the part of segments (0 to below 1) that TCP sends again after `retry_seconds`: a
    proxy for streams cannot drop bytes, so a loss is the wait that it causes. Raises `UsageError`.
    """

    latency_seconds: float = 0.0
    jitter_seconds: float = 0.0
    bits_per_second: float = 0.0
    loss: float = 0.0
    retry_seconds: float = 0.2  # the least that Linux waits before it sends again

    def __post_init__(self) -> None:
        for name in ("latency_seconds", "jitter_seconds", "retry_seconds"):
            value = getattr(self, name)
            if not 0 <= value <= LONGEST_SECONDS:
                raise UsageError(f"link: {name} is {value}; allowed are 0 to {LONGEST_SECONDS:.0f}")
        if not 0 <= self.loss < 1:
            raise UsageError(f"link: loss is {self.loss}; allowed are 0 to below 1")
        if self.bits_per_second != 0 and not self.bits_per_second >= SLOWEST_BITS:
            raise UsageError(
                f"link: bits_per_second is {self.bits_per_second}; allowed are 0 and 1,000 or more"
            )


LINKS = {
    "lan": LinkShape(latency_seconds=0.000_3, bits_per_second=100e6),
    "wifi": LinkShape(latency_seconds=0.001_5, jitter_seconds=0.001, bits_per_second=100e6),
    "5g": LinkShape(latency_seconds=0.010, jitter_seconds=0.004, bits_per_second=50e6),
}
"""By name. A Raspberry Pi 3's Ethernet has 100 Mbit/s; Wi-Fi and 5G after what private networks of that time
gave: round trips of about 4 and 24 ms, the latter with the three more hops that the second paper tells of.
"""
