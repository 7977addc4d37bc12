"""The end of a channel that moves, and where to it can: to whatever takes it by `NextHost.adopt`."""

from __future__ import annotations

from typing import Protocol

from lawow.channel.sequences import Position
from lawow.channel.tickets import position_ticket
from lawow.device.message_end import ChannelClosed, MessageEnd

__all__ = ["CarriedByClient", "ClientHome", "FlexibleEnd", "NextHost"]


class FlexibleEnd(MessageEnd):
    """The end that moves. `host` is the name of the host that it is on."""

    host = ""


class NextHost(Protocol):
    """Where a flexible end can move to."""

    def adopt(self, end: FlexibleEnd, position: Position) -> bytes:
        """Expect the end, which goes on at that position, and return the ticket for its channel.

        Must not block: the former host's lock is held.
        """


class ClientHome:
    """A `NextHost` for the empty name: the end's work goes on in the client's own program, and is over here.

    For clients that have a program of their own for that, as the Java library's `ElasticChannel.setHome`.
    """

    def adopt(self, end: FlexibleEnd, position: Position) -> bytes:
        """End the handler's part; what it has not taken stays with the client, which needs no ticket."""
        end.end(ChannelClosed(f"channel {end.name}: its client has taken it home"))
        return b""


class CarriedByClient:
    """A `NextHost` that this process cannot talk to, such as an edge: the end's client carries the position.

    The handler here ends, as if its channel had been closed; `MessageEnd.answer` takes no message in vain.
    """

    def adopt(self, end: FlexibleEnd, position: Position) -> bytes:
        """Let the end go."""
        end.end(ChannelClosed(f"channel {end.name}: it has moved to a host that is not in this process"))
        return position_ticket(position)
