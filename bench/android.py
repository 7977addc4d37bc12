"""What the runtime inside an app costs, on a JVM of this machine: sizes, loading, calls, engines.

The glue is built from the same C source, libwasmtime is this machine's: an engine of the same release with
the settings of a phone. The engines run in turns, one JVM for each; the base of the ratios is the same engine
with traps by signals, which a phone cannot have, called from Python in the same rounds. The runtime in Java
has a table of its own, as ratios to what wasmtime needed in the same round. Needs gcc, a JDK and Maven.
"""

from __future__ import annotations

import functools
import hashlib
import subprocess
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import wasmtime

from bench.guests import module_path
from bench.table import Table
from lawow.pack import PackOptions
from lawow.pack.java_engine import VERSION
from lawow.pack.libraries import abi_libraries
from lawow.pack.runtimes import ABIS
from lawow.resources import android_stub
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["measure_calls", "measure_engines", "measure_sizes"]

NOTHING = """
(module
  (import "env" "act" (func $act (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "nothing"))
  (func (export "take") (param i32 i32))
  (func (export "act_often") (param i32)
    (loop $again
      (drop (call $act (local.get 0)))
      (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
      (br_if $again (local.get 0)))))
"""
PLAIN = NOTHING.replace('(import "env" "act" (func $act (param i32) (result i32)))', "").replace(
    "(call $act (local.get 0))", "(local.get 0)"
)
ENGINES: dict[str, tuple[str, ...]] = {
    "native": (),
    "native, fuel and deadline": ("-Dlawow.fuel=9000000000000000000", "-Dlawow.timeout.seconds=600"),
    "pulley": ("-Dlawow.engine=pulley",),
    "java": ("-Dlawow.local=java",),
}
_WASMTIME = ("native", "native, fuel and deadline", "pulley")
_MAVEN = Path(__file__).resolve().parent.parent / ".cache" / "maven"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
KERNELS = (("fibonacci", "fib", 30), ("matrix", "multiply", 200), ("insertion_sort", "sort", 5000))
KERNEL_NANOS = 500_000_000
"""How long each program is called again and again in a round; the fastest call counts."""
MOST_ROUNDS = 7


def measure_sizes(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Count the bytes that an app gets for each ABI; nothing is timed."""
    rows: list[tuple[str | float, ...]] = []
    for abi in ABIS:
        for name, data in sorted(abi_libraries(PackOptions(), abi).files.items()):
            rows.append((abi, name, f"{len(data):,}", f"{len(zlib.compress(data, 9)):,}"))
    dex = android_stub("prebuilt", "lawow-stub.dex").read_bytes()
    rows.append(("all", "dev.lawow, before a shrinker", f"{len(dex):,}", f"{len(zlib.compress(dex, 9)):,}"))
    return (Table("The runtime inside an app, bytes", ("ABI", "file", "installed", "deflated"), tuple(rows)),)


def measure_calls(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure loading and calls, through JNI but for the runtime in Java, for each engine."""
    runs = _runs(folder, min(rounds, MOST_ROUNDS))
    names = [name for name in runs["native"][0] if not name.startswith(tuple(item[1] for item in KERNELS))]
    rows: list[tuple[str | float, ...]]
    rows = [(name, *(min(run[name] for run in runs[engine]) / 1e3 for engine in ENGINES)) for name in names]
    title = "Loading and calls, least of all rounds, us"
    return (Table(title, ("what", *ENGINES), tuple(rows)),)


def measure_engines(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure three programs on each engine, as ratios to the engine with traps by signals."""
    runs = _runs(folder, min(rounds, MOST_ROUNDS))
    rows: list[tuple[str | float, ...]] = []
    for _, export, argument in KERNELS:
        name = f"{export} {argument}"
        base = [run[name] for run in runs["signals"]]
        ratios = (
            median(run[name] / one for run, one in zip(runs[engine], base, strict=True))
            for engine in _WASMTIME
        )
        rows.append((name, min(base) / 1e6, *ratios))
    columns = ("program", "traps by signals, ms", *(f"{name}, ratio" for name in _WASMTIME))
    title = "Engines of the app's runtime (median of rounds)"
    return Table(title, columns, tuple(rows)), _java_table(runs)


def _java_table(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> Table:
    """Compare the runtime in Java with wasmtime's native code and with its interpreter, round by round."""
    rows: list[tuple[str | float, ...]] = []
    for _, export, argument in KERNELS:
        name = f"{export} {argument}"
        slow = [run[name] for run in runs["java"]]
        ratios = (
            median(one / run[name] for one, run in zip(slow, runs[engine], strict=True))
            for engine in ("native", "pulley")
        )
        rows.append((name, min(slow) / 1e6, *ratios))
    columns = ("program", "java, ms", "to native, ratio", "to pulley, ratio")
    return Table("The runtime in Java (median of rounds)", columns, tuple(rows))


@functools.lru_cache(maxsize=1)
def _runs(folder: Path, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Run everything in turns, once for both tables; figures in nanoseconds by name."""
    command = _prepare(folder)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ("signals", *ENGINES)}
    for _ in range(rounds):
        found["signals"].append(_with_signals())
        for name, options in ENGINES.items():
            done = subprocess.run(["java", *options, *command], capture_output=True, text=True, check=True)
            lines = (line.split("\t") for line in done.stdout.splitlines())
            found[name].append({key: float(value) for key, value in lines})
    return found


def _prepare(folder: Path) -> list[str]:
    """Build glue and program, lay out the modules; return the JVM's arguments."""
    root = folder / "android"
    assets = root / "assets" / "lawow"
    assets.mkdir(parents=True)
    for file, _, _ in KERNELS:
        (assets / f"{file}.wasm").write_bytes(Path(module_path(file)).read_bytes())
    (assets / "nothing.wasm").write_bytes(bytes(wasmtime.wat2wasm(NOTHING)))
    plain = bytes(wasmtime.wat2wasm(PLAIN))
    (assets / "plain.wasm").write_bytes(plain)
    glue, stub = root / "liblawow.so", android_stub("prebuilt", "lawow-stub.jar")
    subprocess.run([sys.executable, str(android_stub("build.py")), "--host", str(glue)], check=True)
    source = Path(__file__).parent / "java" / "StubFigures.java"
    subprocess.run(["javac", "-cp", str(stub), "-d", str(root), str(source)], check=True)
    library = next(Path(wasmtime.__file__).parent.glob("linux-*/_libwasmtime.so"))
    properties = [f"-Dlawow.library={glue}", f"-Dlawow.wasmtime={library}"]
    name = f"plain.wasm@{hashlib.sha256(plain).hexdigest()}"
    classes = ":".join(map(str, (stub, root, android_stub("prebuilt", "lawow-endive.jar"), *_endive())))
    return [*properties, "-cp", classes, "StubFigures", name]


def _endive() -> list[Path]:
    """Return the JARs of the runtime in Java; fetched once by name through Maven."""
    jars = []
    for artifact in ("runtime", "wasm"):
        jars.append(_MAVEN / f"{artifact}-{VERSION}.jar")
        if not jars[-1].exists():
            words = (f"-Dartifact=run.endive:{artifact}:{VERSION}", f"-DoutputDirectory={_MAVEN}")
            subprocess.run(["mvn", "-q", "-B", _COPY, *words], check=True)
    return jars


def _with_signals() -> dict[str, float]:
    engine, figures = WasmtimeEngine(EXEC_PROFILE), {}
    for file, export, argument in KERNELS:
        instance = engine.compile(Path(module_path(file)).read_bytes()).instantiate()
        turns, end = [], time.perf_counter_ns() + KERNEL_NANOS
        while (started := time.perf_counter_ns()) < end:
            instance.call(export, (argument,))
            turns.append(time.perf_counter_ns() - started)
        instance.close()
        figures[f"{export} {argument}"] = float(min(turns))
    engine.close()
    return figures
