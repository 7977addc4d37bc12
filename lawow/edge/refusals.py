"""What the edge answers when it does not do what was asked: one class for each error code of the HTTP API.

`code` is the value of the header ``Lawow-Error`` (docs/edge.md, "Errors"). The layer of HTTP turns a class
into a status; nothing in here knows HTTP. A text of one of these errors may be shown to the peer that caused
it, so it holds nothing about other tenants and nothing about the machine.
"""

from __future__ import annotations

from lawow.errors import LawowError

__all__ = [
    "BadArguments",
    "BadModule",
    "BadRequest",
    "BadState",
    "Busy",
    "Conflict",
    "DeadlineExceeded",
    "EdgeRefusal",
    "Forbidden",
    "LeaseEnded",
    "NotFound",
    "NotReady",
    "QuotaExceeded",
    "SessionLost",
    "SignatureMismatch",
    "StorageFailed",
    "TooLarge",
    "WorkerLost",
]


class EdgeRefusal(LawowError):
    """Base of all answers that are not results; `retry_after_seconds`: when a later try may succeed."""

    code = "defect"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds

    def details(self) -> dict[str, object]:
        """Return the error code."""
        return {"code": self.code}


class NotFound(EdgeRefusal):
    """The tenant has no such module, or the module no such export; never says whether others have it."""

    code = "not-found"


class SessionLost(EdgeRefusal):
    """The session was open and is no more, through nothing that its owner asked for; its state is gone."""

    code = "session-lost"


class BadRequest(EdgeRefusal):
    """The document or a header is not one that this API knows."""

    code = "bad-request"


class Conflict(EdgeRefusal):
    """What was asked does not fit the state that the lease, offer or upload is in; the text says which."""

    code = "conflict"


class LeaseEnded(EdgeRefusal):
    """The lease was in force and is no more: recalled, expired or revoked."""

    code = "lease-ended"


class SignatureMismatch(EdgeRefusal):
    """The caller expects another signature than the export has."""

    code = "signature-mismatch"


class TooLarge(EdgeRefusal):
    """A body, or what a tenant keeps in all, is beyond its limit."""

    code = "too-large"


class BadArguments(EdgeRefusal):
    """The arguments are not those of the export's signature."""

    code = "bad-arguments"


class BadModule(EdgeRefusal):
    """This edge does not run these bytes: malformed, beyond a limit, or with imports it does not give."""

    code = "bad-module"


class BadState(EdgeRefusal):
    """The state is not one of the module, or instances of the module have state that cannot be captured."""

    code = "bad-state"


class Busy(EdgeRefusal):
    """Everything that may run or wait for this tenant does so already; nothing was started."""

    code = "busy"


class Forbidden(EdgeRefusal):
    """The token is in force, and not for this kind of request; never about what others have."""

    code = "forbidden"


class NotReady(EdgeRefusal):
    """The edge is about to stop, or its disk is nearly full; what is under way goes on."""

    code = "not-ready"


class QuotaExceeded(EdgeRefusal):
    """A quota of the tenant or of its token is used up; nothing was started."""

    code = "quota-exceeded"

    def __init__(
        self, message: str, *, quota: str, limit: int, used: int, retry_after_seconds: float
    ) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.quota = quota
        self.limit = limit
        self.used = used

    def details(self) -> dict[str, object]:
        """Return the error code, and which quota it is."""
        return {"code": self.code, "quota": self.quota, "limit": self.limit, "used": self.used}


class WorkerLost(EdgeRefusal):
    """The worker process ended while it had the call, through no deadline."""

    code = "worker-lost"


class DeadlineExceeded(EdgeRefusal):
    """The call was stopped at its deadline."""

    code = "deadline"


class StorageFailed(EdgeRefusal):
    """The edge's own disk refused a write; nothing of the request was kept."""

    code = "storage-failed"
