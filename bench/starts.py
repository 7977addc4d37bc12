"""Whole processes from start to end: the short call that the start dominates, and the three programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.kernels import PROGRAMS, build_native, module_path
from bench.table import Table

__all__ = ["Command", "Sample", "measure", "run_in_turns", "wasmedge"]

SPAWN = Path(__file__).resolve().parent / "spawn.py"

PUBLIC_API = """
import sys
from wasmtime import Engine, Linker, Module, Store
engine = Engine(); store = Store(engine)
instance = Linker(engine).instantiate(store, Module.from_file(engine, sys.argv[1]))
print(instance.exports(store)[sys.argv[2]](store, int(sys.argv[3])))
"""
"""The same call by the engine's own Python package."""

NO_WASMEDGE = "wasmedge is not here: `.ci/wasmedge` fetches it"


@dataclass(frozen=True, slots=True)
class Command:
    """A command line under a name, with changes to the environment."""

    name: str
    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: wall and processor time, and the peak of its resident memory."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


def run_in_turns(
    commands: Sequence[Command], rounds: int, *, warm_up: bool = True
) -> dict[str, list[Sample]]:
    """Run every command once in each round; return the samples by name, in the order of the rounds."""
    order = [[item.name, dict(item.environment), list(item.argv)] for item in commands]
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
        name, wall, cpu, peak = line.split("\t")
        samples[name].append(Sample(float(wall), float(cpu), int(peak) << 10))
    return samples


def measure(folder: Path, rounds: int) -> Table:
    """Measure whole processes, against ``python -c pass``."""
    commands = _commands(folder)
    samples = run_in_turns(commands, rounds)
    base = samples[commands[0].name]
    rows = [
        (
            name,
            min(item.wall_seconds for item in runs) * 1e3,
            median(item.wall_seconds for item in runs) * 1e3,
            median(item.cpu_seconds for item in runs) * 1e3,
            max(item.peak_bytes for item in runs) / (1 << 20),
            median(one.wall_seconds / other.wall_seconds for one, other in zip(runs, base, strict=True)),
        )
        for name, runs in samples.items()
    ]
    columns = (
        *("whole process", "wall min ms", "wall median ms", "CPU median ms", "peak MiB"),
        "ratio to the first (median of rounds)",
    )
    notes = () if wasmedge() else (NO_WASMEDGE,)
    return Table("Start to end", columns, tuple(rows), notes)


def _commands(folder: Path) -> list[Command]:
    cached = (("XDG_CACHE_HOME", str(folder / "cache")),)
    uncached = (("XDG_CACHE_HOME", "/dev/null"),)
    fibonacci = module_path("fibonacci")
    commands = [
        Command("python -c pass", (sys.executable, "-c", "pass")),
        Command("lawow exec fib 10", (*_lawow(), "exec", fibonacci, "fib", "10"), cached),
        Command("lawow exec fib 10, first run", (*_lawow(), "exec", fibonacci, "fib", "10"), uncached),
        Command(
            "wasmtime's Python package, fib 10", (sys.executable, "-c", PUBLIC_API, fibonacci, "fib", "10")
        ),
    ]
    for program in PROGRAMS:
        argument = str(program.argument)
        path = module_path(program.module)
        call = f"{program.export} {argument}"
        commands.append(
            Command(f"lawow exec {call}", (*_lawow(), "exec", path, program.export, argument), cached)
        )
        commands.append(
            Command(f"native gcc -O3 {call}", (str(build_native(folder, program)), argument, "1"))
        )
    if wasmedge() is not None:
        commands += _wasmedge_commands(folder, wasmedge() or "")
    return commands


def wasmedge() -> str | None:
    """Return the path of WasmEdge's command: on the path, or where ``.ci/wasmedge`` keeps it."""
    kept = Path(__file__).resolve().parent.parent / ".cache" / "wasmedge" / "bin" / "wasmedge"
    return shutil.which("wasmedge") or (str(kept) if kept.exists() else None)


def _wasmedge_commands(folder: Path, command: str) -> list[Command]:
    """Return the same calls by WasmEdge: interpreted where the start is all, else compiled ahead of time."""
    fibonacci = module_path("fibonacci")
    commands = [Command("wasmedge --reactor fib 10", (command, "--reactor", fibonacci, "fib", "10"))]
    for program in PROGRAMS:
        code = folder / f"{program.module}.so"
        subprocess.run(
            [command, "compile", module_path(program.module), str(code)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        argument = str(program.argument)
        name = f"wasmedge, ahead of time, {program.export} {argument}"
        commands.append(Command(name, (command, "--reactor", str(code), program.export, argument)))
    return commands


def _lawow() -> tuple[str, ...]:
    """Return the installed console script, or the module where there is none."""
    script = Path(sys.executable).with_name("lawow")
    return (str(script),) if script.exists() else (sys.executable, "-m", "lawow")
