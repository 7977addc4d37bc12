"""The overview of an edge: once, or as the stream of server-sent events that the edge makes of it.

The document is handed on as it came; whoever shows it must not believe in its kinds, nor print its names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from lawow.device.control_client import Document
from lawow.device.edge_client import EdgeClient
from lawow.errors import HostLost, RemoteProtocolError

__all__ = ["read_overview", "watch_overview"]


def read_overview(edge: EdgeClient) -> Document:
    """Return the figures as they are now."""
    return edge.document("GET", "/v1/overview")


def watch_overview(edge: EdgeClient) -> Iterator[Document]:
    """Return the figures each second, until the edge ends the stream; then it may be asked again.

    Raises as `EdgeClient.lines`, and `HostLost` for a stream that breaks off.
    """
    for kind, data in _events(edge.lines("/v1/overview/events")):
        if kind == "end":
            return
        if kind == "overview":
            yield _object(data)
    raise HostLost("the connection was lost: the edge's stream broke off")


def _events(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Return kind and data of each event; the form is that of the HTML standard, with data of one line."""
    kind, data = "message", b""
    for line in lines:
        name, _, value = line.rstrip(b"\r\n").partition(b":")
        if name == b"event":
            kind = value.strip().decode("ascii", "replace")
        elif name == b"data":
            data = value.removeprefix(b" ")
        elif line in (b"\n", b"\r\n"):
            yield kind, data
            kind, data = "message", b""


def _object(data: bytes) -> Document:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise RemoteProtocolError("the edge's event is not a JSON object")
    return document
