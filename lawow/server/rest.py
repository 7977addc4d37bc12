"""The HTTP API, version 1. Adapters only: bytes and names in, calls of `lawow.edge`, documents out.

Every route but the public ones reads `tenant` and `identity` from the request's state, where
`lawow.server.guard` put them. Bodies are read in bounds by `lawow.server.bodies`. Defined by docs/edge.md.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response

from lawow import __version__
from lawow.edge.execution_handler import ExecutionHandler
from lawow.edge.intake import MethodRecord
from lawow.edge.module_store import StoredModule, Upload
from lawow.edge.refusals import BadArguments, Forbidden, NotFound, NotReady
from lawow.edge.tenants import Identity
from lawow.limits import EdgeLimits
from lawow.server.bodies import announced_bytes, body_chunks, read_body, require_media_type
from lawow.server.call_bodies import GivenCall, answer_call, read_call
from lawow.server.descriptions import JSON_MEDIA_TYPE, METRICS_MEDIA_TYPE, ROUTES, VALUES_MEDIA_TYPE
from lawow.server.observing import CallWatch, Observe
from lawow.server.readiness import Readiness

__all__ = ["Routes", "make_router"]

DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
WASM_MEDIA_TYPES = ("application/wasm", "application/octet-stream", "")
BUNDLE_MEDIA_TYPES = ("application/java-archive", "application/zip", "application/octet-stream", "")

DigestPath = Path(description="sha256: and 64 hex digits", pattern=f"^{DIGEST.pattern}$")
SessionPath = Path(description="32 hex digits", pattern="^[0-9a-f]{32}$")


class Routes:
    """The handlers that `ROUTES` names, for one execution handler."""

    def __init__(
        self,
        handler: ExecutionHandler,
        readiness: Readiness,
        render_metrics: Callable[[], bytes],
        observers: Sequence[Observe],
    ) -> None:
        self._handler = handler
        self._readiness = readiness
        self._render_metrics = render_metrics
        self._observers = observers

    async def ready(self) -> Response:
        """Answer 200 while new work is welcome."""
        reason = self._readiness.reason_against()
        if reason is not None:
            raise NotReady(reason, retry_after_seconds=5)
        return JSONResponse({"status": "ready"})

    async def show_metrics(self) -> Response:
        """Return the metrics of the whole edge."""
        return Response(self._render_metrics(), media_type=METRICS_MEDIA_TYPE)

    async def health(self) -> Response:
        """Answer as long as the server runs."""
        return JSONResponse({"status": "ok", "version": __version__})

    async def list_modules(self, request: Request) -> Response:
        """List digests and sizes of the tenant's modules, oldest first."""
        found, identity = self._handler.store.list(_tenant(request)), _identity(request)
        modules = [
            {"digest": f"sha256:{item.digest}", "bytes": item.size_bytes}
            for item in found
            if identity.may_use(item.digest)
        ]
        return JSONResponse({"modules": modules})

    async def show_module(self, request: Request, digest: str = DigestPath) -> Response:
        """Show size and exports of a module of the tenant."""
        return JSONResponse(_module_document(self._handler.store.get(_tenant(request), _hex(digest))))

    async def put_module(self, request: Request, digest: str = DigestPath) -> Response:
        """Keep a module: the answer means that it is on the disk, valid and compiled."""
        require_media_type(request, WASM_MEDIA_TYPES)
        tenant = _tenant(request)
        with self._handler.store.begin(tenant) as upload:
            await self._receive(request, upload)
            module, is_new = await self._handler.keep_module(tenant, upload, _hex(digest))
        return JSONResponse(_module_document(module), status_code=201 if is_new else 200)

    async def post_bundle(self, request: Request) -> Response:
        """Keep all modules of a bundle, or none."""
        require_media_type(request, BUNDLE_MEDIA_TYPES)
        tenant = _tenant(request)
        if _identity(request).modules:
            raise Forbidden("this token is for some modules alone; a bundle needs one for all")
        with self._handler.store.begin(tenant, bundle=True) as upload:
            await self._receive(request, upload)
            findings = await self._handler.keep_bundle(tenant, upload)
        document = {
            "modules": [_module_document(item.module) for item in findings.modules],
            "methods": [_method_document(method) for method in findings.methods],
        }
        return JSONResponse(document, status_code=201)

    async def call(self, request: Request, name: str, digest: str = DigestPath) -> Response:
        """Call an export on a fresh instance; the answer has the form of the request."""
        return await self._call(request, _hex(digest), name)

    async def open_session(self, request: Request, digest: str = DigestPath) -> Response:
        """Make an instance that stays."""
        handler, tenant = self._handler, _tenant(request)
        await read_body(request, 0, "of this route's body", handler.limits)
        deadline = _deadline(request, None, handler.limits)
        session = await handler.open_session(tenant, _hex(digest), deadline)
        return JSONResponse({"session": session}, status_code=201)

    async def call_in_session(self, request: Request, name: str, session: str = SessionPath) -> Response:
        """Call an export in a session; everything else is as in `call`."""
        digest = self._digest_of_session(request, session)
        return await self._call(request, digest, name, session)

    async def close_session(self, request: Request, session: str = SessionPath) -> Response:
        """End a session."""
        self._digest_of_session(request, session)
        self._handler.supervisor.close_session(_tenant(request), session)
        return Response(status_code=204)

    def _digest_of_session(self, request: Request, session: str) -> str:
        digest = self._handler.supervisor.digest_of_session(_tenant(request), session)
        if not _identity(request).may_use(digest):
            raise NotFound("there is no such session; it was closed, or not used for too long")
        return digest

    async def _call(self, request: Request, digest: str, name: str, session: str = "") -> Response:
        watch = CallWatch(_tenant(request), digest, request.headers.get("traceparent"), self._observers)
        with watch:
            return await self._watched_call(request, digest, name, session, watch)

    async def _watched_call(
        self, request: Request, digest: str, name: str, session: str, watch: CallWatch
    ) -> Response:
        started = time.perf_counter()
        handler, tenant = self._handler, _tenant(request)
        media_type = require_media_type(request, (JSON_MEDIA_TYPE, VALUES_MEDIA_TYPE))
        expected = request.headers.get("lawow-signature")
        export = handler.export(tenant, digest, name, expected)
        body = await read_body(request, handler.limits.call_bytes, "call_bytes", handler.limits)
        transfer_seconds = watch.transfer_seconds = time.perf_counter() - started
        given = await read_call(media_type, export, body)
        deadline = _deadline(request, given, handler.limits)
        finished = watch.finished = await handler.call(tenant, digest, export, given.body, deadline, session)
        return await answer_call(media_type, export, given, finished, transfer_seconds)

    async def _receive(self, request: Request, upload: Upload) -> None:
        """Stream the body into the upload, refused from its announced length on."""
        announced = announced_bytes(request)
        if announced is not None:
            upload.announce(announced)
        async for part in body_chunks(request, self._handler.limits):
            upload.write(part)


def make_router(routes: Routes) -> APIRouter:
    """Return the routes of `ROUTES`, with their handlers."""
    router = APIRouter()
    for route in ROUTES:
        router.add_api_route(
            route.path,
            getattr(routes, route.handler),
            methods=[route.method],
            summary=route.summary,
            response_model=route.answer,
            status_code=route.status,
            responses=route.responses(),
            openapi_extra=route.extra(),
            operation_id=route.handler,
        )
    return router


def _tenant(request: Request) -> str:
    tenant = request.state.tenant
    assert isinstance(tenant, str)  # the guard lets nobody else through
    return tenant


def _identity(request: Request) -> Identity:
    identity = request.state.identity
    assert isinstance(identity, Identity)  # the guard lets nobody else through
    return identity


def _hex(digest: str) -> str:
    """Return the hex digits. Raises `NotFound` for what cannot be the name of a module."""
    match = DIGEST.fullmatch(digest)
    if match is None:
        raise NotFound("modules are named sha256: and 64 hex digits in lower case")
    return match[1]


def _deadline(request: Request, given: GivenCall | None, limits: EdgeLimits) -> float:
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


def _module_document(module: StoredModule) -> dict[str, object]:
    exports = [{"name": item.name, "signature": item.signature, "wit": item.wit} for item in module.exports]
    return {"digest": f"sha256:{module.digest}", "bytes": module.size_bytes, "exports": exports}


def _method_document(record: MethodRecord) -> dict[str, object]:
    return {
        "class": record.class_name,
        "method": record.method,
        "descriptor": record.descriptor,
        "digest": f"sha256:{record.digest}",
        "export": record.export,
        "signature": record.signature,
    }
