"""Sessions: state that stays, bounds on it, and every way in which it can end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lawow.device.edge_client import EdgeClient, EdgeProblem
from lawow.errors import GuestTrap, LimitExceeded
from tests.conftest import ROOT
from tests.edge.builders import Module, module_of, named, numbered
from tests.server.running import Reply, RunningEdge, running_edge, until

ARRAYS = named((ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes())
KEEPER = module_of(
    """(module
      (memory (export "memory") 1)
      (global $total (mut i32) (i32.const 0))
      (func (export "add") (param i32) (result i32)
        (global.set $total (i32.add (global.get $total) (local.get 0))) (global.get $total))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "pages") (result i32) (memory.size))
      (func (export "loop") (loop (br 0)))
      (func (export "trap") unreachable))"""
)
HIDDEN = module_of(
    """(module (memory 1) (global (mut externref) (ref.null extern))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"""
)
LEAVES = module_of(
    """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (func (export "leave") (call $exit (i32.const 0))) (func (export "stay")))"""
)


@pytest.fixture
def client(edge: RunningEdge, tenant: str) -> Iterator[EdgeClient]:
    with edge.client(tenant) as client:
        client.upload_module(KEEPER.wasm)
        yield client


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """An edge with few sessions and little memory."""
    with running_edge(
        tmp_path_factory.mktemp("small") / "data",
        sessions_per_tenant=3,
        memory_bytes=16 << 16,
        session_unseen_memory_bytes=4 << 16,
    ) as edge:
        yield edge


def keep(edge: RunningEdge, tenant: str, module: Module = KEEPER) -> Module:
    assert edge.put(tenant, module.wasm, module.digest).status in (200, 201)
    return module


def test_a_session_keeps_its_state_and_others_have_their_own(client: EdgeClient) -> None:
    with client.open_session(KEEPER.digest) as first, client.open_session(KEEPER.digest) as second:
        assert [first.call("add", "i>i", [n]).results for n in (1, 2, 3)] == [(1,), (3,), (6,)]
        assert second.call("add", "i>i", [10]).results == (10,)
        assert client.call(KEEPER.digest, "add", "i>i", [5]).results == (5,)
        assert first.call("add", "i>i", [0]).results == (6,)


def test_lists_go_into_a_session_again_and_again(client: EdgeClient) -> None:
    client.upload_module(ARRAYS.wasm)
    with client.open_session(ARRAYS.digest) as session:
        for round_ in range(1, 4):
            assert session.call("accumulate_all", "[i>i", [[1, 2, 3]]).results == (6 * round_,)
            outcome = session.call("reverse", "&[i>", [[round_, 0]])
            assert outcome.changed == {0: [0, round_]}
        with pytest.raises(EdgeProblem) as refused:
            session.call("squares", "i>[i", [1_000_000])
        assert refused.value.code == "too-large"
        assert session.call("accumulate", "i>i", [0]).results == (18,)


def test_a_closed_session_is_not_found(edge: RunningEdge, client: EdgeClient, tenant: str) -> None:
    session = client.open_session(KEEPER.digest)
    session.close()
    session.close()
    assert edge.call_in_session(tenant, session.name, "add", 1).refused_with(404, "not-found")
    assert edge.ask("DELETE", f"/v1/sessions/{session.name}", tenant).refused_with(404, "not-found")


@pytest.mark.parametrize("name", ["0" * 31, "0" * 33, "G" * 32, "..", "%2e%2e", "a/b"])
def test_names_that_are_no_sessions_find_nothing(edge: RunningEdge, tenant: str, name: str) -> None:
    assert edge.ask("DELETE", f"/v1/sessions/{name}", tenant).status == 404
    assert edge.call_in_session(tenant, name, "add", 1).status == 404


def test_a_session_needs_a_module_of_the_tenant_and_no_body(edge: RunningEdge, tenant: str) -> None:
    path = f"/v1/modules/sha256:{KEEPER.digest}/sessions"
    assert edge.ask("POST", path, tenant).refused_with(404, "not-found")
    keep(edge, tenant)
    assert edge.ask("POST", path, tenant, b"{}").refused_with(413, "too-large")
    assert edge.ask("POST", path, tenant, None, {"Lawow-Deadline-Seconds": "x"}).status == 422


def lost(reply: Reply, why: str) -> bool:
    assert reply.refused_with(410, "session-lost")
    assert why in str(reply.json["detail"])
    return True


def test_a_trap_ends_its_session_and_no_other(edge: RunningEdge, client: EdgeClient, tenant: str) -> None:
    with client.open_session(KEEPER.digest) as other:
        other.call("add", "i>i", [1])
        session = client.open_session(KEEPER.digest)
        worker = edge.workers()[tenant]
        with pytest.raises(GuestTrap):
            session.call("trap", ">", [])
        assert lost(edge.call_in_session(tenant, session.name, "add", 1), "trapped (unreachable)")
        assert other.call("add", "i>i", [1]).results == (2,)
        assert edge.workers()[tenant] == worker


def test_a_deadline_ends_its_session_and_no_other(edge: RunningEdge, client: EdgeClient, tenant: str) -> None:
    with client.open_session(KEEPER.digest) as other:
        other.call("add", "i>i", [1])
        session = client.open_session(KEEPER.digest)
        worker = edge.workers()[tenant]
        with pytest.raises(LimitExceeded):
            session.call("loop", ">", [], deadline_seconds=0.1)
        assert lost(edge.call_in_session(tenant, session.name, "add", 1), "deadline")
        assert other.call("add", "i>i", [1]).results == (2,)
        assert edge.workers()[tenant] == worker


def test_a_guest_that_ends_itself_ends_its_session(
    edge: RunningEdge, client: EdgeClient, tenant: str
) -> None:
    client.upload_module(LEAVES.wasm)
    session = client.open_session(LEAVES.digest)
    assert session.call("leave", ">", []).results == ()
    for _ in range(2):
        assert lost(edge.call_in_session(tenant, session.name, "stay"), "ended itself")


def test_a_killed_worker_takes_its_sessions_along_and_the_owner_is_told(
    edge: RunningEdge, client: EdgeClient, tenant: str
) -> None:
    sessions = [client.open_session(KEEPER.digest) for _ in range(2)]
    os.kill(edge.workers()[tenant], signal.SIGKILL)
    for session in sessions:
        assert lost(edge.call_in_session(tenant, session.name, "add", 1), "worker process ended")
    with client.open_session(KEEPER.digest) as fresh:
        assert fresh.call("add", "i>i", [1]).results == (1,)


def test_what_a_session_is_called_with_is_checked_as_in_any_call(
    edge: RunningEdge, client: EdgeClient, tenant: str
) -> None:
    with client.open_session(KEEPER.digest) as session:
        assert edge.call_in_session(tenant, session.name, "add", "x").refused_with(422, "bad-arguments")
        assert edge.call_in_session(tenant, session.name, "absent").refused_with(404, "not-found")
        reply = edge.call_in_session(tenant, session.name, "add", 1, signature="I>I")
        assert reply.refused_with(409, "signature-mismatch")
        reply = edge.call_in_session(tenant, session.name, "grow", "x", signature="S>i")
        assert reply.refused_with(409, "signature-mismatch")
        assert session.call("add", "i>i", [1]).results == (1,)


def test_a_module_without_an_allocator_is_told_so_and_its_session_goes_on(
    edge: RunningEdge, client: EdgeClient, tenant: str
) -> None:
    module = keep(
        edge,
        tenant,
        module_of(
            '(module (memory (export "memory") 1) (func (export "f") (param i32 i32))'
            ' (func (export "n") (result i32) (i32.const 1)))'
        ),
    )
    with client.open_session(module.digest) as session:
        reply = edge.call_in_session(tenant, session.name, "f", "x", signature="S>")
        assert reply.refused_with(422, "bad-module")
        assert "cabi_realloc" in str(reply.json["detail"])
        assert session.call("n", ">i", []).results == (1,)


def test_a_start_that_fails_opens_nothing(edge: RunningEdge, client: EdgeClient, tenant: str) -> None:
    for body, status, code in (("unreachable", 422, "trap"), ("(loop (br 0))", 504, "deadline")):
        module = keep(
            edge, tenant, module_of(f'(module (func (export "_initialize") {body}) (func (export "f")))')
        )
        path = f"/v1/modules/sha256:{module.digest}/sessions"
        reply = edge.ask("POST", path, tenant, None, {"Lawow-Deadline-Seconds": "0.1"})
        assert reply.refused_with(status, code)


# ---- bounds


def test_sessions_of_a_tenant_are_limited_and_others_are_not_concerned(
    small: RunningEdge, tenant: str
) -> None:
    keep(small, tenant)
    path = f"/v1/modules/sha256:{KEEPER.digest}/sessions"
    names = [small.open_session(tenant, KEEPER.digest) for _ in range(3)]
    assert small.ask("POST", path, tenant).refused_with(429, "busy")
    other = f"{tenant}-b"
    keep(small, other)
    small.open_session(other, KEEPER.digest)
    assert small.ask("DELETE", f"/v1/sessions/{names[0]}", tenant).status == 204
    small.open_session(tenant, KEEPER.digest)


def test_a_worker_is_kept_for_its_sessions_until_they_expire(tmp_path: Path) -> None:
    """Nobody else's need ends a worker that holds a session; time does, and the session is not found then."""
    with running_edge(
        tmp_path / "data", workers=2, session_idle_seconds=3.0, worker_idle_seconds=0.1
    ) as edge:
        for name in "abc":
            keep(edge, name)
        sessions = {name: edge.open_session(name, KEEPER.digest) for name in "ab"}
        assert edge.call("c", KEEPER.digest, "add", 1).refused_with(429, "busy")
        for name, session in sessions.items():
            assert edge.call_in_session(name, session, "add", 1).status == 200
        until(lambda: not edge.workers())
        for name, session in sessions.items():
            assert edge.call_in_session(name, session, "add", 1).refused_with(404, "not-found")
        assert edge.call("c", KEEPER.digest, "add", 1).status == 200


def test_all_instances_of_a_tenant_share_its_memory(small: RunningEdge, tenant: str) -> None:
    """16 pages in all: what a session holds, neither another one nor a call of its own can have."""
    keep(small, tenant)
    first, second = (small.open_session(tenant, KEEPER.digest) for _ in range(2))

    def grown(session: str, pages: int) -> object:
        return small.call_in_session(tenant, session, "grow", pages).json["results"]

    assert grown(first, 20) == [-1]
    assert grown(first, 11) == [1]
    assert grown(second, 4) == [-1]
    assert grown(second, 3) == [1]
    assert small.call(tenant, KEEPER.digest, "pages").refused_with(429, "busy")
    assert small.ask("DELETE", f"/v1/sessions/{second}", tenant).status == 204
    assert small.call(tenant, KEEPER.digest, "grow", 3).json["results"] == [1]
    assert grown(first, 4) == [12]


def test_a_memory_that_nobody_sees_is_counted_at_its_limit(small: RunningEdge, tenant: str) -> None:
    keep(small, tenant, HIDDEN)
    keep(small, tenant)
    hidden = small.open_session(tenant, HIDDEN.digest)
    assert small.call_in_session(tenant, hidden, "grow", 4).json["results"] == [-1]
    assert small.call_in_session(tenant, hidden, "grow", 3).json["results"] == [1]
    assert small.call(tenant, KEEPER.digest, "grow", 12).json["results"] == [-1]
    assert small.call(tenant, KEEPER.digest, "grow", 11).json["results"] == [1]


def test_after_a_restart_sessions_are_not_found(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data") as edge:
        keep(edge, "acme")
        session = edge.open_session("acme", KEEPER.digest)
        edge.kill()
    with running_edge(tmp_path / "data") as edge:
        assert edge.call_in_session("acme", session, "add", 1).refused_with(404, "not-found")


@pytest.mark.parametrize("media_type", ["application/json", ""])
def test_an_empty_body_opens_a_session_also_where_it_is_called_json(
    edge: RunningEdge, tenant: str, media_type: str
) -> None:
    """Apps that carry an older stub library call it so."""
    counter = numbered(3)
    edge.put(tenant, counter.wasm, counter.digest)
    path = f"/v1/modules/sha256:{counter.digest}/sessions"
    headers = {"Content-Type": media_type} if media_type else {}
    assert edge.ask("POST", path, tenant, b"", headers).status == 201
    assert edge.ask("POST", path, tenant, b"{}", headers).status == 413
