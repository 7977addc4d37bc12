"""A network as the cost model sees it: round trip, jitter, bandwidth in both directions, loss, over time.

A profile is a list of phases, each in force from its `starts_seconds` until the next one begins; the first
starts at 0, the last lasts for ever.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from lawow.device.profiles.reading import known_keys, load, names_in, number_of, table_of, text_of, toml_of
from lawow.device.provenance import Provenance
from lawow.errors import FormatError

__all__ = ["NetworkPhase", "NetworkProfile", "load_network", "network_names", "read_network"]

FOLDER = "networks"
RANGES = {
    "starts_seconds": (0.0, 1e9),
    "round_trip_seconds": (0.0, 60.0),
    "jitter_seconds": (0.0, 60.0),
    "up_bytes_per_second": (1.0, 1e12),
    "down_bytes_per_second": (1.0, 1e12),
    "loss": (0.0, 0.99),
}
RETRANSMISSION_SECONDS = 0.2
"""Least time until a lost packet is sent again: TCP's minimum on Linux (TCP_RTO_MIN)."""


@dataclass(frozen=True, slots=True)
class NetworkPhase:
    """What the network is from a time on. `jitter_seconds` is the mean of what is added to a round trip;
    `loss` the share of messages that have to be sent again."""

    starts_seconds: float
    round_trip_seconds: float
    jitter_seconds: float
    up_bytes_per_second: float
    down_bytes_per_second: float
    loss: float

    def transfer_seconds(self, sent_bytes: int, received_bytes: int) -> float:
        """Return the mean time of one exchange: round trip, jitter, both transfers, and what loss adds."""
        again = self.loss / (1 - self.loss) * max(RETRANSMISSION_SECONDS, 2 * self.round_trip_seconds)
        return (
            self.round_trip_seconds
            + self.jitter_seconds
            + again
            + sent_bytes / self.up_bytes_per_second
            + received_bytes / self.down_bytes_per_second
        )


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """One network. `kind` is the name by which devices tell what they draw on it."""

    name: str
    kind: str
    description: str
    provenance: Provenance
    source: str
    phases: tuple[NetworkPhase, ...]
    _starts: tuple[float, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", tuple(phase.starts_seconds for phase in self.phases))

    def at(self, seconds: float) -> NetworkPhase:
        """Return the phase in force at a time from 0 on."""
        return self.phases[max(bisect_right(self._starts, seconds) - 1, 0)]


def network_names() -> list[str]:
    """Return the networks that come with the package."""
    return names_in(FOLDER)


def load_network(name: str) -> NetworkProfile:
    """Read a network by name or ``.toml`` file. Raises as `read_network` and `UsageError`, `OSError`."""
    file, data = load(name, FOLDER, "network")
    return read_network(data, file)


def read_network(data: bytes, file: str) -> NetworkProfile:
    """Read the text of a network file. Raises `FormatError` with file, key, found and allowed."""
    table = toml_of(data, file)
    known_keys(
        table, {"name", "kind", "description", "provenance", "source", "phase"}, set(), file=file, place=""
    )
    kinds = [kind.value for kind in Provenance]
    if table["provenance"] not in kinds:
        found = repr(table["provenance"])[:80]
        raise FormatError("is none", structure="provenance", found=found, allowed=", ".join(kinds), file=file)
    phases = table["phase"]
    if not isinstance(phases, list) or not phases:
        raise FormatError("must be one [[phase]] or more", structure="phase", file=file)
    return NetworkProfile(
        text_of(table["name"], file=file, place="name"),
        text_of(table["kind"], file=file, place="kind"),
        text_of(table["description"], file=file, place="description"),
        Provenance(table["provenance"]),
        text_of(table["source"], file=file, place="source"),
        _phases(phases, file),
    )


def _phases(tables: list[object], file: str) -> tuple[NetworkPhase, ...]:
    phases: list[NetworkPhase] = []
    for index, item in enumerate(tables):
        place = f"phase[{index}]"
        table = table_of(item, file=file, place=place)
        known_keys(table, set(RANGES), set(), file=file, place=place)
        numbers = {
            key: number_of(table[key], *bounds, file=file, place=f"{place}.{key}")
            for key, bounds in RANGES.items()
        }
        phases.append(NetworkPhase(**numbers))
        earliest = phases[-2].starts_seconds if index else 0.0
        if numbers["starts_seconds"] < earliest or (index == 0 and numbers["starts_seconds"] > 0):
            raise FormatError(
                "is out of order: the first phase starts at 0, each other after the one before it",
                structure=f"{place}.starts_seconds",
                found=numbers["starts_seconds"],
                file=file,
            )
    return tuple(phases)
