"""Traces: readings written down as JSON Lines, and given again at the times they were made.

One object a line: ``{"seconds": 2.5, "metric": "battery_level", "value": 29, "unit": "%"}``, as a rule with
provenance and source, which are for people. Seconds begin anywhere and never run backwards. Refuses, as
`FormatError` with the line: other metrics and units, values that are no finite number (or no text where the
unit is one); as `LimitExceeded`: more than `NOTIFIER.trace_bytes`. What is replayed is `EMULATED`, whatever
it was when it was written.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lawow.device.notifier.metrics import Absent, Metric, Provenance, Reading
from lawow.errors import FormatError, LimitExceeded
from lawow.limits import NOTIFIER

__all__ = ["TraceSource", "load_trace", "trace_line"]


@dataclass(frozen=True, slots=True)
class _Point:
    seconds: float
    metric: Metric
    value: float | str


class TraceSource:
    """Replays a trace: its first line is the Notifier's first sample; a value stands until the next one."""

    def __init__(self, data: bytes, name: str = "trace") -> None:
        """Read a whole trace; errors and readings bear the name. Raises `FormatError`, `LimitExceeded`."""
        self._name = name
        self._points = _points(data, name)
        self._start: float | None = None
        self._next = 0
        self._values: dict[Metric, float | str] = {}

    @property
    def seconds(self) -> float:
        """How long the trace is."""
        return self._points[-1].seconds - self._points[0].seconds

    def read(self, seconds: float, known: Mapping[Metric, Reading]) -> list[Reading | Absent]:
        """Return, for each metric that the trace has named by now, its newest value."""
        if self._start is None:
            self._start = seconds
        here = self._points[0].seconds + (seconds - self._start)
        while self._next < len(self._points) and self._points[self._next].seconds <= here:
            point = self._points[self._next]
            self._values[point.metric] = point.value
            self._next += 1
        items = self._values.items()
        return [Reading(metric, value, Provenance.EMULATED, seconds, self._name) for metric, value in items]


def load_trace(path: Path) -> TraceSource:
    """Read a trace from a file. Raises `FormatError`, `LimitExceeded`, `OSError`."""
    with path.open("rb") as file:
        return TraceSource(file.read(NOTIFIER.trace_bytes + 1), path.name)


def trace_line(reading: Reading) -> str:
    """Return a reading as a line of a trace, without its end."""
    return json.dumps(
        {
            "seconds": round(reading.seconds, 3),
            "metric": reading.metric.value,
            "value": reading.value,
            "unit": reading.metric.unit,
            "provenance": reading.provenance.value,
            "source": reading.source,
        },
        ensure_ascii=False,
    )


def _points(data: bytes, name: str) -> list[_Point]:
    if len(data) > NOTIFIER.trace_bytes:
        raise LimitExceeded(
            "trace_bytes", f"more than {NOTIFIER.trace_bytes}", NOTIFIER.trace_bytes, subject=name
        )
    points: list[_Point] = []
    for index, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        point = _point(line, index, name)
        if points and point.seconds < points[-1].seconds:
            raise _wrong("seconds run backwards", index, name, point.seconds, f"from {points[-1].seconds}")
        points.append(point)
    if not points:
        raise FormatError("has no readings; write one JSON object a line", file=name)
    return points


def _point(line: bytes, index: int, name: str) -> _Point:
    """Read one line; every fault names the line."""
    if len(line) > NOTIFIER.trace_line_bytes:
        raise _wrong("too long", index, name, f"{len(line)} bytes", f"up to {NOTIFIER.trace_line_bytes}")
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise _wrong("no JSON", index, name, line[:40], "an object") from None
    if not isinstance(found, dict):
        raise _wrong("no JSON object", index, name, line[:40], "an object")
    metric = _metric(found.get("metric"), index, name)
    if found.get("unit", metric.unit) != metric.unit:
        raise _wrong(f"unit of {metric.value}", index, name, repr(found["unit"])[:40], repr(metric.unit))
    seconds = _number(found.get("seconds"), "seconds", index, name)
    value = found.get("value")
    if metric.unit != "text":
        return _Point(seconds, metric, _number(value, f"value of {metric.value}", index, name))
    if not isinstance(value, str) or not value.isprintable():
        raise _wrong(f"value of {metric.value}", index, name, repr(value)[:40], "a printable text")
    return _Point(seconds, metric, value)


def _metric(found: object, index: int, name: str) -> Metric:
    try:
        return Metric(found)
    except ValueError:
        allowed = ", ".join(metric.value for metric in Metric)
        raise _wrong("metric", index, name, repr(found)[:40], allowed) from None


def _number(found: object, what: str, index: int, name: str) -> float:
    """Return a number that fits a double; true is none, nor is an integer beyond it."""
    if isinstance(found, int | float) and not isinstance(found, bool) and abs(found) <= sys.float_info.max:
        return float(found)
    raise _wrong(what, index, name, repr(found)[:40], "a finite number")


def _wrong(what: str, index: int, name: str, found: object, allowed: str) -> FormatError:
    return FormatError(what, structure="line", index=index, found=found, allowed=allowed, file=name)
