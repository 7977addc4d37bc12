"""A client of the data plane in JavaScript, written from docs/PROTOCOL.md alone, against `lawow serve`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lawow.device.edge_client import EdgeClient
from lawow.device.elastic_module import ElasticModule
from lawow.device.offload_handler import Offloaded, OffloadHandler
from tests.edge.builders import module_of
from tests.server.running import RunningEdge
from tests.tools import tool

CLIENT = Path(__file__).parent / "plane_client.mjs"
SLOW = module_of(
    """(module (global $n (mut i32) (i32.const 0))
  (func (export "add") (param i32) (result i32)
    (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n))
  (func (export "slow_add") (param i32) (result i32) (local $left i32)
    (local.set $left (i32.const 400000000))
    (loop $l (local.set $left (i32.sub (local.get $left) (i32.const 1))) (br_if $l (local.get $left)))
    (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n)))"""
)


@pytest.fixture
def lease(edge: RunningEdge) -> Iterator[Offloaded]:
    """A lease with an instance."""
    with EdgeClient(edge.url, edge.token("stranger"), certificate_sha256=edge.announced["pin"]) as client:
        yield ElasticModule(SLOW.wasm).offload(OffloadHandler(client))


def run_client(lease: Offloaded, pin: str) -> subprocess.CompletedProcess[str]:
    """Let the client call ``slow_add(7)``."""
    assert lease.endpoint is not None
    words = [lease.endpoint["host"], lease.endpoint["port"], pin, lease.token, f"session:{lease.lease}"]
    command = [tool("node"), str(CLIENT), *map(str, words), "slow_add", "7"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_call_whose_connection_is_cut_ran_once_and_its_result_comes_after_resuming(
    lease: Offloaded,
) -> None:
    assert lease.endpoint is not None
    done = run_client(lease, str(lease.endpoint["certificate_sha256"]))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["resumed"], said["result"]) == (1, 7)
    assert said["known"] in ([1], [2])  # still running, or done and kept
    assert lease.call("add", "i>i", [0]).results == (7,)


def test_another_certificate_gets_no_token(lease: Offloaded) -> None:
    done = run_client(lease, "ab" * 32)
    assert done.returncode == 1
    assert "the certificate is " in done.stderr
    assert lease.call("add", "i>i", [0]).results == (0,)
