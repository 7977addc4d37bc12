"""What is replayed: calls, made up from a seed or read from a recorded trace.

A trace is JSON lines, one call each, as `lawow trace record` writes them: ``export``, ``place``, ``seconds``,
``size``, ``sent_bytes``, ``received_bytes``, ``at_seconds``, and ``call`` and ``within`` of calls that are
made within others. Lines of calls that ran here tell how long the work is; those of the edge are taken as
edge time whole, which counts their network twice: record at home.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lawow.errors import FormatError, LimitExceeded

__all__ = [
    "LINE_BYTES",
    "MIXED",
    "NUMBERS",
    "TRACE_CALLS",
    "Function",
    "SimCall",
    "number_of",
    "outer_calls",
    "read_trace",
    "synthetic",
]

TRACE_CALLS = 2_000_000
LINE_BYTES = 4096
MOST_NESTED = 100
"""Calls within each other."""
NUMBERS = {
    "seconds": 1e6,
    "size": 1e15,
    "sent_bytes": 1e12,
    "received_bytes": 1e12,
    "at_seconds": 1e12,
}


@dataclass(frozen=True, slots=True)
class Function:
    """A function of made-up calls: ``edge seconds = coefficient x size ^ power``, sizes log-normal."""

    name: str
    coefficient: float
    power: float
    median_size: float
    spread: float
    sent_bytes_per_size: float
    received_bytes_per_size: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class SimCall:
    """One call. `edge_seconds` is the work as it takes on a free edge, with nothing around it.

    A call that others are made within has a name of its own (`call`), by which they name it (`within`); their
    work is not part of its own.
    """

    at_seconds: float
    export: str
    size: float
    sent_bytes: int
    received_bytes: int
    edge_seconds: float
    call: str = ""
    within: str = ""


MIXED = (
    Function("object-detection", 6.25e-2, 0.0, 60_000, 0.2, 1.0, 0.005),
    Function("matrix-multiply", 1e-9, 1.5, 20_000, 1.0, 8.0, 4.0),
    Function("insertion-sort", 2e-10, 2.0, 3_000, 1.0, 4.0, 4.0),
    Function("parse", 2e-9, 1.0, 2_000, 1.5, 1.0, 0.5, 4.0),
)
"""The second paper's detector, two of the first paper's programs, and a small one that belongs at home."""


def synthetic(
    functions: Sequence[Function], calls: int, seed: int, *, gap_seconds: float = 0.5
) -> list[SimCall]:
    """Make up calls, exponentially spaced around `gap_seconds`. The same seed gives the same calls."""
    chance = random.Random(seed)
    chosen = chance.choices(functions, [item.weight for item in functions], k=calls)
    made, now = [], 0.0
    for item in chosen:
        now += chance.expovariate(1 / gap_seconds)
        size = item.median_size * math.exp(chance.gauss(0, item.spread))
        made.append(
            SimCall(
                now,
                item.name,
                size,
                int(size * item.sent_bytes_per_size),
                int(size * item.received_bytes_per_size),
                item.coefficient * size**item.power,
            )
        )
    return made


def read_trace(data: bytes, file: str, slowdown: float) -> list[SimCall]:
    """Read a recorded trace. `slowdown` is that of the machine that recorded it against the edge.

    The first call is at 0. Raises `FormatError` with file and line, `LimitExceeded` for a long trace.
    """
    lines = data.splitlines()
    if len(lines) > TRACE_CALLS:
        raise LimitExceeded("TRACE_CALLS", len(lines), TRACE_CALLS, subject=file)
    calls = [_call(line, index, file, slowdown) for index, line in enumerate(lines)]
    if not calls:
        raise FormatError("holds no call", file=file)
    calls.sort(key=lambda call: call.at_seconds)
    first, inner = calls[0].at_seconds, [0.0] * len(calls)
    for outer, at in zip(outer_calls(calls, file), range(len(calls)), strict=True):
        if outer is not None:
            inner[outer] += calls[at].edge_seconds
    return [
        replace(
            call,
            at_seconds=call.at_seconds - first,
            edge_seconds=max(call.edge_seconds - work, 0.0),
        )
        for call, work in zip(calls, inner, strict=True)
    ]


def outer_calls(calls: Sequence[SimCall], file: str = "calls") -> list[int | None]:
    """Return for each call the index of the one that it is made within, None for those by the app itself.

    A call whose outer one is not there counts as the app's. Raises `FormatError` for names that two calls
    have and for an outer call that ends before an inner one, `LimitExceeded` for deep nesting.
    """
    at = {call.call: index for index, call in enumerate(calls) if call.call}
    if len(at) < sum(1 for call in calls if call.call):
        raise FormatError("two calls have one name", file=file)
    found: list[int | None] = [None] * len(calls)
    depth = [0] * len(calls)
    for index in reversed(range(len(calls))):  # outer calls end last
        outer = at.get(calls[index].within) if calls[index].within else None
        if outer is None:
            continue
        if outer <= index:
            raise FormatError(
                "an outer call ends before one within it", structure="call", index=index, file=file
            )
        found[index], depth[index] = outer, depth[outer] + 1
        if depth[index] > MOST_NESTED:
            raise LimitExceeded("MOST_NESTED", depth[index], MOST_NESTED, subject=file)
    return found


def _call(line: bytes, index: int, file: str, slowdown: float) -> SimCall:
    try:
        if len(line) > LINE_BYTES:
            raise ValueError(f"longer than {LINE_BYTES} bytes")
        entry = json.loads(line)
        if not isinstance(entry, dict) or entry.get("place") not in ("local", "remote"):
            raise ValueError("no object with a place, local or remote")
        texts = [entry.get("export"), entry.get("call", ""), entry.get("within", "")]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("export, call and within are texts")
        numbers = {key: number_of(entry, key, most) for key, most in NUMBERS.items()}
    except (ValueError, RecursionError) as error:
        raise FormatError(f"is no call: {error}", structure="line", index=index + 1, file=file) from None
    work = numbers["seconds"] / (slowdown if entry["place"] == "local" else 1.0)
    return SimCall(
        numbers["at_seconds"],
        entry["export"],
        numbers["size"],
        int(numbers["sent_bytes"]),
        int(numbers["received_bytes"]),
        work,
        *texts[1:],
    )


def number_of(entry: dict[str, object], key: str, most: float) -> float:
    """Return a number of a line, 0 if it lacks it. Raises `ValueError` unless it is from 0 to `most`."""
    value = entry.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError(f"{key} is no number from 0 to {most:g}")
    return float(value)
