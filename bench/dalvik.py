"""Translated Dalvik code against the JVM on the same class files: HotSpot's C2, and its interpreter.

The kernels are those of `fixtures/dalvik`, compiled by javac, made a dex file by dx, translated, and run by
the engine of ``lawow exec``. The JVM is warm: its fastest of many calls counts, as the engine's fastest does.
What the translator itself takes is measured on all static methods of an APK of 18 MB.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import geometric_mean

from bench.table import Table
from lawow.dalvik import translate
from lawow.dalvik.program import Program
from lawow.formats.dex import MethodRef, read_dex
from lawow.runtime.base import Instance
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["measure"]

ROOT = Path(__file__).resolve().parent.parent
KERNELS = ROOT / "fixtures" / "dalvik"
APK = ROOT / ".cache" / "npm" / "uiautomator2.apk"
DX = ROOT / ".cache" / "maven" / "dalvik-dx-16.0.1.jar"
"""Both are fetched by the tests (`fixtures/build.py`, `tests/apk`)."""
CALLS = (
    ("Linpack, n = 200", "Linpack", "(I)D", 200),
    ("Linpack, n = 500", "Linpack", "(I)D", 500),
    ("DCT, 10,000 blocks", "Dct", "(I)I", 10_000),
    ("suffix array of 100,000 bytes", "SuffixSort", "(I)I", 100_000),
    ("SHA-256 of 1,000,000 bytes", "Sha256", "(I)I", 1_000_000),
    ("chess, 10,000 positions", "Chess", "(I)J", 10_000),
)
MOST, MOST_MEAN, FEWEST_TIMES = 4.0, 2.5, 10.0
MOST_SECONDS, MOST_MEGABYTES = 5.0, 300.0
WARM_CALLS = 40
TRANSLATE = """
import resource, sys, time
from lawow.dalvik import Program, examine, translate
from lawow.formats.dex import read_dex
from lawow.formats.zip import read_zip
entries = read_zip(open(sys.argv[1], "rb").read()).entries
program = Program([read_dex(item.read(1 << 28)) for item in entries if item.name.endswith(b".dex")])
views = [item for dex in program.dexes for view in dex.classes for item in view.methods]
static = [item.ref for item in views if item.is_static and item.has_code]
start = time.process_time()
found = [ref for ref in static if examine(program, ref).reason is None]
middle = time.process_time()
done = translate(program, found)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(len(static), len(done.exports), middle - start, time.process_time() - middle, peak)
"""


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure the kernels, in turns, and the translation of an APK."""
    tables = [_kernels(folder, min(rounds, 5))]
    if APK.exists():
        tables.append(_translation())
    return tuple(tables)


def _kernels(folder: Path, rounds: int) -> Table:
    classes = folder / "kernels"
    driver = ROOT / "fixtures" / "jvm" / "CallKernels.java"
    sources = [str(path) for path in (*sorted(KERNELS.glob("*.java")), driver)]
    _run("javac", "--release", "8", "-nowarn", "-Xlint:-options", "-d", str(classes), *sources)
    instance, exports = _guest(classes, folder / "kernels.dex")
    rows: list[tuple[str | float, ...]] = []
    for name, owner, descriptor, size in CALLS:
        ours, warm, interpreted = [], [], []
        for _ in range(rounds):
            ours.append(_guest_seconds(instance, exports[owner], size))
            warm.append(_jvm_seconds(classes, owner, descriptor, size, WARM_CALLS))
            interpreted.append(_jvm_seconds(classes, owner, descriptor, size, 1, "-Xint"))
        times = [min(ours), min(warm), min(interpreted)]
        rows.append((name, *(item * 1e3 for item in times), times[0] / times[1], times[2] / times[0]))
    means = [geometric_mean(float(row[column]) for row in rows) for column in range(1, 6)]
    columns = (
        *("kernel", "wasm min ms", "C2 min ms", "-Xint min ms"),
        *(f"wasm / C2, wanted at most {MOST:g}, mean {MOST_MEAN}", f"-Xint / wasm, wanted {FEWEST_TIMES:g}"),
    )
    return Table("Translated Dalvik code", columns, (*rows, ("geometric mean", *means)))


def _guest(classes: Path, dex: Path) -> tuple[Instance, dict[str, str]]:
    """Return an instance of the translated kernels, and the export of each class."""
    dx = ("java", "-cp", str(DX), "com.android.dx.command.Main", "--dex", "--min-sdk-version=26")
    _run(*dx, f"--output={dex}", str(classes))
    refs = {owner: MethodRef(f"Lkernels/{owner};", "run", descriptor) for _, owner, descriptor, _ in CALLS}
    done = translate(Program([read_dex(dex.read_bytes())]), refs.values())
    instance = WasmtimeEngine(EXEC_PROFILE).compile(done.wasm).instantiate()
    return instance, {owner: done.exports[ref].export for owner, ref in refs.items()}


def _guest_seconds(instance: Instance, export: str, size: int) -> float:
    turns = []
    for _ in range(WARM_CALLS):
        started = time.process_time()
        instance.call(export, (size,))
        turns.append(time.process_time() - started)
    return min(turns)


def _jvm_seconds(classes: Path, owner: str, descriptor: str, size: int, turns: int, *options: str) -> float:
    line = f"time {turns} kernels.{owner} run {descriptor} {size:x}\n"
    output = _run("java", *options, "-cp", str(classes), "CallKernels", stdin=line)
    return int(output.split()[0]) / 1e9


def _translation() -> Table:
    output = _run(sys.executable, "-c", TRANSLATE, str(APK))
    static, exports, examined, translated, peak = map(float, output.split())
    columns = (
        *("static methods", "translated", "examine all s"),
        *(f"translate s, wanted at most {MOST_SECONDS:g}", f"peak MB, wanted at most {MOST_MEGABYTES:g}"),
    )
    return Table(
        "An APK of 18 MB, translated",
        columns,
        ((f"{static:,.0f}", f"{exports:,.0f}", examined, translated, peak),),
    )


def _run(*argv: str, stdin: str = "") -> str:
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=True).stdout
