"""The HTTP server around the application: uvicorn, with the bounds on connections that it lacks by itself.

Added here: a limit on connections in all and per address, a time limit for the TLS handshake and for each
request's header, and a limit on everything in a request that is not body (request line, header, trailers,
chunk framing), which uvicorn would collect without end. A WebSocket leaves uvicorn's hands with its request
(`lawow.server.websocket_gate`). Uses the parts of uvicorn that are its protocol's
callbacks and ``Server.startup``; `tests/server/test_transport.py` holds us to them.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from lawow.errors import LawowError
from lawow.limits import EDGE, EdgeLimits
from lawow.server.client_certificates import Connection
from lawow.server.listener import BACKLOG
from lawow.server.pace import ReadingPace
from lawow.server.problems import Problem, problem_of, problem_of_os
from lawow.server.readiness import Readiness
from lawow.server.relay import Relay
from lawow.server.websocket_gate import Upgrade, WebSocketGate

__all__ = ["Bounds", "EdgeServer", "GuardedProtocol"]

PIPELINED_REQUESTS = 16
FRAMING_PER_BODY_BYTE = 8
"""A chunk of one byte costs five bytes of framing; who sends more than this is not sending a body."""

FAREWELL_SECONDS = 0.5
"""How long an idle peer may take to answer the end of TLS; many do so at their next request alone."""


class Bounds:
    """What the connections of one server share."""

    def __init__(self, limits: EdgeLimits = EDGE) -> None:
        self.limits = limits
        self.total = 0
        self.per_address: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count a connection; False if there are too many."""
        if self.total >= self.limits.connections:
            return False
        if self.per_address[address] >= self.limits.connections_per_address:
            return False
        self.total += 1
        self.per_address[address] += 1
        return True

    def leave(self, address: str) -> None:
        """Count a connection no more."""
        self.total -= 1
        self.per_address[address] -= 1
        if not self.per_address[address]:
            del self.per_address[address]


class GuardedProtocol(HttpToolsProtocol):
    """One connection. Class attributes carry bounds and gate, because uvicorn makes the objects."""

    bounds = Bounds()
    gate: WebSocketGate | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, or cut it at once."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._overhead = 0
        self._body = 0
        self._in_head = True
        self._cycles: list[RequestResponseCycle] = []
        self._counted = self.bounds.enter(self._address)
        tls = transport.get_extra_info("ssl_object")
        self._connection = Connection(tls.getpeercert(binary_form=True) if tls is not None else None)
        self._head_timer: asyncio.TimerHandle | None = None
        self._pace = ReadingPace(transport, self.bounds.limits)
        if self._counted:
            self._await_head()
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place free."""
        self._stop_timer()
        self._pace.end()
        if self._counted:
            self._counted = False
            self.bounds.leave(self._address)
        self._connection.close()
        for cycle in self._cycles:
            cycle.disconnected = True  # uvicorn tells that to the request that came last, and to no other
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless what is not body grows beyond its limit."""
        if not self._counted:
            return
        if self._head_timer is None and self._in_head:
            self._await_head()
        self._overhead += len(data)
        super().data_received(data)
        if self.transport.get_protocol() is not self:  # it is a WebSocket by now
            return
        allowed = self.bounds.limits.header_bytes + FRAMING_PER_BODY_BYTE * self._body
        if self._overhead > allowed and not self.transport.is_closing():
            self._refuse(Problem("header-too-large", "header, trailers or chunk framing are too large"))

    def on_message_begin(self) -> None:
        """Tell the application which connection a request came by."""
        super().on_message_begin()
        self.scope["state"]["connection"] = self._connection

    def on_headers_complete(self) -> None:
        """Stop the clock: the header is there."""
        if self.transport.is_closing():
            return
        self._in_head = False
        self._stop_timer()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self.bounds.limits.header_bytes:
            self._refuse(Problem("header-too-large", "the request's header is too large"))
            return
        if len(self.pipeline) >= PIPELINED_REQUESTS:
            self._refuse(Problem("bad-request", "too many requests were sent ahead of their answers"))
            return
        super().on_headers_complete()
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete] + [self.cycle]

    def on_body(self, body: bytes) -> None:
        """Count a part of the body as that, not as overhead."""
        if self.cycle is None or self.transport.is_closing():
            return
        self._body += len(body)
        self._overhead -= len(body)
        super().on_body(body)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, or say why not."""
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()  # the answer to an earlier request would end up in the WebSocket
            return
        relay = self._relay()
        if isinstance(relay, Problem):
            self._refuse(relay)
            return
        self.connections.discard(self)
        self.transport.set_protocol(relay)
        relay.connection_made(self.transport)

    def on_message_complete(self) -> None:
        """Expect the next request's header, and begin to count anew."""
        if self.cycle is None or self.transport.is_closing():
            return
        self._in_head = True
        self._overhead = self._body = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no HTTP."""
        self._refuse(Problem("bad-request", "the bytes sent are no valid HTTP/1.1 request"))

    def pause_writing(self) -> None:
        """Wait for a peer that reads more slowly than the edge writes, as long as it keeps a pace."""
        super().pause_writing()
        self._pace.begin()

    def resume_writing(self) -> None:
        """Go on: the peer has read."""
        self._pace.end()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, and give up on a peer that does not even read."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(self.bounds.limits.body_seconds, self.transport.abort)

    def _relay(self) -> Relay | Problem:
        """Return what goes on with the connection as a WebSocket."""
        if self.gate is None:
            return Problem("not-found", "there is no WebSocket here")
        method = self.scope["method"].encode()
        upgrade = Upgrade(
            method, self.url, self.headers, self._address, self._connection, self.connection_lost
        )
        try:
            return self.gate.open(upgrade)
        except LawowError as error:
            problem = problem_of(error)
        except OSError as error:
            problem = problem_of_os(error)
        return problem or Problem("defect", "the edge could not open a WebSocket")

    def shutdown(self) -> None:
        """Close an idle connection, as the server is about to end; wait for no peer that has all."""
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(FAREWELL_SECONDS, self._leave)

    def _leave(self) -> None:
        if not self.transport.get_write_buffer_size():
            self.transport.abort()

    def _refuse(self, problem: Problem) -> None:
        """Answer outside of the application and close."""
        if self.transport.is_closing():
            return
        body = problem.body()
        lines = [b"HTTP/1.1 %d %s" % (problem.status, b"Refused")]
        headers = [
            *problem.headers(),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        lines += [name + b": " + value for name, value in headers]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()

    def _await_head(self) -> None:
        self._stop_timer()
        self._head_timer = self.loop.call_later(self.bounds.limits.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class EdgeServer(Server):
    """uvicorn's server on one socket of ours, with a limit on the time of TLS handshakes."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        context: ssl.SSLContext | None,
        bounds: Bounds,
        announce: Callable[[], object],
        readiness: Readiness,
        inner: tuple[ASGIApp, socket.socket] | None = None,
        gate: WebSocketGate | None = None,
    ) -> None:
        """`inner` is an application for a second listener, in plain HTTP: for loopback, without `gate`."""
        super().__init__(_config(app, bounds.limits))
        self._announce = announce
        self._readiness = readiness
        self._inner = inner
        self._listener = listener
        self._context = context
        self._limits = bounds.limits
        self._kind = type("BoundProtocol", (GuardedProtocol,), {"bounds": bounds})
        self._gated = type("GatedProtocol", (self._kind,), {"gate": gate})

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, accept connections, and announce that."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            self.should_exit = True
            return
        server = await asyncio.get_running_loop().create_server(
            lambda: self._protocol(self._gated, self.config),
            sock=self._listener,
            ssl=self._context,
            ssl_handshake_timeout=None if self._context is None else self._limits.handshake_seconds,
            backlog=BACKLOG,
        )
        self.servers = [server]
        if self._inner is not None:
            self.servers.append(await self._serve_inside(*self._inner))
        self.started = True
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as uvicorn does, but wait for no WebSocket: those end with their workers, in the lifespan."""
        for server in self.servers:
            server.close()
        self.servers = []
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Shut down on SIGTERM and SIGINT; unlike uvicorn, do not die of them again when that is done."""
        before = {which: signal.signal(which, self.handle_exit) for which in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for which, handler in before.items():
                signal.signal(which, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Say that no new work is wanted, for as long as the operator chose; then stop accepting."""
        is_told_again, self._readiness.is_draining = self._readiness.is_draining, True
        if is_told_again or self._readiness.drain_seconds <= 0:
            self._stop()
            return
        # A signal handler of Python's runs between two steps of the loop, in its thread.
        asyncio.get_running_loop().call_later(self._readiness.drain_seconds, self._stop)

    def _stop(self) -> None:
        self.should_exit = True
        self._readiness.stopping.set()

    async def _serve_inside(self, app: ASGIApp, listener: socket.socket) -> asyncio.Server:
        config = _config(app, self._limits)
        config.load()
        return await asyncio.get_running_loop().create_server(
            lambda: self._protocol(self._kind, config), sock=listener, backlog=BACKLOG
        )

    def _protocol(self, kind: type[GuardedProtocol], config: Config) -> asyncio.Protocol:
        protocol: asyncio.Protocol = kind(
            config=config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def _config(app: ASGIApp, limits: EdgeLimits) -> Config:
    """Return uvicorn's configuration: no log of its own, no proxy headers, bounded times."""
    return Config(
        cast(Any, app),  # uvicorn's and starlette's types say the same in different words
        http=GuardedProtocol,
        ws=cast(Any, Relay),  # never made by uvicorn: `GuardedProtocol.handle_websocket_upgrade`
        loop="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=int(limits.keep_alive_seconds),
        timeout_graceful_shutdown=int(limits.deadline_seconds + limits.grace_seconds) + 2,
    )
