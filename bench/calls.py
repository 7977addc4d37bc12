"""What the way into a guest costs: a call that does nothing, and a fresh instance."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import wasmtime

from bench.guests import module_path
from bench.table import Table
from lawow.runtime.profiles import EDGE_PROFILE, EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["measure"]

CALL, INSTANCE = "call: wasmtime's package", "instance: wasmtime's package"
WANTED = 15


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure calls of ``fib(1)`` and instances, in turns, against the engine's own Python package."""
    wasm = Path(module_path("fibonacci")).read_bytes()
    ways = {**_package(wasm), **_lawow(wasm)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (action, count) in ways.items():
            started = time.process_time()
            for _ in range(count):
                action()
            seconds[name].append((time.process_time() - started) / count)
    rows = []
    for name, runs in seconds.items():
        base = seconds[INSTANCE if name.startswith("instance") else CALL]
        times = median(other / one for one, other in zip(runs, base, strict=True))
        rows.append((name, min(runs) * 1e6, times))
    columns = ("way", "min us", f"times faster than the package (median of rounds); calls: wanted {WANTED}")
    return (Table("Into the guest and back", columns, tuple(rows)),)


def _package(wasm: bytes) -> dict[str, tuple[Callable[[], object], int]]:
    engine = wasmtime.Engine()
    module, linker, store = wasmtime.Module(engine, wasm), wasmtime.Linker(engine), wasmtime.Store(engine)
    call = linker.instantiate(store, module).exports(store)["fib"]
    assert isinstance(call, wasmtime.Func)
    return {
        CALL: (lambda: call(store, 1), 1_000),
        INSTANCE: (
            lambda: linker.instantiate(wasmtime.Store(engine), module),
            100,
        ),
    }


def _lawow(wasm: bytes) -> dict[str, tuple[Callable[[], object], int]]:
    ways: dict[str, tuple[Callable[[], object], int]] = {}
    for name, profile in (("exec", EXEC_PROFILE), ("edge, with deadline", EDGE_PROFILE)):
        module = WasmtimeEngine(profile).compile(wasm)
        instance = module.instantiate()
        ways[f"call: lawow, {name}"] = (lambda call=instance.call: call("fib", (1,)), 10_000)  # type: ignore[misc]
        ways[f"instance: lawow, {name}"] = (lambda make=module.instantiate: make().close(), 100)  # type: ignore[misc]
    return ways
