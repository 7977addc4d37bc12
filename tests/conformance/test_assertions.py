"""The tables of assertions are what is computed, and what computes them agrees with this machine's floats."""

from __future__ import annotations

import math
import random
import struct
import sys

import pytest

from fixtures.assertions.ieee import F32, F64, NAN, Format
from tests.conftest import ROOT
from tests.tools import run

EDGES = {
    form: (
        *(0, form.sign, 1, form.sign | 1, 1 << form.digits, (1 << form.digits) - 1, form.infinity - 1),
        *(form.infinity, form.sign | form.infinity, form.quiet_nan, form.sign | form.infinity - 1),
    )
    for form in (F32, F64)
}


def number(pattern: int) -> float:
    (value,) = struct.unpack("<d", struct.pack("<Q", pattern))
    return float(value)


def agrees(pattern: int, wanted: float) -> bool:
    return math.isnan(wanted) if pattern == NAN else struct.pack("<Q", pattern) == struct.pack("<d", wanted)


def patterns(form: Format, chance: random.Random, count: int) -> list[int]:
    """Return edges and random numbers, half of them of nearly the same size."""
    near = form.round(form.value(1 << form.bits - 3))
    return [
        chance.choice(
            (*EDGES[form], chance.getrandbits(form.bits), near + chance.getrandbits(form.digits + 2))
        )
        for _ in range(count)
    ]


def test_the_files_are_what_is_computed() -> None:
    run(sys.executable, "-m", "fixtures.assertions", "--check", cwd=ROOT)


def test_sums_products_quotients_and_roots_are_those_of_the_machine() -> None:
    chance = random.Random(754)
    for left, right in zip(patterns(F64, chance, 3000), patterns(F64, chance, 3000), strict=True):
        a, b = number(left), number(right)
        assert agrees(F64.add(left, right), a + b)
        assert agrees(F64.sub(left, right), a - b)
        assert agrees(F64.mul(left, right), a * b)
        assert b == 0 or agrees(F64.div(left, right), a / b)
        assert a < 0 or agrees(F64.sqrt(left), math.sqrt(a))
        assert (F64.less(left, right), F64.equal(left, right)) == (a < b, a == b)


def test_rounding_to_32_bits_is_that_of_the_machine() -> None:
    chance = random.Random(32)
    for pattern in patterns(F64, chance, 3000):
        value = number(pattern)
        if not math.isfinite(value) or abs(value) >= 2.0**128:
            continue
        try:
            (wanted,) = struct.unpack("<I", struct.pack("<f", value))
        except OverflowError:  # rounds to infinity
            wanted = F32.infinity | (F32.sign if value < 0 else 0)
        assert F32.round(F64.value(pattern), F32.sign if pattern & F64.sign else 0) == wanted


@pytest.mark.parametrize("form", [F32, F64])
def test_every_finite_pattern_comes_back(form: Format) -> None:
    chance = random.Random(form.bits)
    for pattern in patterns(form, chance, 500):
        if not (form.is_nan(pattern) or form.is_infinite(pattern)):
            assert form.round(form.value(pattern), pattern & form.sign) == pattern
