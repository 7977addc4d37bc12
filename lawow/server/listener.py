"""The socket that the edge listens on, and the rule where plain HTTP may be spoken: on loopback alone."""

from __future__ import annotations

import ipaddress
import socket

from lawow.errors import Refused, UsageError

__all__ = ["BACKLOG", "open_listener", "require_tls_beyond_loopback", "url_of"]

BACKLOG = 512


def require_tls_beyond_loopback(host: str, *, has_tls: bool) -> None:
    """Raise `Refused` for plain HTTP on anything but loopback: tokens would cross the network in clear."""
    if not has_tls and not all(ipaddress.ip_address(item[0]).is_loopback for item in _addresses(host, 0)):
        raise Refused(
            f"{host} is reachable from other machines, so tokens would cross the network in clear; "
            "give --cert and --key (`lawow certificate` makes them), or --host 127.0.0.1"
        )


def open_listener(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 takes a free one. Raises `OSError` with host and port in its text."""
    address = _addresses(host, port)[0]
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)  # from here on a client waits instead of being refused
    except OSError as error:
        listener.close()
        raise OSError(error.errno, error.strerror, f"{host} port {port}") from None
    listener.setblocking(False)
    return listener


def url_of(host: str, listener: socket.socket, *, has_tls: bool) -> str:
    """Return the URL under which the listener is reached by the name it was given."""
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if has_tls else 'http'}://{shown}:{listener.getsockname()[1]}"


def _addresses(host: str, port: int) -> list[tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--host {host}: {error}") from None
    return [(str(item[4][0]), port) for item in found]
