"""Finding edges: given ones, those of the environment, and those that announce themselves on this network.

Finding says where an edge is, never that it can be trusted: whoever is on the network can announce anything.
So nothing is sent to what was found but the opening of a TCP connection, which is the measured round trip;
the token goes only to an edge whose certificate the device knows (`lawow.device.edge_client`).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lawow.device.trust import normal_pin
from lawow.errors import UsageError

__all__ = [
    "EDGES_VARIABLE",
    "FoundEdge",
    "announced_edges",
    "environment_edges",
    "given_edge",
    "nearest_first",
]

if TYPE_CHECKING:
    from zeroconf import Zeroconf

EDGES_VARIABLE = "LAWOW_EDGES"
SERVICE_TYPE = "_lawow._tcp.local."
MOST_EDGES = 256  # of a network's announcements; anybody can make them
TRIES = 3
CONNECT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class FoundEdge:
    """An edge. `source` is ``given``, ``environment`` or ``announced``; `pin` is what that source says.

    `round_trip_seconds` is None before it was measured, and for an edge that could not be reached.
    """

    url: str
    source: str
    pin: str | None = None
    name: str = ""
    round_trip_seconds: float | None = None


def given_edge(text: str, source: str = "given") -> FoundEdge:
    """Read ``https://HOST:PORT`` or ``https://HOST:PORT#PIN``. Raises `UsageError`."""
    url, _, pin = text.partition("#")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise UsageError(
            f"{text[:200]!r} is not an edge; write https://HOST:PORT or https://HOST:PORT#SHA256"
        )
    return FoundEdge(url.rstrip("/"), source, normal_pin(pin) if pin else None)


def environment_edges(environment: Mapping[str, str] = os.environ) -> list[FoundEdge]:
    """Return the edges in the environment's ``LAWOW_EDGES``, divided by blanks. Raises `UsageError`."""
    return [given_edge(item, "environment") for item in environment.get(EDGES_VARIABLE, "").split()]


def announced_edges(seconds: float, interfaces: Sequence[str] = ()) -> list[FoundEdge]:
    """Listen to multicast DNS for some seconds and return what announced itself, at most 256.

    An edge that was announced a moment ago may take two seconds: answers are not repeated within one.
    `interfaces` are addresses of this machine, by default all. Raises `UsageError` without zeroconf.
    """
    if find_spec("zeroconf") is None:
        raise UsageError("multicast DNS needs zeroconf: pip install 'lawow[discovery]'")
    from zeroconf import InterfaceChoice, ServiceBrowser, Zeroconf

    names: dict[str, None] = {}
    lock = threading.Lock()

    class Listener:
        """Collects names; looking them up here would block the library's own thread."""

        def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            with lock:
                if len(names) < MOST_EDGES:
                    names[name] = None

        update_service = add_service

        def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            with lock:
                names.pop(name, None)

    zeroconf = Zeroconf(interfaces=list(interfaces) or InterfaceChoice.All)
    try:
        ServiceBrowser(zeroconf, SERVICE_TYPE, Listener())  # type: ignore[arg-type]  # has all that is called
        time.sleep(seconds)
        with lock:
            found = list(names)
        return [edge for name in found if (edge := _looked_up(zeroconf, name)) is not None]
    finally:
        zeroconf.close()


def nearest_first(edges: Iterable[FoundEdge]) -> list[FoundEdge]:
    """Measure the round trip to each edge, side by side, and return them by it, unreachable ones last."""
    unique = list({edge.url: edge for edge in edges}.values())
    if not unique:
        return []
    with ThreadPoolExecutor(min(len(unique), 32)) as pool:
        measured = list(pool.map(_measured, unique))
    return sorted(measured, key=lambda edge: edge.round_trip_seconds or float("inf"))


def _looked_up(zeroconf: Zeroconf, name: str) -> FoundEdge | None:
    """Return the edge that a name stands for, or None for an announcement that is none."""
    info = zeroconf.get_service_info(SERVICE_TYPE, name, timeout=1_000)
    if info is None or not info.port:
        return None
    said = {key: value or b"" for key, value in info.properties.items()}
    scheme = said.get(b"scheme", b"").decode("ascii", "replace")
    pin = said.get(b"sha256", b"").decode("ascii", "replace")
    addresses = info.parsed_addresses()
    if not addresses or scheme not in ("http", "https"):
        return None
    host = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    label = "".join(letter for letter in name.removesuffix(f".{SERVICE_TYPE}")[:63] if letter.isprintable())
    try:
        return FoundEdge(
            f"{scheme}://{host}:{info.port}", "announced", normal_pin(pin) if pin else None, label
        )
    except UsageError:  # its certificate's SHA-256 is none
        return None


def _measured(edge: FoundEdge) -> FoundEdge:
    """Return the edge with its round trip: the quickest of three openings of a TCP connection."""
    parts = urlsplit(edge.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    best: float | None = None
    for _ in range(TRIES):
        started = time.perf_counter()
        try:
            socket.create_connection((parts.hostname or "", port), CONNECT_SECONDS).close()
        except OSError:
            break
        seconds = time.perf_counter() - started
        best = seconds if best is None else min(best, seconds)
    return replace(edge, round_trip_seconds=best)
