"""Values as they travel: exact, or refused by name."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.channel.values import (
    decode_slots,
    encode_slots,
    json_of_values,
    split_signature,
    values_of_json,
)
from lawow.errors import FormatError

VALUES = {
    "i": st.integers(-(2**31), 2**31 - 1),
    "I": st.integers(-(2**63), 2**63 - 1),
    "f": st.floats(width=32),
    "F": st.floats(),
}


@st.composite
def typed(draw: st.DrawFn) -> tuple[str, list[int | float]]:
    letters = draw(st.text("iIfF", max_size=8))
    return letters, [draw(VALUES[letter]) for letter in letters]


def same(left: object, right: object) -> bool:
    return repr(left) == repr(right)  # tells -0.0 from 0.0, and a NaN is a NaN


@given(typed())
def test_slots_and_json_give_back_what_was_put_in(case: tuple[str, list[int | float]]) -> None:
    letters, values = case
    slots = encode_slots(letters, values)
    assert same(list(decode_slots(letters, slots)), values)
    assert same(list(values_of_json(letters, json_of_values(letters, values))), values)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=6))
def test_every_bit_pattern_of_64_bits_survives_a_round_trip(patterns: list[int]) -> None:
    data = struct.pack(f"<{len(patterns)}Q", *patterns)
    for letter in "IF":
        letters = letter * len(patterns)
        assert encode_slots(letters, decode_slots(letters, data)) == data


@given(st.text("iIfF", max_size=6), st.binary(max_size=50))
def test_any_bytes_are_decoded_or_refused(letters: str, data: bytes) -> None:
    fits = len(data) == 8 * len(letters) and not any(
        any(data[8 * index + 4 : 8 * index + 8]) for index, letter in enumerate(letters) if letter in "if"
    )
    try:
        decode_slots(letters, data)
    except FormatError:
        assert not fits
    else:
        assert fits


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(st.text("iIfF", max_size=4), JSON)
def test_any_json_is_read_or_refused(letters: str, document: object) -> None:
    try:
        values = values_of_json(letters, document)
    except FormatError:
        return
    assert len(values) == len(letters)


@pytest.mark.parametrize(("given_", "kept"), [(2**32 - 1, -1), (2**31, -(2**31)), (2**31 - 1, 2**31 - 1)])
def test_unsigned_integers_are_taken_as_the_same_bits(given_: int, kept: int) -> None:
    assert decode_slots("i", encode_slots("i", [given_])) == (kept,)


@pytest.mark.parametrize(
    ("value", "text"),
    [(2**53, 2**53), (2**53 + 1, str(2**53 + 1)), (-(2**53), -(2**53)), (-(2**53) - 1, str(-(2**53) - 1))],
)
def test_integers_beyond_2_53_are_strings_in_json(value: int, text: int | str) -> None:
    assert json_of_values("I", [value]) == [text]
    assert values_of_json("I", [text]) == (value,)


def test_nan_and_infinities_are_strings_in_json() -> None:
    assert json_of_values("FFf", [math.inf, -math.inf, math.nan]) == ["Infinity", "-Infinity", "NaN"]


@pytest.mark.parametrize("signature", ["", "i", "x>i", "i>i>i", "i > i", ">" * 3, "i>v"])
def test_what_is_no_signature_is_refused(signature: str) -> None:
    with pytest.raises(FormatError):
        split_signature(signature)


def test_an_integer_of_any_length_is_refused_without_printing_it() -> None:
    with pytest.raises(FormatError, match="bits"):
        encode_slots("I", [10**10_000])
