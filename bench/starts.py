"""The short call, whose time is its start: `lawow exec` of the installed wheel against its peers."""

from __future__ import annotations

from pathlib import Path

from bench import installed
from bench.guests import module_path
from bench.processes import Command, Goal, compare, run_in_turns, show, wasmedge
from bench.table import Table

__all__ = ["measure"]

PUBLIC_API = """
import sys
from wasmtime import Engine, Linker, Module, Store
engine = Engine(); store = Store(engine)
instance = Linker(engine).instantiate(store, Module.from_file(engine, sys.argv[1]))
print(instance.exports(store)[sys.argv[2]](store, int(sys.argv[3])))
"""
"""The same call by the engine's own Python package."""

NOTHING, WASMEDGE, CACHED, FIRST, PACKAGE = (
    *("python -c pass", "wasmedge --reactor fib 10", "lawow exec fib 10"),
    *("lawow exec fib 10, first run", "wasmtime's Python package, fib 10"),
)
GOALS = (Goal(CACHED, WASMEDGE, 0.90), Goal(FIRST, WASMEDGE, 1.05), Goal(CACHED, NOTHING, 1.30))
LEAST_ROUNDS = 21
"""These processes are short, and their times vary most."""


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure processes from start to end."""
    samples = run_in_turns(_commands(folder), max(rounds, LEAST_ROUNDS))
    return show("Start to end", samples), compare("Start to end, compared", GOALS, samples)


def _commands(folder: Path) -> list[Command]:
    call = (module_path("fibonacci"), "fib", "10")
    first = folder / "first"
    first.mkdir()
    cached, uncached = (("XDG_CACHE_HOME", str(folder / "cache")),), (("XDG_CACHE_HOME", str(first)),)
    commands = [
        Command(NOTHING, (installed.python(), "-c", "pass")),
        Command(CACHED, (installed.lawow(), "exec", *call), cached),
        Command(FIRST, (installed.lawow(), "exec", *call), uncached, str(first)),
        Command(PACKAGE, (installed.python(), "-c", PUBLIC_API, *call)),
    ]
    peer = wasmedge()
    if peer is not None:
        commands.insert(2, Command(WASMEDGE, (*peer, "--reactor", *call)))
    return commands
