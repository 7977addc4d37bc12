"""Expressions for numbers below a bound: tried with every number around the places where they could err."""

from __future__ import annotations

import re

import pytest

from lawow.formats.dex.patterns import fixed_below, uleb128_below

BOUNDS = (
    0,
    1,
    2,
    127,
    128,
    129,
    255,
    256,
    257,
    0x3FFF,
    0x4000,
    0x4001,
    0x8080,
    0xFF00,
    0xFFFF,
    53127,
    2097153,
)


def near(bound: int) -> list[int]:
    """Numbers at the bound, at its digits' borders, and well below."""
    around = {edge + step for edge in (0, 128, 256, 1 << 14, 1 << 16, bound) for step in range(-300, 301)}
    return sorted(number for number in around | {bound // 2, bound * 2, 2 * bound + 1} if number >= 0)


def uleb128(number: int) -> bytes:
    digits = bytearray()
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


@pytest.mark.parametrize("bound", BOUNDS)
def test_uleb128_numbers_below_a_bound_match_and_no_others(bound: int) -> None:
    pattern = re.compile(uleb128_below(bound), re.DOTALL)
    for number in near(bound):
        assert bool(pattern.fullmatch(uleb128(number))) == (number < bound), number


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("width", [2, 4])
def test_little_endian_numbers_below_a_bound_match_and_no_others(bound: int, width: int) -> None:
    pattern = re.compile(fixed_below(bound, width), re.DOTALL)
    for number in near(bound):
        if number < 1 << 8 * width:
            assert bool(pattern.fullmatch(number.to_bytes(width, "little"))) == (number < bound), number


def test_a_padded_number_counts_by_its_value() -> None:
    pattern = re.compile(uleb128_below(0x4000 * 3), re.DOTALL)
    assert pattern.fullmatch(b"\x85\x80\x00")
    assert not pattern.fullmatch(b"\x80\x80\x03")
