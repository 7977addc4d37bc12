"""The life of an offload request and its lease, as one table.

`TRANSITIONS` is the whole truth: `next_state` looks up nothing else, and docs/edge.md prints the table
(`state_table`), which a test compares. What the table lacks is refused as `Conflict`, or `LeaseEnded` for a
lease that has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lawow.edge.refusals import Conflict, LeaseEnded

__all__ = [
    "ENDED",
    "TRANSITIONS",
    "WITH_INSTANCE",
    "Event",
    "State",
    "Transition",
    "next_state",
    "state_table",
]


class State(StrEnum):
    """Where a request or a lease is; the value is what the API says."""

    REQUESTED = "requested"
    OFFERED = "offered"
    RESERVED = "reserved"
    TRANSFERRING = "transferring"
    INITIALISED = "initialised"
    CONNECTED = "connected"
    DORMANT = "dormant"
    RECALLED = "recalled"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Event(StrEnum):
    """What moves it."""

    OFFER = "offer"
    SELECT = "select"
    TRANSFER = "transfer"
    INITIALISE = "initialise"
    CALL = "call"
    REST = "rest"
    RECALL = "recall"
    EXPIRE = "expire"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True)
class Transition:
    """From each of `sources`, `event` leads to `target`; `meaning` is what a reader of the guide sees."""

    sources: tuple[State, ...]
    event: Event
    target: State
    meaning: str


WITH_INSTANCE = (State.INITIALISED, State.CONNECTED)
"""States in which the module has a live instance."""
HELD = (State.RESERVED, State.TRANSFERRING, *WITH_INSTANCE, State.DORMANT)
ENDED = (State.RECALLED, State.EXPIRED, State.REVOKED)
"""States that nothing leaves."""

TRANSITIONS = (
    Transition((State.REQUESTED,), Event.OFFER, State.OFFERED, "hosts meet the requirements"),
    Transition((State.OFFERED,), Event.SELECT, State.RESERVED, "one offer is accepted: the lease begins"),
    Transition(
        (State.RESERVED, State.TRANSFERRING, State.DORMANT),
        Event.TRANSFER,
        State.TRANSFERRING,
        "bytes of the module arrive",
    ),
    Transition(
        (State.RESERVED, State.TRANSFERRING, State.DORMANT),
        Event.INITIALISE,
        State.INITIALISED,
        "the module is there and gets an instance",
    ),
    Transition(WITH_INSTANCE, Event.CALL, State.CONNECTED, "the application uses the instance"),
    Transition(
        WITH_INSTANCE, Event.REST, State.DORMANT, "the instance ends, the code stays: asked for, or lost"
    ),
    Transition(HELD, Event.RECALL, State.RECALLED, "the application is done, its state came home"),
    Transition((State.REQUESTED, State.OFFERED, *HELD), Event.EXPIRE, State.EXPIRED, "not used in time"),
    Transition(HELD, Event.REVOKE, State.REVOKED, "the owner of the shared instance took it back"),
)

_BY_STATE = {(source, item.event): item.target for item in TRANSITIONS for source in item.sources}


def next_state(state: State, event: Event) -> State:
    """Return where `event` leads. Raises `LeaseEnded` from an ended state, else `Conflict`."""
    target = _BY_STATE.get((state, event))
    if target is not None:
        return target
    if state in ENDED:
        raise LeaseEnded(f"the lease has ended: it is {state}; make a new request")
    allowed = sorted(found.value for source, found in _BY_STATE if source == state)
    raise Conflict(f"{event} does not fit a lease that is {state}; it allows {', '.join(allowed)}")


def state_table() -> str:
    """Return the table in Markdown, as docs/edge.md has it."""
    rows = [
        f"| {', '.join(item.sources)} | {item.event} | {item.target} | {item.meaning} |"
        for item in TRANSITIONS
    ]
    return "\n".join(["| from | event | to | when |", "|---|---|---|---|", *rows])
