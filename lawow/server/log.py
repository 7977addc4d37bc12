"""One line for each event, on standard error: ``2026-11-22T10:00:00.123Z event key=value ...``, or as JSON.

Values are numbers, names of ours, or texts that a peer chose; the latter are quoted, escaped and cut, so that
no line can be forged and no terminal driven. Tokens, arguments, results and guest output are never passed in
here.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from typing import TextIO

__all__ = ["EventLog", "adopt_libraries"]

PLAIN = re.compile(r"[A-Za-z0-9_.:/@,{}+-]+")
MAX_VALUE_CHARACTERS = 200


class EventLog:
    """Writes events; one object, any thread."""

    def __init__(self, stream: TextIO | None = None, *, as_json: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._as_json = as_json
        self._lock = threading.Lock()

    def __call__(self, event: str, **facts: str | int | float | None) -> None:
        """Write one line; facts that are None are left out."""
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
        known = {key: value for key, value in facts.items() if value is not None}
        if self._as_json:
            line = json.dumps({"time": stamp, "event": event} | {key: _cut(known[key]) for key in known})
        else:
            line = " ".join([stamp, event, *(f"{key}={_text(value)}" for key, value in known.items())])
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                return  # nobody reads the log any more: serving goes on


def _text(value: str | int | float) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(_cut(value))
    if PLAIN.fullmatch(text):
        return text
    escaped = text.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return f'"{escaped}"'


def _cut(value: str | int | float) -> str | int | float:
    """Return a number rounded to thousandths, a text without its middle if it is long."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, int) or len(value) <= MAX_VALUE_CHARACTERS:
        return value
    half = MAX_VALUE_CHARACTERS // 2
    return f"{value[:half]}...{value[-half:]}"


class _Forward(logging.Handler):
    """Turns records of libraries into events: one line, the error's kind, no traceback."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        error = record.exc_info[1] if record.exc_info else None
        kind = type(error).__name__ if error is not None else None
        self._log("library", logger=record.name, message=record.getMessage(), error=kind)


def adopt_libraries(log: EventLog) -> None:
    """Send what uvicorn, websockets and asyncio report as errors to `log`; drop the rest."""
    for name in ("uvicorn", "websockets", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers = [_Forward(log)]
        logger.propagate = False
