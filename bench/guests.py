"""The programs of the first paper's Table I, in all forms that are measured.

Each is a module of the demo, its very C source compiled for this machine, and the module compiled ahead of
time by WasmEdge. The sort comes in eight forms more: the same loop runs 1 to 3 times as fast depending on
where its code happens to lie (a branch across 32 bytes leaves the cache of decoded instructions of some
processors), natively too. A store or a few before it move it, and the geometric mean over them says what one
place cannot.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lawow.build.modules import compile_module

__all__ = [
    "COMPILERS",
    "PROGRAMS",
    "SORT",
    "Guest",
    "Program",
    "guest_of",
    "module_path",
    "moved_sorts",
    "native",
]

APP = Path(__file__).resolve().parent.parent / "fixtures" / "app" / "src" / "main"

MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

%(result)s %(export)s(int);

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
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

COMPILERS = {
    # zig's clang; without -mcpu it would use all instructions of this very machine, as clang does not.
    "clang": (sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"),
    "gcc": ("gcc",),
}

PLACES = (3, 5, 7, 9, 11, 13, 17)
"""Numbers of the stores that move the code of a sort: none of them, the first, the first two, ..."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program: module, export, the C type of its result, and the argument of Table I."""

    module: str
    export: str
    result: str
    argument: int

    @property
    def call(self) -> str:
        """How the call is named in tables."""
        return f"{self.export} {self.argument:,}"


SORT = Program("insertion_sort", "sort", "long", 30_000)
PROGRAMS = (Program("fibonacci", "fib", "int", 32), Program("matrix", "multiply", "double", 500), SORT)


@dataclass(frozen=True, slots=True)
class Guest:
    """A program's module, the C compiler's options that make its source this form of it, and a name."""

    program: Program
    wasm: str
    options: tuple[str, ...]
    name: str


def module_path(name: str) -> str:
    """Return the path of one of the demo's modules."""
    return str(APP / "wasm" / f"{name}.wasm")


def guest_of(program: Program) -> Guest:
    """Return the program as the demo has it."""
    return Guest(program, module_path(program.module), (), program.module)


def moved_sorts(folder: Path) -> list[Guest]:
    """Compile the sort's source eight times, with more and more code before its loops."""
    guests = []
    for count in range(len(PLACES) + 1):
        header, module = folder / f"place{count}.h", folder / f"place{count}.wasm"
        stores = "".join(f"places[(n + {number}) & 63] += n * {number}, " for number in PLACES[:count])
        # The source calls malloc before its loops, where its parameter n is in scope.
        lines = (
            "#include <stdlib.h>",
            "static volatile int places[64];",
            f"#define malloc(size) ({stores}malloc(size))",
        )
        header.write_text("\n".join((*lines, "")))
        options = ("-include", str(header))
        module.write_bytes(compile_module(APP / "c", [f"{SORT.module}.c"], SORT.module, options))
        guests.append(Guest(SORT, str(module), options, f"place{count}"))
    return guests


def native(folder: Path, guest: Guest, compiler: str) -> Path:
    """Compile a guest's source for this machine, with a main that times the call; return the program."""
    program = guest.program
    output = folder / f"{guest.name}.{compiler}"
    main = folder / f"{guest.name}_main.c"
    main.write_text(MAIN % {"result": program.result, "export": program.export})
    source = APP / "c" / f"{program.module}.c"
    # -w: the source names its exports by an attribute that only WebAssembly compilers know.
    command = (*COMPILERS[compiler], "-O3", "-w", *guest.options, "-o", str(output), str(main), str(source))
    subprocess.run(command, check=True)
    return output
