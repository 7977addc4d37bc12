"""The HTTP API, version 1. Adapters only: bytes and names in, calls of `lawow.edge`, documents out.

Every route but the public ones reads `tenant` and `identity` from the request's state, where
`lawow.server.guard` put them. Bodies are read in bounds by `lawow.server.bodies`. Defined by docs/edge.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response

from lawow import __version__
from lawow.edge.execution_handler import ExecutionHandler
from lawow.edge.intake import MethodRecord
from lawow.edge.module_store import StoredModule
from lawow.edge.refusals import Forbidden, NotFound, NotReady
from lawow.server.bodies import read_body, receive_upload, require_media_type
from lawow.server.calls import DIGEST, asked_of, deadline_of, hex_of, identity_of, serve_call, tenant_of
from lawow.server.descriptions import (
    JSON_MEDIA_TYPE,
    METRICS_MEDIA_TYPE,
    ROUTES,
    STATE_MEDIA_TYPE,
    RouteDescription,
)
from lawow.server.observing import Observe
from lawow.server.readiness import Readiness

__all__ = ["DigestPath", "Routes", "bound_router", "make_router"]

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
        found, identity = self._handler.store.list(tenant_of(request)), identity_of(request)
        modules = [
            {"digest": f"sha256:{item.digest}", "bytes": item.size_bytes}
            for item in found
            if identity.may_use(item.digest)
        ]
        return JSONResponse({"modules": modules})

    async def show_module(self, request: Request, digest: str = DigestPath) -> Response:
        """Show size and exports of a module of the tenant."""
        return JSONResponse(_module_document(self._handler.store.get(tenant_of(request), hex_of(digest))))

    async def put_module(self, request: Request, digest: str = DigestPath) -> Response:
        """Keep a module: the answer means that it is on the disk, valid and compiled."""
        require_media_type(request, WASM_MEDIA_TYPES)
        tenant = tenant_of(request)
        with self._handler.store.begin(tenant) as upload:
            await receive_upload(request, upload, self._handler.limits)
            module, is_new = await self._handler.keep_module(tenant, upload, hex_of(digest))
        return JSONResponse(_module_document(module), status_code=201 if is_new else 200)

    async def post_bundle(self, request: Request) -> Response:
        """Keep all modules of a bundle, or none."""
        require_media_type(request, BUNDLE_MEDIA_TYPES)
        tenant = tenant_of(request)
        if identity_of(request).modules:
            raise Forbidden("this token is for some modules alone; a bundle needs one for all")
        with self._handler.store.begin(tenant, "bundle") as upload:
            await receive_upload(request, upload, self._handler.limits)
            findings = await self._handler.keep_bundle(tenant, upload)
        document = {
            "modules": [_module_document(item.module) for item in findings.modules],
            "methods": [_method_document(method) for method in findings.methods],
        }
        return JSONResponse(document, status_code=201)

    async def call(self, request: Request, name: str, digest: str = DigestPath) -> Response:
        """Call an export on a fresh instance; the answer has the form of the request."""
        return await serve_call(request, self._handler, self._observers, hex_of(digest), name)

    async def open_session(self, request: Request, digest: str = DigestPath) -> Response:
        """Make an instance that stays, fresh or in a state."""
        handler, tenant = self._handler, tenant_of(request)
        deadline = deadline_of(request, None, handler.limits)
        # The stub library of apps names JSON as the type of its empty body.
        if require_media_type(request, (STATE_MEDIA_TYPE, JSON_MEDIA_TYPE, "")) != STATE_MEDIA_TYPE:
            await read_body(request, 0, "of this route's body", handler.limits)
            session = await self._open_once(request, digest, deadline)
        else:
            with handler.moving_state(tenant):
                state = await read_body(request, handler.limits.state_bytes, "state_bytes", handler.limits)
                session = await self._open_once(request, digest, deadline, state)
        return JSONResponse({"session": session}, status_code=201)

    async def _open_once(self, request: Request, digest: str, deadline: float, state: bytes = b"") -> str:
        handler, tenant = self._handler, tenant_of(request)
        return await handler.repeats.once(
            tenant,
            request.headers.get("idempotency-key"),
            lambda: asked_of(request, state),
            lambda: handler.open_session(tenant, hex_of(digest), deadline, state),
            len,
        )

    async def show_state(self, request: Request, session: str = SessionPath) -> Response:
        """Take the state of a session, which goes on."""
        handler, tenant = self._handler, tenant_of(request)
        deadline = deadline_of(request, None, handler.limits)
        with handler.moving_state(tenant):
            state = await handler.state_of_session(tenant, session, deadline)
        return Response(state, media_type=STATE_MEDIA_TYPE)

    async def call_in_session(self, request: Request, name: str, session: str = SessionPath) -> Response:
        """Call an export in a session; everything else is as in `call`."""
        digest = self._digest_of_session(request, session)
        return await serve_call(request, self._handler, self._observers, digest, name, session)

    async def close_session(self, request: Request, session: str = SessionPath) -> Response:
        """End a session."""
        self._digest_of_session(request, session)
        self._handler.supervisor.close_session(tenant_of(request), session)
        return Response(status_code=204)

    def _digest_of_session(self, request: Request, session: str) -> str:
        digest = self._handler.supervisor.digest_of_session(tenant_of(request), session)
        if not identity_of(request).may_use(digest):
            raise NotFound("there is no such session; it was closed, or not used for too long")
        return digest


def make_router(routes: Routes) -> APIRouter:
    """Return the routes of `ROUTES`, with their handlers."""
    return bound_router(ROUTES, routes)


def bound_router(table: Sequence[RouteDescription], routes: object) -> APIRouter:
    """Return a table's routes, bound to the methods of an object that the table names."""
    router = APIRouter()
    for route in table:
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
