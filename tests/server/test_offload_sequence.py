"""The offload sequence over HTTP: every step, what ends it, and who may what."""

from __future__ import annotations

import hashlib
import http.client
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from lawow.server.control_descriptions import CONTROL_ROUTES, RouteDescription
from tests.edge.builders import Module, module_of, numbered
from tests.server.running import JSON, Reply, RunningEdge, running_edge, until

COUNTER = module_of(
    """(module (global $n (mut i32) (i32.const 0))
  (func (export "add") (param i32) (result i32)
    (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n))
  (func (export "unreachable") unreachable))"""
)
KEY = "key-number-0123456789"


def post(edge: RunningEdge, tenant: str, path: str, document: object, key: str | None = None) -> Reply:
    headers = JSON if key is None else {**JSON, "Idempotency-Key": key}
    return edge.ask("POST", path, tenant, json.dumps(document).encode(), headers)


def request(edge: RunningEdge, tenant: str, module: Module = COUNTER, **more: object) -> Reply:
    return post(edge, tenant, "/v1/offload-requests", {"module": f"sha256:{module.digest}", **more})


def granted(edge: RunningEdge, tenant: str, module: Module = COUNTER, **more: object) -> dict[str, object]:
    """Return a lease that the provider selected."""
    lease = request(edge, tenant, module, choice="provider", **more).json["lease"]
    assert isinstance(lease, dict)
    return lease


def patch(
    edge: RunningEdge,
    tenant: str,
    lease: object,
    data: bytes,
    offset: int,
    *,
    last: bool = False,
    method: str = "PATCH",
) -> Reply:
    headers = {"Content-Type": "application/partial-upload", "Upload-Offset": str(offset)}
    headers["Upload-Complete"] = "?1" if last else "?0"
    return edge.ask(method, f"/v1/leases/{lease}/module", tenant, data, headers)


def add(edge: RunningEdge, tenant: str, lease: object, number: int) -> Reply:
    body = json.dumps({"arguments": [number]}).encode()
    return edge.ask("POST", f"/v1/leases/{lease}/exports/add/calls", tenant, body, JSON)


def connected(edge: RunningEdge, tenant: str) -> object:
    """Return the name of a lease whose instance was called once."""
    lease = granted(edge, tenant)["lease"]
    if edge.ask("HEAD", f"/v1/leases/{lease}/module", tenant).headers["Upload-Complete"] == "?0":
        assert patch(edge, tenant, lease, COUNTER.wasm, 0, last=True).status == 204
    assert edge.ask("PUT", f"/v1/leases/{lease}/instance", tenant).json["state"] == "initialised"
    assert add(edge, tenant, lease, 1).json["results"] == [1]
    return lease


def test_the_six_steps_and_what_follows_them(edge: RunningEdge, tenant: str) -> None:
    """Cold, dormant and warm again; the state of a rested instance is gone, its code is not."""
    answer = request(edge, tenant, requirements={"engine": "wasmtime", "memory_bytes": 1 << 20})
    assert (answer.status, answer.json["state"], answer.json["lease"]) == (201, "offered", None)
    offers = answer.json["offers"]
    assert isinstance(offers, list)
    lease = post(edge, tenant, "/v1/leases", {"offer": offers[0]["offer"]}).json
    assert (lease["state"], lease["module_is_present"]) == ("reserved", False)
    assert len(str(lease["token"])) >= 43
    path = f"/v1/leases/{lease['lease']}"
    assert edge.ask("PUT", f"{path}/instance", tenant).refused_with(409, "conflict")
    half = len(COUNTER.wasm) // 2
    assert patch(edge, tenant, lease["lease"], COUNTER.wasm[:half], 0).headers["Upload-Offset"] == str(half)
    assert edge.ask("GET", path, tenant).json["state"] == "transferring"
    assert patch(edge, tenant, lease["lease"], COUNTER.wasm, 0).refused_with(409, "conflict")
    told = edge.ask("HEAD", f"{path}/module", tenant).headers
    assert (told["Upload-Offset"], told["Upload-Complete"]) == (str(half), "?0")
    third = half + 10  # by POST, as clients whose HTTP library has no PATCH do
    posted = patch(edge, tenant, lease["lease"], COUNTER.wasm[half:third], half, method="POST")
    assert posted.headers["Upload-Offset"] == str(third)
    done = patch(edge, tenant, lease["lease"], COUNTER.wasm[third:], third, last=True)
    assert (done.status, done.headers["Upload-Complete"]) == (204, "?1")
    assert edge.ask("PUT", f"{path}/instance", tenant).json["state"] == "initialised"
    assert [add(edge, tenant, lease["lease"], 5).json["results"] for _ in range(2)] == [[5], [10]]
    assert edge.ask("GET", path, tenant).json["state"] == "connected"
    assert "token" not in edge.ask("GET", path, tenant).json
    assert edge.ask("DELETE", f"{path}/instance", tenant).json["state"] == "dormant"
    assert add(edge, tenant, lease["lease"], 1).refused_with(409, "conflict")
    assert edge.ask("PUT", f"{path}/instance", tenant).json["state"] == "initialised"
    assert add(edge, tenant, lease["lease"], 1).json["results"] == [1]
    renewed = edge.ask("PUT", path, tenant).json
    assert float(str(renewed["expires_unix"])) > float(str(lease["expires_unix"]))
    assert edge.ask("DELETE", path, tenant).json["state"] == "recalled"
    assert edge.ask("GET", path, tenant).json["state"] == "recalled"
    for reply in (add(edge, tenant, lease["lease"], 1), edge.ask("PUT", path, tenant)):
        assert reply.refused_with(410, "lease-ended")
    warm = granted(edge, tenant)
    assert (warm["module_is_present"], warm["state"]) == (True, "reserved")
    assert patch(edge, tenant, warm["lease"], b"x", 0).refused_with(409, "conflict")


def test_a_trap_lets_the_lease_rest_and_says_why(edge: RunningEdge, tenant: str) -> None:
    lease = connected(edge, tenant)
    body = b'{"arguments": []}'
    path = f"/v1/leases/{lease}"
    trapped = edge.ask("POST", f"{path}/exports/unreachable/calls", tenant, body, JSON)
    assert trapped.refused_with(422, "trap")
    shown = edge.ask("GET", path, tenant).json
    assert shown["state"] == "dormant"
    assert "trapped" in str(shown["reason"])


def test_a_post_with_the_same_key_has_its_effect_once_and_the_same_answer(
    edge: RunningEdge, tenant: str
) -> None:
    """The token comes again to whoever has the key, and stands in clear nowhere on the disk."""
    asked = {"module": f"sha256:{COUNTER.digest}", "choice": "provider"}
    first, second = (post(edge, tenant, "/v1/offload-requests", asked, KEY) for _ in range(2))
    assert first.body == second.body
    listed = edge.ask("GET", "/v1/leases", tenant).json["leases"]
    assert isinstance(listed, list)
    assert len(listed) == 1
    other = post(edge, tenant, "/v1/offload-requests", {**asked, "choice": "mixed"}, KEY)
    assert other.refused_with(409, "conflict")
    assert post(edge, tenant, "/v1/offload-requests", asked, "short").refused_with(400, "bad-request")
    lease = first.json["lease"]
    assert isinstance(lease, dict)
    for path in edge.data.glob("edge.sqlite*"):
        data = path.read_bytes()
        assert str(lease["token"]).encode() not in data
        assert KEY.encode() not in data


def test_what_no_host_has_is_offered_by_none_with_the_reason(edge: RunningEdge, tenant: str) -> None:
    """Nothing is invented: what is not known of a host does not meet a requirement."""
    for name, value in {
        "engine": "wasmedge",
        "accelerator": "cuda",
        "cpu_cores": 100_000,
        "memory_bytes": 1 << 40,
        "engine_version": "5",
        "latency_seconds": 0.1,
        "price_ceiling": 1.0,
    }.items():
        answer = request(edge, tenant, requirements={name: value}).json
        assert (answer["state"], answer["offers"]) == ("requested", []), name
        assert "reasons" in str(answer["unmet"])
    near = request(edge, tenant, requirements={"latency_seconds": 0.1}, round_trip_seconds=0.05).json
    assert near["state"] == "offered"


def test_an_offer_is_selected_once(edge: RunningEdge, tenant: str) -> None:
    offers = request(edge, tenant).json["offers"]
    assert isinstance(offers, list)
    assert post(edge, tenant, "/v1/leases", {"offer": offers[0]["offer"]}).status == 201
    again = post(edge, tenant, "/v1/leases", {"offer": offers[0]["offer"]})
    assert again.refused_with(409, "conflict")


def test_a_module_with_another_digest_is_thrown_away_and_may_come_again(
    edge: RunningEdge, tenant: str
) -> None:
    lease = granted(edge, tenant)["lease"]
    assert patch(edge, tenant, lease, numbered(5).wasm, 0, last=True).refused_with(422, "bad-module")
    told = edge.ask("HEAD", f"/v1/leases/{lease}/module", tenant).headers
    assert told["Upload-Offset"] == "0"
    assert not (edge.data / "partial" / str(lease)).exists()
    assert patch(edge, tenant, lease, COUNTER.wasm, 0, last=True).status == 204


def test_what_came_before_a_lost_connection_is_kept(edge: RunningEdge, tenant: str) -> None:
    lease = granted(edge, tenant)["lease"]
    connection = http.client.HTTPConnection(*edge.address)
    connection.putrequest("PATCH", f"/v1/leases/{lease}/module")
    for name, value in {
        "Authorization": f"Bearer {edge.token(tenant)}",
        "Content-Type": "application/partial-upload",
        "Upload-Offset": "0",
        "Content-Length": str(len(COUNTER.wasm)),
    }.items():
        connection.putheader(name, value)
    connection.endheaders(COUNTER.wasm[:40])
    until(lambda: (edge.data / "partial" / str(lease)).exists())
    connection.close()

    def offset() -> str | None:
        return edge.ask("HEAD", f"/v1/leases/{lease}/module", tenant).headers["Upload-Offset"]

    until(lambda: offset() == "40")
    assert patch(edge, tenant, lease, COUNTER.wasm[40:], 40, last=True).status == 204


@pytest.fixture
def short(tmp_path: Path) -> Iterator[RunningEdge]:
    """An edge whose offers and leases end soon, and of which a tenant may have few."""
    limits = {"offer_seconds": 1.0, "lease_seconds": 3.0, "leases_per_tenant": 2, "requests_per_tenant": 3}
    with running_edge(tmp_path / "data", **limits) as running:
        yield running


@pytest.mark.promise("N10")
def test_offers_and_leases_end_by_themselves_and_free_what_they_held(short: RunningEdge) -> None:
    asked = request(short, "acme").json
    leases = [granted(short, "acme")["lease"] for _ in range(2)]
    assert patch(short, "acme", leases[0], COUNTER.wasm[:9], 0).status == 204
    assert request(short, "acme").refused_with(429, "busy")
    offers = asked["offers"]
    assert isinstance(offers, list)
    until(
        lambda: (
            short.ask("GET", f"/v1/offload-requests/{asked['request']}", "acme").json["state"] == "expired"
        )
    )
    late = post(short, "acme", "/v1/leases", {"offer": offers[0]["offer"]})
    assert late.refused_with(410, "lease-ended")
    assert request(short, "acme", choice="provider").refused_with(429, "busy")
    until(lambda: short.ask("GET", f"/v1/leases/{leases[0]}", "acme").json["state"] == "expired")
    until(lambda: not list((short.data / "partial").iterdir()))
    until(lambda: request(short, "acme", choice="provider").status == 201)


def test_a_device_is_redirected_to_a_shared_module_and_may_call_it_alone(
    edge: RunningEdge, tenant: str
) -> None:
    """Of the owner by name, of a granted tenant by owner and name; state and end are the owner's."""
    friend, stranger = f"{tenant}-friend", f"{tenant}-stranger"
    lease = connected(edge, tenant)
    body = json.dumps({"lease": lease, "tenants": [friend]}).encode()
    assert edge.ask("PUT", "/v1/shared-modules/map", tenant, body, JSON).status == 200
    joined = {}
    for who, name in ((tenant, "map"), (friend, f"{tenant}/map")):
        asked = {"shared": name, "choice": "provider"}
        answer = post(edge, who, "/v1/offload-requests", asked).json["lease"]
        assert isinstance(answer, dict)
        joined[who] = answer["lease"]
        assert (answer["is_shared"], answer["module_is_present"]) == (True, True)
        assert edge.ask("PUT", f"/v1/leases/{joined[who]}/instance", who).json["state"] == "initialised"
    assert add(edge, tenant, joined[tenant], 1).json["results"] == [2]
    assert add(edge, friend, joined[friend], 1).json["results"] == [3]
    assert add(edge, tenant, lease, 1).json["results"] == [4]
    state = f"/v1/leases/{joined[friend]}/state"
    assert edge.ask("GET", state, friend).refused_with(404, "not-found")
    for name in ("map", f"{tenant}/map", f"{tenant}/nothing"):
        unknown = post(edge, stranger, "/v1/offload-requests", {"shared": name})
        assert unknown.refused_with(404, "not-found")
    body = json.dumps({"lease": lease, "tenants": []}).encode()
    assert edge.ask("PUT", "/v1/shared-modules/map", tenant, body, JSON).status == 200
    assert add(edge, friend, joined[friend], 1).refused_with(410, "lease-ended")
    assert add(edge, tenant, joined[tenant], 1).json["results"] == [5]
    assert edge.ask("DELETE", f"/v1/leases/{lease}", tenant).status == 200
    assert add(edge, tenant, joined[tenant], 1).refused_with(410, "lease-ended")
    assert edge.ask("GET", "/v1/shared-modules", tenant).json == {"shared_modules": []}


@pytest.mark.promise("N7")
@pytest.mark.parametrize(
    "route",
    [route for route in CONTROL_ROUTES if "{" in route.path],
    ids=lambda route: route.handler,
)
def test_what_is_another_tenants_is_not_found(
    edge: RunningEdge, tenant: str, route: RouteDescription
) -> None:
    """Every route that names something answers a stranger as for what never was."""
    lease = connected(edge, "lessor")
    body = json.dumps({"lease": lease, "tenants": []}).encode()
    assert edge.ask("PUT", "/v1/shared-modules/atlas", "lessor", body, JSON).status == 200
    asked = request(edge, "lessor").json["request"]
    path = route.path.replace("{lease}", str(lease)).replace("{request_id}", str(asked))
    path = path.replace("{name:path}", "add").replace("{name}", "atlas")
    path = path.replace("{digest}", f"sha256:{COUNTER.digest}")
    parts = dict.fromkeys(("append_module", "post_module"), "application/partial-upload")
    kinds = {**parts, "write_state": "application/vnd.lawow.state"}
    headers = {"Content-Type": kinds.get(route.handler, "application/json"), "Upload-Offset": "0"}
    sent = body if route.handler == "share" else b'{"arguments": [1]}' if route.request else None
    reply = edge.ask(route.method, path, tenant, sent, headers)
    assert reply.status == 404
    edge.ask("DELETE", f"/v1/leases/{lease}", "lessor")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"module": 5}',
        b'{"module": "sha256:0"}',
        b'{"shared": "../x"}',
        b'{"shared": "a", "choice": "mine"}',
        b'{"shared": "a", "more": 1}',
        b'{"shared": "a", "requirements": {"cpu_cores": "1"}}',
        b'{"shared": "a", "requirements": {"latency_seconds": 1e400}}',
        b"[" * 50_000,
    ],
)
def test_a_document_that_is_none_is_refused_with_its_place(
    edge: RunningEdge, tenant: str, document: bytes
) -> None:
    reply = edge.ask("POST", "/v1/offload-requests", tenant, document, JSON)
    assert reply.refused_with(400, "bad-request")


@pytest.mark.promise("F2")
def test_leases_and_partial_uploads_outlive_the_server(tmp_path: Path) -> None:
    """After a kill the lease is there, the upload goes on where it was acknowledged, an instance rests."""
    with running_edge(tmp_path / "data") as edge:
        lease, begun = connected(edge, "acme"), granted(edge, "acme", numbered(7))["lease"]
        assert patch(edge, "acme", begun, numbered(7).wasm[:20], 0).status == 204
        edge.kill()
    with (tmp_path / "data" / "partial" / str(begun)).open("ab") as stream:
        stream.write(b"written, but never acknowledged")
    (tmp_path / "data" / "partial" / "left-over").write_bytes(b"x")
    with running_edge(tmp_path / "data") as edge:
        shown = edge.ask("GET", f"/v1/leases/{lease}", "acme").json
        assert (shown["state"], shown["reason"]) == ("dormant", "the edge was started again")
        assert [path.name for path in (edge.data / "partial").iterdir()] == [begun]
        done = patch(edge, "acme", begun, numbered(7).wasm[20:], 20, last=True)
        assert done.status == 204
        assert edge.ask("PUT", f"/v1/leases/{lease}/instance", "acme").json["state"] == "initialised"
        kept = (
            sqlite3.connect(edge.data / "edge.sqlite").execute("SELECT token_sha256 FROM leases").fetchall()
        )
        assert all(len(row[0]) == hashlib.sha256().digest_size for row in kept)
