"""Strings and lists as they travel: the vectors that every client shares, and whatever bytes come instead."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.channel.bodies import read_arguments, read_returned, write_arguments, write_returned
from lawow.channel.documents import (
    Value,
    arguments_of_json,
    arguments_of_values,
    json_of_returned,
    values_of_returned,
)
from lawow.errors import FormatError
from lawow.formats.elements import Packed, Returned
from lawow.formats.interface import signature_letters
from lawow.formats.signature import ListType, ScalarType, Signature, ValueType, parse_typed_signature
from tests.conftest import ROOT

Vector = dict[str, Any]
VECTORS = json.loads((ROOT / "fixtures" / "values" / "vectors.json").read_text())


def named(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", VECTORS[kind], ids=lambda vector: vector["name"])


@named("calls")
def test_a_request_is_written_and_read_as_the_vectors_say(vector: Vector) -> None:
    signature = parse_typed_signature(vector["signature"])
    arguments = arguments_of_json(signature, vector["arguments"])
    assert write_arguments(arguments).hex() == vector["request"]
    assert read_arguments(signature, bytes.fromhex(vector["request"])) == arguments


@named("calls")
def test_an_answer_is_read_and_written_as_the_vectors_say(vector: Vector) -> None:
    signature = parse_typed_signature(vector["signature"])
    arguments = arguments_of_json(signature, vector["arguments"])
    returned = read_returned(signature, arguments, bytes.fromhex(vector["response"]))
    assert json_of_returned(signature, returned) == (vector["results"], vector["changed"])
    assert write_returned(returned).hex() == vector["response"]


@named("refused_requests")
def test_requests_that_are_none_are_refused(vector: Vector) -> None:
    signature = parse_typed_signature(vector["signature"])
    with pytest.raises(FormatError):
        read_arguments(signature, bytes.fromhex(vector["request"]))


@named("refused_responses")
def test_answers_that_are_none_are_refused(vector: Vector) -> None:
    signature = parse_typed_signature(vector["signature"])
    arguments = arguments_of_json(signature, vector["arguments"])
    with pytest.raises(FormatError):
        read_returned(signature, arguments, bytes.fromhex(vector["response"]))


@pytest.mark.parametrize(("text", "core"), VECTORS["flattened"].items())
def test_the_core_type_of_a_signature_is_that_of_the_vectors(text: str, core: str) -> None:
    assert signature_letters(parse_typed_signature(text).flat) == core


ELEMENTS = {
    "z": st.booleans(),
    "b": st.integers(-(2**7), 2**7 - 1),
    "c": st.integers(0, 2**16 - 1),
    "s": st.integers(-(2**15), 2**15 - 1),
    "i": st.integers(-(2**31), 2**31 - 1),
    "I": st.integers(-(2**63), 2**63 - 1),
    "f": st.floats(width=32),
    "F": st.floats(),
}
TEXTS = [*"iIfFS", *(f"{form}[{letter}" for form in ("", "&") for letter in ELEMENTS)]


def values_of(kind: ValueType) -> st.SearchStrategy[Value]:
    if isinstance(kind, ScalarType):
        return ELEMENTS[kind.letter]
    if isinstance(kind, ListType):
        return st.lists(ELEMENTS[kind.element.letter], max_size=5)
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


@st.composite
def calls(draw: st.DrawFn) -> tuple[Signature, list[Value]]:
    """A signature and values for it, some lists being the same object as an earlier one."""
    signature = parse_typed_signature("".join(draw(st.lists(st.sampled_from(TEXTS), max_size=6))) + ">")
    values: list[Value] = []
    for kind in signature.params:
        earlier = [value for value, other in zip(values, signature.params, strict=False) if other == kind]
        same = isinstance(kind, ListType) and earlier and draw(st.booleans())
        values.append(draw(st.sampled_from(earlier)) if same else draw(values_of(kind)))
    return signature, values


def groups(values: Sequence[Value]) -> list[int]:
    """For each list, the first place of the same object."""
    return [next(i for i, other in enumerate(values) if other is value) for value in values]


@given(calls())
def test_python_values_come_back_from_a_body(case: tuple[Signature, list[Value]]) -> None:
    signature, values = case
    arguments = arguments_of_values(signature, values)
    read = read_arguments(signature, write_arguments(arguments))
    assert read == arguments
    for index, (kind, first) in enumerate(zip(signature.params, groups(values), strict=True)):
        if isinstance(kind, ListType) and first != index:
            assert read[index].parameter == first  # type: ignore[union-attr]
        else:
            alone = parse_typed_signature(f">{signature_text(kind)}")
            (value,), _ = values_of_returned(alone, Returned((read[index],), {}))  # type: ignore[arg-type]
            assert repr(value) == repr(values[index])


def signature_text(kind: ValueType) -> str:
    if isinstance(kind, ScalarType):
        return kind.letter
    return f"[{kind.element.letter}" if isinstance(kind, ListType) else "S"


BODIES = st.lists(
    st.sampled_from([0, 1, 2, 3, 8, 2**31, 2**32 - 2, 2**32 - 1]) | st.integers(0, 2**32 - 1), max_size=12
).map(lambda words: struct.pack(f"<{len(words)}I", *words))


@given(st.lists(st.sampled_from(TEXTS), max_size=5), BODIES | st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_and_what_is_read_is_written_the_same(
    texts: list[str], body: bytes
) -> None:
    signature = parse_typed_signature("".join(texts) + ">")
    try:
        arguments = read_arguments(signature, body)
    except FormatError:
        return
    written = write_arguments(arguments)
    assert len(written) == len(body)
    assert read_arguments(signature, written) == arguments


@given(st.sampled_from(["S", *(f"[{letter}" for letter in ELEMENTS)]), BODIES | st.binary(max_size=60))
def test_any_answer_is_read_or_refused(result: str, body: bytes) -> None:
    signature = parse_typed_signature(f"&[s>{result}")
    try:
        returned = read_returned(signature, [Packed(2, b"abcd")], body)
    except FormatError:
        return
    assert write_returned(returned) == body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("NaN"),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["same_as", "x"]), inner, max_size=2)
    ),
    max_leaves=12,
)


@given(st.lists(st.sampled_from(TEXTS), max_size=4), st.lists(JSON, max_size=4) | JSON)
def test_any_json_is_read_or_refused(texts: list[str], document: object) -> None:
    signature = parse_typed_signature("".join(texts) + ">")
    try:
        arguments = arguments_of_json(signature, document)
    except FormatError:
        return
    assert read_arguments(signature, write_arguments(arguments)) == arguments


@pytest.mark.parametrize(
    ("signature", "arguments", "place"),
    [
        ("[b>", [[0, 256]], "arguments[0]: element[1]"),
        ("i[i>", [1, [1, 2, "x"]], "arguments[1]: element[2]"),
        ("i[i>", ["x", [1]], "arguments[0]"),
        ("[i>", ["123"], "arguments[0]"),
        ("S>", [[65]], "arguments[0]"),
        ("S>", ["\ud800"], "arguments[0]"),
        ("[z>", [[2]], "arguments[0]: element[0]"),
        ("[i>", [[True]], "arguments[0]: element[0]"),
        ("[f>", [[1e39]], "arguments[0]: element[0]"),
        ("[c>", [[-1]], "arguments[0]: element[0]"),
        ("[i[i>", [[1], {"same_as": 1}], "arguments[1]"),
        ("[i[i>", [[1], {"same_as": True}], "arguments[1]"),
        ("[i[f>", [[1], {"same_as": 0}], "arguments[1]"),
        ("[i>", [{"same_as": -1}], "arguments[0]"),
    ],
)
def test_the_place_of_what_does_not_fit_is_named(signature: str, arguments: object, place: str) -> None:
    with pytest.raises(FormatError) as caught:
        arguments_of_json(parse_typed_signature(signature), arguments)
    assert str(caught.value).startswith(place)


def test_unsigned_elements_are_taken_as_the_same_bits() -> None:
    signature = parse_typed_signature("[b[i[I>")
    assert write_arguments(arguments_of_values(signature, [[255], [2**32 - 1], [2**64 - 1]])).endswith(
        b"\xff" * 8
    )


def test_bytes_are_taken_as_numbers_not_as_memory() -> None:
    signature = parse_typed_signature("[b[i>")
    as_bytes = arguments_of_values(signature, [b"\x01\xff", b"\x01\xff"])
    assert as_bytes == arguments_of_values(signature, [[1, -1], [1, 255]])
