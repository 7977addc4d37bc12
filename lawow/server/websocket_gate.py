"""Who may open a WebSocket at the REST port: ``GET /v1/leases/{lease}/channel``, docs/PROTOCOL.md.

No token is asked for here: a browser cannot set the header, and the first frame, HELLO, has the lease's
token, which the lease's worker checks. Until then the worker counts the connection as a stranger's, by the
network that it comes from. Refused here are unknown leases, other subprotocols, and pages of foreign
origins: a browser lets any page connect to any address, those of this machine among them.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import urlsplit

from websockets.frames import CloseCode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from lawow.channel.frames import SUBPROTOCOL
from lawow.edge.meter import Meter
from lawow.edge.refusals import BadRequest, Forbidden, NotFound
from lawow.errors import UsageError
from lawow.limits import CHANNEL, EDGE, EdgeLimits
from lawow.server.client_certificates import Connection
from lawow.server.log import EventLog
from lawow.server.relay import Facts, Relay

__all__ = ["Connects", "Upgrade", "WebSocketGate", "normal_origin"]

PATH = re.compile(rb"/v1/leases/([0-9a-f]{32})/channel")
STOP_SECONDS = 2.0  # for clients to take the last of what their workers said
DEFAULT_PORTS = {"http": 80, "https": 443}


class Connects(Protocol):
    """What knows the workers behind leases."""

    def connect(self, lease_id: str, address: str) -> tuple[str, socket.socket]:
        """Return a connection to the worker behind a lease, and the worker's tenant. Raises `EdgeRefusal`."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A request to go on as a WebSocket. `lost` is called when the connection that it came by is over."""

    method: bytes
    target: bytes
    headers: Sequence[tuple[bytes, bytes]]
    address: str
    connection: Connection
    lost: Callable[[Exception | None], object]

    def head(self) -> bytes:
        """Return the request's bytes."""
        lines = [self.method + b" " + self.target + b" HTTP/1.1"]
        return b"\r\n".join([*lines, *(name + b": " + value for name, value in self.headers), b"", b""])


class WebSocketGate:
    """Lets clients in, and answers for the relays behind."""

    def __init__(
        self,
        plane: Connects,
        meter: Meter,
        log: EventLog,
        is_stopping: Callable[[], bool],
        limits: EdgeLimits = EDGE,
        origins: Iterable[str] = (),
    ) -> None:
        """`origins` of pages that may connect, as `normal_origin` returns them."""
        self._plane = plane
        self._meter = meter
        self._log = log
        self._is_stopping = is_stopping
        self._limits = limits
        self._origins = frozenset(origins)
        self._open: dict[Relay, tuple[Upgrade, float]] = {}

    def open(self, upgrade: Upgrade) -> Relay:
        """Return the protocol to go on with.

        Raises `NotFound`, `Forbidden` (the origin), `BadRequest`, `Busy`; `OSError` without descriptors.
        """
        path = PATH.fullmatch(upgrade.target.partition(b"?")[0])
        if path is None:
            raise NotFound("there is no WebSocket at this path")
        self._require_origin(upgrade)
        websocket = ServerProtocol(subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=CHANNEL.websocket_bytes)
        websocket.receive_data(upgrade.head())
        requests = websocket.events_received()
        response = websocket.accept(cast(Request, requests[0])) if requests else None
        if response is None or response.status_code != 101 or websocket.subprotocol != SUBPROTOCOL:
            raise BadRequest(f"this is no handshake of WebSocket 13 with the subprotocol {SUBPROTOCOL}")
        tenant, worker = self._plane.connect(path[1].decode(), upgrade.address)
        facts = Facts(tenant, upgrade.address)
        relay = Relay(websocket, response, worker, facts, self, self._limits)
        self._open[relay] = (upgrade, time.monotonic())
        return relay

    async def close(self) -> None:
        """Wait for the ends of all connections, whose workers have ended; cut those that come too late."""
        end = time.monotonic() + STOP_SECONDS
        while self._open and time.monotonic() < end:
            await asyncio.sleep(0.02)
        for relay in list(self._open):
            relay.abort()

    def note_answer(self, relay: Relay) -> None:
        """Count it among the tenant's connections. Raises `QuotaExceeded`."""
        upgrade, _ = self._open[relay]
        upgrade.connection.belong_to(
            relay.facts.tenant, self._meter.enter_connection, self._meter.leave_connection
        )

    def note_end(self, relay: Relay, error: Exception | None) -> None:
        """Forget it, and log it unless it never was more than a stranger's."""
        upgrade, began = self._open.pop(relay)
        facts = relay.facts
        if relay.has_answered:
            self._log(
                "websocket",
                peer=facts.address,
                tenant=facts.tenant,
                code=relay.code,
                received=facts.received_bytes,
                sent=facts.sent_bytes,
                seconds=time.monotonic() - began,
            )
        upgrade.lost(error)

    def end_code(self) -> CloseCode:
        """Tell a stop of the edge from all other ends, of which the worker has told the reason."""
        return CloseCode.GOING_AWAY if self._is_stopping() else CloseCode.NORMAL_CLOSURE

    def _require_origin(self, upgrade: Upgrade) -> None:
        """Raise `Forbidden` for a page that may not connect. What is no browser names no origin."""
        for name, value in upgrade.headers:
            if name == b"origin" and value.decode("latin-1") not in self._origins:
                raise Forbidden(
                    f"pages of {value.decode('latin-1')[:200]} may not connect to this edge; "
                    "`lawow serve --origin` allows some"
                )


def normal_origin(text: str) -> str:
    """Return an origin as browsers write it. Raises `UsageError` for what is none."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise UsageError(f"{text!r} is no origin: https://NAME or https://NAME:PORT") from None
    rest = (parts.path.strip("/"), parts.query, parts.fragment, parts.username)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or any(rest):
        raise UsageError(f"{text!r} is no origin: https://NAME or https://NAME:PORT")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"
