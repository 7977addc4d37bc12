"""The composition root: puts store, workers, routes and guard together, and runs them on a socket."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from lawow import __version__
from lawow.edge.audit import AuditLog
from lawow.edge.clock import steady_clock
from lawow.edge.compiled_cache import CompiledCache
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.execution_handler import ExecutionHandler
from lawow.edge.hosts import Host, look_at_this_host
from lawow.edge.intake import Intake
from lawow.edge.leases import LeaseBook
from lawow.edge.meter import Meter
from lawow.edge.model_store import ModelStore
from lawow.edge.module_store import ModuleStore
from lawow.edge.offload_manager import OffloadManager
from lawow.edge.partial_uploads import PartialUploads
from lawow.edge.refusals import EdgeRefusal, StorageFailed
from lawow.edge.remote_offload_handler import RemoteOffloadHandler
from lawow.edge.resource_manager import ResourceManager
from lawow.edge.session_states import SessionStates
from lawow.edge.shared_modules import SharedModules
from lawow.edge.supervisor import Supervisor
from lawow.edge.tenant_plane import TenantDataPlane
from lawow.edge.tenants import Tenants
from lawow.edge.views import Views
from lawow.limits import EDGE, EdgeLimits
from lawow.server.auth import Authenticator, authorize
from lawow.server.control_descriptions import BODIES, CONTROL_ROUTES
from lawow.server.data_listeners import DataPlaneListeners
from lawow.server.descriptions import METRICS_MEDIA_TYPE, ROUTES
from lawow.server.guard import Guard
from lawow.server.log import EventLog, adopt_libraries
from lawow.server.metrics import Metrics
from lawow.server.observing import Observe
from lawow.server.overview import Overview
from lawow.server.overview_schemas import OVERVIEW_ROUTES
from lawow.server.readiness import Readiness
from lawow.server.rest import Routes, bound_router, make_router
from lawow.server.rest_leases import make_control_router
from lawow.server.rest_models import MODEL_ROUTES, ModelRoutes
from lawow.server.rest_overview import OverviewRoutes
from lawow.server.schemas import ProblemDocument
from lawow.server.transport import Bounds, EdgeServer
from lawow.server.websocket_gate import WebSocketGate

__all__ = ["Edge", "create_app", "make_routes", "metrics_app", "serve"]

if TYPE_CHECKING:
    from lawow.server.tracing import Tracing

SWEEP_SECONDS = 1.0


class Edge:
    """Everything that runs on one data folder; takes the folder for this process."""

    def __init__(
        self,
        data: Path,
        log: EventLog,
        limits: EdgeLimits = EDGE,
        hosts: Sequence[Host] = (),
        data_plane: DataPlaneListeners | None = None,
    ) -> None:
        """`hosts` as `read_hosts` returns them; none: this machine, as it looks.

        Without `data_plane` all calls go by HTTP.
        """
        self._data_host = "" if data_plane is None else data_plane.host
        self.data_plane: TenantDataPlane | None = None
        self.gate: WebSocketGate | None = None
        self.log = log
        self.folder = DataFolder(data)
        self.folder.hold()
        self.database = Database(self.folder.database)
        self.tenants = Tenants(self.database, limits)
        self.meter = Meter(self.database, self.tenants.policy)
        self.audit = AuditLog(self.database, limits.audit_records)
        self.readiness = Readiness(self.folder.root, limits.ready_free_bytes)
        self.tracing: Tracing | None = None
        store = ModuleStore(self.folder, self.database, limits, self.tenants.policy)
        recovery = store.recover()
        compiled = CompiledCache(self.folder, self.database, limits)
        stale = compiled.recover(store.owned())
        plane = None if data_plane is None else data_plane.settings()
        models = ModelStore(store, self.database, limits)
        supervisor = Supervisor(log, limits, self.meter, plane, models.open)
        self.handler = ExecutionHandler(store, models, Intake(store, limits), compiled, supervisor, limits)
        self.manager = self._manager(hosts or (look_at_this_host(limits),))
        self.views = Views(self.handler, self.manager.remote)
        self.overview = Overview(
            supervisor, self.manager.leases, self.meter, self.readiness, has_view=self.views.has
        )
        swept = self.manager.remote.recover()
        log(
            "recovered",
            partial_uploads_removed=swept,
            uploads_removed=recovery.uploads_removed,
            blobs_removed=recovery.blobs_removed,
            modules_lost=recovery.modules_lost,
            compiled_removed=stale,
        )

    async def keep_usage(self, stop: asyncio.Event) -> None:
        """Write what tenants used every few seconds, until it is time to stop."""
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self.handler.limits.usage_flush_seconds):
                    await stop.wait()
            await self._write_usage()

    async def _write_usage(self) -> None:
        try:
            await asyncio.to_thread(self.meter.flush)
        except StorageFailed as error:
            self.log("usage-not-written", reason=str(error))

    def _manager(self, hosts: Sequence[Host]) -> OffloadManager:
        """Put the control plane together, on the execution handler of this host."""
        clock, limits, database = steady_clock(), self.handler.limits, self.database
        leases = LeaseBook(database, clock, limits)
        uploads = PartialUploads(self.folder, self.handler.store, leases, limits)
        shared = SharedModules(database, leases, clock, limits)
        if self._data_host:
            self.data_plane = TenantDataPlane(self.handler, leases, self.meter, self._data_host)
        states = SessionStates(self.handler)
        remote = RemoteOffloadHandler(self.handler, leases, uploads, self.data_plane, states)
        resources = ResourceManager(hosts, limits)
        return OffloadManager(database, resources, leases, shared, remote, clock, limits)

    def open_gate(self, origins: Iterable[str]) -> None:
        """Let WebSockets lead to the data plane, if there is one; browsers' from pages of `origins` alone."""
        if self.data_plane is not None:
            stopping, limits = self.readiness.stopping, self.handler.limits
            self.gate = WebSocketGate(self.data_plane, self.meter, self.log, stopping.is_set, limits, origins)

    async def sweep(self) -> None:
        """End offers and leases when their time has come, and sample memory, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.overview.sample()
            self.handler.repeats.expire()
            try:
                ended = await self.manager.sweep()
            except EdgeRefusal as error:
                self.log("sweep-failed", reason=str(error))
                continue
            if ended:
                self.log("leases-expired", count=ended)

    async def look(self) -> None:
        """Account for what the data plane does, until cancelled."""
        while self.data_plane is not None:
            await asyncio.sleep(SWEEP_SECONDS)
            await self.data_plane.look()

    async def close(self) -> None:
        """End the workers, write what is only in memory, close the files."""
        await self.handler.supervisor.close()
        if self.gate is not None:
            await self.gate.close()
        await self._write_usage()
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.close)
        self.database.close()
        self.folder.release()


def create_app(edge: Edge, metrics: Metrics) -> Guard:
    """Return the ASGI application of an edge; its lifespan's end closes the edge."""
    app = make_routes(edge, metrics)
    return Guard(app, Authenticator(edge.tenants), edge.log, edge.meter, edge.audit, metrics)


def make_routes(edge: Edge, metrics: Metrics) -> FastAPI:
    """Return the routes of an edge, which nobody has guarded yet."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        edge.handler.supervisor.prepare_spare()
        stop = asyncio.Event()
        usage = asyncio.get_running_loop().create_task(edge.keep_usage(stop))
        sweeping = asyncio.create_task(edge.sweep())
        looking = asyncio.create_task(edge.look())
        yield
        sweeping.cancel()
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking  # a worker that is asked at this moment answers first
        stop.set()
        await usage
        await edge.close()

    app = FastAPI(
        title="LAWOW edge",
        version=__version__,
        summary="Keeps WebAssembly modules and calls their exports.",
        lifespan=lifespan,
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # it would lead to whatever host the request names
        dependencies=[Depends(authorize)],
    )
    observers: list[Observe] = [metrics.observe_call, edge.overview.observe_call]
    if edge.data_plane is not None:
        edge.data_plane.observers += [metrics.observe_usage, edge.overview.observe_usage]
        edge.overview.add_section("data plane", edge.data_plane.figures)
    if edge.tracing is not None:
        observers.append(edge.tracing.observe_call)
    routes = Routes(edge.handler, edge.readiness, metrics.render, observers)
    app.include_router(make_router(routes))
    app.include_router(make_control_router(edge.manager, edge.handler, observers, edge.views))
    app.include_router(bound_router(MODEL_ROUTES, ModelRoutes(edge.handler)))
    overview = OverviewRoutes(edge.overview, edge.readiness, edge.handler.limits)
    app.include_router(bound_router(OVERVIEW_ROUTES, overview))
    for kind, handle in {
        HTTPException: _raise,
        RequestValidationError: _raise,
        Exception: _be_silent,
    }.items():
        app.add_exception_handler(kind, handle)
    app.openapi_schema = _describe(app)
    return app


def serve(
    edge: Edge,
    listener: socket.socket,
    context: ssl.SSLContext | None,
    announce: Callable[[], object],
    metrics_listener: socket.socket | None = None,
    origins: Iterable[str] = (),
) -> None:
    """Serve until SIGTERM or SIGINT; calls under way may finish within their deadlines.

    `announce` is called once, when connections are served and signals are heeded. `metrics_listener` answers
    ``GET /metrics`` without a token, so it belongs on loopback. Pages of `origins` may open WebSockets.
    """
    adopt_libraries(edge.log)
    limits = edge.handler.limits
    bounds = Bounds(limits)
    metrics = Metrics(edge.handler.supervisor.load, lambda: bounds.total, edge.meter)
    inner = (metrics_app(metrics.render), metrics_listener) if metrics_listener is not None else None
    edge.open_gate(origins)
    app = create_app(edge, metrics)
    server = EdgeServer(app, listener, context, bounds, announce, edge.readiness, inner, edge.gate)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve())
    edge.log("stopped")


def metrics_app(render: Callable[[], bytes]) -> ASGIApp:
    """Return the application of the metrics' own listener."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        found = scope["path"] == "/metrics" and scope["method"] in ("GET", "HEAD")
        response = Response(render(), media_type=METRICS_MEDIA_TYPE) if found else Response(status_code=404)
        await response(scope, receive, send)

    return answer


async def _raise(_: Request, error: Exception) -> Response:
    """Hand what the framework found to the guard, which answers every problem in one way."""
    raise error


async def _be_silent(_: Request, __: Exception) -> Response:
    """Let the framework raise any other error to the guard, too, and send nothing itself."""
    return _Silence()


class _Silence(Response):
    """An answer that sends nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""


def _describe(app: FastAPI) -> dict[str, object]:
    """Return the OpenAPI document, with the parts that the framework cannot know."""
    document = app.openapi()
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    # The framework promises its own validation errors; the guard answers those as what they are, not found.
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for route in (*ROUTES, *CONTROL_ROUTES, *MODEL_ROUTES, *OVERVIEW_ROUTES):
        operation = document["paths"][route.path.replace(":path", "")][route.method.lower()]
        if 422 not in route.responses():
            operation["responses"].pop("422", None)
    for body in BODIES:
        described = body.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(described.pop("$defs", {}))
        schemas[body.__name__] = described
    schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return document
