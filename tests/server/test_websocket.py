"""The data plane over WebSocket, on a running edge with TLS: everything that a worker's own port does."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lawow.channel.bodies import write_arguments
from lawow.device.data_client import DataClient
from lawow.device.data_session import DataSession
from lawow.device.edge_client import EdgeClient, EdgeProblem
from lawow.device.elastic_channel import ElasticChannel
from lawow.device.offload_handler import Offloaded, OffloadHandler
from lawow.device.websocket import WebSocketWire, dial_websocket
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.tenants import Tenants
from lawow.errors import GuestTrap, HostLost, LimitExceeded, OutcomeUnknown, Refused, Unauthorized
from lawow.formats.elements import Packed
from tests.conftest import lawow
from tests.edge.builders import Module
from tests.server.planes import COUNTER, CuttingProxy, Plane, number, slots
from tests.server.running import RunningEdge, running_edge, until
from tests.server.test_channels import GUEST
from tests.server.test_data_plane import LONG


@contextmanager
def served(folder: Path, deadline_seconds: str = "1.5") -> Iterator[RunningEdge]:
    """An edge as an operator starts it, with a certificate."""
    made = json.loads(lawow("certificate", "--out", folder, "--host", "127.0.0.1", "--json").stdout)
    command = [sys.executable, "-m", "lawow", "serve", "--port", "0", "--json"]
    command += [
        "--deadline",
        deadline_seconds,
        "--data",
        str(folder / "data"),
        "--cert",
        made["cert"],
        "--key",
        made["key"],
    ]
    with running_edge(folder / "data", command=command) as running:
        yield running


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """One edge for all tests that leave it as it is."""
    with served(tmp_path_factory.mktemp("websocket")) as running:
        yield running


def edge_of(serving: RunningEdge, tenant: str, url: str = "", pin: str = "") -> EdgeClient:
    """A tenant's client of the REST port, by the pin."""
    pin = pin or serving.announced["pin"]
    return EdgeClient(url or serving.url, serving.token(tenant), certificate_sha256=pin)


@contextmanager
def leased(serving: RunningEdge, tenant: str, module: Module = COUNTER) -> Iterator[Offloaded]:
    """A lease with an instance."""
    with edge_of(serving, tenant) as edge:
        handler = OffloadHandler(edge)
        offers = handler.request(module.wasm)
        item = handler.select(offers, offers.offers[0])
        yield item
        handler.recall(item, with_state=False)


@pytest.fixture
def lease(serving: RunningEdge, tenant: str) -> Iterator[Offloaded]:
    """A lease of a new tenant, with an instance of the counter."""
    with leased(serving, tenant) as item:
        yield item


def dialer(lease: Offloaded, edge: EdgeClient | None = None) -> Callable[[], WebSocketWire]:
    """The way through the edge's own port."""
    assert lease.endpoint is not None
    path = str(lease.endpoint["websocket"])
    return lambda: dial_websocket(edge or lease.control.edge, path)


def client_of(lease: Offloaded, token: str = "", edge: EdgeClient | None = None) -> DataClient:
    """The product's client, not connected yet."""
    return DataClient("websocket", 0, token or lease.token, connect=dialer(lease, edge), timeout_seconds=20)


@pytest.fixture
def client(lease: Offloaded) -> Iterator[DataClient]:
    """A client of that lease."""
    with client_of(lease) as connected:
        yield connected


def bind(client: DataClient, lease: Offloaded, export: str, signature: str) -> int:
    """Name a function of the lease's instance."""
    return client.bind(f"session:{lease.lease}", export, signature)


def test_calls_reach_the_instance_that_http_and_the_port_reach(client: DataClient, lease: Offloaded) -> None:
    add = bind(client, lease, "add", "i>i")
    assert [number(client.call(add, slots(2)).results) for _ in range(3)] == [2, 4, 6]
    assert lease.call("add", "i>i", [5]).results == (11,)
    assert lease.endpoint is not None
    with DataSession.of_endpoint(lease.endpoint, lease.token) as session:
        assert session.call(f"session:{lease.lease}", "add", "i>i", [1])[0] == (12,)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 3_000_001])
def test_strings_of_any_size_come_back_as_they_were(client: DataClient, lease: Offloaded, size: int) -> None:
    """Those beyond `websocket_bytes` in several messages, beyond `frame_bytes` in several frames."""
    echo = bind(client, lease, "echo", "[b>[b")
    body = write_arguments([Packed(size, random.Random(size).randbytes(size))])
    assert bytes(client.call(echo, body).results) == body


def test_many_calls_small_and_large_are_under_way_and_no_end_blocks_the_other(tmp_path: Path) -> None:
    with served(tmp_path, "10") as edge, leased(edge, "tenant") as lease, client_of(lease) as client:
        add, echo = bind(client, lease, "add", "i>i"), bind(client, lease, "echo", "[b>[b")
        small = [client.start(add, slots(1)) for _ in range(1000)]
        assert [number(client.wait(call_id).results) for call_id in small] == list(range(1, 1001))
        body = write_arguments([Packed(700_000, bytes(700_000))])
        large = [client.start(echo, body) for _ in range(12)]
        assert all(len(client.wait(call_id).results) == len(body) for call_id in large)


def test_deadlines_cancelling_and_traps_are_those_of_the_port(client: DataClient, lease: Offloaded) -> None:
    spin = client.bind(f"sha256:{lease.digest}", "spin", ">")
    with pytest.raises(LimitExceeded):
        client.call(spin, b"", deadline_seconds=0.2)
    call_id = client.start(spin, b"")
    client.cancel(call_id)
    with pytest.raises(EdgeProblem) as caught:
        client.wait(call_id)
    assert caught.value.code == "cancelled"
    with pytest.raises(GuestTrap):
        client.call(bind(client, lease, "unreachable", ">"), b"")


@pytest.mark.parametrize("is_inward", [True, False])
def test_a_connection_that_is_cut_is_resumed_and_no_call_runs_twice(
    serving: RunningEdge, tenant: str, lease: Offloaded, is_inward: bool
) -> None:
    """The first cut is in the calls, the second in the request for the next WebSocket or its answer."""
    host, port = serving.address
    chance = random.Random(is_inward)
    with CuttingProxy(Plane(lease.lease, lease.token, host, port, "")) as proxy:
        edge = edge_of(serving, tenant, f"https://{host}:{proxy.plane.port}")
        with client_of(lease, edge=edge) as client:
            add = bind(client, lease, "add", "i>i")
            proxy.cut_after(chance.randrange(100, 1_000), is_inward=is_inward)
            ids = [client.start(add, slots(1)) for _ in range(40)]
            answered = []
            for call_id in ids:
                try:
                    answered.append(number(client.wait(call_id).results))
                except HostLost:  # it never reached the edge
                    answered.append(number(client.call(add, slots(1)).results))
    assert sorted(answered) == list(range(1, 41))


def test_messages_of_channels_go_both_ways_and_on_after_a_loss(serving: RunningEdge, tenant: str) -> None:
    serving.token(tenant)
    database = Database(DataFolder(serving.data).database)
    Tenants(database).change(tenant, {}, ("channel",))
    database.close()
    wires: list[WebSocketWire] = []
    with leased(serving, tenant, GUEST) as lease:

        def connect() -> WebSocketWire:
            wires.append(dialer(lease)())
            return wires[-1]

        with (
            DataSession(connect, lease.token.encode()) as session,
            ElasticChannel("echo", "list<f64>", {"edge": session}, "edge") as channel,
        ):
            for values in ([1.5, -2.0], [], [0.25] * 10_000):
                channel.send(values)
                assert list(channel.receive(timeout_seconds=10)) == values  # type: ignore[call-overload]
            wires[0]._socket.shutdown(socket.SHUT_RDWR)
            channel.send([4.0])
            assert list(channel.receive(timeout_seconds=10)) == [4.0]  # type: ignore[call-overload]
    assert len(wires) == 2


def test_a_port_that_cannot_be_reached_is_replaced_by_a_websocket(
    serving: RunningEdge, lease: Offloaded
) -> None:
    assert lease.endpoint is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = {**lease.endpoint, "port": listener.getsockname()[1]}
    with pytest.raises(HostLost):
        DataSession.of_endpoint(closed, lease.token)
    with DataSession.of_endpoint(closed, lease.token, lease.control.edge) as session:
        assert session.call(f"session:{lease.lease}", "add", "i>i", [3])[0] == (3,)
        with edge_of(serving, "nobody", pin="ab" * 32) as other, pytest.raises(Refused):
            DataSession.of_endpoint(closed, lease.token, other)


def test_a_token_opens_its_own_lease_alone(
    lease: Offloaded, serving: RunningEdge, new_tenant: Callable[[], str]
) -> None:
    with leased(serving, new_tenant()) as other:
        for token in (other.token, "x" * 43):
            with client_of(lease, token) as client, pytest.raises(Unauthorized):
                bind(client, lease, "add", "i>i")
    with pytest.raises(HostLost, match="404, not-found"):  # it has ended
        dial_websocket(lease.control.edge, f"/v1/leases/{other.lease}/channel")


def test_another_certificate_gets_neither_token_nor_request(lease: Offloaded, serving: RunningEdge) -> None:
    with edge_of(serving, "nobody", pin="ab" * 32) as edge, pytest.raises(Refused, match="not the pinned"):
        dialer(lease, edge)()


def test_a_worker_that_dies_leaves_the_outcome_unknown_and_the_edge_alive(
    serving: RunningEdge, tenant: str, lease: Offloaded, client: DataClient
) -> None:
    work = client.bind(f"sha256:{lease.digest}", "work", "i>i")
    call_id = client.start(work, slots(LONG * 10))
    client.look()
    time.sleep(0.1)
    os.kill(serving.workers()[tenant], signal.SIGKILL)
    with pytest.raises(OutcomeUnknown):
        client.wait(call_id)
    until(lambda: lease.control.lease(lease.lease)["endpoint"] is None)
    lease.follow(lease.control.initialise(lease.lease))
    with client_of(lease) as again:
        assert number(again.call(bind(again, lease, "add", "i>i"), slots(1)).results) == 1


def is_closed_by_the_edge(client: DataClient) -> bool:
    """Tell whether the edge has closed a client's WebSocket, or the client has let it go."""
    wire = client._socket
    if wire is None:
        return True
    wire.setblocking(False)
    try:
        return not wire.recv(65536)
    except BlockingIOError:
        return False


def test_a_stopping_edge_answers_what_has_begun_and_says_goodbye(tmp_path: Path) -> None:
    with served(tmp_path) as edge, edge_of(edge, "tenant") as rest:
        handler = OffloadHandler(rest)
        offers = handler.request(COUNTER.wasm)
        lease = handler.select(offers, offers.offers[0])
        with client_of(lease) as client, client_of(lease) as idle:
            bind(idle, lease, "add", "i>i")
            work = client.bind(f"sha256:{lease.digest}", "work", "i>i")
            call_id = client.start(work, slots(LONG // 2))
            client.look()
            time.sleep(0.1)
            edge.process.send_signal(signal.SIGTERM)
            assert number(client.wait(call_id).results) == 0

            def is_sent_away() -> bool:
                with suppress(LimitExceeded):
                    try:
                        client.call(work, slots(1))
                    except HostLost:
                        return True
                return False

            until(is_sent_away)
            until(lambda: is_closed_by_the_edge(client) and is_closed_by_the_edge(idle))
        assert edge.stop() == 0
        ends = [line for line in edge.log.read_text().splitlines() if " websocket " in line]
        assert [line.partition(" code=")[2][:4] for line in ends] == ["1001", "1001"]


def test_an_endpoint_names_its_websocket(lease: Offloaded) -> None:
    assert lease.endpoint is not None
    assert lease.endpoint["websocket"] == f"/v1/leases/{lease.lease}/channel"
