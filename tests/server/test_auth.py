"""Tokens: what is taken for one, when it ends, and how guessing is slowed down."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.tenants import Identity, Tenants
from lawow.server.auth import Authenticator, FailureLimiter
from lawow.server.problems import Problem
from tests.server.running import running_edge


@pytest.fixture
def tenants(tmp_path: Path) -> Tenants:
    return Tenants(Database(DataFolder(tmp_path / "data").database))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_in_force_names_its_tenant(tenants: Tenants, scheme: str) -> None:
    token = tenants.issue("acme").token
    identity = Authenticator(tenants).identify([f"{scheme} {token}".encode()], "192.0.2.1")
    assert isinstance(identity, Identity)
    assert identity.tenant == "acme"
    assert identity.scopes == {"call", "read", "upload"}


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic YTpi",
        b"Bearer \xff\xfe",
        b"Bearer lawow_x",
        b"Bearer " + b"a" * 300,
    ],
)
def test_anything_else_is_unauthorized(tenants: Tenants, header: bytes) -> None:
    answer = Authenticator(tenants).identify([header], "192.0.2.1")
    assert isinstance(answer, Problem)
    assert answer.status == 401
    assert (b"www-authenticate", b"Bearer") in answer.headers()


def test_two_tokens_in_one_request_are_none(tenants: Tenants) -> None:
    header = f"Bearer {tenants.issue('acme').token}".encode()
    assert isinstance(Authenticator(tenants).identify([header, header], "192.0.2.1"), Problem)


def test_failures_are_limited_by_address_and_refill_with_time() -> None:
    now = [0.0]
    limiter = FailureLimiter(5, clock=lambda: now[0])
    assert [limiter.count("192.0.2.1") for _ in range(5)] == [None] * 5
    assert limiter.count("192.0.2.1") == pytest.approx(12)
    assert limiter.count("192.0.2.2") is None
    now[0] = 12.0
    assert limiter.count("192.0.2.1") is None
    assert limiter.count("192.0.2.1") == pytest.approx(12)


def test_an_ipv6_host_cannot_change_its_address_within_its_network() -> None:
    limiter = FailureLimiter(1, clock=lambda: 0.0)
    assert limiter.count("2001:db8::1") is None
    assert limiter.count("2001:db8::2") is not None
    assert limiter.count("2001:db8:0:1::1") is None
    assert limiter.count("::ffff:192.0.2.1") is None
    assert limiter.count("192.0.2.1") is not None


def test_the_memory_of_addresses_is_bounded() -> None:
    limiter = FailureLimiter(1, clock=lambda: 0.0)
    for number in range(11_000):
        limiter.count(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(limiter._rates) == 10_000


@pytest.mark.promise("N4")
def test_guessing_is_answered_429_while_the_right_token_still_works(tmp_path: Path) -> None:
    """All phones behind one carrier's gateway share an address: one broken phone must not lock them out."""
    with running_edge(tmp_path / "data") as edge:
        wrong = {"Authorization": "Bearer lawow_" + "A" * 43}
        replies = [edge.ask("GET", "/v1/modules", headers=wrong) for _ in range(8)]
        assert [reply.status for reply in replies] == [401] * 5 + [429] * 3
        assert replies[-1].refused_with(429, "too-many-failures")
        assert 1 <= int(replies[-1].headers["Retry-After"]) <= 12
        assert edge.ask("GET", "/v1/modules", "acme").status == 200
        assert edge.log.read_text().count("status=401") == 5
        assert "status=429" not in edge.log.read_text()
        assert edge.token("acme") not in edge.log.read_text()


def test_a_revoked_token_ends_at_once_while_the_server_runs(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data") as edge:
        assert edge.ask("GET", "/v1/modules", "acme").status == 200
        database = Database(DataFolder(edge.data).database)
        tenants = Tenants(database)
        tenants.revoke(tenants.tokens()[0].id)
        database.close()
        assert edge.ask("GET", "/v1/modules", "acme").refused_with(401, "unauthorized")
