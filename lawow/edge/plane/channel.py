"""One channel on an edge, one topic, and one call of an endpoint's handler: what `Channels` keeps of each."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from time import monotonic

from lawow.channel.sequences import ChannelEnd
from lawow.channel.server import ServerConnection
from lawow.channel.states import ConnectionState
from lawow.channel.topics import Topic
from lawow.edge.messages import Call
from lawow.edge.messages import Message as Answer
from lawow.edge.plane.client import Client
from lawow.edge.plane.parts import Serves
from lawow.runtime.channel_functions import Mailbox, mailbox_in_place

__all__ = ["HANDLER", "SPEAKING", "Channel", "Delivery", "ServedTopic"]

HANDLER = ">"
"""The signature of a handler: it finds its messages in its mailbox."""
SPEAKING = (ConnectionState.OPEN, ConnectionState.DRAINING)


@dataclass(eq=False, slots=True)
class Channel:
    """One open channel. `arrived`: sequence numbers and values that nobody has taken."""

    client: Client
    id: int
    end: ChannelEnd
    topic: ServedTopic | None = None
    arrived: deque[tuple[int, bytes]] = field(default_factory=deque)
    outgoing: deque[bytes] = field(default_factory=deque)
    destination: str | None = None  # it moves there as soon as its handler has returned
    is_ready: bool = False
    is_running: bool = False
    is_closing: bool = False

    @property
    def link(self) -> ServerConnection | None:
        """The connection over which something can be said now, if the channel is there."""
        connection = self.client.connection
        if connection is None or self.is_over or connection.server.state not in SPEAKING:
            return None
        return connection.server

    @property
    def is_over(self) -> bool:
        """Whether the protocol knows it no more: it was ended, or closed by both ends."""
        return self.client.session.channels.get(self.id) is not self.end


@dataclass(eq=False, slots=True)
class ServedTopic:
    """A topic, and what is to be published when those it waits for have room: from whom, and which number."""

    key: tuple[str, str]
    type: str
    receivers: Topic = field(default_factory=Topic)
    waiting: deque[tuple[Channel | None, int, bytes]] = field(default_factory=deque)
    waiting_bytes: int = 0


@dataclass(eq=False, slots=True)
class Delivery:
    """A call of an endpoint's handler."""

    channel: Channel
    mailbox: Mailbox
    came: float
    until: float

    def work(self, worker: Serves) -> Answer:
        """Let the guest look into its mailbox; on any thread."""
        admitted, left = self.channel.client.lease.admitted, max(self.until - monotonic(), 0.001)
        with mailbox_in_place(self.mailbox):
            return worker.answer(
                Call(admitted.digest, False, self.channel.end.name, HANDLER, left, b"", admitted.session)
            )
