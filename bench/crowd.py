"""Many at once on one edge: what a tenant feels of a hundred others, and what 10,000 idle channels weigh.

The victim is one tenant whose calls over the data plane are timed, alone, between calls of the others, and
while the channels are held. Everybody has an instance in a worker of their own; plain TCP on loopback.
"""

from __future__ import annotations

import hashlib
import json
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.table import Table
from lawow.channel.client import ClientConnection
from lawow.channel.events import ChannelOpened, Event, Welcomed
from lawow.channel.payloads import Kind
from lawow.device.control_client import ControlClient
from lawow.device.data_client import DataClient
from lawow.device.edge_client import EdgeClient
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.tenants import Tenants
from lawow.runtime.libwasmtime import wat_to_wasm

__all__ = ["measure"]

TENANTS = 100
CHANNELS = 10_000
CHANNELS_EACH = 500
CALLS = 2_000
TRIES = 5
WORST_RATIO = 3.0
MODULE = b"""(module (memory (export "memory") 1)
  (func (export "same") (param i32) (result i32) local.get 0))"""


@dataclass(frozen=True, slots=True)
class _Tenant:
    """A tenant with an instance, and a client that has called it."""

    port: int
    token: str
    client: DataClient
    function: int

    def call(self) -> float:
        """Call it; returns microseconds."""
        started = time.perf_counter()
        self.client.call(self.function, bytes(8))
        return (time.perf_counter() - started) * 1e6


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Run an edge with a worker for each tenant; one round, since it takes most of its time to set up."""
    del rounds
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with _edge(folder / "data") as (url, data, edge_process), ExitStack() as stack:
            return (_measured(url, data, edge_process, stack),)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _measured(url: str, data: Path, edge_process: int, stack: ExitStack) -> Table:
    names = [f"tenant-{number:03}" for number in range(TENANTS)]
    tokens = _tokens(data, names)
    victim = _tenant(url, tokens[0], stack)
    alone = _quantiles(victim, lambda _: None)
    others = [_tenant(url, token, stack) for token in tokens[1:]]
    crowded = _quantiles(victim, lambda index: others[index % len(others)].call())
    before = _memory_bytes(edge_process)
    held = [
        stack.enter_context(_idle_channel(tenant, number))
        for tenant in others[: CHANNELS // CHANNELS_EACH]
        for number in range(CHANNELS_EACH)
    ]
    each = (_memory_bytes(edge_process) - before) / len(held) / 1024
    beside = _quantiles(victim, lambda _: None)
    rows: list[tuple[str | float, ...]] = [
        ("a call, alone", *alone, 1.0, ""),
        (f"between calls of {len(others)} others", *crowded, crowded[1] / alone[1], WORST_RATIO),
        (f"beside {len(held):,} idle channels", *beside, beside[1] / alone[1], WORST_RATIO),
    ]
    columns = ("the victim", "p50 us", "p99 us", "p99 / p99 alone", "wanted at most")
    return Table("Many on one edge", columns, tuple(rows), (f"An idle channel weighs {each:.1f} KiB.",))


def _quantiles(victim: _Tenant, between: Callable[[int], object]) -> tuple[float, float]:
    """Return p50 and p99 of the victim's calls, with something done between them; the best of tries."""
    tries = []
    for _ in range(TRIES):
        found = []
        for index in range(CALLS):
            between(index)
            found.append(victim.call())
        found.sort()
        tries.append((found[len(found) // 2], found[len(found) * 99 // 100]))
    return min(tries, key=lambda item: item[1])


def _tokens(data: Path, names: list[str]) -> list[str]:
    database = Database(DataFolder(data).database)
    try:
        tenants = Tenants(database)
        return [tenants.issue(name).token for name in names]
    finally:
        database.close()


def _tenant(url: str, token: str, stack: ExitStack) -> _Tenant:
    wasm = wat_to_wasm(MODULE)
    edge = stack.enter_context(EdgeClient(url, token))
    edge.upload_module(wasm)
    control = ControlClient(edge)
    asked = {"module": f"sha256:{hashlib.sha256(wasm).hexdigest()}", "choice": "provider"}
    lease = control.request(asked)["lease"]
    assert isinstance(lease, dict)
    endpoint = control.initialise(str(lease["lease"]))["endpoint"]
    assert isinstance(endpoint, dict)
    client = stack.enter_context(DataClient("127.0.0.1", int(endpoint["port"]), str(lease["token"])))
    function = client.bind(f"session:{lease['lease']}", "same", "i>i")
    made = _Tenant(int(endpoint["port"]), str(lease["token"]), client, function)
    made.call()
    return made


def _idle_channel(tenant: _Tenant, number: int) -> socket.socket:
    """Return a connection with one open channel, to a topic of its own, over which nothing is said."""
    connection = socket.create_connection(("127.0.0.1", tenant.port))
    link = ClientConnection()
    link.send_hello(tenant.token.encode())
    _await(connection, link, Welcomed)
    link.send_open(f"idle-{number}", "s32", kind=Kind.TOPIC)
    _await(connection, link, ChannelOpened)
    return connection


def _await(connection: socket.socket, link: ClientConnection, wanted: type[Event]) -> None:
    connection.sendall(link.data_to_send())
    while not any(isinstance(event, wanted) for event in link.receive_data(connection.recv(65536))):
        continue


@contextmanager
def _edge(data: Path) -> Iterator[tuple[str, Path, int]]:
    """Run an edge; yields its URL, its folder and its process."""
    lawow = [sys.executable, "-m", "lawow", "serve", "--data", str(data), "--port", "0", "--json"]
    command = [*lawow, "--workers", str(TENANTS + 2)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as edge:
        assert edge.stdout is not None
        try:
            yield json.loads(edge.stdout.readline())["url"], data, edge.pid
        finally:
            edge.send_signal(signal.SIGTERM)


def _memory_bytes(process: int) -> int:
    """Return what a process and its children have resident."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    pages = [int(Path(f"/proc/{item}/statm").read_text().split()[1]) for item in (process, *children)]
    return sum(pages) * resource.getpagesize()
