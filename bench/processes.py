"""Whole processes as the kernel accounts them, run in turns, and how one compares with another.

Absolute figures of a shared machine drift, so what counts is the ratio of two processes inside one round, and
of those the median over the rounds.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.table import Table

__all__ = [
    "NO_WASMEDGE",
    "Command",
    "Goal",
    "Sample",
    "compare",
    "cpu",
    "ratio",
    "run_in_turns",
    "show",
    "wall",
    "wasmedge",
]

SPAWN = Path(__file__).resolve().parent / "spawn.py"
KEPT_WASMEDGE = Path(__file__).resolve().parent.parent / ".cache" / "wasmedge" / "bin" / "wasmedge"
NO_WASMEDGE = "wasmedge is not here: `.ci/wasmedge` fetches it"


@dataclass(frozen=True, slots=True)
class Command:
    """A command line under a name, with changes to the environment and a folder to empty before each run."""

    name: str
    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    fresh_folder: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: wall and processor time, and the peak of its resident memory."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


def wall(sample: Sample) -> float:
    """Return the seconds from start to end."""
    return sample.wall_seconds


def cpu(sample: Sample) -> float:
    """Return the seconds of processor time."""
    return sample.cpu_seconds


def ratio(
    ours: Sequence[Sample], theirs: Sequence[Sample], figure: Callable[[Sample], float] = wall
) -> float:
    """Return the median over the rounds of the ratio inside a round."""
    return median(figure(one) / figure(other) for one, other in zip(ours, theirs, strict=True))


def run_in_turns(
    commands: Sequence[Command], rounds: int, *, warm_up: bool = True
) -> dict[str, list[Sample]]:
    """Run every command once in each round; return the samples by name, in the order of the rounds."""
    order = [[item.name, dict(item.environment), item.fresh_folder, list(item.argv)] for item in commands]
    # The byte code that an installation has must be usable: it may be switched off for this process.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SPAWN), str(rounds), *([] if warm_up else ["cold"])],
        input=json.dumps(order),
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    samples: dict[str, list[Sample]] = {item.name: [] for item in commands}
    for line in done.stdout.splitlines():
        name, wall_seconds, cpu_seconds, peak = line.split("\t")
        samples[name].append(Sample(float(wall_seconds), float(cpu_seconds), int(peak) << 10))
    return samples


@dataclass(frozen=True, slots=True)
class Goal:
    """That one command takes at most so many times the wall time of another."""

    ours: str
    peer: str
    most: float


def show(title: str, samples: Mapping[str, Sequence[Sample]]) -> Table:
    """Return the absolute figures, for orientation."""
    rows = [
        (
            name,
            min(map(wall, runs)) * 1e3,
            median(map(wall, runs)) * 1e3,
            min(map(cpu, runs)) * 1e3,
            median(map(cpu, runs)) * 1e3,
            max(item.peak_bytes for item in runs) / (1 << 20),
        )
        for name, runs in samples.items()
    ]
    columns = ("wall min ms", "wall median ms", "CPU min ms", "CPU median ms", "peak MiB")
    return Table(title, ("whole process", *columns), tuple(rows))


def compare(title: str, goals: Sequence[Goal], samples: Mapping[str, Sequence[Sample]]) -> Table:
    """Return the ratios that goals are about; a goal whose peer is not here is left out."""
    rows: list[tuple[str | float, ...]] = []
    for goal in goals:
        if goal.peer not in samples:
            continue
        ours, theirs = samples[goal.ours], samples[goal.peer]
        peak = max(item.peak_bytes for item in ours) / max(item.peak_bytes for item in theirs)
        rows.append((goal.ours, goal.peer, ratio(ours, theirs), ratio(ours, theirs, cpu), peak, goal.most))
    columns = (
        "whole process",
        "against",
        "wall ratio",
        "CPU ratio",
        "memory ratio",
        "wall ratio wanted, at most",
    )
    return Table(title, columns, tuple(rows), () if wasmedge() else (NO_WASMEDGE,))


def wasmedge() -> tuple[str, ...] | None:
    """Return the command WasmEdge: of the path, or as ``.ci/wasmedge`` keeps it.

    The latter is a shell script around the program's own loader. The shell is not WasmEdge's, so the loader
    is started here without it.
    """
    found = shutil.which("wasmedge")
    if found:
        return (found,)
    if not KEPT_WASMEDGE.exists():
        return None
    _, *words, arguments = shlex.split(KEPT_WASMEDGE.read_text().splitlines()[-1])
    assert arguments == "$@"
    return tuple(words)
