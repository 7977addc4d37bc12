"""Generated calls reach the edges, repeat by their seed, and are what a guest may be given."""

from __future__ import annotations

import math
import struct
from itertools import islice

from lawow.formats.elements import Packed, SameAs
from lawow.proving.cases import SIZES, Case
from lawow.proving.inputs import generate_cases

PARAMETERS = ("I", "J", "F", "D", "B", "S", "C", "Z", "[I", "[I", "[D", "[I")


def cases(count: int, seed: int = 3) -> list[Case]:
    return list(islice(generate_cases(0, PARAMETERS, seed), count))


def numbers(position: int, code: str, count: int = 1500) -> list[int | float]:
    found = []
    for case in cases(count):
        value = case.arguments[position]
        assert isinstance(value, bytes)
        found.append(struct.unpack_from(code, value)[0])
    return found


def test_the_same_seed_gives_the_same_calls_and_another_one_others() -> None:
    assert cases(50) == cases(50)
    assert cases(50) != cases(50, seed=4)


def test_integers_reach_both_ends_and_zero() -> None:
    assert {0, 1, -1, -(1 << 31), (1 << 31) - 1} <= set(numbers(0, "<i"))
    assert {0, -(1 << 63), (1 << 63) - 1} <= set(numbers(1, "<q"))


def test_floats_reach_what_is_no_number_both_infinities_and_both_zeros() -> None:
    for position, code in ((2, "<f"), (3, "<d")):
        found = numbers(position, code)
        assert any(map(math.isnan, found))
        assert {math.inf, -math.inf} <= set(found)
        assert {math.copysign(1, item) for item in found if item == 0} == {1, -1}


def test_small_types_travel_as_a_guest_gets_them() -> None:
    assert min(numbers(4, "<i")) == -128
    assert max(numbers(4, "<i")) == 127
    assert min(numbers(5, "<i")) == -(1 << 15)
    assert max(numbers(6, "<i")) == (1 << 16) - 1
    assert set(numbers(7, "<i")) == {0, 1}


def test_arrays_are_empty_short_of_one_length_and_sometimes_the_same() -> None:
    found = cases(600)
    lengths, aliases, alike = set(), 0, 0
    for case in found:
        first, second = case.arguments[8], case.arguments[9]
        assert isinstance(first, Packed)
        lengths.add(first.count)
        assert len(first.data) == first.count * SIZES["I"]
        if isinstance(second, SameAs):
            aliases += 1
            assert second.parameter == 8
        else:
            assert isinstance(second, Packed)
            alike += first.count == second.count
    assert {0, 1, 2, 256} <= lengths
    assert aliases > 50
    assert alike > 250


def test_an_alias_names_the_array_itself_and_never_another_alias() -> None:
    for case in cases(600):
        last = case.arguments[11]
        if isinstance(last, SameAs):
            assert isinstance(case.arguments[last.parameter], Packed)
