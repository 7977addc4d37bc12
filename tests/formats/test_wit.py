"""WIT: what is printed reads back, what is not supported is refused by name, hostile text does no harm."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.errors import FormatError
from lawow.formats.wit import (
    Enumeration,
    Field,
    Flags,
    Function,
    ListOf,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    Variant,
    World,
    parse_wit,
    print_function,
    print_wit,
    signature_of,
)
from lawow.formats.wit.types import PRIMITIVES

EXAMPLE = """
package demo:shapes@1.2.0; // a package
/// A world.
world shapes {
  record point { x: s32, y: s32 }
  variant shape { dot, circle(f32), %list(list<point>), }
  enum colour { red, green }
  flags marks { seen, kept }
  type points = list<point>;
  /* one
     function */
  export area: func(points: points, shape: shape, c: colour) -> result<f64, string>;
  export reset: func();
  export sub: interface {
    swap: func(a: tuple<u8, option<char>>) -> result<_, marks>;
  }
}
"""


def test_a_document_becomes_functions_with_types() -> None:
    world = parse_wit(EXAMPLE)
    assert (world.package, world.name) == ("demo:shapes@1.2.0", "shapes")
    assert [print_function(item) for item in world.functions] == [
        "area: func(points: list<point>, shape: shape, c: colour) -> result<f64, string>",
        "reset: func()",
        "swap: func(a: tuple<u8, option<char>>) -> result<_, marks>",
    ]
    assert world.find("sub#swap") == world.find("swap") == world.functions[2]


def test_what_is_printed_reads_back_the_same() -> None:
    world = parse_wit(EXAMPLE)
    assert parse_wit(print_wit(world)) == world


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("world w { import x: func(); }", "import"),
        ("world w { resource r; }", "resource"),
        ("interface i { f: func(a: stream<u8>); }", "stream"),
        ("world w { export f: func(a: s33); }", "no type of this name"),
        ("world w { export f: func(a: s32, a: s32); }", "twice"),
        ("world w { export f: func(); export f: func(); }", "twice"),
        ("world w { record r { a: r } }", "no type of this name"),
        ("world w {} world v {}", "second world"),
        ("world w { export missing; }", "no interface"),
        ("package a; world w {}", "no package"),
        ("world w { export f: func(a: " + "list<" * 40 + "u8" + ">" * 40 + "); }", "too deeply"),
        ("world w { export f: func() -> ; }", "no name"),
        ("world w { /* no end", "is no WIT"),
        ("world w { € }", "is no WIT"),
        ("interface i {", "is not supported here"),  # found by the fuzzer: it looked behind the end
        ("interface", "is no name"),
        ("world w { export f", "is not what must stand here"),
    ],
)
def test_what_is_not_wit_or_not_supported_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(FormatError, match=sentence):
        parse_wit(text)


def test_types_that_double_at_each_step_are_refused() -> None:
    steps = "".join(f"type t{i} = tuple<t{i - 1}, t{i - 1}>;" for i in range(1, 64))
    with pytest.raises(FormatError, match="too large"):
        parse_wit(f"world w {{ type t0 = u8; {steps} }}")


def nested(levels: int, wrap: str) -> str:
    """Return a document whose last type has 30 times `levels` types in it, none of them deep by itself."""
    steps = [f"type t{i} = {wrap * 30}t{i - 1}{'>' * 30};" for i in range(1, levels)]
    return f"world w {{ type t0 = u8; {' '.join(steps)} export f: func(a: t{levels - 1}); }}"


@pytest.mark.parametrize("wrap", ["list<", "option<", "result<"])
def test_types_that_are_deep_through_their_names_are_refused(wrap: str) -> None:
    """Found by the fuzzer's seeds: they were read, and printing them ended in a recursion error."""
    assert parse_wit(print_wit(parse_wit(nested(2, wrap)))) == parse_wit(nested(2, wrap))
    for levels in (3, 24):
        with pytest.raises(FormatError, match="nested too deeply"):
            parse_wit(nested(levels, wrap))


@pytest.mark.parametrize("text", ["/*" * 500_000, "world w {" + "a" * 10**6, "<" * 10**6, "/ " * 500_000])
def test_reading_takes_linear_time(text: str) -> None:
    before = time.process_time()
    with pytest.raises(FormatError):
        parse_wit(text)
    assert time.process_time() - before < 20


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(EXAMPLE)), st.integers(0, 3), st.text(max_size=4))
def test_mutations_give_a_value_or_a_format_error(offset: int, cut: int, put: str) -> None:
    try:
        world = parse_wit(EXAMPLE[:offset] + put + EXAMPLE[offset + cut :])
    except FormatError:
        return
    assert parse_wit(print_wit(world)).functions == world.functions


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z][a-z0-9]{0,3})?", fullmatch=True)


def fields(types: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[Field, ...]]:
    return st.dictionaries(NAMES, types, min_size=1, max_size=3).map(
        lambda items: tuple(Field(name, kind) for name, kind in items.items())  # type: ignore[arg-type]
    )


TYPES = st.recursive(
    st.sampled_from(sorted(PRIMITIVES)).map(Primitive)
    | st.lists(NAMES, min_size=1, max_size=4, unique=True).map(lambda names: Enumeration(tuple(names)))
    | st.lists(NAMES, min_size=1, max_size=4, unique=True).map(lambda names: Flags(tuple(names))),
    lambda inner: (
        inner.map(ListOf)
        | inner.map(Option)
        | st.builds(Result, st.none() | inner, st.none() | inner)
        | st.lists(inner, min_size=1, max_size=3).map(lambda items: Tuple(tuple(items)))
        | fields(inner).map(Record)
        | fields(st.none() | inner).map(Variant)
    ),
    max_leaves=6,
)
"""Types without names; also used by test_wave.py."""


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(sorted(PRIMITIVES)).map(Primitive), max_size=4), NAMES)
def test_any_function_of_primitives_reads_back(types: list[Primitive], name: str) -> None:
    params = tuple(Field(f"p{index}", kind) for index, kind in enumerate(types))
    world = World(name, (Function(name, params, types[0] if types else None),))
    assert parse_wit(print_wit(world)) == world


@pytest.mark.parametrize(
    ("declaration", "signature"),
    [
        ("f: func(a: s32, b: u64, c: bool, d: f32) -> f64", "iIif>F"),
        ("f: func(s: string, l: list<u8>, m: list<u16>) -> list<s64>", "S[b[c>[I"),
        ("f: func() -> tuple<s32, f64>", ">iF"),
        ("f: func()", ">"),
    ],
)
def test_a_core_signature_follows_from_the_interface(declaration: str, signature: str) -> None:
    assert signature_of(parse_wit(f"world w {{ export {declaration}; }}").functions[0]) == signature


@pytest.mark.parametrize("kind", ["list<string>", "option<u8>", "list<list<u8>>", "tuple<u8, u8>"])
def test_a_core_signature_has_no_types_of_components(kind: str) -> None:
    with pytest.raises(FormatError, match="no such type"):
        signature_of(parse_wit(f"world w {{ export f: func(a: {kind}); }}").functions[0])
