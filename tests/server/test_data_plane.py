"""The data plane of a running edge: calls and how they end, and what strangers and broken peers get."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from lawow.channel.bodies import write_arguments
from lawow.channel.client import ClientConnection
from lawow.device.data_client import DataClient
from lawow.device.edge_client import EdgeProblem
from lawow.device.trust import pinned_context
from lawow.errors import GuestTrap, HostLost, LimitExceeded, OutcomeUnknown, Refused, Unauthorized
from lawow.formats.elements import Packed
from lawow.limits import EDGE
from tests.edge.builders import module_of
from tests.server.planes import COUNTER, CuttingProxy, Plane, number, open_plane, slots
from tests.server.running import RunningEdge, running_edge, until

SLOW = module_of("""(module (memory (export "memory") 1)
  (func (export "add") (param i32) (result i32) local.get 0)
  (func (export "work") (param i32) (result i32)
    (loop $l (br_if $l (i32.eqz (local.get 0)))) local.get 0))""")
"""Its `work` never ends for the argument 0."""
LONG = 400_000_000
"""Rounds of a loop that take much longer than a round trip."""


@pytest.fixture(scope="module", params=["plain", "tls"])
def serving(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningEdge]:
    """An edge whose data plane has TLS, or not."""
    data = tmp_path_factory.mktemp("plane") / "data"
    with running_edge(data, data_tls=request.param == "tls", deadline_seconds=1.5) as running:
        yield running


@pytest.fixture
def plane(serving: RunningEdge, tenant: str) -> Iterator[Plane]:
    """A lease of a new tenant, with an instance of the counter."""
    opened = open_plane(serving, tenant)
    yield opened
    serving.ask("DELETE", f"/v1/leases/{opened.lease}", tenant)  # so that its worker may give way


@pytest.fixture
def client(plane: Plane) -> Iterator[DataClient]:
    """A client of that lease."""
    with plane.client() as connected:
        yield connected


def open_socket(plane: Plane) -> socket.socket:
    """Connect, without a word of the protocol."""
    plain = socket.create_connection((plane.host, plane.port), timeout=10)
    return pinned_context().wrap_socket(plain) if plane.pin else plain


def is_closed(connection: socket.socket) -> bool:
    """Wait for the other end to close, whatever it says before."""
    with suppress(ConnectionResetError, ssl.SSLEOFError):
        while connection.recv(65536):
            pass
    return True


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


def test_large_calls_beyond_all_buffers_do_not_block_both_ends(client: DataClient, plane: Plane) -> None:
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


def text(value: bytes) -> bytes:
    """Return bytes as the protocol has them."""
    return struct.pack("<H", len(value)) + value


def greet(connection: socket.socket, plane: Plane) -> None:
    """Say HELLO and be welcome."""
    head = b"LWOW" + struct.pack("<HHII", 1, 1, 1 << 20, 8 << 20)
    send_frame(connection, 0, 1, head + text(plane.token.encode()) + bytes(6))
    assert read_frames(connection, 1)[0][0] == 0x02


def send_frame(connection: socket.socket, frame_id: int, operation: int, payload: bytes) -> None:
    """Send one frame."""
    connection.sendall(struct.pack("<IIHH", 8 + len(payload), frame_id, operation, 0) + payload)


def read_frames(connection: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """Return operation and payload of so many frames."""
    with closing(connection.makefile("rb", buffering=0)) as stream:
        found = []
        for _ in range(count):
            length, _, operation, _ = struct.unpack("<IIHH", stream.read(12))
            found.append((operation, stream.read(length - 8)))
        return found


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
    assert time.monotonic() - started < 9
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
    first, second = client.start(spin, b"", 0.5), client.start(add, slots(1))
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


@pytest.mark.parametrize("seed", range(6))
def test_a_cut_anywhere_runs_no_call_twice_and_loses_none(plane: Plane, seed: int) -> None:
    chance = random.Random(seed)
    with CuttingProxy(plane) as proxy, proxy.plane.client(timeout_seconds=5.0) as client:
        add = client.bind(plane.target, "add", "i>i")
        proxy.cut_after(chance.randrange(1, 1500), is_inward=chance.random() < 0.5)
        missing, returned = 40, []
        while missing:
            try:
                ids = [client.start(add, slots(1)) for _ in range(min(missing, 10))]
            except HostLost:
                continue  # the next try has a connection of its own
            for call_id in ids:
                with suppress(HostLost):  # it was not started
                    returned.append(number(client.wait(call_id).results))
            missing = 40 - len(returned)
        assert sorted(returned) == list(range(1, 41))


def test_a_worker_that_dies_in_a_call_leaves_its_outcome_unknown(
    serving: RunningEdge, tenant: str, client: DataClient, plane: Plane
) -> None:
    work = client.bind(plane.target, "work", "i>i")
    call_id = client.start(work, slots(LONG * 10))
    time.sleep(0.2)
    os.kill(serving.workers()[tenant], signal.SIGKILL)
    with pytest.raises(OutcomeUnknown):
        client.wait(call_id)
    with pytest.raises(HostLost):
        client.call(work, slots(1))
    until(lambda: serving.ask("GET", f"/v1/leases/{plane.lease}", tenant).json["endpoint"] is None)
    assert serving.ask("PUT", f"/v1/leases/{plane.lease}/instance", tenant).json["endpoint"] is not None


def test_the_token_of_another_lease_or_none_is_refused(
    serving: RunningEdge, new_tenant: object, plane: Plane
) -> None:
    assert callable(new_tenant)
    other = open_plane(serving, new_tenant())
    assert other.port != plane.port
    for token in (other.token, "", "x" * 43):
        with plane.client(token) as client, pytest.raises(Unauthorized):
            client.bind(plane.target, "add", "i>i")


def test_a_session_name_is_nothing_without_the_leases_token(
    serving: RunningEdge, tenant: str, plane: Plane
) -> None:
    other = open_plane(serving, tenant)  # in the same worker
    with plane.client() as client, other.client() as thief:
        add = client.bind(plane.target, "add", "i>i")
        thief._session.token = client._session.token
        with pytest.raises(EdgeProblem) as caught:
            thief.bind(plane.target, "add", "i>i")
        assert caught.value.code == "not-found"
        assert number(client.call(add, slots(1)).results) == 1


def test_a_lease_that_ends_sends_its_clients_away(
    serving: RunningEdge, tenant: str, client: DataClient, plane: Plane
) -> None:
    add = client.bind(plane.target, "add", "i>i")
    client.call(add, slots(1))
    assert serving.ask("DELETE", f"/v1/leases/{plane.lease}", tenant).status == 200
    with pytest.raises((EdgeProblem, Unauthorized)):
        client.call(add, slots(1))


def test_a_certificate_other_than_the_pinned_one_gets_no_token(
    serving: RunningEdge, new_tenant: object, plane: Plane
) -> None:
    if not plane.pin:
        with pytest.raises(Refused):
            DataClient("192.0.2.1", plane.port, plane.token)
        return
    assert callable(new_tenant)
    other = open_plane(serving, new_tenant())
    assert other.pin != plane.pin
    with replace(plane, pin=other.pin).client() as client, pytest.raises(Refused, match="not the pinned"):
        client.bind(plane.target, "add", "i>i")


def garbage() -> list[bytes]:
    """What is no HELLO."""
    chance = random.Random(7)
    return [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 64, b"\xff" * 64, *(chance.randbytes(200) for _ in range(20))]


def test_garbage_closes_its_own_connection_alone(client: DataClient, plane: Plane) -> None:
    add = client.bind(plane.target, "add", "i>i")
    for data in garbage():
        with open_socket(plane) as connection:
            connection.sendall(data)
            assert is_closed(connection)
    assert number(client.call(add, slots(1)).results) == 1


@pytest.mark.parametrize("token", ["", "a guess", None])
def test_who_greets_and_leaves_at_once_ends_nothing_but_his_visit(
    client: DataClient, plane: Plane, token: str | None
) -> None:
    add = client.bind(plane.target, "add", "i>i")
    link = ClientConnection()
    link.send_hello((plane.token if token is None else token).encode())
    link.send_goodbye("")
    with open_socket(plane) as connection:
        connection.sendall(link.data_to_send())
        assert is_closed(connection)
    assert number(client.call(add, slots(1)).results) == 1


def test_who_breaks_the_protocol_later_is_told_and_loses_his_session_alone(plane: Plane) -> None:
    with plane.client() as broken, plane.client() as sound:
        add = sound.bind(plane.target, "add", "i>i")
        broken.bind(plane.target, "add", "i>i")
        connection = broken._socket
        assert connection is not None
        connection.setblocking(True)
        connection.sendall(struct.pack("<IIHH", 8, 77, 0x13, 0))  # RESULT, from a client
        assert is_closed(connection)
        assert number(sound.call(add, slots(1)).results) == 1


def test_who_says_nothing_is_closed_after_five_seconds(plane: Plane) -> None:
    with socket.create_connection((plane.host, plane.port), timeout=60) as silent:
        started = time.monotonic()
        assert is_closed(silent)
        assert 4 < time.monotonic() - started < 50


def test_a_reader_that_takes_nothing_holds_up_nobody(client: DataClient, plane: Plane) -> None:
    echo = client.bind(plane.target, "echo", "[b>[b")
    body = write_arguments([Packed(500_000, bytes(500_000))])
    with open_socket(plane) as slow:
        greet(slow, plane)
        send_frame(slow, 1, 0x10, text(plane.target.encode()) + text(b"echo") + text(b"[b>[b"))
        slow.settimeout(1)
        with suppress(TimeoutError):  # the edge stops to read before the protocol's limit of 8 MiB
            for call_id in range(2, 16):
                send_frame(slow, call_id, 0x12, struct.pack("<II", 1, 0) + body)
        for _ in range(3):
            assert len(client.call(echo, body).results) == len(body)


def test_clients_beyond_the_limit_are_told_to_come_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("few") / "data"
    with running_edge(data, data_connections=4) as edge, ExitStack() as stack:
        plane = open_plane(edge, "tenant")
        for _ in range(4):
            greet(stack.enter_context(open_socket(plane)), plane)
        with plane.client() as late, pytest.raises(EdgeProblem, match="too many clients"):
            late.bind(plane.target, "add", "i>i")


def test_clients_that_have_gone_make_room_for_others(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Their sessions could be resumed for a minute, but hold nothing that anybody would miss."""
    data = tmp_path_factory.mktemp("gone") / "data"
    with running_edge(data, data_connections=4) as edge:
        plane = open_plane(edge, "tenant")
        for turn in range(1, 13):
            with plane.client() as client:
                add = client.bind(plane.target, "add", "i>i")
                assert number(client.call(add, slots(1)).results) == turn


def test_strangers_take_no_clients_place_and_the_oldest_makes_room(client: DataClient, plane: Plane) -> None:
    add = client.bind(plane.target, "add", "i>i")
    with ExitStack() as stack:
        strangers = [
            stack.enter_context(socket.create_connection((plane.host, plane.port), timeout=4))
            for _ in range(2 * EDGE.data_strangers_per_network)
        ]
        with plane.client() as late:
            assert number(late.call(late.bind(plane.target, "add", "i>i"), slots(1)).results) == 1
        assert number(client.call(add, slots(1)).results) == 2
        assert all(is_closed(stranger) for stranger in strangers[: EDGE.data_strangers_per_network])
        strangers[-1].settimeout(0.1)
        with pytest.raises(TimeoutError):
            strangers[-1].recv(1)


def test_a_worker_without_descriptors_rests_until_it_has_some(
    serving: RunningEdge, tenant: str, client: DataClient, plane: Plane
) -> None:
    add = client.bind(plane.target, "add", "i>i")
    worker = serving.workers()[tenant]
    taken = max(int(name) for name in os.listdir(f"/proc/{worker}/fd")) + 1
    limits = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (taken, limits[1]))
    with socket.create_connection((plane.host, plane.port), timeout=10):  # waits in the kernel
        before = processor_seconds(worker)
        time.sleep(1)
        assert processor_seconds(worker) - before < 0.3  # one that tries again and again takes all of it
        assert number(client.call(add, slots(1)).results) == 1
    resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)
    with plane.client(timeout_seconds=10.0) as late:
        assert number(late.call(late.bind(plane.target, "add", "i>i"), slots(1)).results) == 2


def processor_seconds(process: int) -> float:
    """Return what a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_stopping_edge_answers_what_has_begun_and_refuses_the_rest(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data = tmp_path_factory.mktemp("drain") / "data"
    with running_edge(data, data_tls=True) as edge:
        plane = open_plane(edge, "tenant")
        with plane.client() as client:
            work = client.bind(plane.target, "work", "i>i")
            call_id = client.start(work, slots(LONG))
            client.look()
            time.sleep(0.1)
            edge.process.send_signal(signal.SIGTERM)
            assert number(client.wait(call_id).results) == 0
            with pytest.raises(HostLost):
                client.call(work, slots(1))
        assert edge.stop() == 0


def test_uses_of_the_data_plane_keep_the_lease_and_count_as_calls(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data = tmp_path_factory.mktemp("use") / "data"
    with running_edge(data, lease_seconds=4.0, session_idle_seconds=3.0, calls_per_day=60) as edge:
        plane = open_plane(edge, "tenant")
        with plane.client() as client:
            add = client.bind(plane.target, "add", "i>i")
            for count in range(1, 15):
                assert number(client.call(add, slots(1)).results) == count
                time.sleep(0.5)
            for _ in range(100):
                client.start(add, slots(1))

            def is_sent_away() -> bool:
                try:
                    client.call(add, slots(1))
                except (EdgeProblem, Unauthorized, OutcomeUnknown, HostLost):
                    return True
                return False

            until(is_sent_away)
