"""The merged map as a page on loopback that draws itself anew every second."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lawow.figures.scene import KINDS, VIEW

COLOURS = ("#c44e52", "#dd8452", "#4c72b0")
PLACE = (VIEW[0] // 2, VIEW[1] // 2)


def draw_map(numbers: Sequence[int], size: tuple[int, int]) -> str:
    """Return the page for the map server's numbers, as `Robot.merged` gives them."""
    reports, places, *items = numbers
    marks = [
        f'<circle cx="{items[at + 1]}" cy="{items[at + 2]}" r="10" fill="{COLOURS[items[at] - 1]}">'
        f"<title>{KINDS[items[at] - 1]}</title></circle>"
        for at in range(0, len(items), 3)
    ]
    legend = " ".join(
        f'<b style="color:{colour}">{kind}</b>' for kind, colour in zip(KINDS, COLOURS, strict=True)
    )
    return (
        '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="1">'
        '<link rel="icon" href="data:,"><title>Merged map</title>'
        f'<p id="figures">{len(items) // 3} items, {places} places, {reports} reports. {legend}</p>'
        f'<svg viewBox="0 0 {size[0]} {size[1]}" style="max-width:60rem;background:#eee">'
        f"{''.join(marks)}</svg>"
    )


class MapPage:
    """What the page shows."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self.html = draw_map([0, 0], size)

    def show(self, numbers: Sequence[int]) -> None:
        """Show these numbers from now on."""
        self.html = draw_map(numbers, self._size)


@contextmanager
def serving(page: MapPage, port: int) -> Iterator[str]:
    """Serve the page on loopback; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page.html.encode()
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
