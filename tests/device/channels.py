"""Hosts of flexible ends: over TLS on loopback, whose connections can be cut, or in this process."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from lawow.device.channel_host import ChannelHost
from lawow.device.data_session import DataSession, dial
from lawow.server.tls import make_certificate, read_leaf, server_context

__all__ = ["TOKEN", "TlsHost", "local_client", "tls_host"]

TOKEN = b"token-of-the-lease"


class TlsHost:
    """A `ChannelHost` behind a listening socket; `cut` breaks its connections as a lost network would."""

    def __init__(self, host: ChannelHost, context: ssl.SSLContext, pin: str) -> None:
        self.host = host
        self.pin = pin
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                sock, _ = self._listener.accept()
                with contextlib.suppress(OSError):  # no TLS, or another pin
                    wrapped = self._context.wrap_socket(sock, server_side=True)
                    self._sockets.append(wrapped)
                    self.host.serve(wrapped)

    def client(self, token: bytes = TOKEN) -> DataSession:
        """Return a client of the host."""
        return DataSession(lambda: dial("127.0.0.1", self.port, self.pin), token)

    def cut(self) -> None:
        """Break all connections."""
        sockets, self._sockets = self._sockets, []
        for sock in sockets:
            with contextlib.suppress(OSError):  # it has ended by itself
                sock.shutdown(socket.SHUT_RDWR)

    def stop_listening(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):  # done before
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self) -> None:
        """Stop listening, and end all connections."""
        self.stop_listening()
        self.host.close()


@contextlib.contextmanager
def tls_host(host: ChannelHost, folder: Path) -> Iterator[TlsHost]:
    """Serve a host over TLS with a certificate of its own."""
    certificate, key = folder / f"{host.name}.pem", folder / f"{host.name}.key"
    made = make_certificate(["127.0.0.1"], 1)
    certificate.write_bytes(made.certificate_pem)
    key.write_bytes(made.key_pem)
    served = TlsHost(host, server_context(certificate, key), read_leaf(certificate).pin)
    try:
        yield served
    finally:
        served.close()


def local_client(host: ChannelHost) -> DataSession:
    """Return a client of a host in this process."""
    return DataSession(host.connect, TOKEN)
