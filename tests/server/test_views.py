"""Views: an instance's own picture over HTTP, for its own tenant alone, and only if it is a picture."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from lawow.device.control_client import ControlClient
from lawow.edge.tenants import TokenTerms
from tests.edge.builders import Module
from tests.pictures import png, showing
from tests.server.planes import open_plane
from tests.server.running import JSON, Reply, RunningEdge, issue_token

FIRST, SECOND = png(40, 30), png(40, 30, (196, 78, 82))


def shown(edge: RunningEdge, tenant: str, module: Module, export: str = "picture") -> str:
    """Return a lease whose instance has a view."""
    lease = open_plane(edge, tenant, module).lease
    reply = name_view(edge, tenant, lease, export)
    assert reply.status == 204, reply.body
    return lease


def name_view(edge: RunningEdge, tenant: str, lease: str, export: str) -> Reply:
    body = json.dumps({"export": export}).encode()
    return edge.ask("PUT", f"/v1/leases/{lease}/view", tenant, body, JSON)


def look(edge: RunningEdge, tenant: str, lease: str) -> Reply:
    return edge.ask("GET", f"/v1/leases/{lease}/view", tenant)


def lease_in_overview(edge: RunningEdge, tenant: str, lease: str) -> dict[str, object]:
    time.sleep(0.6)  # an overview may be half a second old
    leases = edge.ask("GET", "/v1/overview", tenant).json["leases"]
    assert isinstance(leases, list)
    return next(item for item in leases if item["lease"] == lease)


def test_the_picture_is_the_one_that_the_instance_returns(edge: RunningEdge, tenant: str) -> None:
    lease = shown(edge, tenant, showing(FIRST, SECOND))
    reply = look(edge, tenant, lease)
    assert (reply.status, reply.body) == (200, FIRST)
    assert reply.headers["Content-Type"] == "image/png"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_many_who_look_cost_one_call_a_second(edge: RunningEdge, tenant: str) -> None:
    lease = shown(edge, tenant, showing(FIRST, SECOND))
    started = time.monotonic()
    seen = [look(edge, tenant, lease).body for _ in range(5)]
    if time.monotonic() - started < 1:
        assert seen == [FIRST] * 5
    time.sleep(1.1)
    assert look(edge, tenant, lease).body != seen[-1]
    counted = edge.ask(
        "POST", f"/v1/leases/{lease}/exports/shown/calls", tenant, b'{"arguments": []}', JSON
    ).json["results"]
    assert counted[0] <= 2 + time.monotonic() - started  # type: ignore[index]


@pytest.mark.parametrize("picture", [b"<script>alert(1)</script>", FIRST[:12], png(2049, 1)])
def test_what_is_no_picture_is_not_handed_out_and_the_instance_goes_on(
    edge: RunningEdge, tenant: str, picture: bytes
) -> None:
    lease = shown(edge, tenant, showing(picture, FIRST))
    reply = look(edge, tenant, lease)
    assert reply.refused_with(422, "trap")
    assert reply.json["trap"] == "bad-result"
    assert picture not in reply.body
    assert look(edge, tenant, lease).body == FIRST


def test_a_view_that_traps_is_told_and_the_lease_rests(edge: RunningEdge, tenant: str) -> None:
    lease = shown(edge, tenant, showing(FIRST), "broken")
    assert look(edge, tenant, lease).json["trap"] == "unreachable"
    assert look(edge, tenant, lease).status in (409, 410)
    assert lease_in_overview(edge, tenant, lease)["has_view"] is False


def test_an_export_that_is_none_or_takes_arguments_is_refused(edge: RunningEdge, tenant: str) -> None:
    lease = open_plane(edge, tenant, showing(FIRST)).lease
    assert name_view(edge, tenant, lease, "absent").refused_with(404, "not-found")
    assert name_view(edge, tenant, lease, "add").refused_with(409, "signature-mismatch")
    assert look(edge, tenant, lease).refused_with(404, "not-found")


def test_a_view_can_be_hidden(edge: RunningEdge, tenant: str) -> None:
    lease = shown(edge, tenant, showing(FIRST))
    assert lease_in_overview(edge, tenant, lease)["has_view"] is True
    assert edge.ask("DELETE", f"/v1/leases/{lease}/view", tenant).status == 204
    assert look(edge, tenant, lease).refused_with(404, "not-found")
    assert lease_in_overview(edge, tenant, lease)["has_view"] is False


def test_looking_does_not_keep_a_lease_alive(edge: RunningEdge, tenant: str) -> None:
    lease = shown(edge, tenant, showing(FIRST))
    before = edge.ask("GET", f"/v1/leases/{lease}", tenant).json["expires_unix"]
    time.sleep(1.1)
    assert look(edge, tenant, lease).status == 200
    assert edge.ask("GET", f"/v1/leases/{lease}", tenant).json["expires_unix"] == before


@pytest.mark.promise("N7")
def test_a_view_is_its_own_tenants_alone(
    edge: RunningEdge, tenant: str, new_tenant: Callable[[], str]
) -> None:
    """Neither another tenant's nor, in the overview of all tenants, the operator's."""
    lease, stranger, operator = shown(edge, tenant, showing(FIRST)), new_tenant(), new_tenant()
    edge.tokens[operator] = issue_token(edge.data, operator, TokenTerms(("read", "admin", "call")))
    for other in (stranger, operator):
        assert look(edge, other, lease).refused_with(404, "not-found")
        assert name_view(edge, other, lease, "picture").refused_with(404, "not-found")
    assert lease_in_overview(edge, operator, lease)["has_view"] is False
    assert lease_in_overview(edge, tenant, lease)["has_view"] is True


def test_who_was_redirected_to_a_shared_instance_cannot_name_its_view(edge: RunningEdge, tenant: str) -> None:
    lease = shown(edge, tenant, showing(FIRST))
    with edge.client(tenant) as client:
        control = ControlClient(client)
        control.share("map", lease)
        asked = {"shared": "map", "choice": "provider", "requirements": {}}
        body = json.dumps(asked).encode()
        joined = edge.ask("POST", "/v1/offload-requests", tenant, body, JSON).json["lease"]
    assert isinstance(joined, dict)
    assert name_view(edge, tenant, joined["lease"], "picture").refused_with(404, "not-found")
