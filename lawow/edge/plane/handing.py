"""How the edge hands a connection over to a worker: an open descriptor, and the address that it came from.

Both go through a socket that is the two's alone, one datagram for each connection. So there is no port and no
name by which anybody else could connect, and the worker counts the peer as what it is, not as the edge.
"""

from __future__ import annotations

import socket

__all__ = ["hand_over", "handing_pair", "take_handed"]

ADDRESS_BYTES = 128  # of a peer, as text; an IPv6 address with its zone has fewer


def handing_pair() -> tuple[socket.socket, socket.socket]:
    """Return the edge's end and the worker's; neither blocks."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def hand_over(ours: socket.socket, address: str) -> socket.socket:
    """Give the other end one end of a new connection, and return the other.

    `address` is whom it is for. Raises `OSError`: nobody is there, too many wait, or no descriptor is left.
    """
    kept, given = socket.socketpair()
    with given:
        try:
            socket.send_fds(ours, [address.encode()[:ADDRESS_BYTES] or b"-"], [given.fileno()])
        except OSError:
            kept.close()
            raise
    kept.setblocking(False)
    return kept


def take_handed(theirs: socket.socket) -> tuple[socket.socket, str] | None:
    """Return the next connection and the address it is for; None if there is none, or none arrived.

    A connection for which this process has no descriptor left is closed by the kernel.
    """
    try:
        address, descriptors, _, _ = socket.recv_fds(theirs, ADDRESS_BYTES, 1)
    except OSError:
        return None
    if not descriptors:
        return None
    return socket.socket(fileno=descriptors[0]), address.decode(errors="replace")
