"""The composition root: puts store, workers, routes and guard together, and runs them on a socket."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from lawow import __version__
from lawow.edge.compiled_cache import CompiledCache
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.execution_handler import ExecutionHandler
from lawow.edge.intake import Intake
from lawow.edge.module_store import ModuleStore
from lawow.edge.supervisor import Supervisor
from lawow.edge.tenants import Tenants
from lawow.limits import EDGE, EdgeLimits
from lawow.server.auth import Authenticator
from lawow.server.guard import Guard
from lawow.server.log import EventLog, adopt_libraries
from lawow.server.problems import Problem, problem_of_status
from lawow.server.rest import make_router
from lawow.server.schemas import ProblemDocument
from lawow.server.transport import EdgeServer

__all__ = ["Edge", "create_app", "serve"]


class Edge:
    """Everything that runs on one data folder; takes the folder for this process."""

    def __init__(self, data: Path, log: EventLog, limits: EdgeLimits = EDGE) -> None:
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
        log(
            "recovered",
            uploads_removed=recovery.uploads_removed,
            blobs_removed=recovery.blobs_removed,
            modules_lost=recovery.modules_lost,
            compiled_removed=stale,
        )

    async def close(self) -> None:
        """End the workers, close the files."""
        await self.handler.supervisor.close()
        self.database.close()
        self.folder.release()


def create_app(edge: Edge) -> Guard:
    """Return the ASGI application of an edge; its lifespan's end closes the edge."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
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
    app.add_exception_handler(HTTPException, _framework_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    app.openapi_schema = _describe(app)
    return Guard(app, Authenticator(edge.tenants), edge.log)


def serve(
    edge: Edge, listener: socket.socket, context: ssl.SSLContext | None, limits: EdgeLimits = EDGE
) -> None:
    """Serve until SIGTERM or SIGINT; calls under way may finish within their deadlines."""
    adopt_libraries(edge.log)
    server = EdgeServer(create_app(edge), listener, context, limits)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.serve())
    edge.log("stopped")


async def _framework_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _response(problem_of_status(error.status_code))


async def _validation_problem(_: Request, __: Exception) -> Response:
    """A path parameter that does not match its pattern: there is nothing of that name."""
    return _response(Problem("not-found", "modules are named sha256: and 64 hex digits in lower case"))


def _response(problem: Problem) -> Response:
    headers = {key.decode(): value.decode() for key, value in problem.headers()}
    return Response(problem.body(), status_code=problem.status, headers=headers)


def _describe(app: FastAPI) -> dict[str, object]:
    """Return the OpenAPI document, with the parts that the framework cannot know."""
    document = app.openapi()
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return document
