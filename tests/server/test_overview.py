"""The overview: who sees what, that it is right, that it is bounded, and its stream."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lawow.device.control_client import ControlClient
from lawow.device.offload_handler import OffloadHandler
from lawow.device.overview_client import read_overview, watch_overview
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.leases import LeaseBook
from lawow.edge.meter import Meter
from lawow.edge.supervisor import Supervisor
from lawow.edge.tenants import Tenants, TokenTerms
from lawow.errors import GuestTrap
from lawow.server.observing import CallFacts, tenant_label
from lawow.server.overview import LEASES, TENANTS, Overview
from lawow.server.overview_schemas import OverviewDocument
from lawow.server.readiness import Readiness
from tests.edge.builders import all_sorts, numbered
from tests.server.planes import COUNTER, open_plane, slots
from tests.server.running import RunningEdge, issue_token, running_edge, until

OPERATOR = TokenTerms(("read", "admin"))
SORTS = all_sorts()
EVIL = "<img src=x onerror='window.broken=1'><script>window.broken=1</script>\x1b[31m[red]"


def hostile_overview() -> dict[str, object]:
    """A document of the right shape whose every text is markup, and drives a terminal."""
    numbers: dict[str, object] = {
        "calls_per_second": 1.5,
        "p50_seconds": 0.001,
        "p99_seconds": 0.002,
        "outcomes": {EVIL: 3, "ok": 1},
        "workers": 1,
        "instances": 1,
        "waiting": 0,
        "memory_bytes": 1 << 40,
        "connections": 1,
        "lease_states": {EVIL: 1},
    }
    lease = dict.fromkeys(("tenant", "lease", "state", "module", "host", "reason"), EVIL)
    times = {"created_unix": 1.0, "expires_unix": 2.0, "is_shared": False}
    return {
        "version": EVIL,
        "tenant": EVIL,
        "state": EVIL,
        "reason": EVIL,
        "time_unix": 1e9,
        "started_unix": 0.0,
        "window_seconds": 120,
        **numbers,
        "series": {"step_seconds": 1, "calls": [1, 2], "p99_seconds": [0.1, None], "memory_bytes": [1, 2]},
        "tenants": [{"tenant": EVIL, **numbers}],
        "tenants_left_off": 2,
        "leases": [{**lease, **times}],
        "leases_left_off": 1,
        "sections": {EVIL: {EVIL: EVIL, "channels": 3}},
    }


@pytest.fixture
def operator(edge: RunningEdge) -> str:
    edge.tokens["overview-operator"] = issue_token(edge.data, "overview-ops", OPERATOR)
    return "overview-operator"


def test_it_tells_what_was_called_what_runs_and_what_is_leased(
    edge: RunningEdge, tenant: str, operator: str
) -> None:
    edge.put(tenant, SORTS.wasm, SORTS.digest)
    edge.open_session(tenant, SORTS.digest)
    for export in ("nothing", "nothing", "unreachable"):
        edge.call(tenant, SORTS.digest, export)
    with edge.client(tenant) as client:
        handler = OffloadHandler(client)
        offers = handler.request(SORTS.wasm, choice="application", requirements={})
        lease = handler.select(offers, offers.offers[0])
        until(lambda: _own(edge, operator, tenant)["instances"] == 2)
        mine = read_overview(client)
        assert mine["lease_states"] == {"initialised": 1}
        [listed] = mine["leases"]  # type: ignore[misc]
        assert (listed["lease"], listed["tenant"]) == (lease.lease, tenant)  # type: ignore[index]
        ControlClient(client).end(lease.lease)
    found = _own(edge, operator, tenant)
    assert found["outcomes"] == {"ok": 2, "trap": 1}
    assert found["workers"] == 1
    assert found["memory_bytes"] > 5 << 20  # type: ignore[operator]
    assert 0 < found["p50_seconds"] <= found["p99_seconds"] < 60  # type: ignore[operator]
    until(lambda: sum(_document(edge, operator)["series"]["calls"]) >= 3)  # type: ignore[index]
    OverviewDocument.model_validate(_document(edge, operator), strict=True)


def test_calls_on_the_data_plane_are_told_like_those_over_http(
    edge: RunningEdge, tenant: str, operator: str
) -> None:
    plane = open_plane(edge, tenant)
    with plane.client() as client:
        add = client.bind(plane.target, "add", "i>i")
        for _ in range(20):
            client.call(add, slots(1))
        fresh = client.bind(f"sha256:{COUNTER.digest}", "unreachable", ">")
        with pytest.raises(GuestTrap):
            client.call(fresh, b"")
        until(lambda: _document(edge, tenant)["outcomes"] == {"ok": 20, "trap": 1})
        found = _own(edge, operator, tenant)
        assert 0 < found["p50_seconds"] <= found["p99_seconds"] < 60  # type: ignore[operator]
        assert _document(edge, tenant)["sections"] == {"data plane": {"leases": 1, "calls": 21}}
        metrics = edge.ask("GET", "/v1/metrics", operator).body.decode()
        assert f'lawow_calls_total{{outcome="ok",tenant="{tenant_label(tenant)}"}} 20.0' in metrics
    edge.ask("DELETE", f"/v1/leases/{plane.lease}", tenant)


def _document(edge: RunningEdge, who: str) -> dict[str, object]:
    reply = edge.ask("GET", "/v1/overview", who)
    assert reply.status == 200, reply.body
    return reply.json


def _names(document: dict[str, object]) -> set[str]:
    tenants = document["tenants"]
    assert isinstance(tenants, list)
    return {item["tenant"] for item in tenants}


def _own(edge: RunningEdge, who: str, tenant: str) -> dict[str, object]:
    tenants = _document(edge, who)["tenants"]
    assert isinstance(tenants, list)
    [found] = [item for item in tenants if item["tenant"] == tenant]
    assert isinstance(found, dict)
    return found


def test_a_tenant_sees_itself_alone_and_the_operator_all(
    edge: RunningEdge, tenant: str, operator: str
) -> None:
    for name in (tenant, f"{tenant}-other"):
        edge.put(name, SORTS.wasm, SORTS.digest)
        edge.call(name, SORTS.digest, "nothing")
    mine = _document(edge, tenant)
    assert mine["tenant"] == tenant
    assert mine["outcomes"] == {"ok": 1}
    assert f"{tenant}-other" not in json.dumps(mine)
    OverviewDocument.model_validate(mine, strict=True)
    every = _document(edge, operator)
    assert every["tenant"] is None
    until(lambda: {tenant, f"{tenant}-other"} <= _names(_document(edge, operator)))


@pytest.mark.parametrize("path", ["/v1/overview", "/v1/overview/events"])
def test_a_token_for_some_modules_or_for_other_scopes_is_refused(
    edge: RunningEdge, tenant: str, path: str
) -> None:
    for terms in (TokenTerms(modules=(f"sha256:{SORTS.digest}",)), TokenTerms(("call", "upload", "admin"))):
        edge.tokens["limited"] = issue_token(edge.data, tenant, terms)
        assert edge.ask("GET", path, "limited").refused_with(403, "forbidden")


def test_the_page_is_public_and_has_nothing_of_the_edge(edge: RunningEdge, tenant: str) -> None:
    reply = edge.ask("GET", "/")
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    policies = reply.headers.get_all("Content-Security-Policy")
    assert policies is not None
    assert len(policies) == 1
    assert "unsafe" not in policies[0]
    assert policies[0].startswith("default-src 'none'; script-src 'sha256-")
    assert edge.ask("GET", "/", tenant).body == reply.body
    assert not [
        text for text in (b"http://", b"https://") if text in reply.body.replace(b"http://www.w3.org", b"")
    ]


@contextmanager
def stream(edge: RunningEdge, tenant: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(*edge.address, timeout=20)
    try:
        headers = {"Authorization": f"Bearer {edge.token(tenant)}"}
        connection.request("GET", "/v1/overview/events", headers=headers)
        yield connection.getresponse()
    finally:
        connection.close()


def test_the_stream_tells_each_second_and_ends_by_itself(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data", overview_stream_seconds=1.5) as edge, edge.client("acme") as client:
        edge.put("acme", SORTS.wasm, SORTS.digest)
        edge.open_session("acme", SORTS.digest)  # a worker is there, and has the code
        seen = []
        for document in watch_overview(client):
            seen.append(document["outcomes"])
            edge.call("acme", SORTS.digest, "nothing")
        assert seen[:2] == [{}, {"ok": 1}]
        with stream(edge, "acme") as response:
            assert response.headers["Content-Type"] == "text/event-stream"
            assert response.headers["Cache-Control"] == "no-store"
            assert response.read().endswith(b"event: end\ndata: {}\n\n")


def test_streams_are_few_and_their_places_come_back(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data", overview_listeners_per_tenant=1, overview_listeners=2) as edge:
        with stream(edge, "one") as first:
            assert first.status == 200
            assert _limit_met(edge, "one") == "overview_listeners_per_tenant"
            with stream(edge, "two") as second:
                assert second.status == 200
                assert _limit_met(edge, "three") == "overview_listeners"
        until(lambda: _limit_met(edge, "three") is None)


def _limit_met(edge: RunningEdge, tenant: str) -> str | None:
    """Return the name of the limit that a stream is refused by, None if it begins."""
    with stream(edge, tenant) as response:
        if response.status == 200:
            return None
        assert (response.status, response.headers["Lawow-Error"]) == (429, "busy")
        return str(json.loads(response.read())["detail"]).rpartition(" ")[2]


def test_streams_tell_that_the_edge_drains_and_do_not_hold_it_up(tmp_path: Path) -> None:
    data = tmp_path / "data"
    command = [sys.executable, "-m", "lawow", "serve", "--port", "0", "--json", "--data", str(data)]
    with running_edge(data, command=[*command, "--drain", "1.5"]) as edge, edge.client("acme") as client:
        states = []
        for document in watch_overview(client):
            states.append(document["state"])
            if len(states) == 1:
                edge.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert edge.process.wait(timeout=20) == 0
        assert time.monotonic() - started < 5
        assert states[0] == "ready"
        assert "draining" in states
        assert "Traceback" not in edge.log.read_text()


def test_an_edge_with_a_full_disk_says_so(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data", ready_free_bytes=1 << 60) as edge:
        document = _document(edge, "acme")
        assert document["state"] == "not-ready"
        assert "ready_free_bytes" in str(document["reason"])


def test_tenants_and_leases_are_bounded_and_counted(tmp_path: Path) -> None:
    database = Database(DataFolder(tmp_path / "data").database)
    book = LeaseBook(database, time.time)
    with database.transaction() as connection:
        connection.executemany(
            "INSERT INTO leases (id, tenant, digest, host, state, reason, is_held, created_unix, "
            "expires_unix, received_bytes, shared_lease, token_sha256) "
            "VALUES (?, 'holder', 'ab', 'here', 'connected', '', 1, ?, 1e12, 0, '', ?)",
            [(f"{number:032x}", float(number), number.to_bytes(4)) for number in range(LEASES + 20)],
        )
    meter = Meter(database, Tenants(database).policy)
    overview = Overview(Supervisor(lambda *_, **__: None), book, meter, Readiness(tmp_path, 0))
    for number in range(300):
        overview.observe_call(CallFacts(f"t{number}", "ab", "ok", 0.0, 0.1, 0.1, 0.1, 0.3, None))
    overview.add_section("data_plane", lambda tenant: {"channels": 7 if tenant is None else 1})
    whole = asyncio.run(overview.document(None))
    names = [item["tenant"] for item in whole["tenants"]]  # type: ignore[attr-defined]
    assert len(names) == TENANTS
    assert names == sorted(f"t{number}" for number in range(300 - TENANTS, 300))
    assert whole["tenants_left_off"] == 1  # the one that holds the leases
    assert whole["outcomes"] == {"ok": 300}
    assert whole["lease_states"] == {"connected": LEASES + 20}
    assert whole["leases_left_off"] == 20
    assert whole["leases"][0]["lease"] == f"{LEASES + 19:032x}"  # type: ignore[index]
    assert whole["sections"] == {"data_plane": {"channels": 7}}
    assert asyncio.run(overview.document("t0"))["outcomes"] == {}
    OverviewDocument.model_validate(whole, strict=True)


def test_a_call_of_a_module_that_nobody_has_counts_as_what_it_is(edge: RunningEdge, tenant: str) -> None:
    edge.call(tenant, numbered(99).digest, "number")
    assert _document(edge, tenant)["outcomes"] == {"not-found": 1}
