"""The composition root: puts store, workers, routes and guard together, and runs them on a socket."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from lawow import __version__
from lawow.edge.clock import steady_clock
from lawow.edge.compiled_cache import CompiledCache
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.execution_handler import ExecutionHandler
from lawow.edge.hosts import Host, look_at_this_host
from lawow.edge.intake import Intake
from lawow.edge.leases import LeaseBook
from lawow.edge.module_store import ModuleStore
from lawow.edge.offload_manager import OffloadManager
from lawow.edge.partial_uploads import PartialUploads
from lawow.edge.refusals import EdgeRefusal
from lawow.edge.remote_offload_handler import RemoteOffloadHandler
from lawow.edge.resource_manager import ResourceManager
from lawow.edge.session_states import SessionStates
from lawow.edge.shared_modules import SharedModules
from lawow.edge.supervisor import Supervisor
from lawow.edge.tenants import Tenants
from lawow.limits import EDGE, EdgeLimits
from lawow.server.auth import Authenticator
from lawow.server.control_descriptions import BODIES, CONTROL_ROUTES
from lawow.server.descriptions import ROUTES
from lawow.server.guard import Guard
from lawow.server.log import EventLog, adopt_libraries
from lawow.server.rest import make_router
from lawow.server.rest_leases import make_control_router
from lawow.server.schemas import ProblemDocument
from lawow.server.transport import EdgeServer

__all__ = ["Edge", "create_app", "serve"]

SWEEP_SECONDS = 1.0


class Edge:
    """Everything that runs on one data folder; takes the folder for this process."""

    def __init__(
        self, data: Path, log: EventLog, limits: EdgeLimits = EDGE, hosts: Sequence[Host] = ()
    ) -> None:
        """`hosts` as `read_hosts` returns them; none: this machine, as it looks."""
        self.log = log
        self.folder = DataFolder(data)
        self.folder.hold()
        self.database = Database(self.folder.database)
        self.tenants = Tenants(self.database)
        store = ModuleStore(self.folder, self.database, limits)
        recovery = store.recover()
        compiled = CompiledCache(self.folder, self.database, limits)
        stale = compiled.recover(store.owned())
        supervisor = Supervisor(log, limits)
        self.handler = ExecutionHandler(store, Intake(store, limits), compiled, supervisor, limits)
        self.manager = self._manager(hosts or (look_at_this_host(limits),))
        swept = self.manager.remote.recover()
        log(
            "recovered",
            partial_uploads_removed=swept,
            uploads_removed=recovery.uploads_removed,
            blobs_removed=recovery.blobs_removed,
            modules_lost=recovery.modules_lost,
            compiled_removed=stale,
        )

    def _manager(self, hosts: Sequence[Host]) -> OffloadManager:
        """Put the control plane together, on the execution handler of this host."""
        clock, limits, database = steady_clock(), self.handler.limits, self.database
        leases = LeaseBook(database, clock, limits)
        uploads = PartialUploads(self.folder, self.handler.store, leases, limits)
        shared = SharedModules(database, leases, clock, limits)
        remote = RemoteOffloadHandler(self.handler, leases, uploads, states=SessionStates(self.handler))
        resources = ResourceManager(hosts, limits)
        return OffloadManager(database, resources, leases, shared, remote, clock, limits)

    async def sweep(self) -> None:
        """End offers and leases when their time has come, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                ended = await self.manager.sweep()
            except EdgeRefusal as error:
                self.log("sweep-failed", reason=str(error))
                continue
            if ended:
                self.log("leases-expired", count=ended)

    async def close(self) -> None:
        """End the workers, close the files."""
        await self.handler.supervisor.close()
        self.database.close()
        self.folder.release()


def create_app(edge: Edge) -> Guard:
    """Return the ASGI application of an edge; its lifespan's end closes the edge."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        edge.handler.supervisor.prepare_spare()
        sweeping = asyncio.create_task(edge.sweep())
        yield
        sweeping.cancel()
        await edge.close()

    app = FastAPI(
        title="LAWOW edge",
        version=__version__,
        summary="Keeps WebAssembly modules and calls their exports.",
        lifespan=lifespan,
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
    )
    app.include_router(make_router(edge.handler))
    app.include_router(make_control_router(edge.manager, edge.handler))
    for kind, handle in {
        HTTPException: _raise,
        RequestValidationError: _raise,
        Exception: _be_silent,
    }.items():
        app.add_exception_handler(kind, handle)
    app.openapi_schema = _describe(app)
    return Guard(app, Authenticator(edge.tenants), edge.log)


def serve(
    edge: Edge, listener: socket.socket, context: ssl.SSLContext | None, announce: Callable[[], object]
) -> None:
    """Serve until SIGTERM or SIGINT; calls under way may finish within their deadlines.

    `announce` is called once, when connections are served and signals are heeded.
    """
    adopt_libraries(edge.log)
    server = EdgeServer(create_app(edge), listener, context, edge.handler.limits, announce)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve())
    edge.log("stopped")


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
    for route in (*ROUTES, *CONTROL_ROUTES):
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
