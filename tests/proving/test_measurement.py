"""What a JVM says of a method's calls and times, against calls that were counted by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lawow.dalvik import Program
from lawow.dalvik.program import PLATFORM_EXCEPTIONS
from lawow.errors import Refused
from lawow.formats.dex.builder import DexBuilder
from lawow.formats.dex.reader import read_dex
from lawow.formats.dex.verify import verify_dex
from lawow.formats.dex.views import MethodView
from lawow.formats.elements import Packed
from lawow.proving.counting import COUNTS, CountingCopies
from lawow.proving.excerpt import excerpt_classes
from lawow.proving.measurement import measure
from lawow.refactor.timings import MethodTime
from tests.refactor.kernels import compile_dex

pytestmark = pytest.mark.slow

SOURCE = """
package timed;

final class Timed {
    static int outer(int[] a, int turns) {
        int sum = 0;
        for (int at = 0; at < turns; at++) {
            sum += slow(a, at) + quick(at) + slow(null, at);
        }
        return sum + fib(27);
    }
    static int slow(int[] a, int seed) {
        int sum = seed;
        for (int at = 0; a != null && at < a.length; at++) {
            sum = sum * 31 + a[at] / (at + 1);
        }
        return sum;
    }
    static int quick(int a) { return a + 1; }
    static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
    static boolean all(boolean z, byte b, short s, char c, int i, long j, float f, double d, double[] e) {
        boolean same = z && b == -2 && s == -3 && c == 65535 && i == -5 && j == -6L && f == 1.5f && d == -2.5;
        if (!same || e[0] != 0.25) {
            throw new IllegalStateException();
        }
        e[0] = 2;
        return z;
    }
    static long clock() { return System.nanoTime(); }
}
"""


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("timed")
    (folder / "Timed.java").write_text(SOURCE)
    return Program([read_dex(compile_dex([folder / "Timed.java"], folder))])


def method(program: Program, name: str) -> MethodView:
    (view,) = program.dexes[0].classes
    return next(item for item in view.methods if item.name == name)


def slot(layout: str, value: float) -> bytes:
    return struct.pack(layout, value).ljust(8, b"\0")


INTS = Packed(50_000, struct.pack("<50000i", *range(50_000)))


@pytest.fixture(scope="module")
def measured(timed: Program) -> dict[str, MethodTime]:
    found = measure(timed.dexes, method(timed, "outer"), [INTS, slot("<i", 8)], seconds=1.0)
    assert found[0].method == "timed.Timed.outer([II)I"
    return {item.method.partition("(")[0].removeprefix("timed.Timed."): item for item in found}


def test_a_callee_has_its_own_calls_arrays_and_part_of_the_time(measured: dict[str, MethodTime]) -> None:
    outer, slow = measured["outer"], measured["slow"]
    assert outer.elements == 50_000
    assert slow.calls % 16 == 0  # two calls in each of eight turns
    assert slow.elements == 25_000  # every second array is null
    # Never both on the stack, and nothing else takes time.
    assert outer.seconds / 2 < slow.seconds + measured["fib"].seconds <= outer.seconds * 1.0001


def test_what_takes_no_time_is_left_out(measured: dict[str, MethodTime]) -> None:
    assert "quick" not in measured


def test_a_recursion_is_one_call(measured: dict[str, MethodTime]) -> None:
    slow, fib = measured["slow"], measured["fib"]
    assert fib.calls * 16 == slow.calls
    assert fib.elements is None


def test_arguments_arrive_as_they_are_and_fresh_for_each_call(timed: Program) -> None:
    integers = [slot("<i", value) for value in (1, -2, -3, 65535, -5)]
    others = [slot("<q", -6), slot("<f", 1.5), slot("<d", -2.5)]
    array = Packed(1, struct.pack("<d", 0.25))
    measure(timed.dexes, method(timed, "all"), [*integers, *others, array], seconds=0.05)
    with pytest.raises(Refused, match=r"all.* throws java\.lang\.IllegalStateException when"):
        measure(timed.dexes, method(timed, "all"), [*integers, *others, Packed(1, bytes(8))], seconds=0.05)


def test_a_method_that_does_more_than_compute_is_not_run(timed: Program) -> None:
    with pytest.raises(Refused, match="nanoTime"):
        measure(timed.dexes, method(timed, "clock"), [], seconds=0.05)


def test_code_that_counts_is_sound_by_androids_verifier(timed: Program, tmp_path: Path) -> None:
    counting = CountingCopies()
    methods = [method(timed, name) for name in ("outer", "all")]
    builder = DexBuilder()
    for source in excerpt_classes(
        methods, timed.method, timed.class_view, PLATFORM_EXCEPTIONS, counting.copy
    ):
        builder.add(source)
    builder.add(counting.counts())
    dex = builder.build()
    assert not verify_dex(dex)
    assert COUNTS in read_dex(dex).class_names()
