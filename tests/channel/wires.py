"""Two connections joined by a fake wire, fed whole, byte by byte, or cut anywhere."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from lawow.channel.client import ClientConnection
from lawow.channel.connection import Connection
from lawow.channel.events import Event, Greeted, Welcomed
from lawow.channel.server import PayloadBuffer, ServerConnection
from lawow.channel.sessions import ClientSession, ServerSession
from lawow.limits import CHANNEL, ChannelLimits

__all__ = ["CUTS", "TOKEN", "Cut", "Pair", "anywhere", "byte_by_byte", "feed", "whole"]

Cut = Callable[[bytes], Iterator[bytes]]
TOKEN = b"lease"


def whole(data: bytes) -> Iterator[bytes]:
    """All at once."""
    yield data


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    """One byte after the other."""
    for at in range(len(data)):
        yield data[at : at + 1]


def anywhere(seed: int) -> Cut:
    """In pieces of up to 40 bytes."""
    chance = random.Random(seed)

    def cut(data: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(data):
            size = chance.randrange(1, 40)
            yield data[at : at + size]
            at += size

    return cut


CUTS = [whole, byte_by_byte, anywhere(1), anywhere(2)]


class Pair:
    """A client and a server; `run` carries bytes until both are silent and returns what each was told."""

    def __init__(
        self,
        cut: Cut = whole,
        *,
        client_limits: ChannelLimits = CHANNEL,
        server_limits: ChannelLimits = CHANNEL,
        client_session: ClientSession | None = None,
        server_session: ServerSession | None = None,
        payload_buffer: PayloadBuffer | None = None,
    ) -> None:
        self.cut = cut
        self.client = ClientConnection(client_session, client_limits)
        self.server = ServerConnection(server_limits, payload_buffer)
        self.server_session = server_session or ServerSession(b"session", server_limits)
        self.lost: list[Event] = []
        self.told_early: list[Event] = []  # what the server was told right after the handshake

    def greet(self) -> list[Event]:
        """Do the handshake; return what the client was told."""
        self.client.send_hello(TOKEN)
        _, server_events = self.run()
        assert isinstance(server_events[0], Greeted)
        assert server_events[0].token == TOKEN
        self.lost = self.server.send_welcome(self.server_session)
        client_events, self.told_early = self.run()
        assert any(isinstance(event, Welcomed) for event in client_events)
        return client_events

    def run(self) -> tuple[list[Event], list[Event]]:
        """Carry bytes both ways; return the client's events and the server's."""
        told: tuple[list[Event], list[Event]] = ([], [])
        while self.client.has_to_send or self.server.has_to_send:
            told[1].extend(self.carry(self.client, self.server))
            told[0].extend(self.carry(self.server, self.client))
        return told

    def carry(self, source: Connection, target: Connection) -> list[Event]:
        """Carry what one end has to send now to the other."""
        return feed(target, source.data_to_send(), self.cut)

    def lose(self) -> None:
        """Lose the connection, and all that is on its way."""
        self.client.connection_lost()
        self.lost = self.server.connection_lost()


def feed(target: Connection, data: bytes, cut: Cut) -> list[Event]:
    """Feed bytes, cut into pieces; return all events."""
    return [event for piece in cut(data) for event in target.receive_data(piece)]
