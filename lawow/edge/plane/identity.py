"""The certificate of one worker's data plane, as the worker uses it.

The server makes it, for this worker alone, and sends it before the worker puts its fences up; from then on no
file can be opened, so all that TLS loads on first use is loaded here.
"""

from __future__ import annotations

import os
import ssl

__all__ = ["server_context"]


def server_context(pem: bytes) -> ssl.SSLContext:
    """Return what TLS 1.3 is served with: certificate and key in `pem`. No file outlives this.

    No session tickets: a device that comes back proves itself by its lease's token, and tickets cost each
    connection memory.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    descriptor = os.memfd_create("identity")
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    _shake_hands(context)
    return context


def _shake_hands(context: ssl.SSLContext) -> None:
    """Go through a handshake in memory."""
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server)
    for end in (client, server, client, server):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue  # the other end has the next word
    client.write(b"warm")
    server.read(4)
