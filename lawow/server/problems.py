"""Errors as HTTP sees them: problem details (RFC 9457), the header ``Lawow-Error``, one table of statuses.

A peer reads the error's code and one sentence about its own request; never a traceback, a path, or a word
about anybody else. What has no row in the table is a defect: the peer learns that, the log learns which.
"""

from __future__ import annotations

import errno
import json
import math
from dataclasses import dataclass

from lawow.edge.refusals import EdgeRefusal, QuotaExceeded
from lawow.errors import FormatError, GuestTrap, LawowError, LimitExceeded, Refused

__all__ = ["PROBLEMS", "Problem", "ProblemKind", "problem_of", "problem_of_os", "problem_of_status"]

MAX_DETAIL_CHARACTERS = 2_000
MEDIA_TYPE = b"application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A row of the table: what every problem with this code has in common."""

    status: int
    title: str


PROBLEMS = {
    "bad-request": ProblemKind(400, "The request is not one that this API knows"),
    "unauthorized": ProblemKind(401, "No valid token"),
    "forbidden": ProblemKind(403, "The token is not for this"),
    "not-found": ProblemKind(404, "Not found"),
    "method-not-allowed": ProblemKind(405, "Method not allowed"),
    "too-slow": ProblemKind(408, "The body came too slowly"),
    "signature-mismatch": ProblemKind(409, "The export has another signature"),
    "conflict": ProblemKind(409, "It does not fit the present state"),
    "lease-ended": ProblemKind(410, "The lease has ended"),
    "session-lost": ProblemKind(410, "The session was lost"),
    "too-large": ProblemKind(413, "Too large"),
    "unsupported-media-type": ProblemKind(415, "Unsupported media type"),
    "bad-arguments": ProblemKind(422, "The arguments do not fit the export"),
    "bad-module": ProblemKind(422, "The edge does not run these bytes"),
    "bad-state": ProblemKind(422, "The state cannot be used or captured"),
    "trap": ProblemKind(422, "The guest trapped"),
    "busy": ProblemKind(429, "Busy"),
    "quota-exceeded": ProblemKind(429, "A quota is used up"),
    "too-many-failures": ProblemKind(429, "Too many requests without a valid token"),
    "header-too-large": ProblemKind(431, "The request's header is too large"),
    "defect": ProblemKind(500, "The edge has a defect"),
    "not-ready": ProblemKind(503, "The edge takes no new work now"),
    "worker-lost": ProblemKind(503, "The worker was lost"),
    "deadline": ProblemKind(504, "The deadline passed"),
    "storage-failed": ProblemKind(507, "The edge cannot store this now"),
}
"""Code -> status and title. The whole list of what the header ``Lawow-Error`` may say."""

STATUS_CODES = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    415: "unsupported-media-type",
}


SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS)
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


@dataclass(frozen=True, slots=True)
class Problem:
    """One error on its way to a peer."""

    code: str
    detail: str
    retry_after_seconds: float | None = None
    trap: str | None = None
    frames: tuple[str, ...] = ()
    quota: QuotaExceeded | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return PROBLEMS[self.code].status

    @property
    def is_of_a_flood(self) -> bool:
        """Whether the peer is told to come less often."""
        return self.code == "too-many-failures" or self.of_quota("requests_per_second")

    def of_quota(self, name: str) -> bool:
        """Tell whether this is about a certain quota."""
        return self.quota is not None and self.quota.quota == name

    def body(self) -> bytes:
        """Return the document."""
        document: dict[str, object] = {
            "type": f"urn:lawow:problem:{self.code}",
            "title": PROBLEMS[self.code].title,
            "status": self.status,
            "detail": self.detail[:MAX_DETAIL_CHARACTERS],
        }
        if self.trap is not None:
            document["trap"] = self.trap
            document["frames"] = list(self.frames)
        if self.quota is not None:
            document |= {"quota": self.quota.quota, "limit": self.quota.limit, "used": self.quota.used}
        return json.dumps(document).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that belong to the document, its length not among them."""
        headers = [(b"content-type", MEDIA_TYPE), (b"lawow-error", self.code.encode())]
        if self.trap is not None:
            headers.append((b"lawow-trap", self.trap.encode("ascii", "replace")))
        if self.retry_after_seconds is not None:
            headers.append((b"retry-after", str(max(1, math.ceil(self.retry_after_seconds))).encode()))
        if self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        return headers


def problem_of(error: LawowError) -> Problem | None:
    """Return the problem that an error stands for, or None: then it is a defect of the edge."""
    if isinstance(error, EdgeRefusal):
        quota = error if isinstance(error, QuotaExceeded) else None
        return Problem(error.code, str(error), error.retry_after_seconds, quota=quota)
    if isinstance(error, GuestTrap):
        return Problem("trap", str(error), trap=error.code, frames=error.frames)
    if isinstance(error, LimitExceeded):
        return Problem("too-large", str(error))
    if isinstance(error, FormatError | Refused):
        return Problem("bad-request", str(error))
    return None


def problem_of_os(error: OSError) -> Problem | None:
    """Return the problem that an error of the operating system stands for, or None: then it is a defect.

    Wherever it was met: a request needs descriptors and processes in many places, and files in as many.
    """
    reason = (error.strerror or "unknown reason").lower()
    if error.errno in SHORTAGES:
        return Problem("busy", f"the edge's machine gives no more at the moment: {reason}", 1)
    if error.errno in DISK_ERRORS:
        return Problem("storage-failed", f"the edge's disk refused: {reason}")
    return None


def problem_of_status(status: int) -> Problem:
    """Return the problem for a status that the web framework chose."""
    code = STATUS_CODES.get(status, "bad-request")
    return Problem(code, PROBLEMS[code].title)
