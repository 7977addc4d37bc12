"""The offload sequence as HTTP resources: requests, offers, leases, transfer, instances, state, sharing.

Adapters only, as `lawow.server.rest`: the `OffloadManager` and its `RemoteOffloadHandler` do the work. The
resumable transfer has the shape of the IETF's resumable uploads: ``HEAD`` tells ``Upload-Offset``, ``PATCH``
appends there, ``Upload-Complete: ?1`` ends it. Defined by docs/edge.md, "The offload sequence".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import TypeVar

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ValidationError

from lawow.edge.execution_handler import ExecutionHandler
from lawow.edge.lease_states import Event
from lawow.edge.leases import Lease
from lawow.edge.offload_manager import OffloadManager, OffloadRequest
from lawow.edge.refusals import BadRequest, Forbidden, NotFound
from lawow.edge.resource_manager import Requirements
from lawow.edge.shared_modules import SharedModule
from lawow.edge.views import Views
from lawow.server.bodies import body_chunks, read_body, require_media_type
from lawow.server.calls import deadline_of, hex_of, identity_of, serve_call, tenant_of
from lawow.server.control_descriptions import CONTROL_ROUTES, PARTIAL_MEDIA_TYPE, PNG_MEDIA_TYPE
from lawow.server.control_schemas import LeaseSelection, OffloadRequestBody, SharedModuleBody, ViewBody
from lawow.server.descriptions import JSON_MEDIA_TYPE, STATE_MEDIA_TYPE
from lawow.server.observing import Observe
from lawow.server.rest import DigestPath, bound_router

__all__ = ["LeaseRoutes", "make_control_router"]

OFFSET = re.compile(r"[0-9]{1,15}")
LeasePath = Path(description="32 hex digits", pattern="^[0-9a-f]{32}$")
RequestPath = Path(description="32 hex digits", pattern="^[0-9a-f]{32}$")
NamePath = Path(description="name of a shared module", pattern="^[a-z0-9][a-z0-9._-]{0,62}$")
Body = TypeVar("Body", bound=BaseModel)


class LeaseRoutes:
    """The handlers that `CONTROL_ROUTES` names."""

    def __init__(
        self,
        manager: OffloadManager,
        handler: ExecutionHandler,
        observers: Sequence[Observe],
        views: Views,
    ) -> None:
        self._views = views
        self._observers = observers
        self._manager = manager
        self._remote = manager.remote
        self._handler = handler

    async def list_hosts(self) -> Response:
        """List what each host of this edge offers."""
        return JSONResponse({"hosts": [host.document() for host in self._manager.resources.hosts]})

    async def request_offload(self, request: Request) -> Response:
        """Take a pending offload; the answer has the offers, or the lease if the provider selects."""
        body = await self._read(request, OffloadRequestBody)
        asked = OffloadRequest(
            (body.module or "").removeprefix("sha256:"),
            body.shared or "",
            body.choice,
            Requirements(**body.requirements.model_dump()),
            body.round_trip_seconds,
        )
        identity = identity_of(request)
        if asked.shared and identity.modules:
            raise Forbidden("this token is for some modules alone; a shared module needs one for all")
        if asked.digest and not identity.may_use(asked.digest):
            raise NotFound(f"there is no module sha256:{asked.digest}; upload it first")
        key = request.headers.get("idempotency-key")
        document = await asyncio.to_thread(self._manager.request, tenant_of(request), asked, key)
        return JSONResponse(document, status_code=201)

    async def show_request(self, request: Request, request_id: str = RequestPath) -> Response:
        """Show a request and its offers."""
        return JSONResponse(self._manager.find(tenant_of(request), request_id))

    async def select_offer(self, request: Request) -> Response:
        """Accept an offer; the answer holds the lease's token, once."""
        body = await self._read(request, LeaseSelection)
        key = request.headers.get("idempotency-key")
        document = await asyncio.to_thread(self._manager.select, tenant_of(request), body.offer, key)
        request.state.made = document["lease"]  # for the audit log
        return JSONResponse(document, status_code=201)

    async def remove_module(self, request: Request, digest: str = DigestPath) -> Response:
        """Take a module away that no lease and no session needs."""
        await self._remote.remove_module(tenant_of(request), hex_of(digest))
        return Response(status_code=204)

    async def list_leases(self, request: Request) -> Response:
        """List the tenant's leases."""
        found = self._manager.leases.of_tenant(tenant_of(request))
        return JSONResponse({"leases": [self._manager.describe(lease) for lease in found]})

    async def show_lease(self, request: Request, lease: str = LeasePath) -> Response:
        """Show a lease."""
        return self._answer(self._lease(request, lease))

    async def renew_lease(self, request: Request, lease: str = LeasePath) -> Response:
        """Let the lease's time begin anew."""
        found = self._lease(request, lease)
        return self._answer(await asyncio.to_thread(self._manager.leases.renew, found))

    async def end_lease(self, request: Request, lease: str = LeasePath) -> Response:
        """End the lease: its state is home, or not wanted."""
        return self._answer(await self._remote.end(self._lease(request, lease), Event.RECALL))

    async def show_upload(self, request: Request, lease: str = LeasePath) -> Response:
        """Tell where the transfer of the module continues."""
        found = self._lease(request, lease)
        return self._upload_answer(found, self._remote.offset(found))

    async def append_module(self, request: Request, lease: str = LeasePath) -> Response:
        """Transfer the next part of the module."""
        require_media_type(request, (PARTIAL_MEDIA_TYPE,))
        found, offset = self._lease(request, lease), request.headers.get("upload-offset", "")
        complete = request.headers.get("upload-complete", "?0")
        if not OFFSET.fullmatch(offset) or complete not in ("?0", "?1"):
            raise BadRequest("Upload-Offset is a number of bytes, Upload-Complete ?0 or ?1")
        chunks = body_chunks(request, self._handler.limits)
        found, received = await self._remote.receive(
            found, int(offset), is_last=complete == "?1", chunks=chunks
        )
        return self._upload_answer(found, received)

    async def post_module(self, request: Request, lease: str = LeasePath) -> Response:
        """Transfer the next part of the module, for clients whose HTTP library has no PATCH."""
        return await self.append_module(request, lease)

    async def initialise(self, request: Request, lease: str = LeasePath) -> Response:
        """Give the lease an instance, or join the shared one."""
        found = self._lease(request, lease)
        await read_body(request, 0, "of this route's body", self._handler.limits)
        deadline = deadline_of(request, None, self._handler.limits)
        return self._answer(await self._remote.initialise(found, deadline))

    async def rest_lease(self, request: Request, lease: str = LeasePath) -> Response:
        """End the instance; the code stays, and so does the lease."""
        return self._answer(await self._remote.rest(self._lease(request, lease)))

    async def read_state(self, request: Request, lease: str = LeasePath) -> Response:
        """Return the instance's state, for its way home."""
        state = await self._remote.snapshot(self._lease(request, lease))
        return Response(state, media_type=STATE_MEDIA_TYPE)

    async def write_state(self, request: Request, lease: str = LeasePath) -> Response:
        """Replace the instance's state with the device's."""
        require_media_type(request, (STATE_MEDIA_TYPE,))
        found, limits = self._lease(request, lease), self._handler.limits
        await self._remote.restore(found, await read_body(request, limits.state_bytes, "state_bytes", limits))
        return Response(status_code=204)

    async def call_in_lease(self, request: Request, name: str, lease: str = LeasePath) -> Response:
        """Call an export in the lease's instance; everything else is as in any call."""
        async with self._remote.using(self._lease(request, lease)) as place:
            return await serve_call(
                request,
                self._handler,
                self._observers,
                place.digest,
                name,
                place.session,
                owner=place.tenant,
            )

    async def show_view(self, request: Request, lease: str = LeasePath) -> Response:
        """Name the export that shows what the instance is doing."""
        found = self._lease(request, lease)
        self._views.show(found, (await self._read(request, ViewBody)).export)
        return Response(status_code=204)

    async def read_view(self, request: Request, lease: str = LeasePath) -> Response:
        """Return the picture; whatever it is, a browser takes it for nothing else."""
        picture = await self._views.picture(self._lease(request, lease))
        headers = {"Content-Security-Policy": "default-src 'none'; sandbox"}
        return Response(picture, media_type=PNG_MEDIA_TYPE, headers=headers)

    async def hide_view(self, request: Request, lease: str = LeasePath) -> Response:
        """Show it no more."""
        self._views.hide(self._lease(request, lease))
        return Response(status_code=204)

    async def list_shared(self, request: Request) -> Response:
        """List what the tenant shares."""
        found = self._manager.shared.of_owner(tenant_of(request))
        return JSONResponse({"shared_modules": [item.document() for item in found]})

    async def share(self, request: Request, name: str = NamePath) -> Response:
        """Share a lease's instance, or change with whom."""
        body = await self._read(request, SharedModuleBody)
        shared = SharedModule(tenant_of(request), name, body.lease, tuple(body.tenants))
        return JSONResponse((await asyncio.to_thread(self._manager.shared.share, shared)).document())

    async def withdraw(self, request: Request, name: str = NamePath) -> Response:
        """Take the name back, and with it the leases of those who were redirected."""
        await asyncio.to_thread(self._manager.shared.withdraw, tenant_of(request), name)
        return Response(status_code=204)

    def _lease(self, request: Request, lease: str) -> Lease:
        found = self._manager.leases.get(tenant_of(request), lease)
        if not identity_of(request).may_use(found.digest):
            raise NotFound("there is no such lease")
        return found

    def _answer(self, lease: Lease) -> Response:
        return JSONResponse(self._manager.describe(lease))

    def _upload_answer(self, lease: Lease, received_bytes: int) -> Response:
        complete = "?1" if self._remote.has_module(lease) else "?0"
        return Response(
            status_code=204, headers={"Upload-Offset": str(received_bytes), "Upload-Complete": complete}
        )

    async def _read(self, request: Request, kind: type[Body]) -> Body:
        """Return the body as what it must be. Raises `BadRequest` with the first place that is wrong."""
        require_media_type(request, (JSON_MEDIA_TYPE,))
        limits = self._handler.limits
        data = await read_body(request, limits.document_bytes, "document_bytes", limits)
        try:
            return kind.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(map(str, first["loc"])) or "document"
            raise BadRequest(f"{place[:200]}: {first['msg']}") from None


def make_control_router(
    manager: OffloadManager, handler: ExecutionHandler, observers: Sequence[Observe], views: Views
) -> APIRouter:
    """Return the routes of `CONTROL_ROUTES`."""
    return bound_router(CONTROL_ROUTES, LeaseRoutes(manager, handler, observers, views))
