"""What an emulated network does to bytes, one way: as given, or as a network profile says."""

from __future__ import annotations

from dataclasses import dataclass

from lawow.device.profiles import NetworkPhase
from lawow.errors import UsageError

__all__ = ["LinkShape"]

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

    @classmethod
    def of_network(cls, phase: NetworkPhase) -> LinkShape:
        """Return one way of a network: half of its round trip, jitter and loss, the bandwidth from the "
        "device."""
        return cls(
            phase.round_trip_seconds / 2,
            phase.jitter_seconds,  # evenly from 0, so its mean on both ways is the profile's
            phase.up_bytes_per_second * 8,
            phase.loss / 2,
        )
