"""What became of a call that an edge did not answer with a result: not started, or unknown how far it got.

The three outcomes of a call (docs/PROTOCOL.md) as errors tell them: a result, a trap and a deadline are the
call's own and are nobody else's business here.
"""

from __future__ import annotations

from enum import Enum

from lawow.device.edge_client import EdgeProblem
from lawow.errors import HostLost, LawowError, OutcomeUnknown, Refused

__all__ = ["Failure", "failure_of"]

NOT_STARTED = frozenset(
    {
        "bad-module",
        "busy",
        "cancelled",
        "conflict",
        "forbidden",
        "lease-ended",
        "not-found",
        "not-ready",
        "quota-exceeded",
        "session-lost",
        "storage-failed",
        "too-many-failures",
        "too-slow",
    }
)
"""Codes that an edge gives before anything of a call has begun (docs/edge.md, "Errors")."""
UNKNOWN = frozenset({"defect", "too-large", "unknown", "worker-lost"})
"""``too-large`` is said of arguments and of results, which are only known afterwards."""


class Failure(Enum):
    """What is known of a call that has no result."""

    NOT_STARTED = "not started"
    UNKNOWN = "unknown"


def failure_of(error: LawowError) -> Failure | None:
    """Return what the error says of the call; None for one that is the call's own result."""
    if isinstance(error, HostLost | Refused):
        return Failure.NOT_STARTED
    if isinstance(error, OutcomeUnknown):
        return Failure.UNKNOWN
    if isinstance(error, EdgeProblem):
        if error.code in NOT_STARTED:
            return Failure.NOT_STARTED
        return Failure.UNKNOWN if error.code in UNKNOWN else None
    return None
