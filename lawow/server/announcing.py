"""Announcing an edge to the devices of its network: DNS-SD over multicast DNS, service ``_lawow._tcp``.

What is announced is where the edge is and what its certificate is, so that a person can compare it; a device
trusts neither. On loopback alone it is announced there alone.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from lawow.errors import UsageError

__all__ = ["SERVICE_TYPE", "announced", "require_zeroconf"]

SERVICE_TYPE = "_lawow._tcp.local."


def require_zeroconf() -> None:
    """Raise `UsageError` with the command that installs what multicast DNS needs, if it is not there."""
    if find_spec("zeroconf") is None:
        raise UsageError("multicast DNS needs zeroconf: pip install 'lawow[discovery]'")


@contextmanager
def announced(host: str, port: int, pin: str | None, name: str = "") -> Iterator[None]:
    """Announce an edge that listens on `host` and `port`; withdraw it at the end.

    `pin` is the certificate's SHA-256 in hex, None for plain HTTP; `name` is by default the machine's, made
    unique by the port. Raises `UsageError` without zeroconf.
    """
    require_zeroconf()
    from zeroconf import InterfaceChoice, ServiceInfo, Zeroconf

    addresses = _addresses(host)
    label = f"{(name or socket.gethostname()).split('.')[0][:40]}-{port}"
    info = ServiceInfo(
        SERVICE_TYPE,
        f"{label}.{SERVICE_TYPE}",
        port,
        addresses=[socket.inet_aton(address) for address in addresses],
        properties={"v": "1", "scheme": "http" if pin is None else "https", "sha256": pin or ""},
        server=f"{label}.local.",
    )
    is_bound = host not in ("0.0.0.0", "::")
    zeroconf = Zeroconf(interfaces=addresses if is_bound else InterfaceChoice.All)
    try:
        zeroconf.register_service(info, allow_name_change=True)
        yield
    finally:
        zeroconf.unregister_all_services()
        zeroconf.close()


def _addresses(host: str) -> list[str]:
    """Return the IPv4 addresses to announce. Raises `UsageError` if there is none."""
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    try:
        found = {str(item[4][0]) for item in socket.getaddrinfo(host, None, socket.AF_INET)}
    except OSError:
        raise UsageError(f"{host} has no IPv4 address to announce; give --host one") from None
    return sorted(found, key=ipaddress.ip_address)
