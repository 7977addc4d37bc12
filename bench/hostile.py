"""What hostile modules cost: the figures of docs/PROMISES.md that are times, rates and slopes.

Not ratios: a deadline is kept or it is not. The promises themselves are held by tests, which time nothing.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import wasmtime

from bench.table import Table
from fuzz.run import damage
from lawow.errors import FormatError, GuestTrap, LimitExceeded
from lawow.formats.wasm import inspect_module
from lawow.runtime.base import CompiledModule
from lawow.runtime.grants import Grants
from lawow.runtime.host_functions import HostFunction
from lawow.runtime.libwasmtime import wat_to_wasm
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["measure"]

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
DEADLINE_SECONDS = 0.1
SPIN = b'(module (func (export "spin") (loop (br 0))))'
TRAP = b'(module (memory 1) (func (export "trap") unreachable))'
CALLS = b"""(module (import "host" "f" (func $f (param i32) (result i32)))
  (func (export "run") (param i32) (local i32)
    (loop $again
      (drop (call $f (local.get 1)))
      (br_if $again (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0))))))"""

Row = tuple[str | float, ...]


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure deadlines with many spinners, the inspector, calls of host functions, and traps."""
    engine = WasmtimeEngine(EDGE_PROFILE)
    rows: list[Row] = []
    for spinners in (1, 2, 8, 32):
        rows += _spinners(engine, spinners, rounds)
    rows += [_inspector(), _mutations(rounds), _host_calls(engine), _traps(engine)]
    engine.close()
    return (Table("Hostile modules", ("what", "median", "p99", "most", "unit"), tuple(rows)),)


def _spinners(engine: WasmtimeEngine, count: int, rounds: int) -> list[Row]:
    """Let `count` guests spin until their deadline while another one does honest work 50 times a second."""
    module = engine.compile(wat_to_wasm(SPIN))
    honest = engine.compile((FIXTURES / "app/src/main/wasm/fibonacci.wasm").read_bytes()).instantiate()
    late: list[float] = []
    victim: list[float] = []

    def spin() -> None:
        with module.instantiate() as instance:
            started = time.perf_counter()
            with suppress(LimitExceeded):
                instance.call("spin", deadline_seconds=DEADLINE_SECONDS)
            late.append(1e3 * (time.perf_counter() - started - DEADLINE_SECONDS))

    for _ in range(rounds):
        threads = [threading.Thread(target=spin) for _ in range(count)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            started = time.perf_counter()
            honest.call("fib", (20,), deadline_seconds=5)
            victim.append(1e3 * (time.perf_counter() - started))
            time.sleep(0.02)
        for thread in threads:
            thread.join()
    name = f"W1: {count} endless loops, deadline {DEADLINE_SECONDS * 1e3:.0f} ms"
    return [
        (f"{name}: end after it", *_spread(late), "ms"),
        (f"{name}: fib(20) meanwhile", *_spread(victim), "ms"),
    ]


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return median, 99th percentile (nearest rank) and the largest."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[-(-99 * len(ordered) // 100) - 1], ordered[-1]


def _rates(action: Callable[[], object], amount: float, times: int) -> tuple[float, float, float]:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        found.append(amount / (time.perf_counter() - started))
    return _spread(found)


def _inspector() -> Row:
    """Read the largest module of the fixtures again and again."""
    wasm = (FIXTURES / "wasi/tool.wasm").read_bytes()
    rates = _rates(lambda: inspect_module(wasm), len(wasm) / 1e6, 200)
    return f"W6: inspector, a module of {len(wasm):,} bytes", *rates, "MB/s"


def _mutations(rounds: int) -> Row:
    """Damage a module; what the inspector refuses and the engine takes is a wrong refusal."""
    seed = (FIXTURES / "wasi/exit_status.wasm").read_bytes()
    judge, chance, wrong, count = wasmtime.Engine(), random.Random(6), 0, rounds * 20_000
    started = time.perf_counter()
    for _ in range(count):
        data = damage(seed, chance)
        try:
            inspect_module(data)
        except FormatError:
            wrong += _is_valid(judge, data)
    rate = count / (time.perf_counter() - started)
    name = f"W6: {count:,} damaged modules, {wrong} wrongly refused, nothing else raised"
    return name, rate, rate, rate, "modules/s"


def _is_valid(judge: wasmtime.Engine, data: bytes) -> bool:
    try:
        wasmtime.Module.validate(judge, data)
    except wasmtime.WasmtimeError:
        return False
    return True


def _host_calls(engine: WasmtimeEngine) -> Row:
    """Call a host function as often as a guest can."""
    grants = Grants(functions=[HostFunction("host", "f", "i>i", lambda memory, value: value)])
    instance = engine.compile(wat_to_wasm(CALLS)).instantiate(grants=grants)
    rates = _rates(lambda: instance.call("run", (100_000,)), 1e5, 5)
    return "W7: calls of a host function", *rates, "calls/s"


def _traps(engine: WasmtimeEngine) -> Row:
    """Trap 10,000 times, each time in a fresh instance, and see what stays in memory."""
    module = engine.compile(wat_to_wasm(TRAP))
    _trap(module, 2_000)
    before = _resident_bytes()
    _trap(module, 10_000)
    slope = (_resident_bytes() - before) / 10_000
    return "W10: memory kept for each of 10,000 traps", slope, slope, slope, "bytes"


def _trap(module: CompiledModule, times: int) -> None:
    for _ in range(times):
        with module.instantiate() as instance, suppress(GuestTrap):
            instance.call("trap")


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
