"""Tickets of flexible ends that their own client carries: the position, in the open.

Hosts that do not know each other, such as an edge and a device, hand a flexible end over through its client.
The ticket then is the position at which the end stopped. It opens nothing that the client's token does not
open: who forges one gets an end at a false position, and with it a channel of his own that makes no sense.
"""

from __future__ import annotations

import struct

from lawow.channel.sequences import Position

__all__ = ["position_of_ticket", "position_ticket"]

TICKET = struct.Struct("<4sQQ")
MARK = b"here"


def position_ticket(position: Position) -> bytes:
    """Return the ticket for an end that goes on at a position."""
    return TICKET.pack(MARK, position.received, position.sent)


def position_of_ticket(ticket: bytes) -> Position | None:
    """Return the position in a ticket; None for a ticket of another kind."""
    if len(ticket) != TICKET.size or not ticket.startswith(MARK):
        return None
    _, received, sent = TICKET.unpack(ticket)
    return Position(received, sent)
