"""What a worker says of its data plane when it is asked: how each lease was used since the last time.

Outcomes are those of a fixed table and latencies slots of a fixed ring, so what a hostile worker says can be
false, but neither long nor of a kind that nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lawow.edge.call_windows import SLOTS
from lawow.errors import FormatError
from lawow.formats.bytes import ByteReader, ByteWriter

__all__ = ["OUTCOMES", "Usage", "read_usage", "write_usage"]

OUTCOMES = (
    "ok", "trap", "deadline", "cancelled", "busy", "bad-arguments", "bad-module", "session-lost", "too-large",
    "defect",
)  # fmt: skip
"""How a call can end: ``ok``, or a code of docs/edge.md, "Errors"; none is ever removed from the front."""
MOST = 1_000_000  # calls between two looks, which are a second apart; nothing can overflow by a sum of these
NAME_BYTES = 64


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one lease: calls since the last time, whether its instance lives; of the calls that have ended, how
    they did, and how many took as long as each slot of `lawow.edge.call_windows` stands for.
    """

    lease: str
    calls: int
    is_alive: bool
    outcomes: Mapping[str, int] = field(default_factory=dict)
    slots: Mapping[int, int] = field(default_factory=dict)


def write_usage(usages: Sequence[Usage]) -> bytes:
    """Return the results of an answer to `Report`."""
    writer = ByteWriter()
    for usage in usages:
        name = usage.lease.encode()
        writer.write_u16(len(name))
        writer.write_bytes(name)
        writer.write_u32(min(usage.calls, MOST))
        writer.write_u8(usage.is_alive)
        _write_counts(writer, {OUTCOMES.index(code): count for code, count in usage.outcomes.items()})
        _write_counts(writer, usage.slots)
    return bytes(writer.data)


def read_usage(results: bytes) -> list[Usage]:
    """Return what a worker says. Raises `FormatError`."""
    reader = ByteReader(results, structure="usage")
    found: list[Usage] = []
    while reader.remaining:
        lease, calls, is_alive = _read_name(reader), reader.read_u32(), bool(reader.read_u8())
        if any(usage.lease == lease for usage in found):
            raise reader.fail("a lease that is there twice", found=repr(lease))
        outcomes = {OUTCOMES[index]: count for index, count in _read_counts(reader, len(OUTCOMES)).items()}
        found.append(Usage(lease, calls, is_alive, outcomes, _read_counts(reader, SLOTS)))
    return found


def _write_counts(writer: ByteWriter, counts: Mapping[int, int]) -> None:
    writer.write_u16(len(counts))
    for index, count in counts.items():
        writer.write_u16(index)
        writer.write_u32(min(count, MOST))


def _read_counts(reader: ByteReader, most: int) -> dict[int, int]:
    """Read counts of things with numbers below `most`."""
    found: dict[int, int] = {}
    for _ in range(reader.read_u16()):
        index = reader.read_u16()
        if index >= most or index in found:
            raise reader.fail("not one of those counted, or twice", found=index, allowed=f"below {most}")
        found[index] = reader.read_u32()
        if found[index] > MOST:
            raise reader.fail("counts more than can be", found=found[index], allowed=f"at most {MOST}")
    return found


def _read_name(reader: ByteReader) -> str:
    count = reader.read_u16()
    if count > NAME_BYTES:
        raise reader.fail("too long for a lease's name", found=count, allowed=NAME_BYTES)
    try:
        return reader.read_bytes(count).decode()
    except UnicodeDecodeError:
        raise FormatError("text that is not UTF-8", structure="usage") from None
