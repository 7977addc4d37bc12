"""Every route of the application, asked without a token, without its scope, and by another tenant.

The routes are those that the application really has, so a new one is tested as soon as it exists.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Route

from lawow.edge.policies import SCOPES
from lawow.edge.tenants import TokenTerms
from lawow.server.app import Edge, make_routes
from lawow.server.auth import SCOPE_KEY, scope_of
from lawow.server.guard import PUBLIC
from lawow.server.log import EventLog
from lawow.server.metrics import Metrics
from tests.edge.builders import numbered
from tests.server.running import Reply, RunningEdge, issue_token

OWNED = numbered(4711)
NOWHERE = "0" * 64
BODIES = {"share": json.dumps({"lease": "0" * 32}).encode()}
"""What routes take that read their body before they look anything up."""


def application_routes() -> list[Route]:
    with tempfile.TemporaryDirectory() as folder:
        edge = Edge(Path(folder), EventLog(io.StringIO()))
        app = make_routes(edge, Metrics(edge.handler.supervisor.load, lambda: 0, edge.meter))
        edge.database.close()
        edge.folder.release()
    return list(flat(app.routes))


def flat(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    """Routes of included routers too, which newer releases of FastAPI keep apart."""
    for route in routes:
        if isinstance(route, Route):
            yield route
        else:
            yield from flat(route.original_router.routes)  # type: ignore[attr-defined]


ROUTES = application_routes()
GUARDED = [route for route in ROUTES if route.path not in PUBLIC]


def name_of(route: Route) -> str:
    return route.name


@pytest.fixture(scope="module")
def owner(edge: RunningEdge) -> str:
    assert edge.put("scopes-owner", OWNED.wasm, OWNED.digest).status == 201
    return edge.open_session("scopes-owner", OWNED.digest)


def ask(edge: RunningEdge, route: Route, tenant: str | None, digest: str, session: str) -> Reply:
    path = route.path
    for name in route.param_convertors:
        value = {"digest": f"sha256:{digest}", "name": "number", "session": session}.get(name, session)
        path = path.replace(f"{{{name}:path}}", value).replace(f"{{{name}}}", value)
    methods = sorted(route.methods or set())
    method = next((method for method in methods if method != "HEAD"), "HEAD")
    described = (getattr(route, "openapi_extra", None) or {}).get("requestBody", {"content": {}})
    media_type = next(iter(described["content"]), "")
    body = BODIES.get(route.name, b'{"arguments": []}') if media_type == "application/json" else b"x"
    if not media_type:
        return edge.ask(method, path, tenant)
    return edge.ask(method, path, tenant, body, {"Content-Type": media_type})


@pytest.mark.promise("N7")
@pytest.mark.parametrize("route", GUARDED, ids=name_of)
def test_nobody_gets_in_without_a_token(edge: RunningEdge, owner: str, route: Route) -> None:
    reply = ask(edge, route, None, OWNED.digest, owner)
    assert reply.status in (401, 429)  # 429: the tests before this one guessed too often
    assert OWNED.digest.encode() not in reply.body


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
def test_a_token_without_the_scope_is_told_so_before_anything_is_looked_up(
    edge: RunningEdge, owner: str, route: Route
) -> None:
    """The owner's own token, so that the thing is there; and the answer is the same where nothing is."""
    needed = scope_of(route)
    assert needed in SCOPES
    others = tuple(scope for scope in SCOPES if scope != needed)
    edge.tokens["without"] = issue_token(edge.data, "scopes-owner", TokenTerms(others))
    there = ask(edge, route, "without", OWNED.digest, owner)
    absent = ask(edge, route, "without", NOWHERE, "0" * 32)
    assert there.refused_with(403, "forbidden")
    assert there.body == absent.body
    if "HEAD" not in (route.methods or set()):
        assert needed in str(there.json["detail"])


@pytest.mark.promise("N7")
@pytest.mark.parametrize("route", GUARDED, ids=name_of)
def test_another_tenant_with_every_scope_finds_nothing(
    edge: RunningEdge, owner: str, route: Route, tenant: str
) -> None:
    """Of the operator's scope it has what the route needs: with it, routes may tell about all tenants."""
    scopes = {"call", "read", "upload", scope_of(route) or ""}
    edge.tokens[tenant] = issue_token(edge.data, tenant, TokenTerms(tuple(sorted(scopes))))
    reply = ask(edge, route, tenant, OWNED.digest, owner)
    absent = ask(edge, route, tenant, NOWHERE, "0" * 32)
    assert reply.status == absent.status
    assert reply.status != 403
    if route.param_convertors and scope_of(route) != "upload":
        assert reply.refused_with(404, "not-found")
    assert b"scopes-owner" not in reply.body


def test_what_needs_no_token_is_listed_and_nothing_else(edge: RunningEdge) -> None:
    open_routes = {route.path for route in ROUTES if isinstance(route, APIRoute) and scope_of(route) is None}
    assert open_routes | {"/openapi.json"} == PUBLIC
    assert {route.path for route in ROUTES if not isinstance(route, APIRoute)} == {"/openapi.json"}
    for route in ROUTES:
        if isinstance(route, APIRoute):
            assert SCOPE_KEY in (route.openapi_extra or {})


def test_a_route_that_says_nothing_is_the_administrators() -> None:
    assert scope_of(Route("/forgotten", endpoint=lambda _: None)) == "admin"
    assert scope_of(None) == "admin"


def test_a_token_for_one_module_does_not_see_the_others(edge: RunningEdge, tenant: str) -> None:
    one, two = numbered(1), numbered(2)
    for module in (one, two):
        assert edge.put(tenant, module.wasm, module.digest).status == 201
    session = edge.open_session(tenant, two.digest)
    terms = TokenTerms(modules=(f"sha256:{one.digest}",))
    edge.tokens["limited"] = issue_token(edge.data, tenant, terms)
    assert edge.call("limited", one.digest, "number").json["results"] == [1]
    assert edge.call("limited", two.digest, "number").refused_with(404, "not-found")
    assert edge.call_in_session("limited", session, "number").refused_with(404, "not-found")
    assert edge.ask("DELETE", f"/v1/sessions/{session}", "limited").refused_with(404, "not-found")
    listed = edge.ask("GET", "/v1/modules", "limited").json["modules"]
    assert [item["digest"] for item in listed] == [f"sha256:{one.digest}"]  # type: ignore[attr-defined]
    assert edge.put("limited", two.wasm, two.digest).status == 404
    headers = {"Content-Type": "application/zip"}
    assert edge.ask("POST", "/v1/bundles", "limited", b"x", headers).refused_with(403, "forbidden")


def test_a_token_ends_at_its_time(edge: RunningEdge, tenant: str) -> None:
    edge.tokens["late"] = issue_token(edge.data, tenant, TokenTerms(expires_unix=1))
    assert edge.ask("GET", "/v1/modules", "late").status in (401, 429)
