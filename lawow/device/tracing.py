"""Records the calls of elastic functions as a trace: JSON lines, for `lawow simulate`.

`lawow trace record` names the file in ``LAWOW_TRACE``; each process that finds it appends a line a call,
which holds names, sizes and times, never arguments or results. A call that others are made within has a name
(``call``), by which they name it (``within``).
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from lawow.device.nesting import Frame
from lawow.device.policy.basic import ElasticCall, Place

__all__ = ["VARIABLE", "Recorder", "recorder", "size_and_bytes"]

VARIABLE = "LAWOW_TRACE"
LARGEST = 1e15
"""Number that counts as a size: above it, all are the same."""


class Recorder:
    """Appends calls to a file, from several threads and processes: each line is one write."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError` if the file cannot be opened."""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lock = threading.Lock()

    def note(
        self, call: ElasticCall, place: Place, seconds: float, result: object, frame: Frame | None = None
    ) -> None:
        """Write one call down; `frame` tells which one it is, and within which."""
        entry = {
            "at_seconds": time.monotonic(),
            "export": call.export,
            "place": place.value,
            "seconds": seconds,
            "size": call.size,
            "sent_bytes": call.sent_bytes,
            "received_bytes": size_and_bytes([result])[1],
        }
        if frame is not None and frame.has_inner:
            entry["call"] = f"{os.getpid()}.{frame.number}"
        if frame is not None and frame.outer is not None:
            entry["within"] = f"{os.getpid()}.{frame.outer.number}"
        with self._lock:
            os.write(self._descriptor, json.dumps(entry).encode() + b"\n")


@cache
def recorder() -> Recorder | None:
    """Return the recorder of this process, if its environment asks for one."""
    path = os.environ.get(VARIABLE)
    return Recorder(Path(path)) if path else None


def size_and_bytes(values: Sequence[object]) -> tuple[float, int]:
    """Return how much work arguments announce, and how many bytes they are about.

    Elements of lists, strings and bytes; of numbers alone the largest. A number is counted as 8 bytes.
    """
    elements, count, largest = 0, 0, 0.0
    for value in values:
        if isinstance(value, bool | int | float):
            largest = max(largest, float(abs(value)) if abs(value) < LARGEST else LARGEST)
            count += 8
        elif isinstance(value, bytes | bytearray | memoryview | str):
            elements += len(value)
            count += len(value)
        elif isinstance(value, Sequence):
            elements += len(value)
            count += 8 * len(value)
    return (float(elements) if elements else largest), count
