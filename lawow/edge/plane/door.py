"""The listening socket: who has connected and not said yet who he is takes room of his own, and little of it.

Strangers are bounded by network and in all, apart from clients that are known; the one who has waited longest
goes first. When the process has no descriptor left, the longest waiting stranger makes room, and if there is
none the door stays shut until the next `open`: nothing is tried again and again. Connections that the edge
hands over are strangers of the network that they come from, like all others.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from time import monotonic

from lawow.channel.server import ServerConnection
from lawow.edge.plane.client import Connection
from lawow.edge.plane.handing import take_handed
from lawow.edge.plane.parts import PlaneParts
from lawow.edge.plane.pipe import Pipe
from lawow.limits import CHANNEL, EDGE, EdgeLimits

__all__ = ["Door"]

NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
MAPPED = "::ffff:"
SUBSCRIBER_BYTES = 8  # of an IPv6 address: what one subscriber has is a /64 at least


class Door:
    """Accepts connections and knows the strangers among them."""

    def __init__(
        self,
        listener: socket.socket,
        parts: PlaneParts,
        drop: Callable[[Connection], object],
        limits: EdgeLimits = EDGE,
    ) -> None:
        """`drop` closes a connection, and calls `forget`."""
        listener.setblocking(False)
        self._listener = listener
        self._parts = parts
        self._drop = drop
        self._limits = limits
        self._strangers: dict[Connection, str] = {}  # the oldest first
        self._of_network: Counter[str] = Counter()
        self._is_open = False

    def has(self, descriptor: int) -> bool:
        """Tell whether the poll's descriptor is one by which somebody comes."""
        return descriptor in (self._listener.fileno(), self._parts.handed.fileno())

    def open(self) -> None:
        """Listen, again if need be."""
        if not self._is_open and self._listener.fileno() >= 0:
            for source in (self._listener, self._parts.handed):
                self._parts.poll.register(source.fileno(), select.EPOLLIN)
            self._is_open = True

    def close(self) -> None:
        """Listen no more."""
        self._shut()
        self._listener.close()
        self._parts.handed.close()

    def accept(self) -> Connection | None:
        """Return one who has come, if there is one; the caller registers it with the poll."""
        handed = take_handed(self._parts.handed)
        if handed is not None:
            return self._let_in(*handed, None)
        try:
            accepted, address = self._listener.accept()
        except OSError as error:  # nobody waits, or the one who waited has gone
            if error.errno in NO_ROOM and not self._make_room():
                self._shut()
            return None
        return self._let_in(accepted, address[0], self._parts.context)

    def forget(self, connection: Connection) -> None:
        """The connection is over, or no stranger's any more."""
        network = self._strangers.pop(connection, None)
        if network is not None:
            self._of_network[network] -= 1
            self._of_network += Counter()  # drops zeros

    def _let_in(
        self, accepted: socket.socket, address: str, context: ssl.SSLContext | None
    ) -> Connection | None:
        network = _network_of(address)
        try:
            pipe = Pipe(accepted, context)
        except OSError:
            accepted.close()
            return None
        server = ServerConnection(CHANNEL, lambda _, __, size: memoryview(bytearray(size)))
        server.tick(monotonic())
        if self._of_network[network] >= self._limits.data_strangers_per_network:
            self._drop(next(item for item, other in self._strangers.items() if other == network))
        if len(self._strangers) >= self._limits.data_strangers:
            self._drop(next(iter(self._strangers)))
        made = Connection(pipe, server)
        self._strangers[made] = network
        self._of_network[network] += 1
        return made

    def _make_room(self) -> bool:
        """Close the stranger who has waited longest; False if there is none."""
        oldest = next(iter(self._strangers), None)
        if oldest is not None:
            self._drop(oldest)
        return oldest is not None

    def _shut(self) -> None:
        if self._is_open:
            for source in (self._listener, self._parts.handed):
                self._parts.poll.unregister(source.fileno())
            self._is_open = False


def _network_of(address: str) -> str:
    """Return what stands for one subscriber: an IPv4 address, or the /64 of an IPv6 address."""
    plain = address.removeprefix(MAPPED).partition("%")[0]
    if ":" not in plain:
        return plain
    return socket.inet_pton(socket.AF_INET6, plain)[:SUBSCRIBER_BYTES].hex()
