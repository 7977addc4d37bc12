"""One channel as one end keeps it: what was sent and not taken yet, what was received, how far both got.

Every message has a sequence number, from 1 on in each direction; CLOSE takes one as well. The sender keeps
what the receiver has not taken, at most a window of it, so that nothing is lost with a connection or in a
move; the receiver drops what it has already, so that nothing comes twice. Nothing in here knows frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from lawow.channel.inbox import Payload
from lawow.channel.payloads import Kind, Policy
from lawow.channel.states import ChannelState
from lawow.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["MESSAGE_BYTES", "ChannelEnd", "Kept", "Position"]

MESSAGE_BYTES = 16
"""What each message counts beside its value, so that empty ones are not free."""
Kept = tuple[int, bytes | None]
"""Sequence number and value; None is the CLOSE."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a flexible end stopped: the last sequence numbers that it took and that it sent."""

    received: int = 0
    sent: int = 0


class ChannelEnd:
    """A channel at one end. It outlives a connection, and on the stationary side the other's host."""

    __slots__ = (
        "asked_received",
        "assembly",
        "close_received",
        "closed",
        "destination",
        "kept",
        "kept_bytes",
        "kind",
        "moved",
        "name",
        "peer_window",
        "policy",
        "received",
        "sent",
        "started_at",
        "state",
        "taken",
        "type",
        "untaken",
        "untaken_bytes",
        "window",
        "written",
    )

    def __init__(self, kind: Kind, policy: Policy, name: str, type_name: str, window: int) -> None:
        self.kind = kind
        self.policy = policy
        self.name = name
        self.type = type_name
        self.window = window
        self.peer_window = 0
        self.state = ChannelState.IDLE
        self.sent = self.received = self.taken = 0
        self.written = 0  # given to the present connection; while the other end moves, `sent` runs ahead
        self.asked_received = 0  # what the client says on opening that it has
        self.destination = ""
        self.started_at = 0  # what the flexible end had received when this host opened the channel
        self.closed = False  # by this end
        self.close_received = 0
        self.kept: deque[Kept] = deque()
        self.kept_bytes = 0
        self.untaken: deque[tuple[int, int]] = deque()
        self.untaken_bytes = 0
        self.assembly: tuple[int, int, bytearray] | None = None
        self.moved = b""  # the payload of MOVED, which is sent again if it gets lost

    def room_for(self, size: int) -> bool:
        """Tell whether a message of `size` bytes may be sent now."""
        return self.kept_bytes + size + MESSAGE_BYTES <= self.peer_window

    def keep(self, value: bytes) -> int:
        """Number a message and keep it until it is taken. Raises `LocalProtocolError` beyond the window."""
        if not self.room_for(len(value)):
            raise LocalProtocolError(
                f"a message of {len(value)} bytes beyond the window of {self.peer_window}, of which "
                f"{self.kept_bytes} bytes are not taken yet; wait for Writable"
            )
        self.sent += 1
        self.kept.append((self.sent, value))
        self.kept_bytes += len(value) + MESSAGE_BYTES
        return self.sent

    def skip(self, count: int) -> None:
        """Leave out numbers: so many messages were dropped before they were sent."""
        self.sent += count

    def keep_close(self) -> int:
        """Number the CLOSE."""
        self.sent += 1
        self.closed = True
        self.kept.append((self.sent, None))
        return self.sent

    def let_go(self, taken: int) -> None:
        """The other end has all up to `taken`. Raises `RemoteProtocolError` for what was not sent."""
        if taken > self.sent:
            raise RemoteProtocolError(f"channel {self.name}: took {taken}, but {self.sent} was the last sent")
        while self.kept and self.kept[0][0] <= taken:
            value = self.kept.popleft()[1]
            if value is not None:
                self.kept_bytes -= len(value) + MESSAGE_BYTES

    def write_again(self, received: int) -> None:
        """The other end, or the next one, has all up to `received`. Raises `RemoteProtocolError`."""
        if received > self.sent:
            raise RemoteProtocolError(
                f"channel {self.name}: received {received}, but {self.sent} was the last sent"
            )
        self.written = received

    def to_write(self) -> Iterator[Kept]:
        """Yield what the window has room for and the connection has not been given, and take note of it."""
        used = 0
        for sequence, value in self.kept:
            used += 0 if value is None else len(value) + MESSAGE_BYTES
            if used > self.peer_window:
                return
            if sequence > self.written:
                self.written = sequence
                yield sequence, value

    def accept(self, sequence: int, value: Payload) -> int | None:
        """Return how many messages before this one are missing, or None for one that was here already.

        Raises `RemoteProtocolError` for a gap where none may be, for a message behind CLOSE and for one that
        the sender had no credit for.
        """
        missed = self._advance(sequence)
        if missed is None:
            return None
        size = len(value) + MESSAGE_BYTES
        self.untaken.append((sequence, size))
        self.untaken_bytes += size
        if self.untaken_bytes > self.window:
            raise RemoteProtocolError(
                f"channel {self.name}: message {sequence} is beyond the credit of {self.window} bytes"
            )
        return missed

    def accept_close(self, sequence: int) -> bool:
        """Take note of the other end's CLOSE; tell whether it is new."""
        if self._advance(sequence) is None:
            return False
        self.close_received = sequence
        self._take_close()
        return True

    def take(self, sequence: int) -> bool:
        """This end has all up to `sequence`; tell whether that is news for the other end.

        Raises `LocalProtocolError` for what was not received.
        """
        if sequence > self.received:
            raise LocalProtocolError(f"channel {self.name}: message {sequence} was not received")
        before = self.taken
        while self.untaken and self.untaken[0][0] <= sequence:
            self.untaken_bytes -= self.untaken.popleft()[1]
        self.taken = max(self.taken, sequence)
        self._take_close()
        return self.taken > before

    def start_at(self, position: Position) -> None:
        """Go on where the flexible end's former host stopped."""
        self.received = self.taken = self.started_at = position.received
        self.sent = self.written = position.sent

    @property
    def is_settled(self) -> bool:
        """Whether both ends have closed and have all that the other sent."""
        return self.closed and not self.kept and self.close_received == self.taken > 0

    def _advance(self, sequence: int) -> int | None:
        if sequence <= self.received:
            return None
        missed = sequence - self.received - 1
        if missed and self.policy is not Policy.DROP_OLDEST:
            raise RemoteProtocolError(
                f"channel {self.name}: message {sequence} after {self.received}; those between are missing"
            )
        if self.close_received:
            raise RemoteProtocolError(f"channel {self.name}: message {sequence} after CLOSE")
        self.received = sequence
        return missed

    def _take_close(self) -> None:
        """CLOSE is taken as soon as all before it are."""
        if self.close_received and not self.untaken:
            self.taken = self.close_received
