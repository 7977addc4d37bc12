"""The dashboard in a real browser: live, without a complaint, with nothing from elsewhere, safe."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lawow.server.dashboard import Page
from tests.edge.builders import all_sorts
from tests.pictures import png, showing
from tests.server.chromium import Browser, Tab, running_browser
from tests.server.running import RunningEdge, issue_token, running_edge
from tests.server.test_overview import OPERATOR, hostile_overview
from tests.server.test_views import shown

SORTS = all_sorts()
MODULE = f"/v1/modules/sha256:{SORTS.digest}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_browser(tmp_path_factory.mktemp("browser") / "profile") as running:
        yield running


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """An edge of its own, with streams as long as an operator's."""
    with running_edge(tmp_path_factory.mktemp("watched") / "data") as edge:
        edge.put("acme", SORTS.wasm, SORTS.digest)
        edge.tokens["operator"] = issue_token(edge.data, "ops", OPERATOR)
        yield edge


def enter(browser: Browser, edge: RunningEdge, tenant: str) -> Tab:
    """Open the page and type a token: the field has the focus."""
    tab = browser.open(edge.url)
    tab.type(edge.token(tenant))
    tab.until("!document.getElementById('figures').hidden")
    return tab


def test_figures_appear_and_change_under_calls_and_the_browser_has_nothing_to_say(
    browser: Browser, watched: RunningEdge
) -> None:
    tab = enter(browser, watched, "operator")
    tab.until("document.getElementById('link').textContent === 'live'")
    assert (tab.text("#state"), tab.text("#subject")) == ("ready", "all tenants")
    watched.call("acme", SORTS.digest, "count")
    tab.until("document.getElementById('outcomes').innerText.includes('ok 1')")
    for _ in range(4):
        watched.call("acme", SORTS.digest, "count")
    watched.call("acme", SORTS.digest, "unreachable")
    tab.until("/ok 5\\s+trap 1/.test(document.getElementById('outcomes').innerText)")
    assert "acme" in tab.text("#tenants")
    assert "No leases are in force." in tab.text("#leases")
    tab.until("document.querySelectorAll('.graph path.line').length === 3")
    tab.until("/\\d ms/.test(document.querySelectorAll('.graph b')[1].textContent)")
    tab.until("/\\d MiB/.test(document.querySelectorAll('.graph b')[2].textContent)")
    tab.until("document.querySelectorAll('.graph b')[0].textContent !== '0'", seconds=20)
    assert tab.complaints() == []


def test_a_tenants_token_shows_that_tenant(browser: Browser, watched: RunningEdge) -> None:
    watched.call("acme", SORTS.digest, "count")
    tab = enter(browser, watched, "stranger")
    assert tab.text("#subject") == "tenant stranger"
    assert "acme" not in tab.text("main")
    assert "No calls" in tab.text("#outcomes")


def test_the_token_is_kept_in_the_tab_alone_and_forgotten_on_demand(
    browser: Browser, watched: RunningEdge
) -> None:
    token, tab = watched.token("acme"), enter(browser, watched, "acme")
    assert tab.value(
        "JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])"
    ) == json.dumps([{"lawow-token": token}, {}, ""], separators=(",", ":"))
    assert tab.value("location.href") == f"{watched.url}/"
    assert token not in str(tab.value("document.documentElement.outerHTML"))
    tab.reload()
    tab.until("document.getElementById('subject').textContent === 'tenant acme'")
    tab.value("document.getElementById('leave').click()")
    tab.until("document.getElementById('figures').hidden && sessionStorage.length === 0")
    assert tab.value("document.activeElement.id") == "token"


def test_the_picture_that_an_instance_makes_of_itself_is_shown_and_changes(
    browser: Browser, watched: RunningEdge
) -> None:
    lease = shown(watched, "painter", showing(png(40, 30), png(60, 30)))
    broken = shown(watched, "painter", showing(b"<script>window.broken = 1</script>"))
    tab = enter(browser, watched, "painter")
    image = f"document.querySelector('img[alt=\"View of lease {lease[:8]}\"]')"
    for width in (40, 60, 40):
        tab.until(f"{image} !== null && {image}.naturalWidth === {width}")
    tab.until("document.getElementById('views').innerText.includes('is no PNG')")
    assert f"lease {broken[:8]}: " in tab.text("#views")
    assert tab.value("window.broken") is None
    failed = [item for item in tab.complaints() if "422" not in json.dumps(item)]
    assert failed == []  # but for the answer that there is no picture, which browsers note by themselves
    tab.value("document.getElementById('leave').click()")
    tab.until("document.querySelectorAll('img').length === 0")


def test_views_are_shown_to_their_own_tenant_alone(browser: Browser, watched: RunningEdge) -> None:
    lease = shown(watched, "painter", showing(png(40, 30)))
    for tenant in ("stranger", "operator"):
        tab = enter(browser, watched, tenant)
        tab.until("document.getElementById('link').textContent === 'live'")
        assert tab.value("document.getElementById('views').hidden") is True
    tab.until(f"document.getElementById('leases').innerText.includes('{lease[:8]}')")
    assert tab.value("document.querySelectorAll('img').length") == 0
    assert tab.complaints() == []


def test_a_wrong_token_is_told_and_not_kept(browser: Browser, watched: RunningEdge) -> None:
    tab = browser.open(watched.url)
    tab.type("lawow_wrong")
    tab.until("document.getElementById('problem').textContent.includes('token is not valid')")
    assert tab.value("sessionStorage.length") == 0


def test_it_fits_a_phone_and_likes_the_dark(browser: Browser, watched: RunningEdge) -> None:
    tab = enter(browser, watched, "operator")
    light = tab.value("getComputedStyle(document.body).backgroundColor")
    tab.be_dark()
    tab.size(360, 740)
    tab.until(f"getComputedStyle(document.body).backgroundColor !== {json.dumps(light)}")
    tab.until("document.documentElement.scrollWidth <= 360")


def test_the_policy_lets_nothing_in_from_elsewhere_and_no_text_become_code(
    browser: Browser, watched: RunningEdge
) -> None:
    tab = browser.open(watched.url)
    attempt = """(async () => {
        const tries = [
            () => { document.body.innerHTML = "<img src=x onerror='window.broken = 1'>"; },
            () => { new Function("window.broken = 1")(); },
            () => { setTimeout("window.broken = 1", 0); },
            () => { document.body.setAttribute("onclick", "window.broken = 1"); document.body.click(); },
            () => fetch("http://127.0.0.1:1/"),
        ];
        let stopped = 0;
        for (const one of tries) try { await one(); } catch { stopped += 1; }
        await new Promise(done => setTimeout(done, 100));
        return [stopped, window.broken === undefined];
    })()"""
    assert tab.value(attempt) == [5, True]


def test_draining_and_a_lost_connection_are_shown(browser: Browser, tmp_path: Path) -> None:
    data = tmp_path / "data"
    command = [sys.executable, "-m", "lawow", "serve", "--port", "0", "--json", "--data", str(data)]
    with running_edge(data, command=[*command, "--drain", "3"]) as edge:
        tab = enter(browser, edge, "acme")
        edge.process.send_signal(signal.SIGTERM)
        tab.until("document.getElementById('state').textContent.startsWith('draining')")
        assert edge.process.wait(timeout=20) == 0
        tab.until("document.getElementById('link').textContent === 'connection lost'")
        assert tab.value("document.body.classList.contains('stale')")


@contextmanager
def hostile_edge() -> Iterator[str]:
    """The real page on a server that says about itself what no edge would, a view that is none included."""
    overview = hostile_overview()
    viewed = {"lease": "0" * 32, "has_view": True}
    overview["leases"] = [viewed, {"lease": "../x", "has_view": True}, *list(overview["leases"])]  # type: ignore[call-overload]
    event = f"event: overview\ndata: {json.dumps(overview)}\n\n".encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = Page()
            self.send_response(200)
            is_page = self.path == "/"
            for name, value in page.headers.items() if is_page else ():
                self.send_header(name, value)
            self.send_header("Content-Type", "text/html" if is_page else "text/event-stream")
            self.end_headers()
            self.wfile.write(page.html if is_page else event)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_hostile_names_are_text(browser: Browser) -> None:
    with hostile_edge() as url:
        tab = browser.open(url)
        tab.type("token")
        tab.until("document.getElementById('tenants').innerText.includes('<img src=x')")
        assert tab.value("window.broken") is None
        assert tab.value("document.querySelectorAll('script:not(body > script)').length") == 0
        tab.until("document.getElementById('views').innerText.includes('That is no picture.')")
        assert tab.value("[...document.querySelectorAll('img')].map(image => image.src)") == [""]
        for part in ("#state", "#subject", "#outcomes", "#leases", "#sections", "#footer"):
            assert "<img src=x" in tab.text(part), part
        assert tab.complaints() == []
