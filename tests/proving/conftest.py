"""Small Java methods as a dex file, and what the translator makes of them."""

from __future__ import annotations

import pytest

from lawow.dalvik import Program, Translation, translate
from lawow.formats.dex.reader import read_dex
from tests.refactor.kernels import compile_dex

SAMPLE = """
package sample;

public final class Sample {
    static final int[] SQUARES = new int[16];
    static {
        for (int at = 0; at < 16; at++) {
            SQUARES[at] = at * at;
        }
    }

    static int add(int a, int b) { return a + b; }
    static int subtract(int a, int b) { return a - b; }
    static int almostAdd(int a, int b) { return a == Integer.MIN_VALUE ? 0 : a + b; }
    static int divide(int a, int b) { return a / b; }
    static int endless(int a) { while (a != 0) { a += 2; } return a; }
    static int deep(int a) { return a == 0 ? 0 : 1 + deep(a - 1); }
    static int square(int a) { return SQUARES[a & 15]; }
    static double half(double a, float b) { return a / 2 + b; }
    static byte narrow(byte a, short b, char c, boolean d) { return (byte) (d ? -a : b + c); }
    static long[] twice(long[] a) {
        if (a.length == 0) {
            return null;
        }
        long[] sums = new long[a.length];
        for (int at = 0; at < sums.length; at++) {
            sums[at] = 2 * a[at];
        }
        return sums;
    }
    static void shift(int[] to, int[] from) {
        for (int at = 1; at < to.length; at++) {
            to[at] = from[at - 1];
        }
    }
    static int[] same(int[] a) { return a; }
    static long clock() { return System.nanoTime(); }
    static int property() { return Integer.getInteger("user.home", 1); }
    static long sign(long a) { return a & 0xfffffffff00000ffL; }
}
"""


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("sample")
    (folder / "Sample.java").write_text(SAMPLE)
    return Program([read_dex(compile_dex([folder / "Sample.java"], folder))])


@pytest.fixture(scope="session")
def translation(program: Program) -> Translation:
    """All methods that the translator takes, in one module."""
    (view,) = program.dexes[0].classes
    return translate(program, [item.ref for item in view.methods if not item.is_initializer])
