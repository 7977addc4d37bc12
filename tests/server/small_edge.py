"""An edge whose limits a test chooses: ``python -m tests.server.small_edge DATA LIMITS [CERT KEY]``."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from lawow.limits import EDGE
from lawow.server.app import Edge, serve
from lawow.server.data_listeners import DataPlaneListeners
from lawow.server.listener import open_listener, url_of
from lawow.server.log import EventLog
from lawow.server.tls import server_context


def main(data: str, limits: str, *tls: str) -> None:
    """Serve on a free port of loopback and print the URL."""
    changed = json.loads(limits)
    has_data_tls = changed.pop("data_tls", bool(tls))
    origins = changed.pop("origins", [])
    chosen = replace(EDGE, **changed)
    context = server_context(Path(tls[0]), Path(tls[1])) if tls else None
    listener = open_listener("127.0.0.1", 0)
    listeners = DataPlaneListeners("127.0.0.1", has_data_tls)
    edge = Edge(Path(data), EventLog(), chosen, data_plane=listeners)
    line = json.dumps({"url": url_of("127.0.0.1", listener, has_tls=bool(tls))})
    serve(edge, listener, context, lambda: print(line, flush=True), origins=origins)


if __name__ == "__main__":
    main(*sys.argv[1:])
