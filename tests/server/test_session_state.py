"""The state of a session: taken, carried to another edge or to this device, restored; and what is refused."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from lawow.device.edge_client import EdgeClient, EdgeProblem
from lawow.formats.state import BLOCK_BYTES, MemoryImage, decode_state
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.edge.builders import Module, module_of, named
from tests.runtime.state_programs import PROGRAMS
from tests.server.running import RunningEdge, running_edge, until

STATE = {"Content-Type": "application/vnd.lawow.state"}
DISPATCHER, ALLOCATOR = (named(PROGRAMS[name].wasm) for name in ("dispatcher", "allocator"))
CALLS = [("swap", 2), ("grow", 0), ("teach", 5), ("swap", 3), ("run", 9), ("run", 0), ("forget", 1)]
OPAQUE = module_of(
    """(module (global (mut externref) (ref.null extern))
      (func (export "number") (result i32) (i32.const 7)))"""
)
NOISE = module_of(
    """(module (memory 40) (func (export "fill") (result i32) (local $at i32) (local $x i64)
      (local.set $x (i64.const 88172645463325252))
      (loop $again
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
        (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
        (i64.store (local.get $at) (local.get $x))
        (br_if $again (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 2621440))))
      (i32.load (i32.const 1600000)))
      (func (export "look") (result i32) (i32.load (i32.const 1600000))))"""
)


@pytest.fixture
def client(edge: RunningEdge, tenant: str) -> Iterator[EdgeClient]:
    with edge.client(tenant) as client:
        for module in (DISPATCHER, ALLOCATOR, OPAQUE):
            client.upload_module(module.wasm)
        yield client


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    with running_edge(
        tmp_path_factory.mktemp("small") / "data", state_bytes=1 << 20, memory_bytes=64 << 16
    ) as edge:
        yield edge


def keep(edge: RunningEdge, tenant: str, module: Module) -> None:
    assert edge.put(tenant, module.wasm, module.digest).status in (200, 201)


def test_a_session_goes_on_on_another_edge_and_on_this_device(
    client: EdgeClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    keeper = PROGRAMS["dispatcher"].keeper(WasmtimeEngine(EXEC_PROFILE))
    with keeper.module.instantiate() as instance:
        expected = [instance.call(*_call(item)) for item in CALLS]
        state_after_all = keeper.snapshot(instance)
    with client.open_session(DISPATCHER.digest) as session:
        found = [session.call(export, "i>i", [argument]).results for export, argument in CALLS[:3]]
        state = session.state()
        with keeper.restore(state) as here:
            assert [here.call(*_call(item)) for item in CALLS[3:]] == expected[3:]
        # The first session goes on as well, as if nobody had looked.
        assert [session.call(e, "i>i", [a]).results for e, a in CALLS[3:]] == expected[3:]
    with running_edge(tmp_path_factory.mktemp("other") / "data") as other, other.client("b") as elsewhere:
        elsewhere.upload_module(DISPATCHER.wasm)
        with elsewhere.open_session(DISPATCHER.digest, state=state) as moved:
            found += [moved.call(export, "i>i", [argument]).results for export, argument in CALLS[3:]]
            assert moved.state() == state_after_all
    assert found == expected


def _call(item: tuple[str, int]) -> tuple[str, tuple[int]]:
    return item[0], (item[1],)


def test_a_state_that_is_none_of_the_module_is_refused(edge: RunningEdge, client: EdgeClient) -> None:
    with client.open_session(ALLOCATOR.digest) as session:
        state = session.state()
    for wrong in (
        replace(state, module="0" * 64),
        replace(state, globals=()),
        replace(state, memories=(MemoryImage(0, 0, {}),)),
    ):
        with pytest.raises(EdgeProblem) as refused:
            client.open_session(ALLOCATOR.digest, state=wrong)
        assert (refused.value.code, refused.value.status) == ("bad-state", 422)
    with pytest.raises(EdgeProblem) as refused:
        client.open_session(DISPATCHER.digest, state=state)
    assert refused.value.code == "bad-state"


@pytest.mark.parametrize("body", [b"", b"LWST", b"\0" * 200, b"x" * 200])
def test_bytes_that_are_no_state_are_refused_and_end_no_worker(
    edge: RunningEdge, client: EdgeClient, tenant: str, body: bytes
) -> None:
    with client.open_session(ALLOCATOR.digest) as session:
        session.call("allocate", "i>i", [9])
        worker = edge.workers()[tenant]
        path = f"/v1/modules/sha256:{ALLOCATOR.digest}/sessions"
        reply = edge.ask("POST", path, tenant, body, STATE)
        assert reply.refused_with(422, "bad-state") if body else reply.status == 201
        assert edge.ask("POST", path, tenant, b"x", {"Content-Type": "text/plain"}).refused_with(
            415, "unsupported-media-type"
        )
        assert session.call("allocate", "i>i", [1]).results == (1024 + 9,)
        assert edge.workers()[tenant] == worker


def test_a_module_with_state_out_of_reach_serves_sessions_but_tells_none(client: EdgeClient) -> None:
    with client.open_session(OPAQUE.digest) as session:
        with pytest.raises(EdgeProblem) as refused:
            session.state()
        assert refused.value.code == "bad-state"
        assert session.call("number", ">i", []).results == (7,)


def test_a_state_beyond_the_limit_goes_neither_out_nor_in(small: RunningEdge, tenant: str) -> None:
    keep(small, tenant, NOISE)
    session = small.open_session(tenant, NOISE.digest)
    value = small.call_in_session(tenant, session, "fill").json["results"]
    assert small.ask("GET", f"/v1/sessions/{session}/state", tenant).refused_with(413, "too-large")
    assert small.call_in_session(tenant, session, "look").json["results"] == value
    path = f"/v1/modules/sha256:{NOISE.digest}/sessions"
    assert small.ask("POST", path, tenant, bytes((1 << 20) + 1), STATE).refused_with(413, "too-large")


def test_a_state_longer_than_any_other_message_passes(edge: RunningEdge, tenant: str) -> None:
    """2.5 MiB that nothing compresses go out, in, and out again."""
    with edge.client(tenant) as client:
        client.upload_module(NOISE.wasm)
        with client.open_session(NOISE.digest) as session:
            value = session.call("fill", ">i", []).results
            state = session.state()
        assert len(state.encode()) > 40 * 65536 - BLOCK_BYTES
        with client.open_session(NOISE.digest, state=state) as moved:
            assert moved.call("look", ">i", []).results == value
            assert moved.state() == state


def test_a_memory_bomb_in_a_state_is_refused_by_the_limit_of_the_memory(
    small: RunningEdge, tenant: str
) -> None:
    keep(small, tenant, ALLOCATOR)
    session = small.open_session(tenant, ALLOCATOR.digest)
    state = decode_state(small.ask("GET", f"/v1/sessions/{session}/state", tenant).body)
    path = f"/v1/modules/sha256:{ALLOCATOR.digest}/sessions"
    many = {number: bytes(BLOCK_BYTES) for number in range(100 * 16)}
    bomb = replace(state, memories=(MemoryImage(0, 100, many),)).encode()
    assert len(bomb) < 1 << 18
    assert small.ask("POST", path, tenant, bomb, STATE).refused_with(422, "bad-state")
    for pages, status, code in ((21, 422, "bad-state"), (64, 429, "busy"), (65, 422, "bad-module")):
        large = replace(state, memories=(MemoryImage(0, pages, {}),)).encode()
        assert small.ask("POST", path, tenant, large, STATE).refused_with(status, code)
    assert small.call_in_session(tenant, session, "allocate", 5).status == 200


def test_no_tenant_reads_anothers_state(
    edge: RunningEdge, client: EdgeClient, new_tenant: Callable[[], str]
) -> None:
    with client.open_session(DISPATCHER.digest) as session:
        path = f"/v1/sessions/{session.name}/state"
        other = new_tenant()
        keep(edge, other, DISPATCHER)
        assert edge.ask("GET", path, other).refused_with(404, "not-found")
        never = edge.ask("GET", f"/v1/sessions/{'0' * 32}/state", other)
        assert never.body == edge.ask("GET", path, other).body
        assert edge.ask("GET", path).status in (401, 429)  # 429: other tests' refusals count for this address


def test_a_lost_session_has_no_state(edge: RunningEdge, tenant: str) -> None:
    module = module_of('(module (memory 1) (func (export "trap") unreachable))')
    keep(edge, tenant, module)
    session = edge.open_session(tenant, module.digest)
    assert edge.call_in_session(tenant, session, "trap").refused_with(422, "trap")
    assert edge.ask("GET", f"/v1/sessions/{session}/state", tenant).refused_with(410, "session-lost")


def test_two_states_of_a_tenant_are_on_their_way_at_a_time(
    edge: RunningEdge, client: EdgeClient, tenant: str
) -> None:
    path = f"/v1/modules/sha256:{ALLOCATOR.digest}/sessions"
    senders = [http.client.HTTPConnection(*edge.address, timeout=60) for _ in range(2)]
    headers = {**STATE, "Content-Length": "100", "Authorization": f"Bearer {edge.token(tenant)}"}
    for sender in senders:
        sender.putrequest("POST", path)
        for name, value in headers.items():
            sender.putheader(name, value)
        sender.endheaders()
    until(lambda: edge.ask("POST", path, tenant, b"x", STATE).status == 429)
    assert edge.ask("POST", path, tenant, b"x", STATE).refused_with(429, "busy")
    assert edge.ask("POST", path, tenant).status == 201  # a fresh session carries none
    for sender in senders:
        sender.close()
    until(lambda: edge.ask("POST", path, tenant, b"x", STATE).status == 422)


def test_a_module_with_reserved_names_is_not_taken(edge: RunningEdge, tenant: str) -> None:
    module = module_of('(module (memory 1) (func (export "lawow:memory:0")))')
    reply = edge.put(tenant, module.wasm, module.digest)
    assert reply.refused_with(422, "bad-module")
    assert "begins with lawow:" in str(reply.json["detail"])
