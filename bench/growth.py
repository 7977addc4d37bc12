"""How processor time grows with the input: sizes double three times, and the exponent of a fit is printed.

1 is linear. The inputs are those that are made to cost more than they are long: names that are the same up to
their last digits, and one chain of superclasses through all classes. Not compared with a peer, so the figure
to look at is the last column; the tests count calls instead, which no other load disturbs.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from statistics import linear_regression

from bench.table import Table
from fuzz.seeds import manifests
from lawow.formats.dex import (
    Assembly,
    ClassSource,
    DexBuilder,
    MethodSource,
    drop_classes,
    read_dex,
    verify_dex,
)
from lawow.formats.signing import SigningKey, debug_key
from lawow.formats.zip import make_entry, read_zip, write_zip
from lawow.refactor.forecast import forecast_app
from lawow.refactor.pipeline import refactor_app
from lawow.refactor.plan import PlanOptions
from lawow.refactor.split import SplitOptions

__all__ = ["measure"]

ROUNDS = 2
ENTRIES = (8_190, 16_380, 32_760, 65_520)  # the last is nearly what the format counts to
CLASSES = (12_500, 25_000, 50_000, 100_000)
CLASSES_IN_A_DEX_FILE = 50_000  # a dex file counts 65,536 types
MOVED = "Lcom/example/FibonacciWasm;"
MODULE = (
    b"\0asm\1\0\0\0\x01\x06\x01\x60\x01\x7f\x01\x7f\x03\x02\x01\0"
    b"\x07\x07\x01\x03fib\0\0\x0a\x06\x01\x04\0\x20\0\x0b"
)
"""A module with one function, fib of an i32, which returns its argument."""

Inputs = dict[int, bytes]


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure every step at each size, the better of two rounds; takes two minutes.

    Nothing is written to `folder`.
    """
    key = debug_key()
    archives = {count: _archive(count) for count in ENTRIES}
    apps = {count: _app(count) for count in CLASSES}
    dexes = {count: _dex(count, 0) for count in (count // 2 for count in CLASSES)}
    rows = [
        _row("read an archive", f"{ENTRIES[-1]:,} entries", archives, read_zip, rounds),
        _row("verify a dex file", f"{max(dexes):,} classes", dexes, verify_dex, rounds),
        _row("drop a class, collect ids", f"{max(dexes):,} classes", dexes, _drop, rounds),
        _row("plan", f"{CLASSES[-1]:,} classes", apps, _plan, rounds),
        _row("split, sign, prove", f"{CLASSES[-1]:,} classes", apps, partial(_refactor, key), rounds),
    ]
    columns = ("step", *(f"s at {part}" for part in ("1/8", "1/4", "1/2", "all")), "of", "exponent")
    notes = ("An exponent of 1 is linear. 'of' is the largest input.",)
    return (Table("Growth: processor time while the input doubles", columns, tuple(rows), notes),)


def _row(
    step: str, largest: str, inputs: Inputs, work: Callable[[bytes], object], rounds: int
) -> tuple[str | float, ...]:
    seconds = [min(_seconds(work, data) for _ in range(min(rounds, ROUNDS))) for data in inputs.values()]
    fit = linear_regression([math.log(count) for count in inputs], [math.log(item) for item in seconds])
    row: tuple[str | float, ...] = (step, *seconds, largest, fit.slope)
    print(*row, file=sys.stderr, flush=True)
    return row


def _seconds(work: Callable[[bytes], object], data: bytes) -> float:
    started = time.process_time()
    work(data)
    return time.process_time() - started


def _plan(data: bytes) -> None:
    forecast_app(data, "app.apk", PlanOptions())


def _refactor(key: SigningKey, data: bytes) -> None:
    refactor_app(data, "app.apk", PlanOptions(), SplitOptions(), key)


def _drop(data: bytes) -> None:
    drop_classes(read_dex(data), [MOVED], keep_orphan_ids=False)


def _archive(count: int) -> bytes:
    prefix = "assets/" + "same/" * 20
    return write_zip((make_entry(f"{prefix}{number:05}", b"") for number in range(count)), align=True)


def _app(count: int) -> bytes:
    entries = [make_entry("AndroidManifest.xml", manifests()[0]), make_entry("assets/fibonacci.wasm", MODULE)]
    for place, first in enumerate(range(0, count, CLASSES_IN_A_DEX_FILE), start=1):
        dex = _dex(min(CLASSES_IN_A_DEX_FILE, count - first), first)
        entries.append(make_entry("classes.dex" if place == 1 else f"classes{place}.dex", dex))
    return write_zip(entries, align=True)


@cache
def _dex(count: int, first: int) -> bytes:
    """Return a dex file of a chain of classes; the first of an app holds the class that moves, too."""
    builder = DexBuilder()
    parent = "Ljava/lang/Object;"
    for number in range(first, first + count):
        code = Assembly(1, [("const-string", 0, f"the same beginning {number:06}"), ("return-void",)])
        name = f"Lcom/example/the/same/beginning/C{number:06};"
        builder.add(ClassSource(name, superclass=parent, methods=(MethodSource("run", "()V", 0x9, code),)))
        parent = name
    if not first:
        code = Assembly(1, [("return", 0)])
        builder.add(ClassSource(MOVED, methods=(MethodSource("fib", "(I)I", 0x9, code),)))
    return builder.build()
