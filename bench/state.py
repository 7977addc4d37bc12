"""What it costs to take an instance's state and to go on from it, against a plain copy of its memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.guests import module_path
from bench.loads import sqlite
from bench.table import Table
from lawow.formats.state import decode_delta, decode_state
from lawow.formats.wasm_expose import expose_state, state_findings
from lawow.runtime.libwasmtime import wat_to_wasm
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.state import StateKeeper
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["measure"]

PAGES = 1024
MEMORY_BYTES = PAGES << 16
FILLED_PAGES = (10, 100, PAGES)
CHANGED_BYTES = 1 << 16
COPY = "copy of the memory (64 MiB)"
COMPILE, CALL = "compile SQLite (866,600 bytes)", "fib(30)"

FILLER = f"""(module (memory (export "memory") {PAGES})
  (func (export "fill") (param $from i32) (param $to i32) (local $x i64)
    (local.set $x (i64.const 88172645463325252))
    (loop $again
      (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
      (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
      (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
      (i64.store (local.get $from) (i64.and (local.get $x) (i64.const 0x3f3f3f3f3f3f3f3f)))
      (br_if $again (i32.lt_u (local.tee $from (i32.add (local.get $from) (i32.const 8)))
        (local.get $to))))))"""
"""Fills a part of its memory with noise of six bits in each byte."""


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure states of memories that are filled to different parts, then what exposing costs."""
    return (_states(rounds), _exposing(rounds))


def _states(rounds: int) -> Table:
    keeper = StateKeeper(
        WasmtimeEngine(EDGE_PROFILE).compile(expose_state(wat_to_wasm(FILLER.encode()))), "00" * 32
    )
    ways: dict[str, Callable[[], object]] = {}
    sizes: dict[str, str] = {}
    for pages in FILLED_PAGES:
        _add_ways(ways, sizes, keeper, pages)
    seconds = _in_turns(ways, rounds)
    rows = tuple(
        (name, sizes.get(name, ""), min(times) * 1e3, _ratio(times, seconds[COPY]))
        for name, times in seconds.items()
    )
    columns = (
        "step, and how much of 64 MiB differs",
        "bytes",
        "min ms",
        "ratio to the copy (median of rounds)",
    )
    return Table("The state of an instance with 64 MiB of memory", columns, rows)


def _add_ways(
    ways: dict[str, Callable[[], object]], sizes: dict[str, str], keeper: StateKeeper, pages: int
) -> None:
    """Add the steps for a memory of which so many pages are filled."""
    instance = keeper.module.instantiate()
    ways.setdefault(COPY, lambda: instance.read_memory(0, MEMORY_BYTES))
    instance.call("fill", (0, pages << 16))
    state = keeper.snapshot(instance)
    instance.call("fill", (8, CHANGED_BYTES))
    later = keeper.snapshot(instance)
    data, delta = state.encode(), later.delta(state).encode()
    part = f"{pages / PAGES:.0%}"
    sizes[f"encode, {part}"] = f"{len(data):,}"
    sizes[f"delta of 64 KiB, {part}"] = f"{len(delta):,}"
    ways[f"snapshot, {part}"] = lambda: keeper.snapshot(instance)
    ways[f"encode, {part}"] = state.encode
    ways[f"decode, {part}"] = lambda: decode_state(data)
    ways[f"restore, {part}"] = lambda: keeper.restore(state).close()
    ways[f"delta of 64 KiB, {part}"] = lambda: later.delta(state).encode()
    ways[f"apply it, {part}"] = lambda: state.apply(decode_delta(delta))


def _exposing(rounds: int) -> Table:
    engine = WasmtimeEngine(EDGE_PROFILE)
    large, fib = sqlite(), Path(module_path("fibonacci")).read_bytes()
    plain = engine.compile(fib).instantiate()
    exposed = engine.compile(expose_state(fib)).instantiate()
    seconds = _in_turns(
        {
            COMPILE: lambda: engine.compile(large).close(),
            "look where SQLite keeps state": lambda: state_findings(large),
            CALL: lambda: plain.call("fib", (30,)),
            "fib(30) of the exposed module": lambda: exposed.call("fib", (30,)),
        },
        rounds,
    )
    rows = tuple(
        (name, min(times) * 1e3, _ratio(times, seconds[CALL if "fib" in name else COMPILE]))
        for name, times in seconds.items()
    )
    return Table("Exposing state", ("step", "min ms", "ratio (median of rounds)"), rows)


def _in_turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, action in ways.items():
            started = time.process_time()
            action()
            seconds[name].append(time.process_time() - started)
    return seconds


def _ratio(times: list[float], base: list[float]) -> float:
    return median(one / other for one, other in zip(times, base, strict=True))
