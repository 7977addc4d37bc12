"""What programs need that are tested end to end: an edge, hosts of channels, a module, a JVM's libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.android.builders import Sample, sample
from tests.android.conftest import host_glue, host_wasmtime
from tests.conftest import ROOT, lawow
from tests.device.channels import TOKEN
from tests.server.running import RunningEdge, running_edge

__all__ = ["host_glue", "host_wasmtime", "relay_of", "serving_edge"]

COUNTER = """
(module
  (memory (export "memory") 2)
  (global $stack (mut i32) (i32.const 66560))
  (data (i32.const 1024) "\\0a\\00\\00\\00")
  (func (export "add") (param i32) (result i32)
    (i32.store (i32.const 1024) (i32.add (i32.load (i32.const 1024)) (local.get 0)))
    (i32.store (i32.const 70000) (i32.const 1))
    (i32.load (i32.const 1024))))
"""

RELAY = """
(module
  (import "lawow:channel" "receive" (func $receive (param i32 i32) (result i32)))
  (import "lawow:channel" "room" (func $room (result i32)))
  (import "lawow:channel" "send" (func $send (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "numbers")
    (block $done (loop $next
      (br_if $done (i32.lt_s (call $receive (i32.const 16) (i32.const 0)) (i32.const 8)))
      (br_if $done (i32.lt_s (call $room) (i32.const 8)))
      (drop (call $receive (i32.const 16) (i32.const 8)))
      (i64.store (i32.const 16)
        (i64.add (i64.mul (i64.load (i32.const 16)) (i64.const 20)) (i64.const %d)))
      (drop (call $send (i32.const 16) (i32.const 8)))
      (br $next)))))
"""


@pytest.fixture
def counter() -> Sample:
    """A module that adds to a number in its memory, 10 at first."""
    return sample("counter.wasm", COUNTER)


@pytest.fixture
def relay() -> Sample:
    """A module whose endpoint answers a number with itself, times 20, and the mark 4."""
    return relay_of(4)


def relay_of(mark: int) -> Sample:
    """A module whose endpoint answers a number with itself, times 20, and a mark below 20."""
    return sample("relay.wasm", RELAY % mark)


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[RunningEdge]:
    """An edge as an operator starts it, with a certificate of its own."""
    with serving_edge(tmp_path / "data") as running:
        yield running


@contextmanager
def serving_edge(data: Path) -> Iterator[RunningEdge]:
    """Run ``lawow serve`` on a folder, with a certificate of its own."""
    tls = data.with_name(f"{data.name}-tls")
    made = json.loads(lawow("certificate", "--out", tls, "--host", "127.0.0.1", "--json").stdout)
    command = [sys.executable, "-m", "lawow", "serve", "--port", "0", "--json"]
    command += ["--data", str(data), "--cert", made["cert"], "--key", made["key"]]
    with running_edge(data, command=command) as running:
        yield running


@pytest.fixture
def channel_hosts(tmp_path: Path) -> Iterator[dict[str, dict[str, object]]]:
    """Two hosts in another process, ``port`` and ``pin`` of each by its name."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.channel_hosts", str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        yield json.loads(process.stdout.readline())


@pytest.fixture
def host_words(channel_hosts: dict[str, dict[str, object]]) -> list[str]:
    """The hosts as words for a program: ``NAME=ADDRESS:PORT:PIN:TOKEN``."""
    return [
        f"{name}=127.0.0.1:{host['port']}:{host['pin']}:{TOKEN.decode()}"
        for name, host in channel_hosts.items()
    ]
