"""Run time of the three programs of the first paper's Table I, against the same C source compiled for the
machine.

Both sides are warm: the time is of the call alone. The same loop can be 1 to 3 times as fast depending on
where its code happens to lie, natively too, so a single ratio of a tight loop is not a property of the
engine.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.table import Table
from lawow.runtime.profiles import EDGE_PROFILE, EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["PROGRAMS", "Program", "build_native", "measure", "module_path"]

APP = Path(__file__).resolve().parent.parent / "fixtures" / "app" / "src" / "main"
REPETITIONS = 3
"""Calls in each round, of which the fastest counts."""

MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

%(result)s %(export)s(int);

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int count, char **words) {
  if (count < 3) return 2;
  double best = 1e9;
  for (int turn = 0; turn < atoi(words[2]); turn++) {
    double started = now();
    volatile %(result)s result = %(export)s(atoi(words[1]));
    (void)result;
    if (now() - started < best) best = now() - started;
  }
  printf("%%.9f\\n", best);
  return 0;
}
"""


@dataclass(frozen=True, slots=True)
class Program:
    """One program: module, export, the C type of its result, and the argument of Table I."""

    module: str
    export: str
    result: str
    argument: int


PROGRAMS = (
    Program("fibonacci", "fib", "int", 32),
    Program("matrix", "multiply", "double", 500),
    Program("insertion_sort", "sort", "long", 30_000),
)


def module_path(name: str) -> str:
    """Return the path of one of the demo's modules."""
    return str(APP / "wasm" / f"{name}.wasm")


def build_native(folder: Path, program: Program) -> Path:
    """Compile the program's C source with ``gcc -O3`` and a main that times it; return the executable."""
    main = folder / f"{program.module}_main.c"
    output = folder / program.module
    if not output.exists():
        main.write_text(MAIN % {"result": program.result, "export": program.export})
        source = APP / "c" / f"{program.module}.c"
        # -w: the source names its exports by an attribute that only WebAssembly compilers know.
        subprocess.run(["gcc", "-O3", "-w", "-o", str(output), str(main), str(source)], check=True)
    return output


def measure(folder: Path, rounds: int) -> Table:
    """Measure the calls alone, in turns: native, `lawow exec`'s profile, the edge's profile."""
    engines = {"exec": WasmtimeEngine(EXEC_PROFILE), "edge": WasmtimeEngine(EDGE_PROFILE)}
    rows = [_row(program, folder, engines, min(rounds, 7)) for program in PROGRAMS]
    columns = (
        *("call", "native gcc -O3 ms", "lawow exec ms", "edge ms"),
        *("exec / native (median of rounds)", "edge / exec (median of rounds)"),
    )
    return Table("The call alone, minimum", columns, tuple(rows))


def _row(
    program: Program, folder: Path, engines: dict[str, WasmtimeEngine], rounds: int
) -> tuple[str | float, ...]:
    native = build_native(folder, program)
    wasm = Path(module_path(program.module)).read_bytes()
    instances = {name: engine.compile(wasm).instantiate() for name, engine in engines.items()}
    seconds: dict[str, list[float]] = {"native": [], "exec": [], "edge": []}
    for _ in range(rounds):
        seconds["native"].append(_native_seconds(native, program.argument))
        for name, instance in instances.items():
            turns = []
            for _ in range(REPETITIONS):
                started = time.perf_counter()
                instance.call(program.export, (program.argument,))
                turns.append(time.perf_counter() - started)
            seconds[name].append(min(turns))
    for instance in instances.values():
        instance.close()
    return (
        f"{program.export} {program.argument}",
        *(min(times) * 1e3 for times in seconds.values()),
        median(one / other for one, other in zip(seconds["exec"], seconds["native"], strict=True)),
        median(one / other for one, other in zip(seconds["edge"], seconds["exec"], strict=True)),
    )


def _native_seconds(program: Path, argument: int) -> float:
    done = subprocess.run(
        [str(program), str(argument), str(REPETITIONS)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)
