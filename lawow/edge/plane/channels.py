"""Channels on an edge: endpoints whose flexible end is the lease's instance, and topics of that instance.

An endpoint is named as an export of the instance without parameters and results. When messages have come, the
export is called; it takes and sends by the host functions of `lawow.runtime.channel_functions`. What it did
counts when it returns: a guest that traps has taken nothing, and its channel ends. What a client says to a
topic goes to all that opened it, and a receiver for which the topic waits delays the client that speaks.
Everything in here is for the thread that leads.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from time import monotonic

from lawow.channel.events import ChannelAsked, ChannelEnded, Event, Message, MoveAsked, PeerClosed, Writable
from lawow.channel.messages import require_message_type, unpack_message
from lawow.channel.payloads import Kind
from lawow.channel.sequences import MESSAGE_BYTES, ChannelEnd, Position
from lawow.channel.server import ServerConnection
from lawow.channel.states import ChannelState
from lawow.channel.tickets import position_of_ticket, position_ticket
from lawow.edge.messages import Failure, Result
from lawow.edge.messages import Message as Answer
from lawow.edge.plane.channel import HANDLER, SPEAKING, Channel, Delivery, ServedTopic
from lawow.edge.plane.client import Client, Connection
from lawow.edge.plane.parts import Serves
from lawow.edge.usage import OUTCOMES
from lawow.errors import FormatError, LawowError, LocalProtocolError
from lawow.limits import CHANNEL
from lawow.runtime.channel_functions import Mailbox

__all__ = ["Channels"]

HOME = ""
"""Where an end goes that nobody has asked to move: its client takes it where it likes."""
LEAVABLE = (ChannelState.OPEN, ChannelState.MOVING, ChannelState.CLIENT_CLOSED)


class Channels:
    """All channels of one worker."""

    def __init__(self, worker: Serves, longest_seconds: float, most: int) -> None:
        """No call of a handler may take longer; at most so many channels are open at a time."""
        self._most = most
        self._worker = worker
        self._longest_seconds = longest_seconds
        self._channels: dict[ChannelEnd, Channel] = {}
        self._topics: dict[tuple[str, str], ServedTopic] = {}
        self._ready: deque[Channel] = deque()
        self.touched: set[Connection] = set()

    # events

    def handle(self, client: Client, server: ServerConnection, event: Event) -> None:
        """Do what an event of an open connection asks for."""
        if isinstance(event, ChannelAsked):
            if server.state not in SPEAKING:  # GOODBYE came in the same bytes: it never opened
                client.session.channels.pop(event.id, None)
            elif event.id in client.session.channels:  # else RESET did
                self._open(client, server, event)
            return
        if isinstance(event, ChannelEnded):
            self._drop_ended(client)
            return
        if not isinstance(event, Message | PeerClosed | Writable | MoveAsked):
            return
        end = client.session.channels.get(event.id)
        channel = None if end is None else self._channels.get(end)
        if channel is None:
            if end is None:  # closed by both ends with the very frame that this event is of
                self._drop_ended(client)
            return
        if channel.topic is not None:
            self._at_topic(channel, channel.topic, server, event)
        elif isinstance(event, Message):
            channel.arrived.append((event.sequence, bytes(event.value)))
            self._make_ready(channel)
        elif isinstance(event, MoveAsked):
            channel.destination = event.destination
            self._settle(channel)
        elif isinstance(event, PeerClosed):
            channel.is_closing = True
            self._settle(channel)
        else:
            self._settle(channel)
            if channel.arrived:  # its handler may have had no room for an answer
                self._make_ready(channel)

    def resume(self, client: Client, server: ServerConnection) -> None:
        """Let a session's channels go on over another connection."""
        self._drop_ended(client)
        for channel in self._of(client):
            if channel.topic is not None:
                channel.topic.receivers.join(server, channel.id)
            else:
                self._settle(channel)
                if channel.arrived:
                    self._make_ready(channel)

    def leave_topics(self, client: Client) -> None:
        """The client has said goodbye: no topic waits for it, though its session may go on."""
        for channel in self._of(client):
            if channel.topic is not None:
                client.session.channels.pop(channel.id, None)
                self._drop(channel)

    def send_home(self) -> None:
        """Let all flexible ends leave, each as soon as its handler has returned: the edge is about to end."""
        for channel in list(self._channels.values()):
            if channel.topic is None:
                channel.destination = channel.destination or HOME
                self._settle(channel)

    def holds_an_end_of(self, client: Client) -> bool:
        """Tell whether a flexible end is here, or has left without the client's word that it knows."""
        return any(
            end.kind is Kind.ENDPOINT and end.state in (*LEAVABLE, ChannelState.MOVED)
            for end in client.session.channels.values()
        )

    def forget(self, client: Client) -> None:
        """The client's session is over."""
        for channel in self._of(client):
            self._drop(channel)

    def _open(self, client: Client, server: ServerConnection, asked: ChannelAsked) -> None:
        refusal = self._refusal(client, asked)
        if refusal:
            server.send_refused(asked.id, *refusal)
            return
        position = position_of_ticket(asked.ticket) if asked.ticket else None
        server.send_opened(asked.id, position)
        end = server.channel(asked.id)
        channel = self._channels[end] = Channel(client, asked.id, end)
        if asked.kind is Kind.TOPIC:
            key = self._topic_key(client, asked.name)
            channel.topic = self._topics.setdefault(key, ServedTopic(key, asked.type))
            channel.topic.receivers.join(server, asked.id)

    def _refusal(self, client: Client, asked: ChannelAsked) -> tuple[str, str] | None:
        """Return code and detail, if the channel cannot be."""
        if len(self._channels) >= self._most:
            return "busy", f"this worker has {self._most} channels (data_channels)"
        try:
            require_message_type(asked.type)
            if asked.kind is Kind.ENDPOINT:
                self._worker.require_function(client.lease.admitted.digest, asked.name, HANDLER)
        except LawowError as error:
            return "not-found", str(error)
        position = position_of_ticket(asked.ticket) if asked.ticket else Position()
        if asked.kind is Kind.TOPIC:
            known = self._topics.get(self._topic_key(client, asked.name))
            if asked.ticket or (known is not None and known.type != asked.type):
                return "not-found", "the topic is of another type, or said to have moved, which topics do not"
        elif position is None or position.sent != asked.received:
            return "not-found", "the ticket is none of a flexible end that its client carries"
        return None

    def _topic_key(self, client: Client, name: str) -> tuple[str, str]:
        """A topic belongs to an instance: who shares that shares its topics, and nobody else."""
        return client.lease.admitted.session, name

    def take_touched(self) -> set[Connection]:
        """Return the connections, other than those that asked, that have something to send now."""
        touched, self.touched = self.touched, set()
        return touched

    # endpoints

    @property
    def has_work(self) -> bool:
        """Whether `next_delivery` may have any."""
        return bool(self._ready)

    def next_delivery(self) -> Delivery | None:
        """Return the next call of a handler."""
        while self._ready:
            channel = self._ready.popleft()
            channel.is_ready = False
            link = channel.link
            if channel.end not in self._channels or link is None or channel.end.state is ChannelState.MOVED:
                continue
            channel.is_running = True
            channel.client.lease.calls += 1
            now = monotonic()
            return Delivery(channel, self._mailbox(channel), now, now + self._longest_seconds)
        return None

    def _mailbox(self, channel: Channel) -> Mailbox:
        end = channel.end
        waiting = sum(len(value) + MESSAGE_BYTES for value in channel.outgoing)
        topics = {
            name: topic.waiting_bytes
            for (session, name), topic in self._topics.items()
            if session == channel.client.lease.admitted.session
        }
        published = 0

        def may_publish(name: str, size: int) -> bool:
            """Bound what waits in a topic, and what one call publishes, heard or not."""
            nonlocal published
            if topics.get(name, 0) + published + size > CHANNEL.window_bytes:
                return False
            published += size
            return True

        return Mailbox(
            [value for _, value in channel.arrived],
            0 if end.closed else end.peer_window - end.kept_bytes - waiting,
            MESSAGE_BYTES,
            lambda value: unpack_message(end.type, value),
            may_publish,
        )

    def conclude(self, delivery: Delivery, answer: Answer) -> None:
        """Let count what the guest did, if it returned; else end its channel."""
        channel, mailbox = delivery.channel, delivery.mailbox
        channel.is_running = False
        channel.client.lease.note(_outcome(answer), monotonic() - delivery.came)
        if self._channels.get(channel.end) is not channel:
            return
        if not isinstance(answer, Result):
            self._end(channel, "session-lost", "the guest did not return")
            return
        for _ in range(mailbox.taken):
            sequence, _ = channel.arrived.popleft()
            self._credit(channel, sequence)
        channel.outgoing += mailbox.sent
        for name, value in mailbox.published:
            topic = self._topics.get(self._topic_key(channel.client, name))
            if topic is None:
                continue
            try:
                unpack_message(topic.type, value)
            except FormatError as error:
                self._end(channel, "bad-arguments", f"to the topic {name!r:.80}: {error}")
                return
            self._publish_later(topic, None, 0, value)
        if mailbox.taken and channel.arrived:
            self._make_ready(channel)
        self._settle(channel)

    def _credit(self, channel: Channel, sequence: int) -> None:
        link = channel.link
        if link is not None:
            with suppress(LocalProtocolError):  # the client has closed, or moves the end
                link.send_credit(channel.id, sequence)
                return
        channel.end.take(sequence)

    def _settle(self, channel: Channel) -> None:
        """Send what the handler has left, then move or close as was asked, if the handler does not run."""
        if channel.is_over:
            self._drop(channel)
            return
        link, end = channel.link, channel.end
        while channel.outgoing and end.room_for(len(channel.outgoing[0])):
            if link is not None and link.can_send(channel.id, len(channel.outgoing[0])):
                link.send_message(channel.id, channel.outgoing.popleft())
            else:
                end.keep(channel.outgoing.popleft())
        if link is None or channel.is_running or channel.outgoing:
            return
        if channel.is_closing and not channel.arrived and not end.closed:
            link.send_close(channel.id)
        elif channel.destination is not None and end.state in LEAVABLE:
            ticket = position_ticket(Position(end.taken, end.sent))
            link.send_moved(channel.id, channel.destination, ticket)
            self._drop(channel)

    def _make_ready(self, channel: Channel) -> None:
        if not channel.is_ready:
            channel.is_ready = True
            self._ready.append(channel)

    # topics

    def _at_topic(self, channel: Channel, topic: ServedTopic, server: ServerConnection, event: Event) -> None:
        if isinstance(event, MoveAsked):
            if channel.link is not None:
                server.send_refused(event.id, "conflict", "a topic stays where it is")
        elif isinstance(event, Message):
            value = bytes(event.value)
            try:
                unpack_message(topic.type, value)
            except FormatError as error:
                self._end(channel, "bad-arguments", str(error))
                return
            self._publish_later(topic, channel, event.sequence, value)
        elif isinstance(event, PeerClosed):
            channel.is_closing = True
            self._close_at(topic, channel)
        elif isinstance(event, Writable):
            topic.receivers.writable(channel.end)
            self._publish(topic)

    def _publish_later(self, topic: ServedTopic, source: Channel | None, sequence: int, value: bytes) -> None:
        topic.waiting.append((source, sequence, value))
        topic.waiting_bytes += len(value) + MESSAGE_BYTES
        self._publish(topic)

    def _publish(self, topic: ServedTopic) -> None:
        """Publish what waits, until a receiver must be waited for."""
        for channel in [item for item in self._channels.values() if item.topic is topic and item.is_over]:
            del self._channels[channel.end]  # its end is an event that was not handled yet
            topic.receivers.leave(channel.end)
        while topic.waiting and topic.receivers.can_publish(len(topic.waiting[0][2])):
            source, sequence, value = topic.waiting.popleft()
            topic.waiting_bytes -= len(value) + MESSAGE_BYTES
            self._touch(topic)
            for slow in topic.receivers.publish(value):
                self._channels.pop(slow, None)
            if source is not None and self._channels.get(source.end) is source:
                self._credit(source, sequence)
                self._close_at(topic, source)

    def _close_at(self, topic: ServedTopic, channel: Channel) -> None:
        """Close a channel whose client has closed, when all that it said was published."""
        link = channel.link
        if not channel.is_closing or any(source is channel for source, _, _ in topic.waiting):
            return
        if link is not None and not channel.end.closed:
            link.send_close(channel.id)
        self._drop(channel)

    def _touch(self, topic: ServedTopic) -> None:
        for channel in self._channels.values():
            if channel.topic is topic and channel.client.connection is not None:
                self.touched.add(channel.client.connection)

    # ends

    def _end(self, channel: Channel, code: str, detail: str) -> None:
        connection = channel.client.connection
        if connection is not None and channel.link is not None:
            connection.server.end_channel(channel.id, code, detail[:200])
        else:
            channel.client.session.channels.pop(channel.id, None)
        self._drop(channel)

    def _drop(self, channel: Channel) -> None:
        self._channels.pop(channel.end, None)
        topic = channel.topic
        if topic is None:
            return
        topic.receivers.leave(channel.end)
        if not len(topic.receivers):
            self._topics.pop(topic.key, None)
        else:
            self._publish(topic)  # nobody waits for it any more

    def _drop_ended(self, client: Client) -> None:
        for channel in self._of(client):
            if channel.is_over:
                self._drop(channel)

    def _of(self, client: Client) -> list[Channel]:
        return [channel for channel in self._channels.values() if channel.client is client]


def _outcome(answer: Answer) -> str:
    if isinstance(answer, Result):
        return "ok"
    if isinstance(answer, Failure):
        return answer.kind if answer.kind in OUTCOMES else "session-lost"
    return "trap"
