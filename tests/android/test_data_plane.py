"""The stub's data plane against a running edge: calls and how they end, over connections that are cut."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.android.builders import Jvm
from tests.android.test_channel_protocol import JavaEnd
from tests.edge.builders import module_of
from tests.server.planes import CuttingProxy, Plane, open_plane
from tests.server.running import RunningEdge, running_edge

LONG = 400_000_000
SUM = module_of(
    """(module (memory (export "memory") 4 64) (global $free (mut i32) (i32.const 1024))
  (global $n (mut i32) (i32.const 0))
  (func (export "add") (param i32) (result i32)
    (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n))
  (func (export "spin") (loop $l (br $l)))
  (func (export "work") (param i32) (result i32)
    (loop $l (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if $l (local.get 0))) (local.get 0))
  (func (export "unreachable") unreachable)
  (func (export "two") (param i32) (result i32 i32) (local.get 0) (i32.const 2))
  (func (export "fill") (param i32 i32) (i32.store (local.get 0) (i32.const 9)))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local i32)
    (local.set 4 (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
    (global.set $free (i32.add (local.get 4) (local.get 3)))
    (block $enough
      (br_if $enough (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
      (drop (memory.grow (i32.add (i32.div_u (local.get 3) (i32.const 65536)) (i32.const 1)))))
    (local.get 4))
  (func (export "echo") (param i32 i32) (result i32)
    (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16)))"""
)


@pytest.fixture(scope="module", params=["plain", "tls"])
def edge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """An edge whose data plane has TLS, or not."""
    data = tmp_path_factory.mktemp("plane") / "data"
    with running_edge(data, data_tls=request.param == "tls", deadline_seconds=1.5) as running:
        yield running


@pytest.fixture
def plane(edge: RunningEdge, tenant: str) -> Iterator[Plane]:
    opened = open_plane(edge, tenant, SUM)
    yield opened
    edge.ask("DELETE", f"/v1/leases/{opened.lease}", tenant)  # so that its worker may give way


@pytest.fixture(scope="module")
def java(jvm: Jvm) -> Iterator[JavaEnd]:
    with jvm.started("Planes") as process:
        yield JavaEnd(process)


class Client:
    """One data plane of the JVM's."""

    def __init__(self, java: JavaEnd, plane: Plane, token: str | None = None, pin: str | None = None) -> None:
        self.java, self.plane = java, plane
        pin = plane.pin if pin is None else pin
        java.ask("host", "edge", plane.host, plane.port, pin, plane.token if token is None else token)

    def call(
        self, export: str, signature: str, *values: object, deadline_ms: int = 0, fresh: bool = False
    ) -> str:
        """Call, in the lease's instance or in a fresh one."""
        target = f"sha256:{SUM.digest}" if fresh else self.plane.target
        return self.java.ask("call", "edge", target, export, signature, deadline_ms, *values)

    def start(self, export: str, signature: str, *values: object, fresh: bool = False) -> None:
        """Begin a call."""
        target = f"sha256:{SUM.digest}" if fresh else self.plane.target
        assert self.java.ask("start", "edge", target, export, signature, 0, *values) == "ok"


@pytest.fixture
def client(java: JavaEnd, plane: Plane) -> Iterator[Client]:
    yield Client(java, plane)
    java.ask("close", "edge")


def test_calls_find_what_earlier_ones_left_or_a_fresh_instance_each(client: Client) -> None:
    assert [client.call("add", "i>i", 2) for _ in range(3)] == ["2", "4", "6"]
    assert [client.call("add", "i>i", 2, fresh=True) for _ in range(3)] == ["2", "2", "2"]


def test_strings_lists_and_several_results_come_back(client: Client) -> None:
    assert client.call("echo", "S>S", "grüße") == "grüße"
    assert client.call("two", "i>ii", 7) == "[7, 2]"
    assert client.call("fill", "&[i>", "int*3") == "null 3 ints"


def test_arguments_and_results_of_more_than_a_frame_travel_in_parts(client: Client) -> None:
    text = "abcdefgh" * 300_000
    assert client.call("echo", "S>S", text) == text


def test_traps_refusals_and_deadlines_say_whether_the_call_may_have_run(client: Client) -> None:
    assert client.call("unreachable", ">", fresh=True) == "trap unreachable"
    assert client.call("missing", ">").startswith("remote not-found false ")
    assert client.call("add", "I>I", "x").startswith("error IllegalArgumentException")
    assert client.call("spin", ">", deadline_ms=100, fresh=True).startswith("remote deadline true ")
    assert client.call("add", "i>i", 1) == "1"


def test_a_thousand_calls_may_be_under_way(client: Client) -> None:
    for _ in range(1000):
        client.start("add", "i>i", 1)
    assert client.java.ask("wait") == " ".join(map(str, range(1, 1001)))


def test_a_cancelled_call_is_over_here_and_stopped_there(client: Client) -> None:
    client.start("spin", ">", fresh=True)
    assert client.java.ask("cancel") == "true"
    assert client.java.ask("wait") == "cancelled"
    assert client.call("work", "i>i", 1, fresh=True) == "0"


@pytest.mark.parametrize("seed", [1, 2])
def test_calls_over_connections_that_are_cut_anywhere_run_once_each(
    java: JavaEnd, plane: Plane, seed: int
) -> None:
    chance = random.Random(seed)
    with CuttingProxy(plane) as proxy:
        client = Client(java, proxy.plane)
        assert client.call("add", "i>i", 0) == "0"
        for number in range(1, 41):
            if number % 2:
                proxy.cut_after(chance.randrange(1, 70), is_inward=chance.random() < 0.5)
            answer = client.call("add", "i>i", 1)
            while answer.startswith("remote lost false"):  # it did not arrive, so it may be made again
                answer = client.call("add", "i>i", 1)
            assert answer == str(number)
        java.ask("close", "edge")


def test_a_host_that_drops_every_connection_is_tried_at_growing_intervals_and_given_up(java: JavaEnd) -> None:
    """At 50 ms, 100 ms, ... and then each second, for ten seconds: 15 times, or less on a slow machine."""
    taken = []

    def drop(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                listener.accept()[0].close()
                taken.append(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drop, args=(listener,), daemon=True).start()
        java.ask("host", "edge", "127.0.0.1", listener.getsockname()[1], "", "token")
        answer = java.ask("call", "edge", "sha256:" + "0" * 64, "add", "i>i", 0, 1)
        listener.shutdown(socket.SHUT_RDWR)
    assert answer.startswith("remote unreachable false ")
    assert 1 < len(taken) <= 15
    assert java.ask("over", "edge") == "true"


def test_another_certificate_is_refused_before_the_token_is_sent(java: JavaEnd, plane: Plane) -> None:
    if not plane.pin:
        assert java.ask("host", "edge", "192.0.2.1", 1, "", "token").startswith("error IllegalStateException")
        return
    client = Client(java, plane, pin="ab" * 32)
    answer = client.call("add", "i>i", 1)
    assert answer.startswith("remote unreachable false ")
    assert "certificate" in answer


def test_a_token_that_is_not_in_force_is_told(java: JavaEnd, plane: Plane) -> None:
    client = Client(java, plane, token="lawow_nobody")
    assert client.call("add", "i>i", 1).startswith("remote unauthorized false ")
    assert java.ask("over", "edge") == "true"


def test_where_nobody_listens_nothing_was_started(java: JavaEnd, plane: Plane) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, never listening
        java.ask("host", "edge", "127.0.0.1", taken.getsockname()[1], plane.pin, plane.token)
        answer = java.ask("call", "edge", plane.target, "add", "i>i", 0, 1)
    assert answer.startswith("remote unreachable false ")


def test_of_a_call_whose_worker_dies_nobody_knows_the_outcome(
    edge: RunningEdge, tenant: str, java: JavaEnd, client: Client
) -> None:
    client.call("add", "i>i", 1)
    client.start("spin", ">", fresh=True)
    for pid in edge.workers().values():
        os.kill(pid, signal.SIGKILL)
    answer = java.ask("wait")
    assert answer.startswith("failed dev.lawow.RemoteException")
    assert "may have run" in answer
