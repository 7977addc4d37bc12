"""What routes of calls share: whose request it is, which module, how long, and the call itself."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from fastapi import Request
from fastapi.responses import Response

from lawow.edge.execution_handler import ExecutionHandler
from lawow.edge.refusals import BadArguments, NotFound
from lawow.edge.tenants import Identity
from lawow.limits import EdgeLimits
from lawow.server.bodies import read_body, require_media_type
from lawow.server.call_bodies import GivenCall, answer_call, read_call
from lawow.server.descriptions import JSON_MEDIA_TYPE, VALUES_MEDIA_TYPE
from lawow.server.observing import CallWatch, Observe

__all__ = ["DIGEST", "asked_of", "deadline_of", "hex_of", "identity_of", "serve_call", "tenant_of"]

DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


async def serve_call(
    request: Request,
    handler: ExecutionHandler,
    observers: Sequence[Observe],
    digest: str,
    name: str,
    session: str = "",
    *,
    owner: str | None = None,
) -> Response:
    """Call an export of a module, in a session or on a fresh instance, and tell the observers.

    `owner` is the tenant whose module and worker it is, where that is not the caller.
    """
    tenant = tenant_of(request)
    watch = CallWatch(tenant, digest, request.headers.get("traceparent"), observers)
    with watch:
        return await _watched_call(request, handler, watch, owner or tenant, digest, name, session)


async def _watched_call(
    request: Request,
    handler: ExecutionHandler,
    watch: CallWatch,
    tenant: str,
    digest: str,
    name: str,
    session: str,
) -> Response:
    started = time.perf_counter()
    media_type = require_media_type(request, (JSON_MEDIA_TYPE, VALUES_MEDIA_TYPE))
    expected = request.headers.get("lawow-signature")
    export = handler.export(tenant, digest, name, expected)
    body = await read_body(request, handler.limits.call_bytes, "call_bytes", handler.limits)
    transfer_seconds = watch.transfer_seconds = time.perf_counter() - started
    given = await read_call(media_type, export, body)
    deadline = deadline_of(request, given, handler.limits)
    finished = watch.finished = await handler.repeats.once(
        watch.tenant,
        request.headers.get("idempotency-key"),
        lambda: asked_of(request, body),
        lambda: handler.call(tenant, digest, export, given.body, deadline, session),
        lambda done: len(done.results),
    )
    return await answer_call(media_type, export, given, finished, transfer_seconds)


def asked_of(request: Request, body: bytes | bytearray) -> bytes:
    """Return what makes a request another one than those that were made with the same key."""
    headers = (request.headers.get(name, "") for name in ("content-type", "lawow-signature"))
    return "\n".join((request.url.path, *headers, "")).encode() + body


def tenant_of(request: Request) -> str:
    """Return the tenant whom the guard found."""
    tenant = request.state.tenant
    assert isinstance(tenant, str)  # the guard lets nobody else through
    return tenant


def identity_of(request: Request) -> Identity:
    """Return whom the guard found, with the terms of the token."""
    identity = request.state.identity
    assert isinstance(identity, Identity)  # the guard lets nobody else through
    return identity


def hex_of(digest: str) -> str:
    """Return the hex digits. Raises `NotFound` for what cannot be the name of a module."""
    match = DIGEST.fullmatch(digest)
    if match is None:
        raise NotFound("modules are named sha256: and 64 hex digits in lower case")
    return match[1]


def deadline_of(request: Request, given: GivenCall | None, limits: EdgeLimits) -> float:
    """Return what the caller asks for, at most what the edge allows. Raises `BadArguments`."""
    asked = None if given is None else given.deadline_seconds
    header = request.headers.get("lawow-deadline-seconds")
    if asked is None and header is not None:
        try:
            asked = float(header)
        except ValueError:
            raise BadArguments("Lawow-Deadline-Seconds must be a number") from None
    if asked is None:
        return limits.deadline_seconds
    if not asked > 0:
        raise BadArguments("the deadline must be a positive number of seconds")
    return float(min(asked, limits.deadline_seconds))
