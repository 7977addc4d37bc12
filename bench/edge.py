"""The edge: what an idle instance weighs, and how much faster a module's second offload is than its first.

A *cold* offload brings a module that the host has never seen: request, lease, transfer, compilation,
instance, first result. A *warm* one is the same sequence when the host has the module. Each cold one takes a
module of its own, the same code with another number in a custom section. Both run against a real
`lawow serve` on loopback.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

from bench.guests import module_path
from bench.table import Table
from lawow.device.edge_client import EdgeClient
from lawow.device.offload_handler import OffloadHandler
from lawow.figures.processes import running_edge
from lawow.runtime.libwasmtime import wat_to_wasm
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["measure"]

INSTANCES = 1000
MOST_KIB = 12
MOST_WARM = 0.2
MOST_ROUNDS = 9
LARGE_FUNCTIONS = 3000
COUNTER = b"""(module (memory (export "memory") 1 1) (global $sum (mut i32) (i32.const 0))
  (func (export "add") (param i32) (result i32)
    (global.set $sum (i32.add (global.get $sum) (local.get 0))) (global.get $sum)))"""


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure instances in this process, under the edge's profile, then offloads to a server of its own."""
    return (_instances(), _offloads(folder, min(rounds, MOST_ROUNDS)))


def _instances() -> Table:
    module = WasmtimeEngine(EDGE_PROFILE).compile(wat_to_wasm(COUNTER))
    warm = [module.instantiate(memory_bytes=1 << 20) for _ in range(20)]
    for instance in warm:
        instance.call("add", (1,))
    before = _resident_kib()
    made = [module.instantiate(memory_bytes=1 << 20) for _ in range(INSTANCES)]
    for instance in made:
        instance.call("add", (1,))
    called = _resident_kib()
    for instance in made:
        instance.write_memory(0, b"x")
    touched = _resident_kib()
    rows = (
        ("idle, called once, its memory untouched", (called - before) / INSTANCES),
        ("the same, one page of its memory written", (touched - before) / INSTANCES),
    )
    columns = ("instance of a module with 64 KiB of memory", f"KiB each; wanted, idle: at most {MOST_KIB}")
    return Table(f"{INSTANCES:,} instances", columns, rows)


def _resident_kib() -> int:
    """Return this process's proportional set size and page tables, in KiB, as the kernel counts them."""
    sizes = Path("/proc/self/smaps_rollup").read_text() + Path("/proc/self/status").read_text()
    fields = dict(line.split(":", 1) for line in sizes.splitlines() if ":" in line)
    return int(fields["Pss"].split()[0]) + int(fields["VmPTE"].split()[0])


def _offloads(folder: Path, rounds: int) -> Table:
    guests = {
        "matrix": (Path(module_path("matrix")).read_bytes(), "multiply", "i>F", 2),
        "3,000 functions": (_large(), "f0", "i>i", 1),
    }
    rows = []
    with (
        running_edge(folder / "data") as server,
        EdgeClient(f"http://{server.host}:{server.port}", server.token) as edge,
    ):
        for name, (wasm, export, signature, argument) in guests.items():
            cold, warm = [], []
            for number in range(rounds):
                module = wasm + _numbered(number)
                cold.append(_offload(edge, module, export, signature, argument))
                warm.append(_offload(edge, module, export, signature, argument))
            ratio = median(one / other for one, other in zip(warm, cold, strict=True))
            rows.append((f"{name}, {len(wasm):,} bytes", min(cold) * 1e3, min(warm) * 1e3, ratio))
    columns = ("module", "cold min ms", "warm min ms", f"warm / cold, wanted at most {MOST_WARM}")
    return Table("From the request to the first result", columns, tuple(rows))


def _offload(edge: EdgeClient, wasm: bytes, export: str, signature: str, argument: int) -> float:
    handler = OffloadHandler(edge)
    started = time.perf_counter()
    offers = handler.request(wasm)
    item = handler.select(offers, offers.offers[0])
    item.call(export, signature, [argument])
    seconds = time.perf_counter() - started
    handler.recall(item, with_state=False)
    return seconds


def _numbered(number: int) -> bytes:
    """Return a custom section that makes the module another one."""
    content = b"\x05bench" + number.to_bytes(4, "little")
    return bytes((0, len(content))) + content


def _large() -> bytes:
    body = "(i32.add (i32.mul (local.get 0) (i32.const 31)) (i32.xor (local.get 0) (i32.const 99)))"
    functions = " ".join(
        f'(func (export "f{index}") (param i32) (result i32) {body.replace("99", str(index))})'
        if index == 0
        else f"(func (param i32) (result i32) {body.replace('99', str(index))})"
        for index in range(LARGE_FUNCTIONS)
    )
    return wat_to_wasm(f"(module {functions})".encode())
