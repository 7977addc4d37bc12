"""The whole offload sequence of one program over TLS, against a real `lawow serve`; and a moving channel.

The edge serves the calls of the lease on its data plane; the flexible end of the channel lives in another
process, on two hosts of `lawow.device.channel_host`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lawow.channel.documents import Value
from lawow.device.control_client import ControlClient
from lawow.device.data_session import DataSession, dial
from lawow.device.edge_client import EdgeClient, EdgeProblem
from lawow.device.elastic import ElasticFunction
from lawow.device.elastic_channel import ElasticChannel
from lawow.device.elastic_module import ElasticModule
from lawow.device.offload_handler import Offer, Offers, OffloadHandler
from lawow.device.policy import Place, Remote
from tests.conftest import ROOT, lawow
from tests.device.channels import TOKEN
from tests.edge.builders import module_of
from tests.server.running import RunningEdge, running_edge

COUNT = 400
SECONDS = 30.0
COUNTER = module_of(
    """(module (global $n (mut i64) (i64.const 0))
  (func (export "add") (param i64) (result i64)
    (global.set $n (i64.add (global.get $n) (local.get 0))) (global.get $n)))"""
)


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[RunningEdge]:
    """`lawow serve` with a certificate of its own, as an operator starts it."""
    made = json.loads(lawow("certificate", "--out", tmp_path, "--host", "127.0.0.1", "--json").stdout)
    command = [sys.executable, "-m", "lawow", "serve", "--port", "0", "--json"]
    command += ["--data", str(tmp_path / "data"), "--cert", made["cert"], "--key", made["key"]]
    with running_edge(tmp_path / "data", command=command) as running:
        yield running


def device(edge: RunningEdge, tenant: str) -> EdgeClient:
    """A device that knows the edge's pin and has its tenant's token."""
    return EdgeClient(edge.url, edge.token(tenant), certificate_sha256=edge.announced["pin"])


@pytest.fixture
def channel_hosts(tmp_path: Path) -> Iterator[dict[str, DataSession]]:
    """Sessions with two hosts in another process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.channel_hosts", str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with contextlib.ExitStack() as stack, process:
        sessions = {}
        for name, said in json.loads(process.stdout.readline()).items():
            sessions[name] = DataSession(
                lambda said=said: dial("127.0.0.1", said["port"], said["pin"]),  # type: ignore[misc]
                TOKEN,
            )
            stack.callback(sessions[name].close)
        yield sessions


def test_one_program_from_the_request_to_the_recall(edge: RunningEdge) -> None:
    """Request, offers, select, transfer, calls, sharing, synchronise, recall, and on at home."""
    seen: list[Offers] = []

    def choose(offers: Offers) -> Offer:
        seen.append(offers)
        return offers.offers[0]

    with device(edge, "walker") as client, device(edge, "neighbour") as other:
        handler = OffloadHandler(client)
        module = ElasticModule(COUNTER.wasm, keeps_state=True)
        add = ElasticFunction(module, "add", policy=Remote())
        assert (add(1), add.last_place) == (1, Place.LOCAL)

        item = module.offload(handler, requirements={"engine": "wasmtime"}, choose=choose)
        assert [offer.host for offer in seen[0].offers] == [item.host]
        assert item.transferred_bytes == len(COUNTER.wasm)
        assert item.endpoint is not None
        assert item.endpoint["certificate_sha256"] != edge.announced["pin"]
        assert [add(number) for number in (2, 3)] == [3, 6]
        assert add.last_place is Place.REMOTE

        shared = OffloadHandler(other)
        ControlClient(client).share("counter", item.lease, ("neighbour",))
        offers = shared.request(shared="walker/counter")
        neighbours = shared.select(offers, offers.offers[0])
        assert neighbours.transferred_bytes == 0
        assert neighbours.call("add", "I>I", [10]).results == (16,)
        assert add(0) == 16

        module.synchronise()
        assert add(100) == 116
        module.synchronise()
        assert neighbours.call("add", "I>I", [50]).results == (166,)
        module.recall()
        assert handler.offloaded == []
        assert (add(1000), add.last_place) == (1166, Place.LOCAL)
        with pytest.raises(EdgeProblem) as ended:
            neighbours.call("add", "I>I", [1])
        assert ended.value.code in ("lease-ended", "conflict", "session-lost")


def test_the_channels_end_moves_while_messages_flow_both_ways(channel_hosts: dict[str, DataSession]) -> None:
    """None is lost, none comes twice, all in order; both hosts had their part."""
    received: list[Value] = []
    with ElasticChannel("numbers", "s64", channel_hosts, "edge-1") as channel:

        def give() -> None:
            for number in range(COUNT):
                channel.send(number, timeout_seconds=SECONDS)

        def take() -> None:
            received.extend(channel.receive(timeout_seconds=SECONDS) for _ in range(COUNT))

        threads = [threading.Thread(target=work) for work in (give, take)]
        for thread in threads:
            thread.start()
        for destination in ("edge-2", "edge-1") * 5:
            channel.move(destination)
        for thread in threads:
            thread.join(SECONDS)
        channel.move("edge-2")
        channel.send(COUNT)
        received.append(channel.receive(timeout_seconds=SECONDS))
    numbers = [int(str(value)) for value in received]
    assert [number // 20 for number in numbers] == list(range(COUNT + 1))
    assert {number % 20 for number in numbers} == {1, 2}
