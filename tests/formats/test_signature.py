"""One grammar of signatures: what it takes, what it refuses, and the core types that it stands for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.elements import Packed, pack_elements, pack_text, unpack_elements, unpack_text
from lawow.formats.interface import parse_signature
from lawow.formats.signature import ListType, parse_typed_signature, typed_wit_of
from tests.conftest import ROOT

VECTORS = json.loads((ROOT / "fixtures" / "values" / "vectors.json").read_text())


@pytest.mark.parametrize("text", VECTORS["refused_signatures"])
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="is not a signature"):
        parse_typed_signature(text)


@given(st.text("iIfF", max_size=6), st.text("iIfF", max_size=6))
def test_signatures_of_numbers_are_those_of_the_core_types(params: str, results: str) -> None:
    signature = parse_typed_signature(f"{params}>{results}")
    assert signature.is_core
    assert signature.flat == parse_signature(f"{params}>{results}")


@given(st.text("iIfFS[&zbcs> ", max_size=9))
def test_any_text_is_a_signature_or_refused(text: str) -> None:
    try:
        signature = parse_typed_signature(text)
    except FormatError:
        return
    assert signature.text == text
    assert len(signature.flat.params) >= len(signature.params)
    assert len(signature.flat.results) == len(signature.results)


@pytest.mark.parametrize(
    ("text", "wit"),
    [
        (">", "f: func()"),
        ("iI>fF", "f: func(p0: s32, p1: s64) -> tuple<f32, f64>"),
        ("S[z>[c", "f: func(p0: string, p1: list<bool>) -> list<u16>"),
        ("&[b>S", "f: func(p0: list<s8> /* in-out */) -> string"),
    ],
)
def test_signatures_are_shown_as_wit(text: str, wit: str) -> None:
    assert typed_wit_of("f", parse_typed_signature(text)) == wit


def test_more_values_than_the_limit_are_refused() -> None:
    assert len(parse_typed_signature("&[i" * 1000 + ">").params) == 1000
    for text in ("&[i" * 1001 + ">", "i" * 1001 + ">", ">" + "i" * 1001, "x" * 10**6):
        with pytest.raises(LimitExceeded, match="arguments"):
            parse_typed_signature(text)


def list_type(letter: str) -> ListType:
    kind = parse_typed_signature(f"[{letter}>").params[0]
    assert isinstance(kind, ListType)
    return kind


@pytest.mark.parametrize(
    ("letter", "items", "hexadecimal"),
    [
        ("z", [True, False, 1], "010001"),
        ("b", [-1, 255, 127], "ffff7f"),
        ("c", [65, 65535], "4100ffff"),
        ("s", [-2, 65534], "fefffeff"),
        ("i", [1, 2**32 - 1], "01000000ffffffff"),
        ("I", [-1, 2**64 - 1], "ff" * 16),
        ("f", [0.5, 1], "0000003f0000803f"),
        ("F", [1, float("inf")], "000000000000f03f000000000000f07f"),
    ],
)
def test_elements_are_packed_little_endian_without_gaps(
    letter: str, items: list[int | float], hexadecimal: str
) -> None:
    assert pack_elements(list_type(letter).element, items) == Packed(len(items), bytes.fromhex(hexadecimal))


MISFITS: dict[str, list[object]] = {
    "z": [2, -1, "x", None, 0.0],
    "b": [256, -129, 1.0, "1", None, True, [1]],
    "c": [-1, 65536, "a"],
    "s": [65536, -32769],
    "i": [2**32, -(2**31) - 1, 10**100],
    "I": [2**64, -(2**63) - 1],
    "f": [1e39, 10**400, "1", None, False],
    "F": [10**400, "1", [], 1j],
}


@pytest.mark.parametrize(
    ("letter", "item"), [(key, item) for key, items in MISFITS.items() for item in items]
)
def test_an_element_that_does_not_fit_is_named(letter: str, item: object) -> None:
    good = True if letter == "z" else 1
    with pytest.raises(FormatError, match=r"element\[1\]: does not fit"):
        pack_elements(list_type(letter).element, [good, item])


@given(st.sampled_from("zbcsiIfF"), st.binary(max_size=64))
def test_any_memory_is_a_list(letter: str, data: bytes) -> None:
    element = list_type(letter).element
    count = len(data) // element.size_bytes
    items = unpack_elements(element, Packed(count, data[: count * element.size_bytes]))
    assert len(items) == count


@given(st.text(max_size=20))
def test_text_comes_back_or_has_half_a_pair(text: str) -> None:
    try:
        packed = pack_text(text)
    except FormatError:
        assert any("\ud800" <= letter <= "\udfff" for letter in text)
        return
    assert unpack_text(packed) == text
    assert packed.count == len(packed.data)
