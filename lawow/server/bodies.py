"""Reading a request's body within bounds of size and time, whatever its headers claim.

The bytes are counted as they arrive; a Content-Length that is beyond the limit is refused before the first of
them. A body may take `EdgeLimits.body_seconds` plus its size at `EdgeLimits.body_bytes_per_second`, so that
neither a sender of one byte per second nor a slow but honest phone is served wrongly.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request

from lawow.edge.module_store import Upload
from lawow.edge.refusals import EdgeRefusal, TooLarge
from lawow.limits import EDGE, EdgeLimits

__all__ = [
    "SlowBody",
    "UnsupportedMediaType",
    "announced_bytes",
    "body_chunks",
    "read_body",
    "receive_upload",
    "require_media_type",
]


class SlowBody(EdgeRefusal):
    """The body came too slowly."""

    code = "too-slow"


class UnsupportedMediaType(EdgeRefusal):
    """The body is of a kind that this route does not take."""

    code = "unsupported-media-type"


def require_media_type(request: Request, allowed: tuple[str, ...]) -> str:
    """Return the body's media type, without parameters. Raises `UnsupportedMediaType`."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("compressed bodies are not taken; send it without Content-Encoding")
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found not in allowed:
        raise UnsupportedMediaType(f"Content-Type is {found[:80]!r}; allowed: {', '.join(allowed)}")
    return found


def announced_bytes(request: Request) -> int | None:
    """Return Content-Length, which the HTTP parser has checked to be a number, or None for a chunked body."""
    value = request.headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() else None


async def body_chunks(request: Request, limits: EdgeLimits = EDGE) -> AsyncIterator[bytes]:
    """Yield the body's parts. Raises `SlowBody`; the caller bounds the size."""
    loop = asyncio.get_running_loop()
    started, received = loop.time(), 0
    parts = request.stream().__aiter__()
    while True:
        due = started + limits.body_seconds + received / limits.body_bytes_per_second
        try:
            async with asyncio.timeout_at(due):
                part = await anext(parts, None)
        except TimeoutError:
            raise SlowBody(
                f"{received} bytes in {loop.time() - started:.0f} s; at least "
                f"{limits.body_bytes_per_second} bytes per second are expected"
            ) from None
        if part is None:
            return
        received += len(part)
        yield part


async def receive_upload(request: Request, upload: Upload, limits: EdgeLimits = EDGE) -> None:
    """Stream the body into an upload, refused from its announced length on."""
    announced = announced_bytes(request)
    if announced is not None:
        upload.announce(announced)
    async for part in body_chunks(request, limits):
        upload.write(part)


async def read_body(request: Request, limit_bytes: int, limit_name: str, limits: EdgeLimits = EDGE) -> bytes:
    """Return the whole body of at most `limit_bytes`. Raises `TooLarge`, `SlowBody`."""
    announced = announced_bytes(request)
    if announced is not None and announced > limit_bytes:
        raise TooLarge(f"the body has {announced} bytes, the limit {limit_name} is {limit_bytes}")
    body = bytearray()
    async for part in body_chunks(request, limits):
        body += part
        if len(body) > limit_bytes:
            raise TooLarge(f"the body has more than {limit_bytes} bytes, the limit {limit_name}")
    return bytes(body)
