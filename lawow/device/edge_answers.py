"""Answers of the edge's HTTP API: what each part of one must be, and the error that a refusal stands for.

An edge may be hostile: what is not as it must be is a `RemoteProtocolError`, and no text of it reaches a
terminal unless `printable` has seen it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
from dataclasses import dataclass

from lawow.errors import (
    GuestTrap,
    LawowError,
    LimitExceeded,
    Refused,
    RemoteProtocolError,
    Unauthorized,
)

__all__ = [
    "Answer",
    "EdgeProblem",
    "RemoteExport",
    "RemoteModule",
    "Seconds",
    "digest_of",
    "error_of",
    "json_object",
    "list_of",
    "module_of",
    "peak_memory_of",
    "printable",
    "seconds_of",
    "text_of",
]

DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


LIMITS_AND_POLICIES = ("busy", "forbidden", "quota-exceeded", "too-large", "too-many-failures")
"""Codes of refusals in which nothing is broken: exit code 4, as for limits and policies of this machine."""


class EdgeProblem(LawowError):
    """The edge refused: `code` is its ``Lawow-Error``, `status` the HTTP status."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = Refused.exit_code if code in LIMITS_AND_POLICIES else LawowError.exit_code
        self.code = code
        self.status = status

    def details(self) -> dict[str, object]:
        """Return code and status."""
        return {"code": self.code, "status": self.status}


@dataclass(frozen=True, slots=True)
class RemoteExport:
    """A function that a module on the edge exports."""

    name: str
    signature: str
    wit: str


@dataclass(frozen=True, slots=True)
class RemoteModule:
    """A module on the edge. `digest` is SHA-256 in hex."""

    digest: str
    size_bytes: int
    exports: tuple[RemoteExport, ...]


@dataclass(frozen=True, slots=True)
class Seconds:
    """Where the edge's time went: receiving the request, preparing an instance, running the function."""

    transfer: float
    prepare: float
    run: float


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def error_of(answer: Answer) -> LawowError:
    """Return the error that a refusal stands for."""
    code = answer.headers.get("Lawow-Error", "unknown")
    try:
        detail = str(json_object(answer.body).get("detail", ""))
    except RemoteProtocolError:
        detail = ""
    message = printable(detail) or f"the edge answered with status {answer.status} ({printable(code)})"
    if code == "trap":
        return GuestTrap(printable(answer.headers.get("Lawow-Trap", "unknown")), message)
    if code == "unauthorized":
        return Unauthorized(message)
    if code == "deadline":
        return LimitExceeded("deadline_seconds", "more than that", "the edge's", subject=message)
    return EdgeProblem(printable(code), answer.status, message)


def printable(text: str) -> str:
    """Return at most 2,000 characters that cannot drive a terminal, of a text that an edge chose."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:2_000])


def seconds_of(answer: Answer) -> Seconds:
    """Read ``Server-Timing``; what is missing counts as 0."""
    found = {}
    for item in answer.headers.get("Server-Timing", "").split(","):
        name, _, rest = item.strip().partition(";dur=")
        with contextlib.suppress(ValueError):
            found[name] = float(rest) / 1000
    return Seconds(*(found.get(name, 0.0) for name in ("transfer", "prepare", "run")))


def peak_memory_of(answer: Answer) -> int | None:
    """Read ``Lawow-Peak-Memory-Bytes``; None if it is missing or no such number."""
    value = answer.headers.get("Lawow-Peak-Memory-Bytes", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None


def json_object(body: bytes) -> dict[str, object]:
    """Return a JSON object."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise RemoteProtocolError("the edge's answer is not a JSON object")
    return document


def text_of(document: dict[str, object], key: str) -> str:
    """Return a text."""
    return str(_field(document, key, str))


def _field(document: dict[str, object], key: str, kind: type) -> object:
    value = document.get(key)
    if type(value) is not kind:
        raise RemoteProtocolError(f"the edge's answer has no {key!r} of the kind {kind.__name__}")
    return value


def list_of(document: dict[str, object], key: str) -> list[dict[str, object]]:
    """Return a list of objects."""
    items = _field(document, key, list)
    assert isinstance(items, list)  # `_field` has checked it
    if not all(isinstance(item, dict) for item in items):
        raise RemoteProtocolError(f"the edge's answer has something else than objects in {key!r}")
    return items


def module_of(document: dict[str, object]) -> RemoteModule:
    """Return a module as the edge describes it."""
    exports = tuple(
        RemoteExport(*(text_of(item, key) for key in ("name", "signature", "wit")))
        for item in list_of(document, "exports")
    )
    return RemoteModule(digest_of(document), int(str(_field(document, "bytes", int))), exports)


def digest_of(document: dict[str, object]) -> str:
    """Return ``digest`` in hex, without its prefix."""
    match = DIGEST.fullmatch(text_of(document, "digest"))
    if match is None:
        raise RemoteProtocolError("the edge's answer has a digest that is none")
    return match[1]
