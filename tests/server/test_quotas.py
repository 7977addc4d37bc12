"""Quotas over HTTP: each is named where it is hit, and changed while the edge runs."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.meter import read_usage
from lawow.edge.policies import current_day
from lawow.edge.tenants import Tenants, TokenTerms
from tests.edge.builders import all_sorts, numbered
from tests.server.running import Reply, RunningEdge, issue_token, running_edge, until

NUMBER = numbered(7)


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[RunningEdge]:
    """An edge that writes usage five times in a second."""
    with running_edge(tmp_path / "data", usage_flush_seconds=0.2) as running:
        yield running


def set_quotas(edge: RunningEdge, tenant: str, **quotas: int | None) -> None:
    edge.token(tenant)
    database = Database(DataFolder(edge.data).database)
    Tenants(database).change(tenant, quotas)
    database.close()


def usage(data: Path, tenant: str) -> tuple[int, float]:
    database = Database(DataFolder(data).database)
    found = read_usage(database, tenant, current_day())
    database.close()
    return found.calls, found.cpu_seconds


def refused_for(reply: Reply, quota: str, limit: int) -> bool:
    assert reply.refused_with(429, "quota-exceeded")
    assert (reply.json["quota"], reply.json["limit"]) == (quota, limit)
    assert "lawow t" in str(reply.json["detail"])  # the command that raises it
    return int(reply.headers["Retry-After"]) >= 1


def test_the_calls_of_a_day_end_and_more_are_given_without_a_restart(edge: RunningEdge, tenant: str) -> None:
    edge.put(tenant, NUMBER.wasm, NUMBER.digest)
    set_quotas(edge, tenant, calls=2)
    assert [edge.call(tenant, NUMBER.digest, "number").status for _ in range(2)] == [200, 200]
    assert refused_for(edge.call(tenant, NUMBER.digest, "number"), "calls", 2)
    assert refused_for(edge.ask("POST", f"/v1/modules/sha256:{NUMBER.digest}/sessions", tenant), "calls", 2)
    set_quotas(edge, tenant, calls=3)
    assert edge.call(tenant, NUMBER.digest, "number").status == 200


def test_processor_time_is_counted_also_for_calls_that_are_stopped(edge: RunningEdge, tenant: str) -> None:
    sorts = all_sorts()
    edge.put(tenant, sorts.wasm, sorts.digest)
    set_quotas(edge, tenant, cpu_seconds=1)
    stopped = 0
    while (reply := edge.call(tenant, sorts.digest, "loop", deadline_seconds=0.5)).status == 504:
        stopped += 1
        assert stopped < 40  # on a busy machine half a second of time is less of a processor's
    assert stopped >= 2
    assert refused_for(reply, "cpu_seconds", 1)


def test_a_rate_is_that_of_the_tenant_and_of_the_token(edge: RunningEdge, new_tenant) -> None:
    one, other = new_tenant(), new_tenant()
    set_quotas(edge, one, requests_per_second=0)
    assert refused_for(edge.ask("GET", "/v1/modules", one), "requests_per_second", 0)
    assert f"tenant={one} " not in edge.log.read_text()  # a flood is counted, and fills no disk
    assert edge.ask("GET", "/v1/modules", other).status == 200
    edge.tokens["slow"] = issue_token(edge.data, other, TokenTerms(requests_per_second=1))
    replies = [edge.ask("GET", "/v1/modules", "slow") for _ in range(6)]
    assert replies[0].status == 200
    assert refused_for(next(reply for reply in replies if reply.status == 429), "requests_per_second", 1)
    assert edge.ask("GET", "/v1/modules", other).status == 200


def test_connections_of_a_tenant_are_limited_and_given_back(edge: RunningEdge, tenant: str) -> None:
    set_quotas(edge, tenant, connections=1)
    headers = {"Authorization": f"Bearer {edge.token(tenant)}"}
    kept = http.client.HTTPConnection(*edge.address, timeout=10)
    for _ in range(2):  # a connection is counted once, however many requests it carries
        kept.request("GET", "/v1/modules", headers=headers)
        response = kept.getresponse()
        response.read()
        assert response.status == 200
    refused = edge.ask("GET", "/v1/modules", tenant)
    assert refused_for(refused, "connections", 1)
    assert refused.headers["Connection"] == "close"
    kept.close()
    until(lambda: edge.ask("GET", "/v1/modules", tenant).status == 200)


def test_modules_and_sessions_are_limited_for_one_tenant_alone(edge: RunningEdge, new_tenant) -> None:
    one, other = new_tenant(), new_tenant()
    set_quotas(edge, one, modules=1, sessions=1)
    assert edge.put(one, NUMBER.wasm, NUMBER.digest).status == 201
    more = numbered(8)
    reply = edge.put(one, more.wasm, more.digest)
    assert reply.refused_with(413, "too-large")
    assert "lawow tenant set NAME --modules" in str(reply.json["detail"])
    assert edge.put(other, NUMBER.wasm, NUMBER.digest).status == 201
    assert edge.put(other, more.wasm, more.digest).status == 201
    edge.open_session(one, NUMBER.digest)
    again = edge.ask("POST", f"/v1/modules/sha256:{NUMBER.digest}/sessions", one)
    assert again.refused_with(429, "busy")
    assert "--sessions" in str(again.json["detail"])
    set_quotas(edge, one, module_bytes=1)
    assert edge.put(one, more.wasm, more.digest).refused_with(413, "too-large")


def test_memory_is_the_tenants_own_and_another_one_starts_another_worker(
    edge: RunningEdge, tenant: str
) -> None:
    sorts = all_sorts()
    edge.put(tenant, sorts.wasm, sorts.digest)
    set_quotas(edge, tenant, memory_bytes=2 << 20)
    assert edge.call(tenant, sorts.digest, "grow").json["results"] == [17]
    before = edge.workers()[tenant]
    set_quotas(edge, tenant, memory_bytes=3 << 20)
    assert edge.call(tenant, sorts.digest, "grow").json["results"] == [33]
    assert edge.workers()[tenant] != before


def test_usage_outlives_a_crash_but_for_the_last_moments(quick: RunningEdge, tmp_path: Path) -> None:
    quick.put("acme", NUMBER.wasm, NUMBER.digest)
    for _ in range(5):
        assert quick.call("acme", NUMBER.digest, "number").status == 200
    until(lambda: usage(quick.data, "acme")[0] == 5)
    quick.kill()
    with running_edge(tmp_path / "data") as again:
        set_quotas(again, "acme", calls=6)
        assert again.call("acme", NUMBER.digest, "number").status == 200
        assert refused_for(again.call("acme", NUMBER.digest, "number"), "calls", 6)
        assert usage(again.data, "acme")[0] == 5  # nothing was written for a single call
        assert again.stop() == 0
        assert usage(again.data, "acme")[0] == 6


def test_a_removed_tenant_is_nobody_at_once(edge: RunningEdge, tenant: str) -> None:
    edge.put(tenant, NUMBER.wasm, NUMBER.digest)
    database = Database(DataFolder(edge.data).database)
    Tenants(database).remove(tenant)
    database.close()
    assert edge.call(tenant, NUMBER.digest, "number").status in (401, 429)
