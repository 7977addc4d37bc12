"""Arguments are read by the parameter's type; results read back to the same bits."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.errors import UsageError
from lawow.execution.arguments import format_result, is_number, json_value, parse_arguments
from lawow.formats.interface import FuncType


def parse(kind: str, text: str) -> int | float:
    (value,) = parse_arguments("f", FuncType((kind,), ()), [text])
    return value


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("i32", "10", 10),
        ("i32", "-5", -5),
        ("i32", "+7", 7),
        ("i32", "0x10", 16),
        ("i32", "-0xF", -15),
        ("i32", "4294967295", 4294967295),
        ("i32", "-2147483648", -2147483648),
        ("i32", "0xffffffff", 4294967295),
        ("i32", "007", 7),
        ("i64", "18446744073709551615", 2**64 - 1),
        ("i64", "-9223372036854775808", -(2**63)),
        ("f64", "1.5", 1.5),
        ("f64", "-1e-3", -0.001),
        ("f64", ".5", 0.5),
        ("f64", "10", 10.0),
        ("f64", "0x1.8p3", 12.0),
        ("f64", "-0x.8p1", -1.0),
        ("f64", "inf", math.inf),
        ("f64", "-Infinity", -math.inf),
        ("f32", "3.4028235e38", 3.4028235e38),
        ("f32", "0.1", 0.1),
    ],
)
def test_numbers_are_read_in_every_usual_form(kind: str, text: str, value: float) -> None:
    assert parse(kind, text) == value


def test_nan_and_minus_zero_are_read() -> None:
    assert math.isnan(parse("f64", "nan"))
    assert math.copysign(1, parse("f32", "-0")) == -1


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        ("i32", "4294967296", "allowed are -2147483648 to 4294967295"),
        ("i32", "-2147483649", "allowed are"),
        ("i64", "18446744073709551616", "allowed are"),
        ("i32", "1.5", "decimal or hexadecimal integer"),
        ("i32", "1e3", "integer"),
        ("i32", "", "integer"),
        ("i32", "ten", "integer"),
        ("i32", "0x", "integer"),
        ("i32", "--5", "integer"),
        ("i32", "1_000", "not a number"),
        ("i32", "٣", "not a number"),
        ("i32", " 1", "not a number"),
        ("i32", "9" * 5000, "not a number"),
        ("f64", "1,5", "decimal or hexadecimal number"),
        ("f64", "1e999", "too large"),
        ("f64", "0x1p2000", "too large"),
        ("f32", "1e39", "too large"),
        ("f64", "nan(7)", "decimal or hexadecimal number"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(kind: str, text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=f"argument 1 is .*no {kind}.*{sentence}"):
        parse(kind, text)


@pytest.mark.parametrize(
    ("params", "texts", "sentence"),
    [
        (("i32",), [], "takes 1 argument, 0 given"),
        ((), ["1"], "takes no arguments, 1 given"),
        (("i32", "f64"), ["1"], r"takes 2 arguments, 1 given; its type is \(i32, f64\)"),
    ],
)
def test_a_wrong_number_of_arguments_is_refused(
    params: tuple[str, ...], texts: list[str], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        parse_arguments("f", FuncType(params, ()), texts)


@given(st.text(max_size=12), st.sampled_from(["i32", "i64", "f32", "f64"]))
def test_any_text_gives_a_value_or_a_usage_error(text: str, kind: str) -> None:
    try:
        parse(kind, text)
    except UsageError:
        return


@given(st.floats(width=32))
def test_an_f32_is_printed_short_and_reads_back_to_the_same_bits(value: float) -> None:
    text = format_result("f32", value)
    again = parse("f32", text)
    assert struct.pack("<f", again) == struct.pack("<f", value) or math.isnan(value)


@given(st.floats())
def test_an_f64_reads_back_to_the_same_bits(value: float) -> None:
    again = parse("f64", format_result("f64", value))
    assert struct.pack("<d", again) == struct.pack("<d", value) or math.isnan(value)


def test_an_f32_has_no_more_digits_than_it_needs() -> None:
    assert format_result("f32", struct.unpack("<f", struct.pack("<f", 0.1))[0]) == "0.1"
    assert format_result("f32", 16777216.0) == "16777216.0"
    assert format_result("f32", math.inf) == "inf"
    assert format_result("f32", math.nan) == "nan"


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("i32", -1, -1),
        ("i64", 2**53, 2**53),
        ("i64", 2**53 + 1, "9007199254740993"),
        ("i64", -(2**63), "-9223372036854775808"),
        ("f64", 0.5, 0.5),
        ("f64", math.nan, "NaN"),
        ("f32", math.inf, "Infinity"),
        ("f64", -math.inf, "-Infinity"),
        ("f32", struct.unpack("<f", struct.pack("<f", 0.1))[0], 0.1),
    ],
)
def test_json_keeps_what_json_can_hold_and_writes_the_rest_as_text(
    kind: str, value: float, expected: object
) -> None:
    assert json_value(kind, value) == expected


@pytest.mark.parametrize("text", ["-5", "-0x1", "-.5", "-inf", "-NaN", "-1e3", "7", "-Infinity"])
def test_negative_numbers_are_told_from_options(text: str) -> None:
    assert is_number(text)


@pytest.mark.parametrize("text", ["--json", "-h", "-", "--", "-x", "-.", ""])
def test_options_are_no_numbers(text: str) -> None:
    assert not is_number(text)
