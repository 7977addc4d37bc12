"""The programs of Table I as whole processes: `lawow exec` against WasmEdge's compiler, LLVM."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean

from bench import installed
from bench.guests import PROGRAMS, SORT, Guest, guest_of, moved_sorts
from bench.processes import (
    Command,
    Goal,
    Sample,
    compare,
    cpu,
    ratio,
    run_in_turns,
    show,
    wasmedge,
)
from bench.table import Table

__all__ = ["measure"]

MOST = 1.05
MOST_ROUNDS = 9
"""A round takes three seconds."""


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure the programs, then the sort with its code in eight places, each against WasmEdge."""
    programs = [guest_of(program) for program in PROGRAMS]
    samples = run_in_turns(_commands(folder, programs), min(rounds, MOST_ROUNDS))
    goals = [Goal(_ours(guest), _theirs(guest), MOST) for guest in programs]
    tables = [show("Programs", samples), compare("Programs, compared", goals, samples)]
    if wasmedge() is None:
        return tuple(tables)
    sorts = moved_sorts(folder)
    return (*tables, _spread(sorts, run_in_turns(_commands(folder, sorts), min(rounds, MOST_ROUNDS))))


def _ours(guest: Guest) -> str:
    return f"lawow exec {guest.program.call}, {guest.name}"


def _theirs(guest: Guest) -> str:
    return f"wasmedge, ahead of time, {guest.program.call}, {guest.name}"


def _commands(folder: Path, guests: Sequence[Guest]) -> list[Command]:
    """Return both commands for each guest. What WasmEdge runs is compiled here, at its highest level."""
    peer = wasmedge()
    commands = []
    for guest in guests:
        call = (guest.program.export, str(guest.program.argument))
        cached = (("XDG_CACHE_HOME", str(folder / "cache")),)
        commands.append(Command(_ours(guest), (installed.lawow(), "exec", guest.wasm, *call), cached))
        if peer is not None:
            code = str(folder / f"{guest.name}.so")
            compiler = (*peer, "compile", "--optimize", "3", guest.wasm, code)
            subprocess.run(compiler, check=True, stdout=subprocess.DEVNULL)
            commands.append(Command(_theirs(guest), (*peer, "--reactor", code, *call)))
    return commands


def _spread(guests: Sequence[Guest], samples: Mapping[str, Sequence[Sample]]) -> Table:
    """Return each place's least time and ratio, and the geometric means."""
    rows: list[tuple[str | float, ...]] = []
    for guest in guests:
        ours, theirs = samples[_ours(guest)], samples[_theirs(guest)]
        least = (min(map(cpu, ours)) * 1e3, min(map(cpu, theirs)) * 1e3)
        rows.append((guest.name, *least, ratio(ours, theirs), ratio(ours, theirs, cpu)))
    means = [geometric_mean(float(row[column]) for row in rows) for column in range(1, 5)]
    rows.append((f"geometric mean; wanted: wall at most {MOST}", *means))
    columns = ("place", "lawow CPU min ms", "wasmedge CPU min ms", "wall ratio", "CPU ratio")
    return Table(f"{SORT.call} as a whole process, its code in eight places", columns, tuple(rows))
