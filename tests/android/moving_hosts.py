"""Hosts of flexible ends for the stub's channels, on `ServerConnection` and sockets: echo, topics, moves.

Each answers what comes to the endpoint ``echo`` with ``VALUE@HOST#N``, where N counts all that the end has
received, wherever it was. The topic ``ticks`` sends 40 messages as fast as its receiver lets it.
"""

from __future__ import annotations

import random
import secrets
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from lawow.channel.events import ChannelAsked, Event, Greeted, Message, MoveAsked, PeerClosed, Writable
from lawow.channel.messages import pack_message, unpack_message
from lawow.channel.payloads import Kind
from lawow.channel.sequences import ChannelEnd, Position
from lawow.channel.server import ServerConnection
from lawow.channel.sessions import ServerSession
from lawow.channel.states import ConnectionState
from lawow.channel.topics import Topic
from lawow.errors import RemoteProtocolError

__all__ = ["TICKS", "TOKEN", "MovingHost", "moving_hosts"]

TOKEN = "lease"
TICKS = 40
TICK_BYTES = 20_000


@dataclass(slots=True)
class Echo:
    """A flexible end's program: how much it has answered, and what waits for room, by its number."""

    answered: int = 0
    waiting: deque[tuple[int, str]] = field(default_factory=deque)


@dataclass(slots=True)
class Ticks:
    """A topic with one receiver, and how many messages are still to be published."""

    topic: Topic
    left: int = TICKS

    def publish(self) -> None:
        """Publish what the receiver lets it."""
        while self.left and self.topic.can_publish(TICK_BYTES):
            self.topic.publish(
                pack_message("string", f"tick {TICKS - self.left} " + "." * (TICK_BYTES - 100))
            )
            self.left -= 1


class MovingHost:
    """One host, which knows the others by name."""

    def __init__(self, name: str, hosts: dict[str, MovingHost], certificate: Path | None) -> None:
        self.name, self.hosts = name, hosts
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._lock = hosts_lock
        self._context: ssl.SSLContext | None = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._sessions: dict[bytes, tuple[ServerSession, ServerConnection]] = {}
        self._tickets: dict[bytes, tuple[Echo, Position]] = {}
        self._echoes: dict[ChannelEnd, Echo] = {}
        self._topics: dict[ChannelEnd, Ticks] = {}
        self._cut: random.Random | None = None
        self._welcomed: set[ServerConnection] = set()
        self.takes_ends = True

    def cut(self, chance: random.Random) -> None:
        """Lose the connection that speaks next, with a part of what it says and of what it is told.

        Only while there is one that was welcomed: who is cut in every greeting gives up, and rightly.
        """
        with self._lock:
            self._cut = chance if self._welcomed else None

    def run(self) -> None:
        """Take connections until the listener is closed."""
        with suppress(OSError):
            while True:
                sock = self.listener.accept()[0]
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        connection = ServerConnection()
        try:
            with self._context.wrap_socket(sock, server_side=True) if self._context else sock as wrapped:
                self._speak(connection, wrapped)
        except (OSError, RemoteProtocolError):
            return  # lost, or not worth to be spoken with
        finally:
            with self._lock:
                self._welcomed.discard(connection)

    def _speak(self, connection: ServerConnection, sock: socket.socket) -> None:
        while data := sock.recv(1 << 16):
            with self._lock:
                cut, self._cut = self._cut, None
                heard = data[: cut.randrange(len(data))] if cut else data
                for event in connection.receive_data(heard):
                    self._handle(connection, event)
                out = connection.data_to_send()
            sock.sendall(out[: cut.randrange(len(out) + 1)] if cut else out)
            if cut:
                return

    def _handle(self, connection: ServerConnection, event: Event) -> None:
        if connection.state is ConnectionState.CLOSED:  # HELLO and GOODBYE came together
            return
        if isinstance(event, Greeted):
            self._greet(connection, event)
        elif isinstance(event, ChannelAsked):
            self._open(connection, event)
        elif isinstance(event, Message | Writable | PeerClosed):
            self._exchange(connection, event)
        elif isinstance(event, MoveAsked):
            self._move(connection, event)

    def _greet(self, connection: ServerConnection, event: Greeted) -> None:
        if event.token != TOKEN.encode():
            connection.send_goodbye("unauthorized", "not a token of this host")
            return
        session, former = self._sessions.get(event.session, (None, None))
        if former is not None:
            former.connection_lost()
        session = session or ServerSession(secrets.token_bytes(16))
        connection.send_welcome(session)
        self._sessions[session.token] = (session, connection)
        self._welcomed.add(connection)

    def _open(self, connection: ServerConnection, event: ChannelAsked) -> None:
        if not self.takes_ends:
            connection.send_refused(event.id, "busy", "this host takes no end")
        elif event.kind is Kind.TOPIC and event.name == "ticks":
            connection.send_opened(event.id)
            ticks = self._topics[connection.channel(event.id)] = Ticks(Topic())
            ticks.topic.join(connection, event.id)
            ticks.publish()
        elif event.ticket:
            echo, position = self._tickets.pop(event.ticket, (None, Position()))
            if echo is None or position.sent != event.received:
                connection.send_refused(event.id, "not-found", "not a ticket of this host")
                return
            connection.send_opened(event.id, position)
            self._echoes[connection.channel(event.id)] = echo
        elif event.name == "echo":
            connection.send_opened(event.id)
            self._echoes[connection.channel(event.id)] = Echo()
        else:
            connection.send_refused(event.id, "not-found", "there is no such channel")

    def _exchange(self, connection: ServerConnection, event: Message | Writable | PeerClosed) -> None:
        end = connection.session.channels.get(event.id)
        if end in self._topics:
            self._topics[end].topic.writable(end)
            self._topics[end].publish()
        echo = self._echoes.get(end) if end else None
        if echo is None:
            return
        if isinstance(event, Message):
            echo.waiting.append((event.sequence, str(unpack_message("string", event.value))))
        self._answer(connection, event.id, echo)
        if isinstance(event, PeerClosed):
            connection.send_close(event.id)

    def _answer(self, connection: ServerConnection, channel_id: int, echo: Echo) -> None:
        """Answer as far as there is room; only then is a message taken."""
        while echo.waiting:
            sequence, value = echo.waiting[0]
            answer = pack_message("string", f"{value}@{self.name}#{echo.answered + 1}")
            if not connection.can_send(channel_id, len(answer)):
                return
            connection.send_message(channel_id, answer)
            connection.send_credit(channel_id, sequence)
            echo.answered += 1
            echo.waiting.popleft()

    def _move(self, connection: ServerConnection, event: MoveAsked) -> None:
        end = connection.channel(event.id)
        echo = self._echoes[end]
        if event.destination and event.destination not in self.hosts:
            connection.send_refused(event.id, "not-found", "no such host")
            return
        echo.waiting.clear()  # what was not taken comes again, to the next host
        position, ticket = Position(end.taken, end.sent), secrets.token_bytes(16)
        if event.destination:
            self.hosts[event.destination]._tickets[ticket] = (echo, position)
        connection.send_moved(event.id, event.destination, ticket)
        del self._echoes[end]


hosts_lock = threading.RLock()
"""One for all hosts: an end that moves belongs to two of them."""


@contextmanager
def moving_hosts(*names: str, certificate: Path | None = None) -> Iterator[dict[str, MovingHost]]:
    """Run hosts of these names on free ports of loopback, with TLS if there is a certificate."""
    hosts: dict[str, MovingHost] = {}
    for name in names:
        hosts[name] = MovingHost(name, hosts, certificate)
        threading.Thread(target=hosts[name].run, daemon=True).start()
    try:
        yield hosts
    finally:
        for host in hosts.values():
            host.listener.close()
