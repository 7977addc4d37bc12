"""Models for inference over HTTP: the tenant's own ONNX files, by the names its modules load them under.

Uploading needs the grant ``nn``; listing and removing do not, so that what was kept can be seen and goes when
the grant has gone.
"""

from __future__ import annotations

from fastapi import Path, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from lawow.edge.execution_handler import ExecutionHandler
from lawow.edge.model_store import StoredModel
from lawow.edge.refusals import Forbidden
from lawow.server.bodies import receive_upload, require_media_type
from lawow.server.calls import identity_of, tenant_of
from lawow.server.descriptions import BINARY, UPLOAD_PROBLEMS, RouteDescription

__all__ = ["MODEL_MEDIA_TYPE", "MODEL_ROUTES", "ModelDocument", "ModelList", "ModelRoutes"]

MODEL_MEDIA_TYPE = "application/onnx"
MEDIA_TYPES = (MODEL_MEDIA_TYPE, "application/octet-stream", "")
NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
ModelName = Path(description="as modules load it by", pattern=NAME)


class ModelDocument(BaseModel):
    """A model of the tenant."""

    name: str = Field(pattern=NAME)
    digest: str = Field(description="sha256: and 64 hex digits")
    bytes: int


class ModelList(BaseModel):
    """All models of the tenant, by name."""

    models: list[ModelDocument]


MODEL_ROUTES = (
    RouteDescription("GET", "/v1/models", "list_models", "List the tenant's models", ModelList, scope="read"),
    RouteDescription(
        "PUT",
        "/v1/models/{name}",
        "put_model",
        "Upload a model, also in the place of the one of that name",
        ModelDocument,
        status=201,
        problems=("not-found", *UPLOAD_PROBLEMS),
        also={200: {"model": ModelDocument, "description": "The name was there already"}},
        request={"required": True, "content": {MODEL_MEDIA_TYPE: BINARY}},
        scope="upload",
    ),
    RouteDescription(
        "DELETE",
        "/v1/models/{name}",
        "remove_model",
        "Take a model from the tenant",
        None,
        status=204,
        problems=("not-found", "storage-failed"),
        scope="upload",
    ),
)
"""All routes of models."""


class ModelRoutes:
    """The handlers that `MODEL_ROUTES` names."""

    def __init__(self, handler: ExecutionHandler) -> None:
        self._handler = handler

    async def list_models(self, request: Request) -> Response:
        """List the tenant's models."""
        found = self._handler.models.list(_tenant(request))
        return JSONResponse({"models": [_document(item) for item in found]})

    async def put_model(self, request: Request, name: str = ModelName) -> Response:
        """Keep a model: the answer means that it is on the disk, and that it can be opened."""
        require_media_type(request, MEDIA_TYPES)
        tenant = _tenant(request)
        self._handler.require_inference(tenant)
        with self._handler.store.begin(tenant, "model") as upload:
            await receive_upload(request, upload, self._handler.limits)
            model, is_new = await self._handler.keep_model(tenant, upload, name)
        request.state.made = f"sha256:{model.digest}"  # for the audit log
        return JSONResponse(_document(model), status_code=201 if is_new else 200)

    async def remove_model(self, request: Request, name: str = ModelName) -> Response:
        """Take a model from the tenant; instances go on with what they have loaded."""
        await self._handler.remove_model(_tenant(request), name)
        return Response(status_code=204)


def _tenant(request: Request) -> str:
    """Return whose models are meant. Raises `Forbidden` for a token that is for some modules alone."""
    if identity_of(request).modules:
        raise Forbidden("this token is for some modules alone; models need one for all")
    return tenant_of(request)


def _document(model: StoredModel) -> dict[str, object]:
    return {"name": model.name, "digest": f"sha256:{model.digest}", "bytes": model.size_bytes}
