"""Leases with an instance on the data plane, a client in C, and processor time, for measurements."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lawow.channel.client import ClientConnection
from lawow.channel.payloads import Bind, write_payload
from lawow.device.control_client import ControlClient
from lawow.device.data_client import DataClient
from lawow.device.edge_client import EdgeClient
from lawow.device.trust import pinned_context
from lawow.runtime.libwasmtime import wat_to_wasm

__all__ = [
    "GUEST",
    "SOURCES",
    "Load",
    "Plane",
    "call_frame",
    "compiled",
    "cpu_seconds",
    "greeted",
    "load",
    "opening",
    "opening_by_websocket",
    "pong",
    "serving",
    "websocket_message",
]

SOURCES = Path(__file__).resolve().parent / "plane"
SECONDS = "1"
CALLS_PER_DAY = "1000000000"  # a run makes more of them than a tenant may in a day
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
HEAD = struct.Struct("<IIHH")
UPGRADE = (
    b"GET /v1/leases/%s/channel HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: lawow.v1\r\n\r\n"
)
GUEST = b"""(module (memory (export "memory") 40) (func (export "same") (param i32) (result i32) local.get 0)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)
  (func (export "echo") (param i32 i32) (result i32)
    (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16)))"""


@dataclass(frozen=True, slots=True)
class Plane:
    """A lease with an instance."""

    lease: str
    token: str
    port: int
    pin: str
    worker: int
    edge: int
    edge_port: int

    def client(self) -> DataClient:
        """Return a client of it."""
        return DataClient("127.0.0.1", self.port, self.token, certificate_sha256=self.pin)


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of the C client found: microseconds."""

    median_us: float
    cpu_us: float


def compiled(folder: Path, name: str) -> str:
    """Compile a program in C; return its path."""
    program = folder / name
    subprocess.run(["gcc", "-O2", "-o", program, SOURCES / f"{name}.c"], check=True)
    return str(program)


def load(
    program: str,
    port: int,
    server: int | tuple[int, ...],
    depth: str,
    request: Path,
    answer_bytes: int,
    opening: tuple[str, ...] = (),
) -> Load:
    """Let the client in C call a server for a second; `server`: the processes whose time is counted.

    `depth` is how many calls are under way, or ``CONNECTIONSxDEPTH``.
    """
    processes = (server,) if isinstance(server, int) else server
    before = sum(map(cpu_seconds, processes))
    words = (port, depth, SECONDS, request, answer_bytes, *opening)
    done = subprocess.run([program, *map(str, words)], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the client of the benchmark ended with {done.returncode}: {done.stderr.strip()}")
    calls, median_us = done.stdout.split()
    used = sum(map(cpu_seconds, processes)) - before
    return Load(float(median_us), used / int(calls) * 1e6)


@contextmanager
def pong(program: str, *words: int | str) -> Iterator[tuple[int, int]]:
    """Run the server in C (`bench/plane/pong.c`); yields port and process."""
    command = [program, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


def call_frame(path: Path, body: bytes) -> Path:
    """Write a CALL of the function with the id 1, which is made again and again."""
    path.write_bytes(HEAD.pack(16 + len(body), 0, 0x12, 0) + struct.pack("<II", 1, 0) + body)
    return path


def opening(folder: Path, plane: Plane, export: str, signature: str) -> tuple[str, ...]:
    """Return what the C client sends first, and how long the answers are."""
    connection, welcome_bytes = greeted(plane)
    connection.close()
    hello, bind = folder / f"{export}.hello", folder / f"{export}.bind"
    link = ClientConnection()
    link.send_hello(plane.token.encode())
    hello.write_bytes(link.data_to_send())
    payload = write_payload(Bind(f"session:{plane.lease}", export, signature))
    bind.write_bytes(HEAD.pack(8 + len(payload), 1, 0x10, 0) + payload)
    return (str(hello), str(welcome_bytes), str(bind), "16")


def opening_by_websocket(folder: Path, plane: Plane, opened: tuple[str, ...]) -> tuple[str, ...]:
    """Return the same as `opening` for a WebSocket through the edge, of what that returned for the port."""
    request, parts = folder / "upgrade", [UPGRADE % plane.lease.encode()]
    request.write_bytes(parts[0])
    words = [str(request)]
    with socket.create_connection(("127.0.0.1", plane.edge_port)) as connection:
        connection.sendall(parts[0])
        words.append(str(len(connection.recv(65536))))
        for path in map(Path, opened[::2]):
            message = folder / f"{path.name}.message"
            message.write_bytes(websocket_message(path.read_bytes()))
            connection.sendall(message.read_bytes())
            words += [str(message), str(len(connection.recv(65536)))]
    return tuple(words)


def websocket_message(data: bytes) -> bytes:
    """Return a binary message under a mask of zeros."""
    size = len(data)
    head = bytes([0x82, 0x80 | size]) if size < 126 else struct.pack(">BBH", 0x82, 0xFE, size)
    return head + bytes(4) + data


def greeted(plane: Plane) -> tuple[socket.socket, int]:
    """Return a connection that was welcome, and how long WELCOME is."""
    connection = socket.create_connection(("127.0.0.1", plane.port))
    if plane.pin:
        connection = pinned_context().wrap_socket(connection)
    link = ClientConnection()
    link.send_hello(plane.token.encode())
    connection.sendall(link.data_to_send())
    return connection, len(connection.recv(65536))


@contextmanager
def serving(folder: Path, *, has_tls: bool = False) -> Iterator[Plane]:
    """Run an edge and give a lease an instance."""
    folder.mkdir()
    lawow = [sys.executable, "-m", "lawow"]
    tls: list[str] = []
    if has_tls:
        subprocess.run([*lawow, "certificate", "--out", folder / "tls", "--host", "127.0.0.1"], check=True,
                       capture_output=True)  # fmt: skip
        tls = ["--cert", str(folder / "tls" / "edge.crt"), "--key", str(folder / "tls" / "edge.key")]
    data, log = folder / "data", folder / "log"
    command = [*lawow, "serve", "--data", str(data), "--port", "0", "--json", *tls]
    with log.open("w") as stream, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream) as edge:
        assert edge.stdout is not None
        try:
            announced = json.loads(edge.stdout.readline())
            issue = [*lawow, "token", "--data", str(data), "--tenant", "bench"]
            many = [*lawow, "tenant", "set", "bench", "--data", str(data), "--calls", CALLS_PER_DAY]
            token = subprocess.run(issue, check=True, capture_output=True, text=True).stdout.strip()
            subprocess.run(many, check=True, capture_output=True)  # the token has made the tenant
            rest = EdgeClient(announced["url"], token, certificate_sha256=announced["pin"])
            yield _leased(rest, log, edge.pid)
        finally:
            edge.send_signal(signal.SIGTERM)


def _leased(edge: EdgeClient, log: Path, process: int) -> Plane:
    wasm = wat_to_wasm(GUEST)
    control = ControlClient(edge)
    edge.upload_module(wasm)
    asked = {"module": f"sha256:{hashlib.sha256(wasm).hexdigest()}", "choice": "provider"}
    lease = control.request(asked)["lease"]
    assert isinstance(lease, dict)
    endpoint = control.initialise(str(lease["lease"]))["endpoint"]
    assert isinstance(endpoint, dict)
    time.sleep(0.2)  # the log is another process's
    worker = re.findall(r"worker-started tenant=bench pid=(\d+)", log.read_text())[-1]
    pin = str(endpoint["certificate_sha256"])
    edge_port = int(edge.address.rpartition(":")[2])
    lease_id, token = str(lease["lease"]), str(lease["token"])
    return Plane(lease_id, token, int(endpoint["port"]), pin, int(worker), process, edge_port)


def cpu_seconds(process: int) -> float:
    """Return the processor time of a process so far, in steps of 10 ms."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_SECONDS
