"""A host of flexible ends in Python: the device itself, or any process that speaks the data plane.

It serves endpoints, for each channel to one of which a handler runs with a `FlexibleEnd` in a thread of its
own, and topics. A flexible end is one object for the handler wherever it is: when it moves to another host of
this process, the same object goes on there. Calls of functions are refused: an edge does those.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping

from lawow.channel.documents import Value
from lawow.channel.events import (
    Called,
    ChannelAsked,
    ChannelEnded,
    Event,
    FunctionAsked,
    Goodbye,
    Greeted,
    Message,
    MoveAsked,
    PeerClosed,
    Writable,
)
from lawow.channel.exchange import ExchangingConnection
from lawow.channel.messages import pack_message, require_message_type
from lawow.channel.payloads import Kind
from lawow.channel.sequences import ChannelEnd, Position
from lawow.channel.server import ServerConnection
from lawow.channel.sessions import ServerSession
from lawow.channel.states import ChannelState, ConnectionState
from lawow.channel.tickets import position_of_ticket
from lawow.channel.topics import Topic
from lawow.device.flexible_end import CarriedByClient, ClientHome, FlexibleEnd, NextHost
from lawow.device.link import Link
from lawow.device.message_end import ChannelClosed
from lawow.errors import HostLost, LawowError, LimitExceeded, LocalProtocolError, UsageError
from lawow.limits import CHANNEL, ChannelLimits

__all__ = ["CarriedByClient", "ChannelHost", "ClientHome", "FlexibleEnd", "NextHost", "TopicSender"]

TICKET_BYTES = 16
LOOK_SECONDS = 1.0  # between two looks for sessions whose time is over, while a topic waits
Handler = Callable[[FlexibleEnd], object]
Asks = Greeted | FunctionAsked | Called | ChannelAsked | MoveAsked


class _Served:
    """One connection of a client; carries its flexible ends."""

    def __init__(self, host: ChannelHost, sock: socket.socket) -> None:
        self.lock = host.lock
        self.connection = ServerConnection(host.limits)
        self.link = Link(sock, self.connection, host.lock, lambda event: host.handle(self, event))

    @property
    def exchange(self) -> ExchangingConnection:
        """The connection."""
        return self.connection

    def wake(self) -> None:
        """There may be something to send."""
        self.link.wake()


class ChannelHost:
    """One host. `token` is what clients must show; `next_hosts` are where ends can move, by name."""

    def __init__(
        self,
        name: str,
        token: bytes,
        next_hosts: Mapping[str, NextHost] | None = None,
        limits: ChannelLimits = CHANNEL,
    ) -> None:
        self.name = name
        self.limits = limits
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self._token = token
        self._next_hosts = {} if next_hosts is None else next_hosts
        self._endpoints: dict[str, tuple[str, Handler]] = {}
        self._topics: dict[str, TopicSender] = {}
        self._served: dict[bytes, _Served] = {}  # by session
        self._lost_at: dict[bytes, float] = {}
        self._ends: dict[ChannelEnd, FlexibleEnd] = {}
        self._receiving: dict[ChannelEnd, TopicSender] = {}
        self._tickets: dict[bytes, tuple[FlexibleEnd, Position, float]] = {}  # and when each was given
        self._tickets_lock = threading.Lock()  # taken last, and by other hosts

    def offer(self, name: str, type_name: str, handler: Handler) -> None:
        """Serve an endpoint; the channel is closed when `handler` returns. Raises `FormatError`."""
        require_message_type(type_name)
        with self.lock:
            self._endpoints[name] = (type_name, handler)

    def topic(self, name: str, type_name: str) -> TopicSender:
        """Serve a topic, and return what sends to it. Raises `FormatError`."""
        require_message_type(type_name)
        with self.lock:
            return self._topics.setdefault(name, TopicSender(self, name, type_name))

    def serve(self, sock: socket.socket) -> None:
        """Serve a connected socket, whose TLS handshake is done, in a thread of its own."""
        served = _Served(self, sock)
        threading.Thread(
            target=self._run, args=(served,), name=f"lawow-host-{self.name}", daemon=True
        ).start()

    def connect(self) -> socket.socket:
        """Return a socket that is connected to this host: for a `DataSession` in this process."""
        ours, theirs = socket.socketpair()
        self.serve(ours)
        return theirs

    def adopt(self, end: FlexibleEnd, position: Position) -> bytes:
        """As `NextHost.adopt`; the ticket is good once, and for as long as a lost session is kept."""
        ticket = secrets.token_bytes(TICKET_BYTES)
        with self._tickets_lock:
            self._tickets[ticket] = (end, position, time.monotonic())
        timer = threading.Timer(self.limits.resume_seconds, self.expire)
        timer.daemon = True
        timer.start()
        return ticket

    def drain(self, destination: str) -> None:
        """Move all flexible ends whose clients are connected to another host; those of others stay.

        Raises `UsageError` for a host that is not known.
        """
        if destination not in self._next_hosts:
            raise UsageError(f"host {self.name} knows no host {destination!r}")
        with self.lock:
            for served in self._served.values():
                if served.connection.state is not ConnectionState.OPEN:
                    continue
                for channel_id, end in list(served.connection.session.channels.items()):
                    if end in self._ends and end.state is not ChannelState.OPENING:
                        self._move(served, channel_id, destination)
                served.wake()

    def close(self) -> None:
        """End all connections and channels."""
        with self.lock:
            for served in list(self._served.values()):
                self._forget(served.connection.session.token)
                served.link.close()

    # events; the lock is held

    def handle(self, served: _Served, event: Event) -> None:
        """Do what an event of a connection asks for."""
        connection = served.connection
        if isinstance(event, Asks) and connection.state is ConnectionState.CLOSED:
            self._drop_late(served, event)
        elif isinstance(event, Greeted):
            self._greet(served, event)
        elif isinstance(event, FunctionAsked | Called):
            connection.send_refused(event.id, "not-found", "this host serves channels and no functions")
        elif isinstance(event, ChannelAsked):
            self._open(served, event)
        elif isinstance(event, MoveAsked):
            self._asked_to_move(served, event)
        elif isinstance(event, Message | PeerClosed | Writable):
            self._pass(served, event)
        elif isinstance(event, ChannelEnded):
            self._drop_ended()
        elif isinstance(event, Goodbye) and event.is_farewell:
            self._leave_topics(served)
        self.changed.notify_all()

    def _drop_late(self, served: _Served, event: Asks) -> None:
        """GOODBYE came in the same bytes: nobody waits for an answer, and a channel never opened."""
        if isinstance(event, ChannelAsked):
            served.connection.session.channels.pop(event.id, None)

    def _greet(self, served: _Served, event: Greeted) -> None:
        if not hmac.compare_digest(event.token, self._token):
            served.connection.send_goodbye("unauthorized", "the token is not in force here")
            return
        self.expire()
        former = self._served.get(event.session)
        if former is None:
            session = ServerSession(secrets.token_bytes(TICKET_BYTES), self.limits)
        else:
            session = former.connection.session
            former.connection.connection_lost()
            former.link.close()
        served.connection.send_welcome(session)
        self._served[session.token] = served
        self._lost_at.pop(session.token, None)
        self._drop_ended()
        for channel_id, end in session.channels.items():
            self._join(served, channel_id, end)

    def _join(self, served: _Served, channel_id: int, end: ChannelEnd) -> None:
        """Let a session's channel go on over this connection."""
        if end in self._receiving:
            self._receiving[end].receivers.join(served.connection, channel_id)
        elif end in self._ends:
            self._ends[end].attach(served, channel_id)

    def _open(self, served: _Served, event: ChannelAsked) -> None:
        connection = served.connection
        self._drop_ended()
        if event.ticket:
            self._reopen(served, event)
            return
        topic = self._topics.get(event.name) if event.kind is Kind.TOPIC else None
        type_name, handler = self._endpoints.get(event.name, ("", None))
        if event.kind is Kind.TOPIC:
            type_name = "" if topic is None else topic.type_name
        if type_name != event.type:
            connection.send_refused(event.id, "not-found", "this host has no such channel of this type")
        elif topic is not None:
            connection.send_opened(event.id)
            self._receiving[connection.channel(event.id)] = topic
            topic.receivers.join(connection, event.id)
        elif handler is not None:
            connection.send_opened(event.id)
            self._begin(served, event, handler)

    def _begin(self, served: _Served, event: ChannelAsked, handler: Handler) -> None:
        flexible = FlexibleEnd(event.name, event.type)
        self._take_in(served, event.id, flexible)
        threading.Thread(target=_handle_end, args=(handler, flexible), daemon=True).start()

    def _reopen(self, served: _Served, event: ChannelAsked) -> None:
        """Take a flexible end that comes from another host, if the ticket is its own."""
        carried = position_of_ticket(event.ticket)
        type_name, handler = self._endpoints.get(event.name, ("", None))
        if handler is not None and type_name == event.type and carried is not None:
            if carried.sent != event.received:
                served.connection.send_refused(event.id, "not-found", "the ticket is of another position")
                return
            served.connection.send_opened(event.id, carried)
            self._begin(served, event, handler)
            return
        with self._tickets_lock:
            flexible, position, _ = self._tickets.get(event.ticket, (None, Position(), 0.0))
            fits = flexible is not None and (flexible.name, flexible.type_name) == (event.name, event.type)
            if fits and position.sent == event.received:
                del self._tickets[event.ticket]
            else:
                flexible = None
        if flexible is None:
            served.connection.send_refused(event.id, "not-found", "the ticket is not one of this host")
            return
        served.connection.send_opened(event.id, position)
        self._take_in(served, event.id, flexible)

    def _take_in(self, served: _Served, channel_id: int, flexible: FlexibleEnd) -> None:
        self._ends[served.connection.channel(channel_id)] = flexible
        flexible.host = self.name
        flexible.attach(served, channel_id)

    def _asked_to_move(self, served: _Served, event: MoveAsked) -> None:
        end = served.connection.channel(event.id)
        if end not in self._ends:
            served.connection.send_refused(event.id, "conflict", "a topic stays where it is")
        elif event.destination not in self._next_hosts or event.destination == self.name:
            served.connection.send_refused(event.id, "not-found", "this host knows no such other host")
        else:
            self._move(served, event.id, event.destination)

    def _move(self, served: _Served, channel_id: int, destination: str) -> None:
        """Freeze a flexible end and hand it over; all of it in one step for whoever takes the lock."""
        end = served.connection.channel(channel_id)
        flexible = self._ends.pop(end)
        flexible.detach(forgets_untaken=True)
        ticket = self._next_hosts[destination].adopt(flexible, Position(end.taken, end.sent))
        served.connection.send_moved(channel_id, destination, ticket)

    def _pass(self, served: _Served, event: Message | PeerClosed | Writable) -> None:
        end = served.connection.session.channels.get(event.id)
        if end is None:
            return
        if end in self._receiving:
            self._pass_to_topic(served, event, end)
        elif end not in self._ends:  # it has moved: the next host gets what comes now
            return
        elif isinstance(event, Message):
            self._ends[end].deliver(event)
        elif isinstance(event, PeerClosed):
            self._ends[end].peer_closed()
        else:
            self._ends[end].poke()

    def _pass_to_topic(
        self, served: _Served, event: Message | PeerClosed | Writable, end: ChannelEnd
    ) -> None:
        if isinstance(event, Writable):
            self._receiving[end].receivers.writable(end)
        elif isinstance(event, Message):  # a topic sends; what receivers say is nobody's
            with contextlib.suppress(LocalProtocolError):  # GOODBYE came in the same bytes
                served.connection.send_credit(event.id, event.sequence)

    def _leave_topics(self, served: _Served) -> None:
        """The client has said goodbye: no topic waits for it, though its session may go on."""
        channels = served.connection.session.channels
        for channel_id in [key for key, end in channels.items() if end in self._receiving]:
            del channels[channel_id]
        self._drop_ended()

    def _drop_ended(self) -> None:
        """Let go of flexible ends and receivers whose channel is over."""
        sessions = [served.connection.session for served in self._served.values()]
        known = {end for session in sessions for end in session.channels.values()}
        for end in {*self._ends, *self._receiving} - known:
            self._let_go(end, ChannelClosed(f"channel {end.name}: the other end has ended it"))

    def _let_go(self, end: ChannelEnd, reason: LawowError) -> None:
        flexible = self._ends.pop(end, None)
        if flexible is not None:
            flexible.end(reason)
        topic = self._receiving.pop(end, None)
        if topic is not None:
            topic.receivers.leave(end)

    # the life of connections and sessions

    def _run(self, served: _Served) -> None:
        served.link.run()
        with self.lock:
            served.connection.connection_lost()
            token = served.connection.session.token
            self.changed.notify_all()
            if self._served.get(token) is served:
                self._await_return(token)
            self.expire()

    def _await_return(self, token: bytes) -> None:
        """Wait until a lost session has another connection, or its time is over."""
        lost_at = self._lost_at[token] = time.monotonic()
        while self._lost_at.get(token) == lost_at:
            left = lost_at + self.limits.resume_seconds - time.monotonic()
            if left <= 0:
                return
            self.changed.wait(left)

    def _forget(self, token: bytes) -> None:
        self._lost_at.pop(token, None)
        served = self._served.pop(token, None)
        if served is None:
            return
        for end in served.connection.session.channels.values():
            self._let_go(end, HostLost(f"channel {end.name}: its client is gone"))

    def expire(self) -> None:
        """Forget sessions that nobody came back to, and ends that nobody came for."""
        latest = time.monotonic() - self.limits.resume_seconds
        with self.lock:
            for token in [token for token, since in self._lost_at.items() if since <= latest]:
                self._forget(token)
        with self._tickets_lock:
            late = [ticket for ticket, (_, _, since) in self._tickets.items() if since <= latest]
            ends = [self._tickets.pop(ticket)[0] for ticket in late]
        for end in ends:
            end.end(HostLost(f"channel {end.name}: its client did not follow it"))


class TopicSender:
    """One to many: what is published goes to all that opened the topic, under the policy of each."""

    def __init__(self, host: ChannelHost, name: str, type_name: str) -> None:
        self.name = name
        self.type_name = type_name
        self.receivers = Topic()
        self._host = host

    def __len__(self) -> int:
        """How many receive it."""
        return len(self.receivers)

    def publish(self, value: Value, *, timeout_seconds: float | None = None) -> None:
        """Send a message to all; waits for those whose policy is to block. Raises `LimitExceeded`."""
        data = pack_message(self.type_name, value)
        ends = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        host = self._host
        with host.lock:
            while not self.receivers.can_publish(len(data)):
                if ends is not None and time.monotonic() >= ends:
                    raise LimitExceeded(
                        "timeout_seconds", "over", timeout_seconds, subject=f"topic {self.name}"
                    )
                host.changed.wait(
                    LOOK_SECONDS if ends is None else min(LOOK_SECONDS, ends - time.monotonic())
                )
                host.expire()
            self.receivers.publish(data)
            for served in host._served.values():
                served.wake()


def _handle_end(handler: Handler, flexible: FlexibleEnd) -> None:
    """Run a handler, and close the channel when it is done; that its client left ends it without a word."""
    try:
        handler(flexible)
    except (ChannelClosed, HostLost):
        return
    finally:
        with contextlib.suppress(LawowError):  # closed by the handler, or lost
            flexible.close()
