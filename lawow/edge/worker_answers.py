"""What a worker may answer to what it was asked, and what its answer means. A worker is not trusted."""

from __future__ import annotations

import re

from lawow.channel.bodies import read_arguments, read_returned
from lawow.channel.values import SLOT_BYTES
from lawow.edge.messages import (
    BAD_ARGUMENTS,
    BAD_MODULE,
    BAD_STATE,
    DEADLINE,
    NO_ROOM,
    NO_SESSION,
    TOO_LARGE,
    Admit,
    Call,
    Failure,
    Message,
    Open,
    Request,
    Save,
    Trap,
)
from lawow.edge.refusals import (
    BadArguments,
    BadModule,
    BadState,
    Busy,
    DeadlineExceeded,
    SessionLost,
    TooLarge,
)
from lawow.errors import FormatError, GuestTrap, LawowError
from lawow.formats.signature import parse_typed_signature

__all__ = ["Exchanged", "deadline_text", "error_in", "is_answer"]

TRAP_CODE = re.compile(r"[a-z-]{1,64}")
Exchanged = Call | Open | Save | Admit
"""What needs a module's code."""
REFUSALS = {
    BAD_ARGUMENTS: BadArguments,
    BAD_MODULE: BadModule,
    TOO_LARGE: TooLarge,
    NO_ROOM: Busy,
    BAD_STATE: BadState,
}
"""Kinds of failure after which everything goes on."""


def is_answer(request: Exchanged, results: bytes) -> bool:
    """Tell whether a worker's result is one for this request. Of a state its owner is the judge."""
    if isinstance(request, Save):
        return bool(results)
    if isinstance(request, Open | Admit):
        return not results
    signature = parse_typed_signature(request.signature)
    if signature.is_core:
        return len(results) == SLOT_BYTES * len(signature.results)
    try:
        read_returned(signature, read_arguments(signature, request.arguments), results)
    except FormatError:
        return False
    return True


def error_in(request: Exchanged, answer: Message) -> tuple[LawowError | None, str]:
    """Return the error that an answer means, and why the session is lost, if it is.

    No error: the answer is nonsense, or tells of a defect.
    """
    if isinstance(answer, Trap) and TRAP_CODE.fullmatch(answer.code):
        reason = f"the guest trapped ({answer.code})"
        return GuestTrap(answer.code, answer.message, frames=answer.frames), reason
    kind = answer.kind if isinstance(answer, Failure) else ""
    if isinstance(answer, Failure) and kind in REFUSALS:
        return REFUSALS[kind](answer.message), ""
    if kind == DEADLINE:
        return DeadlineExceeded(deadline_text(request)), "a call was stopped at its deadline"
    if kind == NO_SESSION and request.session:
        reason = "the guest ended itself"
        return SessionLost(f"the session is lost with all its state: {reason}"), reason
    return None, ""


def deadline_text(request: Request) -> str:
    """Say what was late."""
    others = "the state of the instance" if isinstance(request, Save) else "the start of the instance"
    what = request.export if isinstance(request, Call) else others
    return f"{what} did not return within {request.deadline_seconds:g} s"
