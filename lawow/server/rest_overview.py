"""The overview over HTTP: the dashboard's page, the document, and the same as server-sent events.

A stream ends with the edge, when its reader is too slow, and after `EdgeLimits.overview_stream_seconds`: who
wants more asks again, so that a token that was revoked does not read on. There is always an event within a
second or two, so silence means that the connection is lost.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from lawow.edge.refusals import Busy, Forbidden, StorageFailed
from lawow.limits import EdgeLimits
from lawow.server.calls import identity_of, tenant_of
from lawow.server.dashboard import Page
from lawow.server.overview import Overview
from lawow.server.overview_schemas import EVENTS_MEDIA_TYPE
from lawow.server.readiness import Readiness

__all__ = ["EventStream", "Listeners", "OverviewRoutes"]

EVENT_SECONDS = 1.0


class Listeners:
    """How many streams are open, in all and of each tenant."""

    def __init__(self, limits: EdgeLimits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()

    @contextmanager
    def one_more(self, tenant: str) -> Iterator[None]:
        """Hold a place. Raises `Busy` if there is none."""
        for count, name in (
            (self._open.total(), "overview_listeners"),
            (self._open[tenant], "overview_listeners_per_tenant"),
        ):
            if count >= getattr(self._limits, name):
                raise Busy(f"{count} streams are open, the limit {name}", retry_after_seconds=10)
        self._open[tenant] += 1
        try:
            yield
        finally:
            self._open[tenant] -= 1
            self._open += Counter()  # forgets who has none


class EventStream(Response):
    """Sends the overview each second until its time, its reader or the edge is gone."""

    media_type = EVENTS_MEDIA_TYPE

    def __init__(
        self,
        overview: Overview,
        subject: str | None,
        place: AbstractContextManager[None],
        readiness: Readiness,
        limits: EdgeLimits,
    ) -> None:
        """`place` is held as long as the answer lasts."""
        super().__init__(media_type=EVENTS_MEDIA_TYPE)
        self._overview = overview
        self._subject = subject
        self._place = place
        self._readiness = readiness
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request. Raises `Busy`, `StorageFailed`, and `ClientDisconnect` when nobody reads."""
        with self._place:
            await self._answer(await self._event(), receive, send)

    async def _answer(self, first: bytes, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", EVENTS_MEDIA_TYPE.encode())]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        gone = asyncio.create_task(_disconnected(receive))
        stopping = asyncio.create_task(self._readiness.stopping.wait())
        try:
            await self._send_events(first, {gone, stopping}, send)
            if not gone.done():
                await self._send(send, b"event: end\ndata: {}\n\n", is_last=True)
        finally:
            gone.cancel()
            stopping.cancel()

    async def _send_events(self, event: bytes, ends: set[asyncio.Task[object]], send: Send) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limits.overview_stream_seconds
        while True:
            await self._send(send, event)
            wait = min(EVENT_SECONDS, end - loop.time())
            done, _ = await asyncio.wait(ends, timeout=max(wait, 0), return_when=asyncio.FIRST_COMPLETED)
            if done or loop.time() >= end:
                return
            event = b": the figures cannot be read now\n\n"
            with suppress(StorageFailed):
                event = await self._event()

    async def _event(self) -> bytes:
        document = await self._overview.document(self._subject)
        return b"event: overview\ndata: " + json.dumps(document).encode() + b"\n\n"

    async def _send(self, send: Send, event: bytes, *, is_last: bool = False) -> None:
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                await send({"type": "http.response.body", "body": event, "more_body": not is_last})
        except TimeoutError:
            raise ClientDisconnect from None


class OverviewRoutes:
    """The handlers that `OVERVIEW_ROUTES` names."""

    def __init__(self, overview: Overview, readiness: Readiness, limits: EdgeLimits) -> None:
        self._overview = overview
        self._readiness = readiness
        self._limits = limits
        self._listeners = Listeners(limits)
        self._page = Page()

    async def show_page(self) -> Response:
        """Return the dashboard; it holds nothing of the edge."""
        return Response(self._page.html, media_type="text/html; charset=utf-8", headers=self._page.headers)

    async def show_overview(self, request: Request) -> Response:
        """Return the figures that the token may see."""
        return JSONResponse(await self._overview.document(_subject(request)))

    async def stream_overview(self, request: Request) -> Response:
        """Return them each second."""
        place = self._listeners.one_more(tenant_of(request))
        return EventStream(self._overview, _subject(request), place, self._readiness, self._limits)


def _subject(request: Request) -> str | None:
    """Return the tenant that the figures are of, or None for all. Raises `Forbidden`."""
    identity = identity_of(request)
    if identity.modules:
        raise Forbidden("this token is for some modules alone; the overview needs one for all")
    return None if "admin" in identity.scopes else identity.tenant


async def _disconnected(receive: Receive) -> object:
    """Return when the peer is gone."""
    while (message := await receive())["type"] != "http.disconnect":
        pass
    return message
