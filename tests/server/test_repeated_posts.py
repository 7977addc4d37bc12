"""POSTs that are made again with the same Idempotency-Key, against a running edge."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

from tests.server.planes import COUNTER, open_plane
from tests.server.running import JSON, Reply, RunningEdge

KEY = "a key that is long enough".replace(" ", "-")


def post(edge: RunningEdge, tenant: str, path: str, *arguments: int, key: str = KEY, **headers: str) -> Reply:
    """Call an export, or open a session."""
    body = json.dumps({"arguments": list(arguments)}).encode() if path.endswith("/calls") else None
    return edge.ask("POST", path, tenant, body, {**JSON, "Idempotency-Key": key, **headers})


def opened(edge: RunningEdge, tenant: str) -> str:
    """Upload the counter and return the path of a session."""
    edge.put(tenant, COUNTER.wasm, COUNTER.digest)
    return f"/v1/sessions/{edge.open_session(tenant, COUNTER.digest)}/exports"


def test_a_call_that_is_made_again_runs_once_and_is_answered_as_before(
    edge: RunningEdge, tenant: str
) -> None:
    session = opened(edge, tenant)
    first = post(edge, tenant, f"{session}/add/calls", 5)
    assert [post(edge, tenant, f"{session}/add/calls", 5).json["results"] for _ in range(3)] == [[5]] * 3
    assert first.json["results"] == [5]
    assert post(edge, tenant, f"{session}/add/calls", 5, key=KEY + "2").json["results"] == [10]
    assert edge.call_in_session(tenant, session.split("/")[3], "add", 0).json["results"] == [10]


def test_the_key_of_another_call_or_one_that_can_be_guessed_is_refused(
    edge: RunningEdge, tenant: str
) -> None:
    session = opened(edge, tenant)
    post(edge, tenant, f"{session}/add/calls", 5)
    for path, argument in ((f"{session}/add/calls", 6), (f"{session}/work/calls", 5)):
        assert post(edge, tenant, path, argument).refused_with(409, "conflict")
    assert post(edge, tenant, f"{session}/add/calls", 5, key="guess").refused_with(400, "bad-request")
    assert post(edge, tenant, f"{session}/add/calls", 0, key=KEY + "2").json["results"] == [5]


def test_calls_that_are_made_again_while_they_run_have_one_outcome(edge: RunningEdge, tenant: str) -> None:
    session = opened(edge, tenant)
    start = threading.Barrier(8)

    def call(_: int) -> object:
        start.wait()
        return post(edge, tenant, f"{session}/add/calls", 7).json["results"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, range(8))) == [[7]] * 8


def test_a_trap_is_told_again_although_the_session_is_lost_by_it(edge: RunningEdge, tenant: str) -> None:
    edge.put(tenant, COUNTER.wasm, COUNTER.digest)
    path = f"/v1/modules/sha256:{COUNTER.digest}/exports/unreachable/calls"
    answers = [post(edge, tenant, path) for _ in range(2)]
    assert all(answer.refused_with(422, "trap") for answer in answers)
    assert [answer.headers["Lawow-Trap"] for answer in answers] == ["unreachable"] * 2


def test_a_session_that_is_opened_again_is_the_same_and_another_tenants_key_is_its_own(
    edge: RunningEdge, tenant: str
) -> None:
    path = f"/v1/modules/sha256:{COUNTER.digest}/sessions"
    names = {}
    for name in (tenant, f"{tenant}-other"):
        edge.put(name, COUNTER.wasm, COUNTER.digest)
        names[name] = {str(post(edge, name, path).json["session"]) for _ in range(3)}
        assert len(names[name]) == 1
    assert len(set.union(*names.values())) == 2


def test_a_devices_call_of_a_lease_may_be_made_again_with_its_key(edge: RunningEdge, tenant: str) -> None:
    lease = open_plane(edge, tenant).lease
    with edge.client(tenant) as client:
        path = f"/v1/leases/{lease}"
        outcomes = [client.call_under(path, "add", "i>i", [3], key=KEY).results for _ in range(3)]
        assert outcomes == [(3,)] * 3
        with client.open_session(COUNTER.digest, key=KEY + "s") as session:
            again = client.open_session(COUNTER.digest, key=KEY + "s")
            assert again.name == session.name
            assert [session.call("add", "i>i", [2], key=KEY + "c").results for _ in range(2)] == [(2,)] * 2
