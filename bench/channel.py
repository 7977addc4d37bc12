"""What a call over the data plane costs, against servers of a few lines in C on the same machine.

The client is in C as well (`bench/plane/load.c`), so that what differs is the server alone. TLS is measured
with the product's own client, with TLS and without.
"""

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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.table import Table
from lawow.channel.bodies import write_arguments
from lawow.channel.client import ClientConnection
from lawow.channel.payloads import Bind, write_payload
from lawow.device.control_client import ControlClient
from lawow.device.data_client import DataClient
from lawow.device.edge_client import EdgeClient
from lawow.device.trust import pinned_context
from lawow.formats.elements import Packed
from lawow.runtime.libwasmtime import library, wat_to_wasm

__all__ = ["measure"]

Row = tuple[str | float, ...]
SOURCES = Path(__file__).resolve().parent / "plane"
SECONDS = "1"
DEPTH = 64
LARGE_BYTES = 1 << 20
IDLE = 200
CALLS = 2_000
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
HEAD = struct.Struct("<IIHH")
GUEST = b"""(module (memory (export "memory") 40) (func (export "same") (param i32) (result i32) local.get 0)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)
  (func (export "echo") (param i32 i32) (result i32)
    (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16)))"""


@dataclass(frozen=True, slots=True)
class _Plane:
    """A lease with an instance."""

    lease: str
    token: str
    port: int
    pin: str
    worker: int

    def client(self) -> DataClient:
        """Return a client of it."""
        return DataClient("127.0.0.1", self.port, self.token, certificate_sha256=self.pin)


@dataclass(frozen=True, slots=True)
class _Load:
    """What a run of the C client found: microseconds."""

    median_us: float
    cpu_us: float


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure the data plane in turns with its yardsticks."""
    programs = {name: _compiled(folder, name) for name in ("load", "pong")}
    (folder / "guest.wasm").write_bytes(wat_to_wasm(GUEST))
    with ExitStack() as stack:
        plain = stack.enter_context(_plane(folder / "plain"))
        secure = stack.enter_context(_plane(folder / "secure", has_tls=True))
        rows = [
            *_small(folder, programs, plain, rounds),
            _large(folder, programs, plain, rounds),
            _tls(plain, secure, rounds),
            _idle(secure),
        ]
    columns = ("what", "data plane", "yardstick", "ratio (median of rounds)", "wanted at most")
    return (Table("Calls over the data plane", columns, tuple(rows)),)


def _small(folder: Path, programs: dict[str, str], plane: _Plane, rounds: int) -> list[Row]:
    """A call of four bytes: its time against an echo, its processor time against libwasmtime from C."""
    request = _request(folder / "small", bytes(8))
    prelude = _prelude(folder, plane, "same", "i>i")
    guest = (library().path, str(folder / "guest.wasm"), "same")
    names = ("p50, us", "CPU, serial, us", f"CPU, {DEPTH} deep, us")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        with _pong(programs, 28, 28) as echo, _pong(programs, 28, 28, *guest) as native:
            ours = _load(programs, plane.port, plane.worker, 1, request, 28, prelude)
            deep = _load(programs, plane.port, plane.worker, DEPTH, request, 28, prelude)
            yard = _load(programs, *echo, 1, request, 28)
            found[names[0]].append((ours.median_us, yard.median_us))
            found[names[1]].append((ours.cpu_us, _load(programs, *native, 1, request, 28).cpu_us))
            native_deep = _load(programs, *native, DEPTH, request, 28)
            found[names[2]].append((deep.cpu_us, native_deep.cpu_us))
    yardsticks = ("epoll echo in C", "epoll and libwasmtime in C", "epoll and libwasmtime in C")
    return [
        _row(f"{what} (against {name})", pairs, wanted)
        for (what, pairs), name, wanted in zip(found.items(), yardsticks, (3.0, 3.0, 6.0), strict=True)
    ]


def _large(folder: Path, programs: dict[str, str], plane: _Plane, rounds: int) -> Row:
    """1 MiB in and out, against an echo of as many bytes in C."""
    body = write_arguments([Packed(LARGE_BYTES - 64, bytes(LARGE_BYTES - 64))])
    request, size = _request(folder / "large", body), len(body) + 20
    prelude = _prelude(folder, plane, "echo", "[b>[b")
    pairs = []
    for _ in range(rounds):
        with _pong(programs, size, size) as echo:
            ours = _load(programs, plane.port, plane.worker, 1, request, size, prelude)
            pairs.append((ours.median_us, _load(programs, *echo, 1, request, size).median_us))
    return _row("1 MiB in and out, us (against epoll echo in C)", pairs, 2.5)


def _tls(plain: _Plane, secure: _Plane, rounds: int) -> Row:
    """Processor time of the worker for a call with TLS, against one without."""
    pairs = []
    with plain.client() as without, secure.client() as within:
        ends = [
            (client, client.bind(f"session:{plane.lease}", "same", "i>i"), plane.worker)
            for client, plane in ((within, secure), (without, plain))
        ]
        for _ in range(rounds):
            pair = [_cpu_of_calls(*end) for end in ends]
            pairs.append((pair[0], pair[1]))
    return _row("CPU with TLS, us (against without)", pairs, 2.5)


def _cpu_of_calls(client: DataClient, function: int, worker: int) -> float:
    before = _cpu_seconds(worker)
    for _ in range(CALLS):
        client.call(function, bytes(8))
    return (_cpu_seconds(worker) - before) / CALLS * 1e6


def _idle(plane: _Plane) -> Row:
    """Memory of the worker for a TLS connection that has said HELLO and nothing since."""
    before = _memory_bytes(plane.worker)
    connections = [_greeted(plane)[0] for _ in range(IDLE)]
    each = (_memory_bytes(plane.worker) - before) / IDLE / 1024
    for connection in connections:
        connection.close()
    return (f"idle TLS connection, KiB ({IDLE} of them)", each, "", each / 48, 1.0)


def _row(what: str, pairs: list[tuple[float, float]], wanted: float) -> Row:
    ours, yardstick = (median(item) for item in zip(*pairs, strict=True))
    ratio = median(a / max(b, 1e-9) for a, b in pairs)
    return (what, ours, yardstick, ratio, wanted)


def _compiled(folder: Path, name: str) -> str:
    program = folder / name
    subprocess.run(["gcc", "-O2", "-o", program, SOURCES / f"{name}.c"], check=True)
    return str(program)


@contextmanager
def _pong(programs: dict[str, str], *words: int | str) -> Iterator[tuple[int, int]]:
    """Run a yardstick; yields port and process."""
    command = [programs["pong"], *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


def _load(
    programs: dict[str, str],
    port: int,
    server: int,
    depth: int,
    request: Path,
    answer_bytes: int,
    prelude: tuple[str, ...] = (),
) -> _Load:
    before = _cpu_seconds(server)
    words = (port, depth, SECONDS, request, answer_bytes, *prelude)
    done = subprocess.run([programs["load"], *map(str, words)], check=True, capture_output=True, text=True)
    calls, median_us = done.stdout.split()
    return _Load(float(median_us), (_cpu_seconds(server) - before) / int(calls) * 1e6)


def _request(path: Path, body: bytes) -> Path:
    """Write a CALL of the function with the id 1, which is made again and again."""
    path.write_bytes(HEAD.pack(16 + len(body), 0, 0x12, 0) + struct.pack("<II", 1, 0) + body)
    return path


def _prelude(folder: Path, plane: _Plane, export: str, signature: str) -> tuple[str, ...]:
    """Return what the C client sends first, and how long the answers are."""
    connection, welcome_bytes = _greeted(plane)
    connection.close()
    hello, bind = folder / f"{export}.hello", folder / f"{export}.bind"
    link = ClientConnection()
    link.send_hello(plane.token.encode())
    hello.write_bytes(link.data_to_send())
    payload = write_payload(Bind(f"session:{plane.lease}", export, signature))
    bind.write_bytes(HEAD.pack(8 + len(payload), 1, 0x10, 0) + payload)
    return (str(hello), str(welcome_bytes), str(bind), "16")


def _greeted(plane: _Plane) -> tuple[socket.socket, int]:
    """Return a connection that was welcome, and how long WELCOME is."""
    connection = socket.create_connection(("127.0.0.1", plane.port))
    if plane.pin:
        connection = pinned_context().wrap_socket(connection)
    link = ClientConnection()
    link.send_hello(plane.token.encode())
    connection.sendall(link.data_to_send())
    return connection, len(connection.recv(65536))


@contextmanager
def _plane(folder: Path, *, has_tls: bool = False) -> Iterator[_Plane]:
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
            token = subprocess.run(issue, check=True, capture_output=True, text=True).stdout.strip()
            yield _leased(EdgeClient(announced["url"], token, certificate_sha256=announced["pin"]), log)
        finally:
            edge.send_signal(signal.SIGTERM)


def _leased(edge: EdgeClient, log: Path) -> _Plane:
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
    return _Plane(str(lease["lease"]), str(lease["token"]), int(endpoint["port"]), pin, int(worker))


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_SECONDS


def _memory_bytes(process: int) -> int:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
