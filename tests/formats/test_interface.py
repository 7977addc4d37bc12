"""Signatures travel as letters and are shown as WIT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.errors import FormatError
from lawow.formats.interface import FuncType, kebab_name, parse_signature, signature_letters, wit_of

NUMBERS = st.lists(st.sampled_from(["i32", "i64", "f32", "f64"]), max_size=5).map(tuple)


@pytest.mark.parametrize(
    ("function", "letters", "wit"),
    [
        (FuncType(("i32",), ("i32",)), "i>i", "fib: func(p0: s32) -> s32"),
        (FuncType((), ()), ">", "fib: func()"),
        (FuncType(("i32", "i64"), ("f64",)), "iI>F", "fib: func(p0: s32, p1: s64) -> f64"),
        (FuncType(("f32",), ("i64", "f32")), "f>If", "fib: func(p0: f32) -> tuple<s64, f32>"),
    ],
)
def test_letters_and_wit_of_a_signature(function: FuncType, letters: str, wit: str) -> None:
    assert signature_letters(function) == letters
    assert parse_signature(letters) == function
    assert wit_of("fib", function) == wit


@given(NUMBERS, NUMBERS)
def test_letters_read_back(params: tuple[str, ...], results: tuple[str, ...]) -> None:
    function = FuncType(params, results)
    assert parse_signature(signature_letters(function)) == function


@pytest.mark.parametrize("name", ["v128", "externref", "(ref ...)"])
def test_a_type_that_cannot_cross_the_boundary_has_no_letter(name: str) -> None:
    function = FuncType((name,), ())
    assert not function.is_callable
    with pytest.raises(FormatError, match="no form outside"):
        signature_letters(function)


@pytest.mark.parametrize("letters", ["", "i", "i>i>i", "x>i", "i>x", "i > i", "Ⅰ>i"])
def test_what_is_no_signature_is_refused(letters: str) -> None:
    with pytest.raises(FormatError, match="is not a signature"):
        parse_signature(letters)


@pytest.mark.parametrize(
    ("name", "kebab"),
    [
        ("fib", "fib"),
        ("matrix_multiply", "matrix-multiply"),
        ("matrixMultiply", "matrix-multiply"),
        ("_initialize", "initialize"),
        ("sha256", "sha256"),
        ("9lives", "n9lives"),
        ("a.b#c", "a-b-c"),
        ("get_2nd", "get2nd"),
        ("é", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_names_become_kebab_case(name: str, kebab: str) -> None:
    assert kebab_name(name) == kebab


@given(st.text(max_size=30))
def test_every_name_becomes_a_valid_wit_name(name: str) -> None:
    for word in kebab_name(name).split("-"):
        assert word[0].isalpha()
        assert word.isascii()
        assert word.isalnum()
        assert word == word.lower()


def test_a_function_type_is_an_immutable_value() -> None:
    function = FuncType(("i32",), ())
    assert function == FuncType(("i32",), ())
    assert hash(function) == hash(FuncType(("i32",), ()))
    assert function != FuncType((), ())
    assert function != "i>"
    assert repr(function) == "FuncType(('i32',), ())"
    assert str(FuncType(("i32",), ("i32", "i64"))) == "(i32) -> (i32, i64)"
    with pytest.raises(AttributeError, match="immutable"):
        function.params = ()
