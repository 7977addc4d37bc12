"""States of a connection, of a call and of a channel, as one table each.

Rules. Whatever affects a state lives in this file, and docs/PROTOCOL.md is drawn from it. A row says: in this
state, when this side sends that event, the state becomes this. Both ends run the same rows, each with what it
has sent and received so far, so their states may differ while something is on its way; rows marked
`crossing` exist for what the sender sent before it knew better, and hold for the receiver alone.

An event is an operation's name; ``_PART`` is appended for a payload that goes on, and CONTINUE that completes
one is LAST. `TABLE[machine]` maps ``(role, state, direction, event)`` to the next state; what has no entry is
a `LocalProtocolError` when sent and a `RemoteProtocolError` when received.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

__all__ = [
    "CALL",
    "CALL_ROWS",
    "CHANNEL",
    "CHANNEL_ROWS",
    "CONNECTION",
    "CONNECTION_ROWS",
    "CallState",
    "ChannelState",
    "ConnectionState",
    "Direction",
    "Role",
    "Row",
    "State",
    "Table",
    "table_of",
]


class Role(Enum):
    """Which end this is: the client opened the connection, and is the one that opens calls and channels."""

    CLIENT = "client"
    SERVER = "server"

    @property
    def other(self) -> Role:
        """The other end."""
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT


class Direction(Enum):
    """Which way an event goes, seen from this end."""

    SEND = "send"
    RECEIVE = "receive"


class ConnectionState(Enum):
    """A connection as one end sees it."""

    NEW = "new"
    GREETED = "greeted"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


class CallState(Enum):
    """A call, or the binding of a function, as one end sees it."""

    IDLE = "idle"
    SENDING = "sending"
    RUNNING = "running"
    ANSWERING = "answering"
    STOPPING = "stopping"
    DONE = "done"


class ChannelState(Enum):
    """A channel as one end sees it."""

    IDLE = "idle"
    OPENING = "opening"
    OPEN = "open"
    CLIENT_CLOSED = "client-closed"
    SERVER_CLOSED = "server-closed"
    BOTH_CLOSED = "both-closed"
    MOVING = "moving"
    MOVED = "moved"
    CLOSED = "closed"


State = ConnectionState | CallState | ChannelState
StateType = TypeVar("StateType", bound=State)
C, S = Role.CLIENT, Role.SERVER


@dataclass(frozen=True)
class Row(Generic[StateType]):
    """In `state`, when `sender` sends one of `events`, the state becomes `then`."""

    state: StateType
    sender: Role
    events: str
    then: StateType
    crossing: bool = False


def _connection() -> tuple[Row[ConnectionState], ...]:
    s = ConnectionState
    opens = "BIND CALL CALL_PART OPEN"
    client = "ACK CANCEL CONTINUE MESSAGE CREDIT CLOSE RESET MOVE PING PONG"
    server = "BOUND RESULT TRAP REFUSED FAILED CONTINUE OPENED MESSAGE CREDIT CLOSE RESET MOVED PING PONG"
    return (
        Row(s.NEW, C, "HELLO", s.GREETED),
        Row(s.NEW, S, "GOODBYE", s.CLOSED),
        Row(s.GREETED, S, "WELCOME", s.OPEN),
        Row(s.GREETED, S, "GOODBYE", s.CLOSED),
        Row(s.GREETED, C, "GOODBYE", s.CLOSED),
        Row(s.OPEN, C, f"{opens} {client}", s.OPEN),
        Row(s.OPEN, S, server, s.OPEN),
        Row(s.OPEN, S, "DRAIN", s.DRAINING),
        Row(s.OPEN, C, "GOODBYE", s.CLOSED),
        Row(s.OPEN, S, "GOODBYE", s.CLOSED),
        Row(s.DRAINING, C, opens, s.DRAINING, crossing=True),
        Row(s.DRAINING, C, client, s.DRAINING),
        Row(s.DRAINING, S, server, s.DRAINING),
        Row(s.DRAINING, C, "GOODBYE", s.CLOSED),
        Row(s.DRAINING, S, "GOODBYE", s.CLOSED),
    )


def _call() -> tuple[Row[CallState], ...]:
    s = CallState
    ends = "BOUND RESULT TRAP REFUSED FAILED"
    return (
        Row(s.IDLE, C, "BIND CALL", s.RUNNING),
        Row(s.IDLE, C, "CALL_PART", s.SENDING),
        Row(s.SENDING, C, "CONTINUE", s.SENDING),
        Row(s.SENDING, C, "LAST CANCEL", s.RUNNING),
        Row(s.SENDING, S, "REFUSED", s.STOPPING),
        Row(s.STOPPING, C, "CANCEL", s.DONE),
        Row(s.STOPPING, C, "CONTINUE", s.STOPPING, crossing=True),
        Row(s.STOPPING, C, "LAST", s.DONE, crossing=True),
        Row(s.RUNNING, C, "CANCEL", s.RUNNING),
        Row(s.RUNNING, S, ends, s.DONE),
        Row(s.RUNNING, S, "RESULT_PART", s.ANSWERING),
        Row(s.ANSWERING, C, "CANCEL", s.ANSWERING),
        Row(s.ANSWERING, S, "CONTINUE", s.ANSWERING),
        Row(s.ANSWERING, S, "LAST", s.DONE),
        Row(s.DONE, C, "CANCEL", s.DONE, crossing=True),
    )


def _channel() -> tuple[Row[ChannelState], ...]:
    s = ChannelState
    say = "MESSAGE MESSAGE_PART CONTINUE LAST"
    closing = (s.CLIENT_CLOSED, s.SERVER_CLOSED, s.BOTH_CLOSED)
    return (
        Row(s.IDLE, C, "OPEN", s.OPENING),
        Row(s.OPENING, S, "OPENED", s.OPEN),
        Row(s.OPENING, S, "REFUSED RESET", s.CLOSED),
        Row(s.OPENING, C, "RESET", s.CLOSED),
        *(Row(state, S, "OPENED", state) for state in (s.OPEN, s.MOVING, *closing)),
        Row(s.OPEN, C, f"{say} CREDIT", s.OPEN),
        Row(s.OPEN, S, f"{say} CREDIT", s.OPEN),
        Row(s.OPEN, C, "CLOSE", s.CLIENT_CLOSED),
        Row(s.OPEN, S, "CLOSE", s.SERVER_CLOSED),
        Row(s.OPEN, C, "MOVE", s.MOVING),
        Row(s.OPEN, S, "MOVED", s.MOVED),
        Row(s.MOVING, S, f"{say} CREDIT", s.MOVING),
        Row(s.MOVING, C, "CREDIT MOVE", s.MOVING),
        Row(s.MOVING, S, "MOVED", s.MOVED),
        Row(s.MOVING, S, "REFUSED", s.OPEN),
        Row(s.MOVING, S, "CLOSE", s.SERVER_CLOSED),
        Row(s.CLIENT_CLOSED, C, "CREDIT", s.CLIENT_CLOSED),
        Row(s.CLIENT_CLOSED, S, f"{say} CREDIT", s.CLIENT_CLOSED),
        Row(s.CLIENT_CLOSED, S, "CLOSE", s.BOTH_CLOSED),
        Row(s.CLIENT_CLOSED, S, "MOVED", s.MOVED),
        Row(s.SERVER_CLOSED, S, "CREDIT", s.SERVER_CLOSED),
        Row(s.SERVER_CLOSED, C, f"{say} CREDIT", s.SERVER_CLOSED),
        Row(s.SERVER_CLOSED, C, "CLOSE", s.BOTH_CLOSED),
        Row(s.SERVER_CLOSED, C, "MOVE", s.SERVER_CLOSED, crossing=True),
        Row(s.BOTH_CLOSED, C, "CREDIT", s.BOTH_CLOSED),
        Row(s.BOTH_CLOSED, S, "CREDIT", s.BOTH_CLOSED),
        Row(s.MOVED, C, f"{say} CREDIT CLOSE MOVE", s.MOVED, crossing=True),
        Row(s.MOVED, S, f"{say} CREDIT MOVED", s.MOVED),
        *(
            Row(state, sender, "RESET", s.CLOSED)
            for state in (s.OPEN, s.MOVING, *closing)
            for sender in (C, S)
        ),
        Row(s.MOVED, C, "RESET", s.CLOSED),
        Row(s.CLOSED, C, f"{say} CREDIT CLOSE RESET MOVE", s.CLOSED, crossing=True),
        Row(s.CLOSED, S, f"{say} CREDIT CLOSE RESET MOVED REFUSED OPENED", s.CLOSED, crossing=True),
    )


Table = dict[tuple[Role, StateType, Direction, str], StateType]


def table_of(rows: tuple[Row[StateType], ...]) -> Table[StateType]:
    """Return the rows as a table for both roles. Raises `ValueError` where two rows disagree."""
    table: Table[StateType] = {}
    for row in rows:
        for event in row.events.split():
            keys = [(row.sender.other, row.state, Direction.RECEIVE, event)]
            if not row.crossing:
                keys.append((row.sender, row.state, Direction.SEND, event))
            for key in keys:
                if table.setdefault(key, row.then) is not row.then:
                    raise ValueError(f"two rows for {key}")
    return table


CONNECTION_ROWS = _connection()
CALL_ROWS = _call()
CHANNEL_ROWS = _channel()
CONNECTION = table_of(CONNECTION_ROWS)
CALL = table_of(CALL_ROWS)
CHANNEL = table_of(CHANNEL_ROWS)
