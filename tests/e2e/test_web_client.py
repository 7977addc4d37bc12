"""A page in Chromium that calls a lease, by a client written from docs/PROTOCOL.md alone."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lawow.device.edge_client import EdgeClient
from lawow.device.offload_handler import Offloaded, OffloadHandler
from tests.e2e.test_plane_client import SLOW
from tests.server.chromium import Browser, Tab, running_browser
from tests.server.running import running_edge

SCRIPT = (Path(__file__).parent / "web_client.mjs").read_bytes()
PAGE = b"<!doctype html><title>p</title><script type=module>import * as c from '/c.mjs'; self.c = c</script>"


class Pages(BaseHTTPRequestHandler):
    """Serves the page and its script."""

    def do_GET(self) -> None:
        """Answer."""
        is_script = self.path == "/c.mjs"
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if is_script else "text/html")
        self.end_headers()
        self.wfile.write(SCRIPT if is_script else PAGE)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def site() -> Iterator[str]:
    """A web server of its own origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with running_browser(tmp_path / "profile") as running:
        yield running


def called(tab: Tab, url: str, lease: Offloaded) -> dict[str, object]:
    """Let a page call ``slow_add(7)``; ``error`` is what it threw."""
    tab.until("window.c !== undefined")
    words = json.dumps([url, lease.token, f"session:{lease.lease}", "slow_add", 7])
    found = tab.value(f"c.call(...{words}).catch((error) => ({{ error: error.message }}))")
    assert isinstance(found, dict)
    return found


def test_a_page_calls_a_lease_and_resumes_and_one_of_another_origin_does_not(
    browser: Browser, tmp_path: Path
) -> None:
    with site() as own, site() as foreign:
        command = [sys.executable, "-m", "lawow", "serve", "--port", "0", "--json", "--origin", own]
        command += ["--data", str(tmp_path / "data")]
        with (
            running_edge(tmp_path / "data", command=command) as edge,
            EdgeClient(edge.url, edge.token("web")) as client,
        ):
            handler = OffloadHandler(client)
            offers = handler.request(SLOW.wasm)
            lease = handler.select(offers, offers.offers[0])
            assert lease.endpoint is not None
            url = f"{edge.url}{lease.endpoint['websocket']}".replace("http:", "ws:")
            found = called(browser.open(own), url, lease)
            assert (found.get("resumed"), found.get("result")) == (1, 7), found
            assert found["known"] in ([1], [2])  # still running, or done and kept
            assert called(browser.open(foreign), url, lease) == {"error": "closed with 1006"}
            assert lease.call("add", "i>i", [0]).results == (7,)
