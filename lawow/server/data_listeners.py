"""Where the data plane listens: one socket and one certificate for each worker.

The worker that gets a socket gets a key of its own, too: it runs tenants' code, so the edge's key is not for
it. Devices learn the certificate's SHA-256 with their lease, from the edge that they trust already.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from lawow.edge.supervisor import PlaneSettings
from lawow.edge.worker_process import PlaneIdentity
from lawow.server.listener import open_listener
from lawow.server.tls import make_certificate

__all__ = ["DataPlaneListeners"]

CERTIFICATE_DAYS = 825  # a worker lives shorter


@dataclass(frozen=True, slots=True)
class DataPlaneListeners:
    """`host` as in ``--host``. `ports` to take from, None: any that is free. No TLS on loopback alone."""

    host: str
    has_tls: bool
    ports: range | None = None

    def settings(self) -> PlaneSettings:
        """Return it as the supervisor takes it."""
        return PlaneSettings(self._open, self._make_identity)

    def _open(self) -> socket.socket:
        """Return a listening socket. Raises `OSError` if no port of the range is free."""
        for port in self.ports or (0,):
            try:
                listener = open_listener(self.host, port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections have it from here
            return listener
        raise OSError(errno.EADDRINUSE, "no port of --data-ports is free", self.host)

    def _make_identity(self) -> PlaneIdentity:
        if not self.has_tls:
            return PlaneIdentity()
        made = make_certificate([self.host], CERTIFICATE_DAYS)
        return PlaneIdentity(made.certificate_pem + made.key_pem, made.leaf.pin)
