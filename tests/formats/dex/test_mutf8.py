"""Modified UTF-8: exact round trip of every string that Java can have, refusal of all that it can't."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.errors import FormatError
from lawow.formats.dex.mutf8 import decode_mutf8, encode_mutf8, utf16_length, utf16_sort_key


def java_modified_utf8(units: list[int]) -> bytes:
    """Encode UTF-16 units as java.io.DataOutput documents it, one unit at a time."""
    out = bytearray()
    for unit in units:
        if 0 < unit < 0x80:
            out.append(unit)
        elif unit < 0x800:
            out += bytes((0xC0 | unit >> 6, 0x80 | unit & 0x3F))
        else:
            out += bytes((0xE0 | unit >> 12, 0x80 | unit >> 6 & 0x3F, 0x80 | unit & 0x3F))
    return bytes(out)


def test_every_utf16_unit_survives_a_round_trip() -> None:
    for unit in range(0x10000):
        encoded = java_modified_utf8([unit])
        assert decode_mutf8(encoded) == chr(unit)
        assert encode_mutf8(chr(unit)) == encoded
        assert utf16_length(chr(unit)) == 1


@given(
    st.lists(st.one_of(st.integers(0, 0xFFFF), st.integers(0xD7F0, 0xE00F), st.sampled_from([0, 0x7F, 0x80])))
)
def test_every_sequence_of_units_survives_a_round_trip(units: list[int]) -> None:
    encoded = java_modified_utf8(units)
    text = decode_mutf8(encoded)
    assert encode_mutf8(text) == encoded
    assert utf16_length(text) == len(units)
    assert utf16_sort_key(text) == b"".join(unit.to_bytes(2, "big") for unit in units)


def test_a_hundred_thousand_random_strings_survive_a_round_trip() -> None:
    """Half of each from the borders of one, two and three bytes and of the surrogates."""
    chance = random.Random(7)
    borders = (0, 1, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xE000, 0xFFFF)
    for _ in range(100_000):
        units = [chance.choice(borders) for _ in range(chance.randrange(4))]
        units += [chance.randrange(0x10000) for _ in range(chance.randrange(4))]
        encoded = java_modified_utf8(units)
        assert encode_mutf8(decode_mutf8(encoded)) == encoded


def test_surrogate_pairs_become_one_character_and_lone_surrogates_stay() -> None:
    assert decode_mutf8(b"\xed\xa0\xbd\xed\xb8\x80") == "\U0001f600"
    assert decode_mutf8(b"\xed\xb8\x80\xed\xa0\xbd") == "\ude00\ud83d"


@pytest.mark.parametrize(
    "raw",
    [
        b"a\0b",  # NUL is C0 80
        b"\x80",  # stray continuation
        b"\xc3",  # cut off
        b"\xc3A",
        b"\xe2\x82",
        b"\xc0\x81",  # overlong
        b"\xc1\xbf",
        b"\xe0\x80\x80",
        b"\xe0\x9f\xbf",
        b"\xf0\x9f\x98\x80",  # four bytes
        b"\xff",
    ],
)
def test_malformed_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        decode_mutf8(raw)


def test_order_is_that_of_utf16_units_not_of_code_points() -> None:
    assert sorted(["\uffff", "\U0001f600"], key=utf16_sort_key) == ["\U0001f600", "\uffff"]
    assert sorted(["\uffff", "\U0001f600"]) == ["\uffff", "\U0001f600"]
