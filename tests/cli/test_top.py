"""``lawow top``: against a running edge, on a terminal and on none, with an edge that lies or goes away."""

from __future__ import annotations

import io
import itertools
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from rich.console import Console

from lawow.cli.top import Feed
from lawow.cli.top_view import picture
from lawow.device.edge_client import EdgeClient
from lawow.device.edge_connection import LINE_BYTES
from tests.conftest import lawow
from tests.edge.builders import all_sorts
from tests.server.running import RunningEdge, issue_token, running_edge, until
from tests.server.test_overview import OPERATOR, hostile_overview

SORTS = all_sorts()
INTERRUPTIBLE = ("env", "--default-signal=INT")
"""Tests that run in the background are started with interrupts ignored, which is inherited."""


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    with running_edge(tmp_path_factory.mktemp("top") / "data") as running:
        running.tokens["operator"] = issue_token(running.data, "ops", OPERATOR)
        running.put("acme", SORTS.wasm, SORTS.digest)
        for export in ("nothing", "nothing", "unreachable"):
            running.call("acme", SORTS.digest, export)
        yield running


def top(edge: RunningEdge, *options: str, who: str = "operator", **environment: str) -> str:
    return lawow("top", "--edge", edge.url, *options, LAWOW_TOKEN=edge.token(who), **environment).stdout


def test_once_with_json_is_the_document(edge: RunningEdge) -> None:
    document = json.loads(top(edge, "--once", "--json"))
    [acme] = [item for item in document["tenants"] if item["tenant"] == "acme"]
    assert acme["outcomes"] == {"ok": 2, "trap": 1}
    assert json.loads(top(edge, "--once", "--json", who="acme"))["tenant"] == "acme"


@pytest.mark.parametrize("columns", [30, 60, 80, 140])
def test_once_fits_the_terminal(edge: RunningEdge, columns: int) -> None:
    shown = top(edge, "--once", COLUMNS=str(columns))
    assert "all tenants" in " ".join(shown.split())
    assert "acme" in shown
    assert max(map(len, shown.splitlines())) <= columns
    assert "\x1b" not in shown


def test_without_a_terminal_it_shows_once(edge: RunningEdge) -> None:
    assert "Tenants" in top(edge)


def test_json_without_once_goes_on_until_it_is_interrupted(edge: RunningEdge) -> None:
    command = [*INTERRUPTIBLE, sys.executable, "-m", "lawow", "top", "--edge", edge.url, "--json"]
    environment = {**os.environ, "LAWOW_TOKEN": edge.token("operator")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        times = [json.loads(process.stdout.readline())["time_unix"] for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
    assert times[1] > times[0] + 0.5


@pytest.mark.parametrize("end", [b"q", b"\x03"], ids=["q", "ctrl-c"])
def test_a_key_ends_it_and_the_terminal_is_as_it_was(edge: RunningEdge, end: bytes) -> None:
    import termios

    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    command = [*INTERRUPTIBLE, sys.executable, "-m", "lawow", "top", "--edge", edge.url]
    environment = {**os.environ, "LAWOW_TOKEN": edge.token("operator"), "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        ["setsid", "--ctty", *command], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    seen = b""
    while b"acme" not in seen:
        seen += os.read(ours, 4096)
    os.write(ours, end)
    reader = threading.Thread(target=_drain, args=(ours,), daemon=True)
    reader.start()
    assert process.wait(timeout=10) == 0
    assert termios.tcgetattr(theirs) == before
    assert b"\x1b[?1049h" in seen  # the other screen
    os.close(theirs)
    reader.join(timeout=5)
    os.close(ours)


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 4096):
            pass
    except OSError:
        return


def test_refusals_have_their_exit_codes(edge: RunningEdge) -> None:
    done = lawow("top", "--edge", edge.url, "--json", check=False, LAWOW_TOKEN="wrong")
    assert done.returncode == 4
    assert "token is not valid" in done.stderr
    gone = lawow("top", "--edge", "http://127.0.0.1:1", "--once", check=False, LAWOW_TOKEN="any")
    assert gone.returncode == 6


@contextmanager
def false_edge(body: Callable[[int], bytes]) -> Iterator[str]:
    """An edge that breaks each stream off, after what `body` says for its number."""
    count = itertools.count()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(1 << 30))
            self.end_headers()
            with suppress(ConnectionError):  # the client may have had enough
                self.wfile.write(body(next(count)))

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_lost_connection_is_made_again() -> None:
    with false_edge(
        lambda number: b': \r\n\r\nevent: overview\r\ndata: {"number": %d}\r\n\r\n' % number
    ) as url:
        feed = Feed(EdgeClient(url, "token", timeout_seconds=5))
        until(lambda: (feed.latest or {}).get("number") == 0)
        until(lambda: feed.trouble is not None or (feed.latest or {}).get("number") != 0)
        until(lambda: (feed.latest or {}).get("number") == 1)
        assert feed.failure is None
    until(lambda: "cannot be reached" in (feed.trouble or ""))


@pytest.mark.parametrize(
    "body", [b"x" * (LINE_BYTES + 1), b"event: overview\ndata: [1]\n\n"], ids=["long", "list"]
)
def test_a_stream_that_is_none_ends_it_with_a_sentence(body: bytes) -> None:
    with false_edge(lambda _: body) as url:
        done = lawow("top", "--edge", url, "--json", check=False, LAWOW_TOKEN="any")
        assert done.returncode == 6
        assert done.stderr.count("\n") == 1


def drawn(document: dict[str, object], width: int = 120) -> str:
    target = io.StringIO()
    Console(file=target, width=width, force_terminal=False).print(picture(document, None, width))
    return target.getvalue()


def test_hostile_names_neither_drive_the_terminal_nor_are_markup() -> None:
    shown = drawn(hostile_overview(), 200)
    assert "\x1b" not in shown
    assert "[red]" in shown
    assert "<img src=x" in shown


JUNK: list[object] = [None, True, -1, 10**400, 1e308, "x" * 5_000, [], [[]], {}, {"a": {}}, [None, 3]]


@pytest.mark.parametrize("junk", JUNK, ids=lambda value: repr(value)[:12])
def test_values_of_any_kind_are_drawn_as_unknown(junk: object) -> None:
    whole = hostile_overview()
    for key in whole:
        drawn({**whole, key: junk}, 80)
    for key in ("tenants", "leases"):
        rows = whole[key]
        assert isinstance(rows, list)
        for name in rows[0]:
            drawn({**whole, key: [{**rows[0], name: junk}]}, 140)
    series = whole["series"]
    assert isinstance(series, dict)
    drawn({**whole, "series": {**series, "calls": [junk, 1]}})


def test_rows_beyond_the_most_are_counted() -> None:
    rows = [{"tenant": f"t{number}"} for number in range(70)]
    shown = drawn({"tenants": rows, "tenants_left_off": 5})
    assert "t49" in shown
    assert "t50" not in shown
    assert "and 25 more" in shown
