"""Run time of the programs of Table I without the start: the call alone, against the same C source compiled
for this machine. It is processor time, which other work on the machine disturbs least.

clang is the fair base, as the modules come from it too; gcc is what a user loses against, and inlines `fib`
six levels deep. The edge's profile stands beside, whose epoch checks are the price of stopping one call of
several.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import geometric_mean, median

from bench.guests import COMPILERS, PROGRAMS, SORT, Guest, guest_of, moved_sorts, native
from bench.table import Table
from lawow.runtime.base import Instance
from lawow.runtime.profiles import EDGE_PROFILE, EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["measure"]

REPETITIONS = 3
"""Calls in each round, of which the fastest counts."""

MOST_ROUNDS = 7
MOST = 1.6
PROFILES = {"exec": EXEC_PROFILE, "edge": EDGE_PROFILE}


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure the calls alone, in turns; the sort with its code in eight places, too."""
    rounds = min(rounds, MOST_ROUNDS)
    rows = [_row(guest_of(program), folder, rounds) for program in PROGRAMS]
    moved = [_row(guest, folder, rounds) for guest in moved_sorts(folder)]
    means = [geometric_mean(float(row[column]) for row in moved) for column in range(1, len(moved[0]))]
    rows += [*moved, (f"{SORT.call}, geometric mean of the places", *means)]
    columns = (
        *("call", "clang -O3 min ms", "gcc -O3 min ms", "lawow exec min ms", "edge min ms"),
        *(f"exec / clang, wanted at most {MOST}", "exec / gcc", "edge / exec"),
    )
    return (Table("The call alone", columns, tuple(rows)),)


def _row(guest: Guest, folder: Path, rounds: int) -> tuple[str | float, ...]:
    wasm = Path(guest.wasm).read_bytes()
    programs = {name: native(folder, guest, name) for name in COMPILERS}
    instances = {
        name: WasmtimeEngine(profile).compile(wasm).instantiate() for name, profile in PROFILES.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in (*programs, *instances)}
    for _ in range(rounds):
        for name, program in programs.items():
            seconds[name].append(_native_seconds(program, guest.program.argument))
        for name, instance in instances.items():
            seconds[name].append(_guest_seconds(instance, guest))
    for instance in instances.values():
        instance.close()
    pairs = (("exec", "clang"), ("exec", "gcc"), ("edge", "exec"))
    return (
        f"{guest.program.call}, {guest.name}",
        *(min(times) * 1e3 for times in seconds.values()),
        *(_ratio(seconds[one], seconds[other]) for one, other in pairs),
    )


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def _native_seconds(program: Path, argument: int) -> float:
    command = [str(program), str(argument), str(REPETITIONS)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _guest_seconds(instance: Instance, guest: Guest) -> float:
    turns = []
    for _ in range(REPETITIONS):
        started = time.process_time()
        instance.call(guest.program.export, (guest.program.argument,))
        turns.append(time.process_time() - started)
    return min(turns)
