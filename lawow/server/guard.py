"""What stands before and behind every route: identity, rates, errors, headers, audit log, the log line.

A plain ASGI application around the real one, so that no route can be added that forgets any of it: a request
without a valid token reaches nothing but `PUBLIC`, and nothing that escapes from a route reaches a peer but
as a problem.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lawow.edge.audit import AuditLog
from lawow.edge.meter import Meter
from lawow.edge.refusals import StorageFailed
from lawow.edge.tenants import Identity
from lawow.errors import LawowError
from lawow.server.auth import Authenticator
from lawow.server.client_certificates import Connection
from lawow.server.descriptions import AUDIT_KEY
from lawow.server.log import EventLog
from lawow.server.metrics import Metrics
from lawow.server.problems import Problem, problem_of, problem_of_os, problem_of_status

__all__ = ["PUBLIC", "Guard"]

PUBLIC = frozenset({"/", "/v1/health", "/v1/ready", "/openapi.json"})
"""Paths that need no token."""
"""Requests for these change the edge, or tell about all tenants; calls stand in the log."""

SECURITY_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
DRAIN_BYTES, DRAIN_SECONDS = 32 << 20, 10.0
DRAIN_BYTES_UNKNOWN, DRAIN_SECONDS_UNKNOWN = 1 << 20, 2.0
"""What is read and thrown away before an early answer: most clients read none before they have sent all."""


@dataclass(slots=True)
class _Exchange:
    """One request and its answer."""

    scope: Scope
    receive: Receive
    send: Send
    request_id: str = field(default_factory=lambda: secrets.token_hex(8))
    started: float = field(default_factory=time.perf_counter)
    identity: Identity | None = None
    received_bytes: int = 0
    sent_bytes: int = 0
    status: int | None = None
    problem: Problem | None = None
    body_is_complete: bool = False
    closes: bool = False
    before_answer: Callable[[int], Awaitable[None]] | None = None

    def values(self, name: bytes) -> list[bytes]:
        """Return all values of a request header."""
        return [value for key, value in self.scope["headers"] if key == name]

    @property
    def has_unread_body(self) -> bool:
        """Whether more of the body is to come; then the connection cannot serve another request."""
        has_body = self.values(b"transfer-encoding") or self.values(b"content-length") not in ([], [b"0"])
        return bool(has_body) and not self.body_is_complete

    @property
    def tenant(self) -> str | None:
        """The tenant, once it is known."""
        return self.identity.tenant if self.identity is not None else None

    @property
    def connection(self) -> Connection:
        """What the transport knows of the connection."""
        return cast(Connection, self.scope["state"]["connection"])

    @property
    def address(self) -> str:
        """The peer's address."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    async def take(self) -> Message:
        """Receive, and count."""
        message = await self.receive()
        if message["type"] == "http.request":
            self.received_bytes += len(message.get("body", b""))
            self.body_is_complete = not message.get("more_body", False)
        return message

    async def give(self, message: Message) -> None:
        """Send, with the headers that every answer has, and count."""
        if message["type"] == "http.response.start":
            if self.before_answer is not None:
                record, self.before_answer = self.before_answer, None
                await record(message["status"])
            self.status = message["status"]
            headers = list(message.get("headers", []))
            own = {name for name, _ in headers}  # the dashboard's page has a policy of its own
            headers += [item for item in SECURITY_HEADERS if item[0] not in own]
            headers.append((b"lawow-request-id", self.request_id.encode()))
            if self.closes:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        else:
            self.sent_bytes += len(message.get("body", b""))
        await self.send(message)


class Guard:
    """The outermost application."""

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        log: EventLog,
        meter: Meter,
        audit: AuditLog,
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._log = log
        self._meter = meter
        self._audit = audit
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; everything that is not HTTP goes through as it is."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            await self._serve(exchange)
        finally:
            self._metrics.count_request(exchange.status, exchange.problem)
            self._log_request(exchange)

    async def _serve(self, exchange: _Exchange) -> None:
        try:
            if exchange.scope["path"] not in PUBLIC:
                found = self._identify(exchange)
                if isinstance(found, Problem):
                    await self._answer(exchange, found)
                    return
                self._admit(exchange, found)
            await self._app(exchange.scope, exchange.take, exchange.give)
        except ClientDisconnect:
            return  # nobody is there to read an answer
        except HTTPException as error:
            await self._answer(exchange, problem_of_status(error.status_code))
        except RequestValidationError:
            # A path parameter that does not match its pattern: nothing has such a name.
            await self._answer(exchange, problem_of_status(404))
        except LawowError as error:
            await self._answer(exchange, problem_of(error) or self._defect(exchange, error))
        except OSError as error:
            await self._answer(exchange, problem_of_os(error) or self._defect(exchange, error))
        except Exception as error:  # noqa: BLE001  # the one place that keeps defects from peers
            await self._answer(exchange, self._defect(exchange, error))

    def _identify(self, exchange: _Exchange) -> Identity | Problem:
        return self._authenticator.identify(
            exchange.values(b"authorization"), exchange.address, exchange.connection.certificate
        )

    def _admit(self, exchange: _Exchange, identity: Identity) -> None:
        """Tell routes who asks, unless that is too often. Raises `QuotaExceeded`."""
        exchange.identity = identity
        exchange.scope["state"].update(tenant=identity.tenant, identity=identity)
        self._meter.admit_request(identity)
        exchange.connection.belong_to(
            identity.tenant, self._meter.enter_connection, self._meter.leave_connection
        )
        exchange.before_answer = partial(self._record, exchange)

    async def _record(self, exchange: _Exchange, status: int) -> None:
        """Write what changes the edge to the audit log, before the answer says that it was done.

        Raises `StorageFailed` if that cannot be written. A refusal is answered all the same.
        """
        route, identity = exchange.scope.get("route"), exchange.identity
        if route is None or identity is None or not (route.openapi_extra or {}).get(AUDIT_KEY):
            return
        who = f"tenant:{identity.tenant}:{identity.credential}"
        action = str(getattr(route, "operation_id", None) or route.path)
        named = [*exchange.scope.get("path_params", {}).values(), exchange.scope["state"].get("made", "")]
        subject = " ".join(str(value) for value in named if value)
        outcome = exchange.problem.code if exchange.problem is not None else f"done-{status}"
        try:
            await asyncio.to_thread(self._audit.write, who, action, subject, outcome)
        except StorageFailed as error:
            self._log("audit-not-written", who=who, action=action, outcome=outcome, reason=str(error))
            if exchange.problem is None:
                raise

    async def _answer(self, exchange: _Exchange, problem: Problem) -> None:
        """Send a problem, unless an answer has begun: then cutting it short is all that is left."""
        exchange.problem = problem
        if exchange.status is not None:
            return
        if problem.code != "too-slow":
            await self._drain(exchange)
        # One connection too many must not stay open all the same.
        exchange.closes = exchange.has_unread_body or problem.of_quota("connections")
        body = problem.body()
        headers = [*problem.headers(), (b"content-length", str(len(body)).encode())]
        await exchange.give({"type": "http.response.start", "status": problem.status, "headers": headers})
        await exchange.give({"type": "http.response.body", "body": body})

    async def _drain(self, exchange: _Exchange) -> None:
        """Throw away the rest of the body, within bounds, unless the peer waits for leave to send it."""
        if exchange.values(b"expect"):
            return
        known = exchange.tenant is not None
        budget = exchange.received_bytes + (DRAIN_BYTES if known else DRAIN_BYTES_UNKNOWN)
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS if known else DRAIN_SECONDS_UNKNOWN):
                while exchange.has_unread_body and exchange.received_bytes < budget:
                    if (await exchange.take())["type"] == "http.disconnect":
                        return

    def _defect(self, exchange: _Exchange, error: Exception) -> Problem:
        """Log what the peer must not see: the kind of the error and where it was raised."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "unknown"
        self._log("defect", id=exchange.request_id, error=type(error).__name__, where=where)
        return Problem("defect", f"the edge's log has more under the request id {exchange.request_id}")

    def _log_request(self, exchange: _Exchange) -> None:
        route = getattr(exchange.scope.get("route"), "path", None)
        problem = exchange.problem
        is_quiet = exchange.scope["path"] in PUBLIC and exchange.status == 200
        if is_quiet or (problem is not None and problem.is_of_a_flood):
            return  # a peer causes these as often as it likes: they must not fill the disk with log
        self._log(
            "request",
            id=exchange.request_id,
            peer=exchange.address,
            tenant=exchange.tenant,
            credential=exchange.identity.credential if exchange.identity else None,
            method=exchange.scope["method"],
            route=route or "none",
            status=exchange.status if sys.exc_info()[0] is None else "aborted",
            code=problem.code if problem else None,
            trap=problem.trap if problem else None,
            received=exchange.received_bytes,
            sent=exchange.sent_bytes,
            ms=(time.perf_counter() - exchange.started) * 1000,
        )
