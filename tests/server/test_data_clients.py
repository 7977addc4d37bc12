"""Clients of the data plane of a running edge: who may come, is lost or misbehaves; and the edge's end."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import struct
import time
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest

from lawow.channel.bodies import write_arguments
from lawow.channel.client import ClientConnection
from lawow.device.data_client import DataClient
from lawow.device.edge_client import EdgeProblem
from lawow.errors import HostLost, OutcomeUnknown, Refused, Unauthorized
from lawow.formats.elements import Packed
from lawow.limits import EDGE
from tests.server.bare import greet, is_closed, open_socket, send_frame, text
from tests.server.planes import CuttingProxy, Plane, number, open_plane, slots
from tests.server.running import RunningEdge, processor_seconds, running_edge, until

LONG = 400_000_000
"""Rounds of a loop that take much longer than a round trip."""


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
    with socket.create_connection((plane.host, plane.port), timeout=10) as silent:
        started = time.monotonic()
        assert is_closed(silent)
        assert 4 < time.monotonic() - started < 9


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


def test_a_stopping_edge_answers_what_has_begun_and_refuses_the_rest(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data = tmp_path_factory.mktemp("drain") / "data"
    with running_edge(data, data_tls=True) as edge:
        plane = open_plane(edge, "tenant")
        with plane.client() as client:
            work = client.bind(plane.target, "work", "i>i")
            call_id = client.start(work, slots(LONG * 3))  # goes on for longer than the end takes to begin
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

            def is_sent_away() -> bool:
                try:
                    for _ in range(100):
                        client.start(add, slots(1))
                    client.call(add, slots(1))
                except (EdgeProblem, Unauthorized, OutcomeUnknown, HostLost):
                    return True
                return False

            until(is_sent_away)
