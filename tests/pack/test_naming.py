"""Java names for what WebAssembly allows to be called anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.errors import UsageError
from lawow.pack.naming import class_name, method_names, require_package, string_literal
from lawow.refactor.classify import module_file_of


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("fibonacci.wasm", "FibonacciWasm"),
        ("insertion_sort.wasm", "InsertionSortWasm"),
        ("matrix-multiply.wasm", "MatrixMultiplyWasm"),
        ("imageFilter.wasm", "ImageFilterWasm"),
        ("a.b+c.wasm", "ABCWasm"),
        ("2d.wasm", "Module2dWasm"),
        ("_.wasm", "ModuleWasm"),
        ("x.wasm.wasm", "XWasmWasm"),
    ],
)
def test_a_file_name_becomes_a_class_name(file: str, name: str) -> None:
    assert class_name(file) == name


@pytest.mark.parametrize("file", ["fibonacci.wasm", "insertion_sort.wasm", "matrix.wasm"])
def test_refactor_finds_the_way_back(file: str) -> None:
    assert module_file_of(f"com.example.{class_name(file)}") == file


def test_exports_keep_their_names_where_java_allows_it() -> None:
    exports = [
        "fib",
        "matrix-multiply",
        "matrix_multiply",
        "int",
        "hashCode",
        "wait",
        "2x",
        "",
        "a.b",
        "a b",
        "$ok",
        "_",
    ]
    assert method_names(exports) == {
        "fib": "fib",
        "matrix-multiply": "matrix_multiply_2",
        "matrix_multiply": "matrix_multiply",
        "int": "int_",
        "hashCode": "hashCode_",
        "wait": "wait_",
        "2x": "_2x",
        "": "__",
        "a.b": "a_b",
        "a b": "a_b_2",
        "$ok": "$ok",
        "_": "___2",
    }


@given(st.lists(st.text(max_size=12), unique=True, max_size=20))
def test_method_names_are_unique_identifiers_whatever_the_exports_are(exports: list[str]) -> None:
    names = method_names(exports)
    assert list(names) == exports
    assert len(set(names.values())) == len(exports)
    assert all(name.isascii() and name.replace("$", "_").isidentifier() for name in names.values())


@pytest.mark.parametrize("name", ["", "1a", "a..b", ".a", "a.", "a-b", "com.int.x", "a/b", "ü"])
def test_what_is_no_package_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a Java package"):
        require_package(name)


def test_a_literal_is_ascii_and_ends_where_it_should() -> None:
    assert string_literal('a"b\\c\nd\x01e') == '"a\\"b\\\\c\\nd\\001e"'
    assert string_literal("ü€😀") == '"\\u00fc\\u20ac\\ud83d\\ude00"'
