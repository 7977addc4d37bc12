"""What a call over the data plane costs, against servers of a few lines in C on the same machine.

The client is in C as well (`bench/plane/load.c`), so that what differs is the server alone. TLS is measured
with the product's own client, with TLS and without.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from bench.planes import (
    GUEST,
    Plane,
    call_frame,
    compiled,
    cpu_seconds,
    greeted,
    load,
    opening,
    opening_by_websocket,
    pong,
    serving,
    websocket_message,
)
from bench.table import Table, ratio_row
from lawow.channel.bodies import write_arguments
from lawow.device.data_client import DataClient
from lawow.formats.elements import Packed
from lawow.runtime.libwasmtime import library, wat_to_wasm

__all__ = ["measure"]

Row = tuple[str | float, ...]
MANY = "64"
DEPTHS = {
    "1": ("serial", 3.0),
    "8x16": ("8 connections with 16 under way", 6.0),
    MANY: (f"{MANY} under way on one", 6.0),
}
LARGE_BYTES = 1 << 20
IDLE = 200
CALLS = 2_000


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure the data plane in turns with its yardsticks."""
    programs = {name: compiled(folder, name) for name in ("load", "pong")}
    (folder / "guest.wasm").write_bytes(wat_to_wasm(GUEST))
    with ExitStack() as stack:
        plain = stack.enter_context(serving(folder / "plain"))
        secure = stack.enter_context(serving(folder / "secure", has_tls=True))
        rows = [
            *_small(folder, programs, plain, rounds),
            *_websocket(folder, programs, plain, rounds),
            _large(folder, programs, plain, rounds),
            _tls(plain, secure, rounds),
            _idle(secure),
        ]
    columns = ("what", "data plane", "yardstick", "ratio (median of rounds)", "wanted at most")
    return (Table("Calls over the data plane", columns, tuple(rows)),)


def _small(folder: Path, programs: dict[str, str], plane: Plane, rounds: int) -> list[Row]:
    """A call of four bytes: its time against an echo, its processor time against libwasmtime from C."""
    request = call_frame(folder / "small", bytes(8))
    opened = opening(folder, plane, "same", "i>i")
    guest = (library().path, str(folder / "guest.wasm"), "same")
    times: list[tuple[float, float]] = []
    costs: dict[str, list[tuple[float, float]]] = {depth: [] for depth in DEPTHS}
    for _ in range(rounds):
        with pong(programs["pong"], 28, 28) as echo, pong(programs["pong"], 28, 28, *guest) as native:
            for depth, found in costs.items():
                ours = load(programs["load"], plane.port, plane.worker, depth, request, 28, opened)
                found.append((ours.cpu_us, load(programs["load"], *native, depth, request, 28).cpu_us))
                if depth == "1":
                    yard = load(programs["load"], *echo, depth, request, 28)
                    times.append((ours.median_us, yard.median_us))
    return [
        ratio_row("p50, us (against epoll echo in C)", times, 3.0),
        *(
            ratio_row(f"CPU, {what}, us (against epoll and libwasmtime in C)", costs[depth], wanted)
            for depth, (what, wanted) in DEPTHS.items()
        ),
    ]


def _websocket(folder: Path, programs: dict[str, str], plane: Plane, rounds: int) -> list[Row]:
    """A call of four bytes through the edge's own port, against one at the worker's.

    Counted is the processor time of both the process that relays and the worker.
    """
    request, opened = call_frame(folder / "small", bytes(8)), opening(folder, plane, "same", "i>i")
    message = folder / "small.message"
    message.write_bytes(websocket_message(request.read_bytes()))
    through, both = opening_by_websocket(folder, plane, opened), (plane.edge, plane.worker)
    names = ("p50, us", "CPU, serial, us", f"CPU, {MANY} deep, us")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        ours = load(programs["load"], plane.edge_port, both, "1", message, 28, through)
        port = load(programs["load"], plane.port, plane.worker, "1", request, 28, opened)
        deep = load(programs["load"], plane.edge_port, both, MANY, message, 28, through)
        port_deep = load(programs["load"], plane.port, plane.worker, MANY, request, 28, opened)
        pairs = (
            (ours.median_us, port.median_us),
            (ours.cpu_us, port.cpu_us),
            (deep.cpu_us, port_deep.cpu_us),
        )
        for name, pair in zip(names, pairs, strict=True):
            found[name].append(pair)
    return [
        ratio_row(f"WebSocket: {what} (against the worker's port)", pairs, wanted)
        for (what, pairs), wanted in zip(found.items(), (3.0, 3.0, 3.0), strict=True)
    ]


def _large(folder: Path, programs: dict[str, str], plane: Plane, rounds: int) -> Row:
    """1 MiB in and out, against an echo of as many bytes in C."""
    body = write_arguments([Packed(LARGE_BYTES - 64, bytes(LARGE_BYTES - 64))])
    request, size = call_frame(folder / "large", body), len(body) + 20
    opened = opening(folder, plane, "echo", "[b>[b")
    pairs = []
    for _ in range(rounds):
        with pong(programs["pong"], size, size) as echo:
            ours = load(programs["load"], plane.port, plane.worker, "1", request, size, opened)
            pairs.append((ours.median_us, load(programs["load"], *echo, "1", request, size).median_us))
    return ratio_row("1 MiB in and out, us (against epoll echo in C)", pairs, 2.5)


def _tls(plain: Plane, secure: Plane, rounds: int) -> Row:
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
    return ratio_row("CPU with TLS, us (against without)", pairs, 2.5)


def _cpu_of_calls(client: DataClient, function: int, worker: int) -> float:
    before = cpu_seconds(worker)
    for _ in range(CALLS):
        client.call(function, bytes(8))
    return (cpu_seconds(worker) - before) / CALLS * 1e6


def _idle(plane: Plane) -> Row:
    """Memory of the worker for a TLS connection that has said HELLO and nothing since."""
    before = _memory_bytes(plane.worker)
    connections = [greeted(plane)[0] for _ in range(IDLE)]
    each = (_memory_bytes(plane.worker) - before) / IDLE / 1024
    for connection in connections:
        connection.close()
    return (f"idle TLS connection, KiB ({IDLE} of them)", each, "", each / 48, 1.0)


def _memory_bytes(process: int) -> int:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
