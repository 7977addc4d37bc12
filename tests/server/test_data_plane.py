"""Calls over the data plane of a running edge, and how they end."""

from __future__ import annotations

import random
import struct
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from lawow.channel.bodies import write_arguments
from lawow.device.data_client import DataClient
from lawow.device.edge_client import EdgeProblem
from lawow.errors import GuestTrap, LimitExceeded
from lawow.formats.elements import Packed
from tests.edge.builders import module_of
from tests.server.bare import greet, open_socket, read_frames, send_frame, text
from tests.server.planes import COUNTER, Plane, number, open_plane, slots
from tests.server.running import RunningEdge, running_edge, until

SLOW = module_of("""(module (memory (export "memory") 1)
  (func (export "add") (param i32) (result i32) local.get 0)
  (func (export "work") (param i32) (result i32)
    (loop $l (br_if $l (i32.eqz (local.get 0)))) local.get 0))""")
"""Its `work` never ends for the argument 0."""
LONG = 400_000_000
"""Rounds of a loop that take much longer than a round trip."""


def test_calls_in_an_instance_find_what_earlier_ones_left(client: DataClient, plane: Plane) -> None:
    add = client.bind(plane.target, "add", "i>i")
    assert [number(client.call(add, slots(2)).results) for _ in range(3)] == [2, 4, 6]


def test_calls_of_a_module_find_a_fresh_instance_each(client: DataClient, plane: Plane) -> None:
    add = client.bind(f"sha256:{COUNTER.digest}", "add", "i>i")
    assert [number(client.call(add, slots(2)).results) for _ in range(3)] == [2, 2, 2]


def test_http_and_data_plane_call_the_same_instance(
    serving: RunningEdge, tenant: str, client: DataClient, plane: Plane
) -> None:
    add = client.bind(plane.target, "add", "i>i")
    client.call(add, slots(5))
    reply = serving.ask(
        "POST", f"/v1/leases/{plane.lease}/exports/add/calls", tenant, b'{"arguments": [1]}',
        {"Content-Type": "application/json"},
    )  # fmt: skip
    assert reply.json["results"] == [6]


def test_every_kind_of_number_arrives(client: DataClient, plane: Plane) -> None:
    mix = client.bind(plane.target, "mix", "iIfF>F")
    arguments = struct.pack("<ixxxxqfxxxxd", 0, -(2**40), 0.5, 0.25)
    assert struct.unpack("<d", client.call(mix, arguments).results)[0] == -(2.0**40) + 0.75


@pytest.mark.parametrize("size", [0, 1, 5_000, 1 << 20, 3_000_001])
def test_strings_of_any_size_come_back_as_they_were(client: DataClient, plane: Plane, size: int) -> None:
    echo = client.bind(plane.target, "echo", "[b>[b")
    data = random.Random(size).randbytes(size)
    body = write_arguments([Packed(size, data)])
    for _ in range(2):
        assert bytes(client.call(echo, body).results) == body


def test_a_thousand_calls_may_be_made_before_the_first_outcome_is_read(
    client: DataClient, plane: Plane
) -> None:
    add = client.bind(plane.target, "add", "i>i")
    ids = [client.start(add, slots(1)) for _ in range(1000)]
    assert [number(client.wait(call_id).results) for call_id in ids] == list(range(1, 1001))


@pytest.mark.parametrize("data_tls", [False, True])
def test_large_calls_beyond_all_buffers_do_not_block_both_ends(tmp_path: Path, data_tls: bool) -> None:
    with running_edge(tmp_path / "data", data_tls=data_tls) as edge:
        plane = open_plane(edge, "tenant")
        with plane.client() as client:
            echo = client.bind(plane.target, "echo", "[b>[b")
            body = write_arguments([Packed(700_000, bytes(700_000))])
            ids = [client.start(echo, body) for _ in range(30)]
            assert all(len(client.wait(call_id).results) == len(body) for call_id in ids)


def test_a_client_of_twenty_lines_is_served(serving: RunningEdge, tenant: str) -> None:
    plane = open_plane(serving, tenant)
    with open_socket(plane) as connection:
        greet(connection, plane)
        send_frame(connection, 1, 0x10, text(plane.target.encode()) + text(b"add") + text(b"i>i"))
        send_frame(connection, 2, 0x12, struct.pack("<II", 1, 0) + slots(7))
        frames = read_frames(connection, 2)
    assert [operation for operation, _ in frames] == [0x11, 0x13]
    assert number(frames[1][1][8:]) == 7


def test_a_trap_is_told_and_ends_the_instance(
    serving: RunningEdge, tenant: str, client: DataClient, plane: Plane
) -> None:
    broken = client.bind(plane.target, "unreachable", ">")
    with pytest.raises(GuestTrap) as caught:
        client.call(broken, b"")
    assert caught.value.code == "unreachable"
    with pytest.raises(EdgeProblem, match=r".*") as refused:
        client.call(client.bind(plane.target, "add", "i>i"), slots(1))
    assert refused.value.code == "session-lost"

    def rests() -> bool:
        return serving.ask("GET", f"/v1/leases/{plane.lease}", tenant).json["endpoint"] is None

    until(rests)


def test_a_call_is_stopped_at_its_deadline_and_others_go_on(client: DataClient, plane: Plane) -> None:
    target = f"sha256:{COUNTER.digest}"
    spin, add = client.bind(target, "spin", ">"), client.bind(target, "add", "i>i")
    started = time.monotonic()
    with pytest.raises(LimitExceeded):
        client.call(spin, b"", deadline_seconds=0.2)
    assert time.monotonic() - started < 3
    assert number(client.call(add, slots(1)).results) == 1


def test_a_call_without_a_deadline_has_the_edges(client: DataClient) -> None:
    spin = client.bind(f"sha256:{COUNTER.digest}", "spin", ">")
    with pytest.raises(LimitExceeded):
        client.call(spin, b"")


def test_a_running_call_can_be_cancelled(client: DataClient) -> None:
    spin = client.bind(f"sha256:{COUNTER.digest}", "spin", ">")
    call_id = client.start(spin, b"")
    time.sleep(0.1)
    client.cancel(call_id)
    with pytest.raises(EdgeProblem) as caught:
        client.wait(call_id)
    assert caught.value.code == "cancelled"


def test_a_waiting_call_can_be_cancelled_and_never_starts(client: DataClient, plane: Plane) -> None:
    spin = client.bind(f"sha256:{COUNTER.digest}", "spin", ">")
    add = client.bind(plane.target, "add", "i>i")
    first, second = client.start(spin, b"", 1.4), client.start(add, slots(1))
    client.cancel(second)
    with pytest.raises(EdgeProblem) as caught:
        client.wait(second)
    assert caught.value.code == "cancelled"
    with pytest.raises(LimitExceeded):
        client.wait(first)
    assert number(client.call(add, slots(1)).results) == 1


def test_sockets_are_served_while_a_call_runs(client: DataClient, plane: Plane) -> None:
    spin = client.bind(f"sha256:{COUNTER.digest}", "spin", ">")
    call_id = client.start(spin, b"", 2.0)
    with plane.client() as other:
        other.bind(plane.target, "add", "i>i")  # is answered before the other call's deadline
        client.look()
        client.cancel(call_id)
    with pytest.raises(EdgeProblem):
        client.wait(call_id)


def test_a_call_that_turns_slow_holds_up_neither_other_clients_nor_its_own_cancel(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data = tmp_path_factory.mktemp("slow") / "data"
    with running_edge(data, deadline_seconds=60.0) as edge, ExitStack() as stack:
        plane = open_plane(edge, "tenant", SLOW)
        client, other = stack.enter_context(plane.client()), stack.enter_context(plane.client())
        work = client.bind(f"sha256:{SLOW.digest}", "work", "i>i")
        for _ in range(30):
            client.call(work, slots(1))
        slow = client.start(work, slots(0))
        client.look()
        add = other.bind(plane.target, "add", "i>i")
        late = other.start(add, slots(1), 0.01)
        with pytest.raises(LimitExceeded, match="had not begun"):  # which is told while the other one runs
            other.wait(late)
        client.cancel(slow)
        with pytest.raises(EdgeProblem) as caught:
            client.wait(slow)
        assert caught.value.code == "cancelled"
        assert number(other.call(add, slots(1)).results) == 1
        assert number(client.call(work, slots(1)).results) == 1


def test_calls_that_turn_slow_by_turns_lose_no_outcome(client: DataClient, plane: Plane) -> None:
    work, add = client.bind(plane.target, "work", "i>i"), client.bind(plane.target, "add", "i>i")
    rounds = [1, 1, LONG // 40, 1, LONG // 80, LONG // 160, 1, 1] * 3
    with plane.client() as other:
        other_add = other.bind(plane.target, "add", "i>i")
        ids = [(client.start(work, slots(count)), other.start(other_add, slots(1))) for count in rounds]
        ids += [(client.start(add, slots(0)), other.start(other_add, slots(1)))]
        assert [number(client.wait(first).results) for first, _ in ids[:-1]] == [0] * len(rounds)
        assert [number(other.wait(second).results) for _, second in ids] == list(range(1, len(ids) + 1))


@pytest.mark.parametrize(
    ("target", "export", "signature", "code"),
    [
        ("session:" + "0" * 32, "add", "i>i", "not-found"),
        ("sha256:" + "0" * 64, "add", "i>i", "not-found"),
        (None, "absent", "i>i", "signature-mismatch"),
        (None, "add", "I>i", "signature-mismatch"),
        (None, "add", "nonsense", "signature-mismatch"),
    ],
)
def test_what_cannot_be_bound_is_refused(
    client: DataClient, plane: Plane, target: str | None, export: str, signature: str, code: str
) -> None:
    with pytest.raises(EdgeProblem) as caught:
        client.bind(target or plane.target, export, signature)
    assert caught.value.code == code


def test_arguments_that_do_not_fit_are_refused_and_the_instance_lives(
    client: DataClient, plane: Plane
) -> None:
    add, echo = client.bind(plane.target, "add", "i>i"), client.bind(plane.target, "echo", "[b>[b")
    for function, body in ((add, b""), (add, slots(1, 1)), (add, b"\xff" * 8), (echo, b"\xff" * 8)):
        with pytest.raises(EdgeProblem) as caught:
            client.call(function, body)
        assert caught.value.code == "bad-arguments"
    assert number(client.call(add, slots(1)).results) == 1
