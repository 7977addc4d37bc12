"""No tenant reaches what is another's: every route, asked by the owner, another tenant, and nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lawow.edge.policies import SCOPES
from lawow.edge.tenants import TokenTerms
from lawow.server.control_descriptions import CONTROL_ROUTES
from lawow.server.descriptions import ROUTES, RouteDescription
from lawow.server.overview_schemas import OVERVIEW_ROUTES
from lawow.server.rest_models import MODEL_ROUTES
from tests.edge.builders import bundle_of, numbered
from tests.server.running import Reply, RunningEdge, issue_token

OWNED = numbered(1000)
ASKED = (*ROUTES, *OVERVIEW_ROUTES)
BODIES = {
    "put_module": (OWNED.wasm, "application/wasm"),
    "post_bundle": (bundle_of({"a.wasm": OWNED}), "application/java-archive"),
    "call": (b'{"arguments": []}', "application/json"),
    "call_in_session": (b'{"arguments": []}', "application/json"),
}
REVEALS = {
    "list_modules": lambda reply: OWNED.digest in str(reply.json),
    "show_module": lambda reply: reply.status == 200,
    "call": lambda reply: reply.status == 200,
    "open_session": lambda reply: reply.status == 201,
    "call_in_session": lambda reply: reply.status == 200,
    "show_state": lambda reply: reply.status == 200,
    "close_session": lambda reply: reply.status == 204,
}
"""Routes whose answer shows that somebody has it. The others write to the asking tenant alone."""


@pytest.fixture(scope="module")
def owner(edge: RunningEdge) -> str:
    edge.tokens["owner"] = issue_token(edge.data, "owner", TokenTerms(tuple(SCOPES)))
    assert edge.put("owner", OWNED.wasm, OWNED.digest).status == 201
    return "owner"


def request(edge: RunningEdge, route: RouteDescription, tenant: str | None) -> Reply:
    path = route.path.replace("{digest}", f"sha256:{OWNED.digest}").replace("{name:path}", "number")
    if "{session}" in path:
        path = path.replace("{session}", edge.open_session("owner", OWNED.digest))
    body, media_type = BODIES.get(route.handler, (None, ""))
    return edge.ask(route.method, path, tenant, body, {"Content-Type": media_type} if body else {})


@pytest.mark.parametrize("route", ASKED, ids=lambda route: route.handler)
def test_the_owner_is_served(edge: RunningEdge, owner: str, route: RouteDescription) -> None:
    reply = request(edge, route, owner)
    assert reply.status in (200, 201, 204)
    if route.handler in REVEALS:
        assert REVEALS[route.handler](reply)


@pytest.mark.promise("N7")
@pytest.mark.parametrize("route", ASKED, ids=lambda route: route.handler)
def test_another_tenant_learns_nothing(
    edge: RunningEdge, owner: str, route: RouteDescription, new_tenant: Callable[[], str]
) -> None:
    """404 as for what nobody has, never 403; uploading the same bytes is answered as if they were new."""
    reply = request(edge, route, new_tenant())
    if route.handler in REVEALS:
        assert not REVEALS[route.handler](reply)
        assert reply.status in (200, 404)
    assert owner.encode() not in reply.body
    if route.handler == "put_module":
        assert reply.status == 201


@pytest.mark.parametrize("route", ASKED, ids=lambda route: route.handler)
def test_nobody_without_a_token_is_served_but_with_the_health(
    edge: RunningEdge, owner: str, route: RouteDescription
) -> None:
    reply = request(edge, route, None)
    if route.needs_token:
        assert reply.status in (401, 429)
        assert reply.code in ("unauthorized", "too-many-failures")
    else:
        assert reply.status == 200


def test_an_unknown_module_and_another_tenants_give_the_same_answer(
    edge: RunningEdge, owner: str, tenant: str
) -> None:
    other = edge.ask("GET", f"/v1/modules/sha256:{OWNED.digest}", tenant)
    unknown = edge.ask("GET", f"/v1/modules/sha256:{'0' * 64}", tenant)
    assert other.body.replace(OWNED.digest.encode(), b"") == unknown.body.replace(b"0" * 64, b"")
    assert other.status == unknown.status == 404


def test_a_session_of_another_tenant_and_one_that_never_was_give_the_same_answer(
    edge: RunningEdge, owner: str, tenant: str
) -> None:
    session = edge.open_session(owner, OWNED.digest)
    for method, path in (("DELETE", ""), ("GET", "/state"), ("POST", "/exports/number/calls")):
        is_call = method == "POST"
        body, headers = (
            (b'{"arguments": []}', {"Content-Type": "application/json"}) if is_call else (None, {})
        )
        replies = [
            edge.ask(method, f"/v1/sessions/{name}{path}", tenant, body, headers)
            for name in (session, "0" * 32)
        ]
        assert replies[0].body == replies[1].body
        assert replies[0].refused_with(404, "not-found")
    assert edge.call_in_session(owner, session, "number").json["results"] == [1000]


def test_the_table_holds_every_route_of_the_application(edge: RunningEdge) -> None:
    paths = edge.ask("GET", "/openapi.json").json["paths"]
    assert isinstance(paths, dict)
    served = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    assert served == {
        (route.method, route.path.replace(":path", "")) for route in (*ASKED, *CONTROL_ROUTES, *MODEL_ROUTES)
    }


@pytest.mark.parametrize(
    "name",
    ["..", "sha256:..", "sha256:" + "A" * 64, "sha256:" + "0" * 63, "sha256:%2e%2e%2f" + "0" * 55, "md5:0"],
)
def test_names_that_are_no_digests_find_nothing(edge: RunningEdge, tenant: str, name: str) -> None:
    for method, body in (("GET", None), ("PUT", b"x")):
        reply = edge.ask(method, f"/v1/modules/{name}", tenant, body, {"Content-Type": "application/wasm"})
        assert reply.status in (404, 405)
    names = [path.name for path in (edge.data / "blobs").rglob("*") if path.is_file()]
    assert all(len(name) == 64 for name in names)


def test_every_tenant_has_a_worker_of_its_own(
    edge: RunningEdge, owner: str, new_tenant: Callable[[], str]
) -> None:
    tenants = [owner, new_tenant()]
    for tenant in tenants:
        edge.put(tenant, OWNED.wasm, OWNED.digest)
        assert edge.call(tenant, OWNED.digest, "number").json["results"] == [1000]
    processes = edge.workers()
    assert processes[tenants[0]] != processes[tenants[1]]


def test_a_worker_has_no_secret_of_the_server_and_no_file_open(edge: RunningEdge, owner: str) -> None:
    """Neither environment nor descriptors; the log and the database are the server's alone."""
    edge.call(owner, OWNED.digest, "number")
    process = Path(f"/proc/{edge.workers()[owner]}")
    assert b"SECRET" not in (process / "environ").read_bytes()
    targets = sorted(str(path.readlink()) for path in (process / "fd").iterdir())
    assert targets[0] == targets[1] == "/dev/null"
    kinds = [target.split(":")[0] for target in targets[2:] if "event" not in target]
    # The supervisor's, and one for handed-over connections, of which the supervisor reads nothing; besides
    # there is what a data plane waits with, which is no way to anywhere.
    assert kinds == ["socket", "socket"]
    status = (process / "status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert "Max core file size        0" in (process / "limits").read_text()
    assert (process / "oom_score_adj").read_text() == "1000\n"
