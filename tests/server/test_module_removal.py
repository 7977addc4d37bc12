"""A module that is taken away: gone for its tenant, there for the others, and not from under what uses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.edge.builders import numbered
from tests.server.running import JSON, Reply, RunningEdge, running_edge

MODULE = numbered(77_000)
PATH = f"/v1/modules/sha256:{MODULE.digest}"


def remove(edge: RunningEdge, tenant: str) -> Reply:
    return edge.ask("DELETE", PATH, tenant)


def kept(edge: RunningEdge) -> list[str]:
    """Return the files of the module in the edge's data folder, by the folder that they lie in."""
    return sorted(
        path.relative_to(edge.data).parts[0]
        for path in edge.data.rglob("*")
        if path.is_file() and MODULE.digest in path.name
    )


def test_bytes_and_compiled_code_go_with_the_last_owner(
    edge: RunningEdge, tenant: str, new_tenant: Callable[[], str]
) -> None:
    other = new_tenant()
    for owner in (tenant, other):
        assert edge.put(owner, MODULE.wasm, MODULE.digest).status == 201
    both = kept(edge)
    assert remove(edge, tenant).status == 204
    assert edge.call(tenant, MODULE.digest, "number").refused_with(404, "not-found")
    assert edge.call(other, MODULE.digest, "number").json["results"] == [77_000]
    assert len(kept(edge)) == len(both) - 1
    assert remove(edge, other).status == 204
    assert kept(edge) == []
    assert remove(edge, other).refused_with(404, "not-found")
    assert edge.put(tenant, MODULE.wasm, MODULE.digest).status == 201
    assert edge.call(tenant, MODULE.digest, "number").json["results"] == [77_000]


def test_another_tenant_cannot_take_it_away(
    edge: RunningEdge, tenant: str, new_tenant: Callable[[], str]
) -> None:
    assert edge.put(tenant, MODULE.wasm, MODULE.digest).status == 201
    assert remove(edge, new_tenant()).refused_with(404, "not-found")
    assert edge.call(tenant, MODULE.digest, "number").status == 200


def test_it_stays_while_a_session_is_an_instance_of_it(edge: RunningEdge, tenant: str) -> None:
    with edge.client(tenant) as client:
        client.upload_module(MODULE.wasm)
        with client.open_session(MODULE.digest):
            assert remove(edge, tenant).refused_with(409, "conflict")
        client.remove_module(MODULE.digest)
        assert client.modules() == []


def test_it_stays_while_a_lease_is_for_it(edge: RunningEdge, tenant: str) -> None:
    assert edge.put(tenant, MODULE.wasm, MODULE.digest).status == 201
    asked = json.dumps({"module": f"sha256:{MODULE.digest}", "choice": "provider"}).encode()
    lease = edge.ask("POST", "/v1/offload-requests", tenant, asked, JSON).json["lease"]
    assert isinstance(lease, dict)
    refused = remove(edge, tenant)
    assert refused.refused_with(409, "conflict")
    assert str(lease["lease"]) in str(refused.json["detail"])
    assert edge.ask("DELETE", f"/v1/leases/{lease['lease']}", tenant).status == 200
    assert remove(edge, tenant).status == 204


def test_it_is_gone_after_a_restart_too(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_edge(data) as edge:
        assert edge.put("acme", MODULE.wasm, MODULE.digest).status == 201
        assert remove(edge, "acme").status == 204
        edge.kill()
        tokens = edge.tokens
    with running_edge(data) as edge:
        edge.tokens.update(tokens)
        assert edge.ask("GET", PATH, "acme").refused_with(404, "not-found")
        assert kept(edge) == []
