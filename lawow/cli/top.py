"""``lawow top``: what runs on an edge, as it changes."""

from __future__ import annotations

import json
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import click

from lawow.cli.edge_options import EdgeOptions, with_edge
from lawow.device.control_client import Document
from lawow.device.edge_client import EdgeClient, EdgeProblem
from lawow.device.overview_client import read_overview, watch_overview
from lawow.errors import HostLost, LawowError

__all__ = ["Feed", "command"]

if TYPE_CHECKING:
    from rich.console import Console

SILENCE_SECONDS = 5.0
"""The edge sends a document each second."""
RETRY_SECONDS = 1.0
KEY_SECONDS = 0.1
PASSING = ("busy", "not-ready", "storage-failed")
"""Codes of refusals after which it is worth asking again."""


class Feed:
    """Reads an edge's stream in a thread of its own, and comes back after each loss.

    `latest` is the newest document, `trouble` why there is no newer, `failure` what waiting does not mend.
    """

    def __init__(self, edge: EdgeClient) -> None:
        self._edge = edge
        self._fresh: queue.Queue[None] = queue.Queue(maxsize=1)
        self.latest: Document | None = None
        self.trouble: str | None = None
        self.failure: LawowError | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Return when something is new, or after so long."""
        with suppress(queue.Empty):
            self._fresh.get(timeout=seconds)

    def _run(self) -> None:
        while self.failure is None:
            try:
                for document in watch_overview(self._edge):
                    self.latest, self.trouble = document, None
                    self._tell()
                time.sleep(KEY_SECONDS)  # the edge ends each stream after a while; it may be asked again
                continue
            except (HostLost, EdgeProblem) as error:
                if isinstance(error, EdgeProblem) and error.code not in PASSING:
                    self.failure = error
                self.trouble = str(error)
            except LawowError as error:
                self.failure = error
            self._tell()
            time.sleep(RETRY_SECONDS)

    def _tell(self) -> None:
        with suppress(queue.Full):
            self._fresh.put_nowait(None)


@click.command("top", short_help="Show what runs on an edge.")
@click.option(
    "--interval",
    default=1.0,
    show_default=True,
    type=click.FloatRange(1, 3600),
    help="Seconds between two pictures.",
)
@click.option("--once", is_flag=True, help="Show it once and end; so it is where no terminal is.")
@with_edge
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(interval: float, once: bool, edge: EdgeOptions, as_json: bool) -> None:
    """Show tenants, leases, calls a second, latencies and memory of an edge, until q or Ctrl-C.

    The token needs the scope read, and tells of its own tenant; with the scope admin as well, of all. With
    --json each document is one line.
    """
    with edge.client(SILENCE_SECONDS) as client:
        if once or not (as_json or sys.stdout.isatty()):
            _show(read_overview(client), as_json)
            return
        with suppress(KeyboardInterrupt):
            if as_json:
                _print_lines(Feed(client), interval)
            else:
                _draw(Feed(client), interval)


def _show(document: Document, as_json: bool) -> None:
    if as_json:
        print(json.dumps(document))
        return
    from lawow.cli.top_view import picture

    console = _console()
    console.print(picture(document, None, console.width))


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _print_lines(feed: Feed, interval: float) -> None:
    """Print each document that is new, and say on standard error when there is none. Raises the failure."""
    for document, trouble in _pictures(feed, interval, lambda: False):
        if trouble is None and document is not None:
            print(json.dumps(document), flush=True)
        elif trouble is not None:
            print(f"lawow: {trouble}", file=sys.stderr)


def _draw(feed: Feed, interval: float) -> None:
    """Keep the picture on the terminal's other screen, and leave that as it was."""
    from rich.live import Live

    from lawow.cli.top_view import picture

    console = _console()
    with _keys() as wants_end, Live(console=console, screen=True, auto_refresh=False) as live:
        for document, trouble in _pictures(feed, interval, wants_end):
            live.update(picture(document or {}, trouble or _waiting(document), console.width), refresh=True)


def _waiting(document: Document | None) -> str | None:
    return "waiting for the edge" if document is None else None


def _pictures(
    feed: Feed, interval: float, wants_end: Callable[[], bool]
) -> Iterator[tuple[Document | None, str | None]]:
    """Return what to show, at most once in `interval`, until the user has enough. Raises the failure."""
    shown, next_time = None, 0.0
    while not wants_end():
        feed.wait(KEY_SECONDS)
        if feed.failure is not None:
            raise feed.failure
        found = (feed.latest, feed.trouble)
        if found != shown and time.monotonic() >= next_time:
            shown, next_time = found, time.monotonic() + interval - KEY_SECONDS
            yield found


@contextmanager
def _keys() -> Iterator[Callable[[], bool]]:
    """Read keys as they are pressed; yields what tells whether q was one. The terminal is put back."""
    if not sys.stdin.isatty():
        yield lambda: False
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield partial(_is_end, descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _is_end(descriptor: int) -> bool:
    """Tell whether somebody pressed q, or whose terminal it was is gone."""
    return bool(select.select([descriptor], [], [], 0)[0]) and os.read(descriptor, 1) in (b"q", b"Q", b"")
