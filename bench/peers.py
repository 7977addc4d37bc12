"""What a call over the data plane costs the server, against workerd (HTTP, WebSocket) and grpcio.

All call the same function of the same module with eight bytes, over one connection on loopback. A server of
the same work in C stands beside them, since no server costs less than its system calls. The client is
`bench/plane/load.c`, for grpcio its own; only the server's processor time is counted. workerd is a binary of
npm's, grpcio comes from pip: neither is a dependency, and without them their rows say how to get them.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.planes import (
    SOURCES,
    Load,
    Plane,
    call_frame,
    compiled,
    cpu_seconds,
    load,
    opening,
    opening_by_websocket,
    pong,
    serving,
    websocket_message,
)
from bench.table import Table, ratio_row
from lawow.runtime.libwasmtime import library, wat_to_wasm

__all__ = ["measure"]

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "build" / "bench" / "peers"
WORKERD = PEERS / "node_modules" / "@cloudflare" / "workerd-linux-64" / "bin" / "workerd"
INSTALL = {
    "workerd": "npm install --prefix build/bench/peers workerd@1.20261117.1",
    "grpcio": ".venv/bin/pip install grpcio==1.85.3",
}
DEPTHS = (1, 64)
CALLS = 3_000
GUEST = b'(module (func (export "same") (param i32) (result i32) local.get 0))'
BODY = struct.pack("<q", 7)
HTTP = b"POST / HTTP/1.1\r\nHost: edge\r\nContent-Length: 8\r\n\r\n" + BODY
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MESSAGE = b"\x82\x88\0\0\0\0" + BODY  # binary, of eight bytes, under a mask of zeros
Cost = Callable[[int], float]
"""Depth -> microseconds of the server's processor time for one call."""
Wanted = dict[int, float]
"""Depth -> the largest ratio that is wanted."""
Runs = Callable[[int], Load]
"""Depth -> what the client in C found."""


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure in turns what the data plane and each peer spend on a call."""
    program = compiled(folder, "load")
    (folder / "guest.wasm").write_bytes(wat_to_wasm(GUEST))
    notes = tuple(f"{name} is not there: {INSTALL[name]}" for name in INSTALL if not _is_there(name))
    with ExitStack() as stack:
        plane = stack.enter_context(serving(folder / "plane"))
        ours, by_websocket = _data_plane(folder, program, plane)
        yardstick = stack.enter_context(_in_c(folder, program))
        peers: list[tuple[str, Cost, Wanted]] = [("epoll and libwasmtime in C", yardstick, {1: 3.0, 64: 6.0})]
        more: list[tuple[str | float, ...]] = []
        if _is_there("workerd"):
            port, process = stack.enter_context(_workerd(folder))
            theirs_by_websocket = _loaded(folder, program, port, process, MESSAGE, UPGRADE)
            by_http = _loaded(folder, program, port, process, HTTP)
            peers += [
                ("workerd, WebSocket", _cost(theirs_by_websocket), dict.fromkeys(DEPTHS, 0.4)),
                ("workerd, HTTP", _cost(by_http), dict.fromkeys(DEPTHS, 0.15)),
            ]
            more = _websocket_rows(by_websocket, theirs_by_websocket, rounds)
        if _is_there("grpcio"):
            peers.append(("grpcio", stack.enter_context(_grpcio(folder)), dict.fromkeys(DEPTHS, 0.1)))
        rows = more + [
            ratio_row(
                f"{depth} under way (against {name})",
                [(ours(depth).cpu_us, theirs(depth)) for _ in range(rounds)],
                wanted[depth],
            )
            for depth in DEPTHS
            for name, theirs, wanted in peers
        ]
    columns = ("CPU of a call, us", "data plane", "peer", "ratio (median of rounds)", "wanted at most")
    return (Table("Calls over the data plane, against other servers", columns, tuple(rows), notes),)


@contextmanager
def _in_c(folder: Path, program: str) -> Iterator[Cost]:
    """Yield the costs of a server that does little more than its system calls."""
    request, guest = call_frame(folder / "call", BODY), (library().path, str(folder / "guest.wasm"), "same")
    with pong(compiled(folder, "pong"), 28, 28, *guest) as (port, process):
        yield lambda depth: load(program, port, process, str(depth), request, 28).cpu_us


def _is_there(name: str) -> bool:
    return WORKERD.exists() if name == "workerd" else importlib.util.find_spec("grpc") is not None


def _cost(runs: Runs) -> Cost:
    return lambda depth: runs(depth).cpu_us


def _websocket_rows(ours: Runs, theirs: Runs, rounds: int) -> list[tuple[str | float, ...]]:
    """The data plane through the edge's own port, by WebSocket, against workerd's."""
    rows = []
    for depth in DEPTHS:
        pairs = [(ours(depth), theirs(depth)) for _ in range(rounds)]
        costs = [(one.cpu_us, other.cpu_us) for one, other in pairs]
        name = f"by WebSocket: {depth} under way (against workerd, WebSocket)"
        rows.append(ratio_row(name, costs, 1.5))
        if depth == 1:
            times = [(one.median_us, other.median_us) for one, other in pairs]
            rows.append(ratio_row("by WebSocket: p50 (against workerd, WebSocket)", times, 1.5))
    return rows


def _data_plane(folder: Path, program: str, plane: Plane) -> tuple[Runs, Runs]:
    """Return runs at the worker's port, and by WebSocket through the edge: there both processes count."""
    request, message = call_frame(folder / "call", BODY), folder / "call.message"
    message.write_bytes(websocket_message(request.read_bytes()))
    opened = opening(folder, plane, "same", "i>i")
    through, both = opening_by_websocket(folder, plane, opened), (plane.edge, plane.worker)
    return (
        lambda depth: load(program, plane.port, plane.worker, str(depth), request, 28, opened),
        lambda depth: load(program, plane.edge_port, both, str(depth), message, 28, through),
    )


def _loaded(
    folder: Path, program: str, port: int, process: int, message: bytes, upgrade: bytes = b""
) -> Runs:
    """Return runs of a peer that the C client speaks to, in bytes that are always the same."""
    name = "websocket" if upgrade else "http"
    request, first = folder / f"{name}.request", folder / f"{name}.first"
    request.write_bytes(message)
    first.write_bytes(upgrade)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        opened_bytes = _answer_bytes(connection, upgrade) if upgrade else 0
        answer_bytes = _answer_bytes(connection, message)
    opened = (str(first), str(opened_bytes)) if upgrade else ()
    return lambda depth: load(program, port, process, str(depth), request, answer_bytes, opened)


def _answer_bytes(connection: socket.socket, message: bytes) -> int:
    connection.sendall(message)
    answer = connection.recv(4096)
    assert answer.endswith((BODY, b"\r\n\r\n")), answer
    return len(answer)


@contextmanager
def _workerd(folder: Path) -> Iterator[tuple[int, int]]:
    """Run workerd with the module; yields port and process."""
    for name in ("workerd.capnp", "worker.mjs"):
        shutil.copy(SOURCES / name, folder)
    command = [str(WORKERD), "serve", "--control-fd=1", "workerd.capnp"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(json.loads(process.stdout.readline())["port"]), process.pid
        finally:
            process.kill()


@contextmanager
def _grpcio(folder: Path) -> Iterator[Cost]:
    """Run grpcio with the module, and a client."""
    import grpc

    command = [sys.executable, str(SOURCES / "grpc_server.py"), str(folder / "guest.wasm")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as wire:
                same = wire.unary_unary("/lawow.Guest/same")
                assert same(BODY) == BODY

                def cost(depth: int) -> float:
                    before = cpu_seconds(process.pid)
                    for _ in range(CALLS // depth):
                        for future in [same.future(BODY) for _ in range(depth)]:
                            future.result()
                    return (cpu_seconds(process.pid) - before) / (CALLS // depth * depth) * 1e6

                yield cost
        finally:
            process.kill()
