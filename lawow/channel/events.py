"""What a connection tells its owner: one class for each thing that can happen.

Times are in microseconds where the name ends in ``_us``. A payload of some size is a view of received memory,
so an owner that keeps one makes a copy. The quick ones are not frozen, because a frozen dataclass takes three
times as long to make; nobody changes them all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from lawow.channel.inbox import Payload
from lawow.channel.payloads import Kind, Policy
from lawow.channel.sequences import ChannelEnd, Position

__all__ = [
    "Bound",
    "Called",
    "Cancelled",
    "ChannelAsked",
    "ChannelEnded",
    "ChannelOpened",
    "Draining",
    "Event",
    "Failed",
    "FunctionAsked",
    "Goodbye",
    "Greeted",
    "Lost",
    "Message",
    "MoveAsked",
    "MoveRefused",
    "Moved",
    "NotStarted",
    "PeerClosed",
    "Refused",
    "Returned",
    "Trapped",
    "Unknown",
    "Welcomed",
    "Writable",
]


@dataclass(frozen=True, slots=True)
class Greeted:
    """Server: a client says who it is; answer with `send_welcome` or `send_goodbye`.

    `session` names the session it wants to go on with, or is empty.
    """

    version: int
    token: bytes
    session: bytes


@dataclass(frozen=True, slots=True)
class Welcomed:
    """Client: calls and channels may be opened. Unless `resumed`, no function is bound."""

    version: int
    resumed: bool


@dataclass(frozen=True, slots=True)
class Draining:
    """Client: the server takes nothing new; what has an id up to `last_id` goes on."""

    last_id: int
    retry_after_ms: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The other end has ended the connection, and has not started anything beyond `last_id`."""

    last_id: int
    retry_after_ms: int
    code: str
    detail: str

    @property
    def is_farewell(self) -> bool:
        """Whether it left because it wanted to; else it heard nothing for too long, and may come back."""
        return self.code not in ("idle", "too-slow")


@dataclass(frozen=True, slots=True)
class Lost:
    """The other end is silent or too slow: close the connection. `code` is ``idle`` or ``too-slow``."""

    code: str


@dataclass(frozen=True, slots=True)
class FunctionAsked:
    """Server: answer with `send_bound` or `send_refused`."""

    id: int
    target: str
    export: str
    signature: str


@dataclass(slots=True)
class Called:
    """Server: run the function bound as `function`; a `deadline_us` of 0 is the server's own."""

    id: int
    function: int
    deadline_us: int
    arguments: Payload


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Server: the client has no use for the outcome; one is sent all the same.

    A call whose arguments were incomplete has been refused already, and memory for them can be let go.
    """

    id: int


@dataclass(frozen=True, slots=True)
class Bound:
    """Client: the function is there."""

    id: int
    prepare_us: int


@dataclass(slots=True)
class Returned:
    """Client: the function has returned."""

    id: int
    prepare_us: int
    run_us: int
    results: Payload


@dataclass(frozen=True, slots=True)
class Trapped:
    """Client: the guest trapped; as `lawow.errors.GuestTrap`."""

    id: int
    prepare_us: int
    run_us: int
    status: int
    code: str
    detail: str
    guest_frames: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Client: nothing of the call, binding or channel was begun. `code` as in docs/edge.md, "Errors"."""

    id: int
    retry_after_ms: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Client: the call was begun and has no result."""

    id: int
    retry_after_ms: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Client: the call did not reach the server, and never will: it may be made again, here or elsewhere."""

    id: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """Client: nobody knows how far the call got; as `lawow.errors.OutcomeUnknown`."""

    id: int


@dataclass(frozen=True, slots=True)
class ChannelAsked:
    """Server: answer with `send_opened` or `send_refused`.

    With a `ticket` the channel was elsewhere before, and its client has received all up to `received`.
    """

    id: int
    kind: Kind
    policy: Policy
    name: str
    type: str
    received: int
    ticket: bytes


@dataclass(frozen=True, slots=True)
class ChannelOpened:
    """Client: messages may be sent."""

    id: int


@dataclass(slots=True)
class Message:
    """A message; `missed` of the topic's before it were dropped. `send_credit` says that it was taken."""

    id: int
    sequence: int
    missed: int
    value: Payload


@dataclass(frozen=True, slots=True)
class Writable:
    """The other end has taken all messages up to `taken`: there is room for more."""

    id: int
    taken: int


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """The other end sends no more messages on this channel; once this end has closed, too, it is over."""

    id: int


@dataclass(frozen=True, slots=True)
class ChannelEnded:
    """The other end has ended the channel in both directions.

    Codes of this end's own: ``session-lost``; ``not-opened`` if the server never saw it, or refused unheard.
    """

    id: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class MoveAsked:
    """Server: freeze the flexible end, then `send_moved`, or `send_refused` to stay."""

    id: int
    destination: str


@dataclass(frozen=True, slots=True)
class Moved:
    """Client: the flexible end goes on at `endpoint`: `send_reopen` the `channel` there.

    With an empty `endpoint` it comes to the client itself, which goes on by hand at the `position`.
    """

    id: int
    endpoint: str
    ticket: bytes
    position: Position
    channel: ChannelEnd


@dataclass(frozen=True, slots=True)
class MoveRefused:
    """Client: the flexible end stays where it is."""

    id: int
    code: str
    detail: str


Event = (
    Greeted | Welcomed | Draining | Goodbye | Lost | FunctionAsked | Called | Cancelled | Bound | Returned
    | Trapped | Refused | Failed | NotStarted | Unknown | ChannelAsked | ChannelOpened | Message | Writable
    | PeerClosed | ChannelEnded | MoveAsked | MoveRefused | Moved
)  # fmt: skip
