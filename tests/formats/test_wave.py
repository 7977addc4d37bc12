"""WAVE: values of any type read back, what does not fit is refused, hostile text does no harm."""

from __future__ import annotations

import math
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.errors import FormatError
from lawow.formats.wave import INTEGERS, Case, Value, cases_of, parse_wave, print_wave, to_json
from lawow.formats.wit import (
    Enumeration,
    Flags,
    ListOf,
    Option,
    Primitive,
    Record,
    Tuple,
    Variant,
    WitType,
    parse_wit,
)
from tests.formats.test_wit import TYPES


def wit_type(text: str) -> WitType:
    definitions = (
        "record point { x: s32, y: option<s32> } variant shape { dot, circle(f32) } "
        "enum colour { red, %true } flags marks { seen, kept }"
    )
    function = parse_wit(f"world w {{ {definitions} export f: func(a: {text}); }}").functions[0]
    kind = function.params[0].type
    assert kind is not None
    return kind


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("bool", "true", True),
        ("s8", "-128", -128),
        ("u64", "18446744073709551615", (1 << 64) - 1),
        ("f32", "0.1", struct.unpack("<f", struct.pack("<f", 0.1))[0]),
        ("f64", "-1.5e300", -1.5e300),
        ("f64", "-inf", -math.inf),
        ("char", r"'\u{1F600}'", "\U0001f600"),
        ("char", "'\"'", '"'),
        ("string", r'"a\n\"\u{e9}é"', 'a\n"éé'),
        ("list<u8>", "[1, 2, 255,]", b"\x01\x02\xff"),
        ("list<string>", '["a", // one\n "b"]', ["a", "b"]),
        ("tuple<u8, string>", '(1, "x")', (1, "x")),
        ("point", "{y: 2, x: 1}", {"x": 1, "y": Case("some", 2)}),
        ("point", "{x: 1}", {"x": 1, "y": Case("none")}),
        ("shape", "circle(0.5)", Case("circle", 0.5)),
        ("shape", "dot", Case("dot")),
        ("colour", "%true", "true"),
        ("marks", "{kept, seen}", ("seen", "kept")),
        ("option<u8>", "7", Case("some", 7)),
        ("option<u8>", "none", Case("none")),
        ("result<u8, string>", 'err("no")', Case("err", "no")),
        ("result<u8, string>", "7", Case("ok", 7)),
        ("result", "ok", Case("ok")),
        ("option<option<u8>>", "some(none)", Case("some", Case("none"))),
    ],
)
def test_text_becomes_the_value(kind: str, text: str, value: Value) -> None:
    assert parse_wave(text, wit_type(kind)) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(("u8", text) for text in ("256", "-1", "0x1", "1.0", "1 2", "", "٣", "1" * 500)),
        *(("f32", text) for text in ("1e39", "1.", "infinity", ".5", "1e999")),
        *(("char", text) for text in ("''", "'ab'", "'a", r"'\x'", r"'\u{d800}'", r"'\u{110000}'")),
        *(("string", text) for text in ('"', '"a', "a", r'"\q"', '"a" b', '"\n"', '"\udc80"')),
        *(("list<u8>", text) for text in ("[", "[1", "[1,,2]", "[256]", "1", "[,]")),
        *(("point", text) for text in ("{}", "{y: 1}", "{x: 1, x: 2}", "{z: 1}", "{x 1}", "{:}")),
        *(("shape", text) for text in ("square", "circle", "circle()", "dot(1)", "")),
        *(("tuple<u8, u8>", text) for text in ("(1)", "(1, 2, 3)", "1, 2", "(1 2)")),
        *(("marks", text) for text in ("seen", "{lost}", "{seen")),
        ("option<option<u8>>", "7"),
        ("bool", "1"),
    ],
)
def test_what_does_not_fit_the_type_is_refused(kind: str, text: str) -> None:
    with pytest.raises(FormatError):
        parse_wave(text, wit_type(kind))


def values(kind: WitType) -> st.SearchStrategy[Value]:
    """Values of one type."""
    match kind:
        case Primitive("bool"):
            return st.booleans()
        case Primitive("char"):
            return st.characters(exclude_categories=["Cs"])
        case Primitive("string"):
            return st.text(st.characters(exclude_categories=["Cs"]))
        case Primitive("f32"):
            return st.floats(width=32, allow_nan=False)
        case Primitive("f64"):
            return st.floats(allow_nan=False)
        case Primitive(name):
            return st.integers(*INTEGERS[name])
        case ListOf(Primitive("u8")):
            return st.binary(max_size=5)
        case ListOf(element):
            return st.lists(values(element), max_size=3)
        case Tuple(items):
            return st.tuples(*map(values, items))
        case Record(fields):
            return st.fixed_dictionaries({item.name: values(item.type) for item in fields if item.type})
        case Enumeration(names):
            return st.sampled_from(names)
        case Flags(names):
            return st.sets(st.sampled_from(names)).map(lambda some: tuple(n for n in names if n in some))
    return st.one_of(
        [
            st.just(Case(item.name))
            if item.type is None
            else st.builds(Case, st.just(item.name), values(item.type))
            for item in cases_of(kind)
        ]
    )


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_every_value_reads_back_from_its_text(data: st.DataObject) -> None:
    kind = data.draw(TYPES)
    value = data.draw(values(kind))
    assert parse_wave(print_wave(value, kind), kind) == value
    to_json(value, kind)


@settings(max_examples=80, deadline=None)
@given(st.data(), st.integers(0, 60), st.integers(0, 2), st.text("[](){}:,\"'\\u%x1-e", max_size=3))
def test_mutations_give_a_value_or_a_format_error(data: st.DataObject, at: int, cut: int, put: str) -> None:
    kind = data.draw(TYPES)
    text = print_wave(data.draw(values(kind)), kind)
    try:
        parse_wave(text[:at] + put + text[at + cut :], kind)
    except FormatError:
        return


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("string", '"' + "\\n" * 400_000),
        ("string", '"' + "a" * 2_000_000),
        ("list<u8>", "[" + "1," * 300_000),
        ("list<option<string>>", "[" + '"a",' * 200_000),
        ("u8", "/" * 1_000_000),
        ("colour", "a-" * 500_000),
    ],
)
def test_reading_takes_linear_time(kind: str, text: str) -> None:
    before = time.process_time()
    with pytest.raises(FormatError):
        parse_wave(text, wit_type(kind))
    assert time.process_time() - before < 20


def test_json_keeps_what_json_can_hold() -> None:
    assert to_json((1 << 60, math.nan), Tuple((Primitive("u64"), Primitive("f64")))) == [str(1 << 60), "NaN"]
    assert to_json(Case("none"), Option(Primitive("u8"))) is None
    shape = wit_type("shape")
    assert isinstance(shape, Variant)
    assert to_json(Case("circle", 0.5), shape) == {"circle": 0.5}
