"""Threat A11: input made to cost more than it is long. Work is counted in calls of functions, not in seconds.

Calls do not show what copies bytes; `python -m bench --only growth` fits processor time over larger inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from statistics import linear_regression

import pytest

from lawow.formats.dex import Assembly, ClassSource, DexBuilder, MethodSource
from lawow.formats.dex.symbols import MethodRef
from lawow.formats.signing import SigningKey, resign_apk, verify_apk
from lawow.formats.zip import make_entry, read_zip, write_zip
from lawow.refactor.forecast import forecast_app
from lawow.refactor.pipeline import refactor_app
from lawow.refactor.plan import PlanOptions
from lawow.refactor.split import SplitOptions
from tests.formats.builders import RawEntry, build_zip
from tests.hostile.test_apk import outcome, parts_of
from tests.refactor.builders import FIB
from tests.refactor.conftest import BuildApp
from tests.work import MOST_GROWTH, calls_in

SIZES = (200, 400, 800, 1600)  # above 128 methods, users are looked up by another, cheaper way
SHAPES = ("deep", "wide", "equal")


@pytest.fixture(autouse=True)
def all_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count what a second processor does as well."""
    monkeypatch.setattr("lawow.refactor.aside._can_fork", bool)


def exponent(step: Callable[[bytes], object], inputs: list[bytes]) -> float:
    """Return the power of the input's length with which the work grows.

    Fitted over what each doubling adds, so that work that every input costs does not hide the growth.
    """
    step(inputs[0])  # what is imported and cached for all is not the input's
    sizes, calls = [len(data) for data in inputs], [calls_in(partial(step, data)) for data in inputs]
    added = [
        (math.log(larger - size), math.log(max(1, more - count)))
        for (size, count), (larger, more) in pairwise(zip(sizes, calls, strict=True))
    ]
    return linear_regression(*zip(*added, strict=True)).slope


def app_with(build_app: BuildApp, count: int, shape: str) -> bytes:
    """An app of so many classes beside the one that moves.

    "deep" is a chain of superclasses, each calling the next, that the moved class is the end of; "wide" are
    callers of the moved class, all implementing one interface; "equal" are methods of one class.
    """
    builder = DexBuilder()
    fib = MethodRef("Lcom/example/app/FibonacciWasm;", "fib", "(I)I")
    end = Assembly(1, [("const/4", 0, 1), ("return", 0)])
    top = "Ljava/lang/Object;"
    if shape == "equal":
        body = Assembly(1, [("invoke-static", (0,), fib), ("return-void",)])
        methods = tuple(MethodSource(f"method{number:06}", "(I)V", 9, body) for number in range(count))
        builder.add(ClassSource("Lcom/example/app/Callers;", methods=methods))
    for number in range(count if shape != "equal" else 0):
        name = f"Lcom/example/the/same/beginning/C{number:06};"
        callee = MethodRef(top, "run", "()V") if number and shape == "deep" else fib
        arguments = (0,) if callee is fib else ()
        body = Assembly(1, [("const/4", 0, 1), ("invoke-static", arguments, callee), ("return-void",)])
        parent = top if shape == "deep" else "Ljava/lang/Object;"
        interfaces = ("Ljava/lang/Runnable;",) if shape == "wide" else ()
        builder.add(
            ClassSource(
                name,
                superclass=parent,
                interfaces=interfaces,
                methods=(MethodSource("run", "()V", 9, body),),
            )
        )
        top = name
    builder.add(ClassSource(fib.class_name, methods=(MethodSource("fib", "(I)I", 9, end),)))
    parts = [item for item in parts_of(build_app()) if item.name != b"classes.dex"]
    entries = [make_entry(item.name, item.content) for item in parts]
    return write_zip([*entries, make_entry("classes.dex", builder.build(), compress=False)], align=True)


@pytest.mark.parametrize("shape", SHAPES)
def test_a11_a_plan_and_a_split_grow_as_the_app_does(
    build_app: BuildApp, key: SigningKey, shape: str
) -> None:
    apps = [app_with(build_app, size, shape) for size in SIZES]
    options = PlanOptions()

    def split(data: bytes) -> object:
        return refactor_app(data, "app.apk", options, SplitOptions(), key)

    assert exponent(lambda data: forecast_app(data, "app.apk", options), apps) < MOST_GROWTH
    assert exponent(split, apps) < MOST_GROWTH


def alike(count: int) -> list[RawEntry]:
    """Entries whose names differ in their last five digits alone."""
    prefix = b"assets/" + b"same/" * 20
    return [RawEntry(prefix + b"%05d" % number, b"", method=0) for number in range(count)]


def test_a11_an_archive_is_read_laid_out_signed_and_judged_in_linear_work(
    build_app: BuildApp, key: SigningKey
) -> None:
    own = parts_of(build_app(entries={"assets/fibonacci.wasm": FIB}, min_sdk=21))
    apks = [build_zip([*own, *alike(size)]) for size in (500, 1000, 2000, 4000)]
    assert exponent(read_zip, apks) < MOST_GROWTH
    assert exponent(lambda data: resign_apk(data, key), apks) < MOST_GROWTH
    signed = [resign_apk(data, key) for data in apks]
    assert exponent(verify_apk, signed) < MOST_GROWTH


def test_a11_as_many_entries_as_the_format_counts_are_read(build_app: BuildApp) -> None:
    parts = parts_of(build_app())
    data = build_zip([*parts, *alike(65_535 - len(parts))])
    assert len(read_zip(data).entries) == 65_535
    assert outcome(data) is None
