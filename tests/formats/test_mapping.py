"""A mapping gives original names back, and a damaged one is refused with its line."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.errors import FormatError
from lawow.formats.mapping import read_mapping

TEXT = """# compiler: R8
# {"id":"com.android.tools.r8.mapping","version":"2.2"}
com.example.Fibonacci -> a.b:
# {"id":"sourceFile","fileName":"Fibonacci.java"}
    int CACHE -> a
    1:3:int fib(int):10:12 -> a
    4:4:int com.example.Inlined.help(int):7:7 -> a
    4:4:int fib(int):11 -> a
    1:1:void <init>():5:5 -> <init>
    boolean fib(com.example.Point[],java.lang.String) -> a
    1:1:void both():1:1 -> c
    2:2:void both(int):1:1 -> c
com.example.Point -> a.c:
com.example.Kept -> com.example.Kept:
    long same(long) -> same
"""


def test_classes_have_two_names() -> None:
    mapping = read_mapping(TEXT.encode())
    assert len(mapping) == 3
    assert mapping.original_class("a.b") == "com.example.Fibonacci"
    assert mapping.residual_class("com.example.Fibonacci") == "a.b"
    assert mapping.original_class("not.listed") == "not.listed"


@pytest.mark.parametrize(
    ("name", "descriptor", "expected"),
    [
        ("a", "(I)I", ["fib"]),
        ("a", "([La/c;Ljava/lang/String;)Z", ["fib"]),
        ("c", "()V", ["both"]),
        ("c", "(I)V", ["both"]),
        ("<init>", "()V", ["<init>"]),
        ("unlisted", "()V", ["unlisted"]),
    ],
)
def test_methods_are_found_by_name_and_types(name: str, descriptor: str, expected: list[str]) -> None:
    found = read_mapping(TEXT.encode()).original_methods("a.b", name, descriptor)
    assert [item.name for item in found] == expected


def test_a_class_without_members_kept_their_names() -> None:
    mapping = read_mapping(TEXT.encode())
    assert [item.name for item in mapping.original_methods("a.c", "x", "()V")] == ["x"]
    assert [item.name for item in mapping.original_methods("not.listed", "x", "()V")] == ["x"]


def test_inlined_frames_are_not_methods() -> None:
    found = read_mapping(TEXT.encode()).original_methods("a.b", "a", "(I)I")
    assert {item.class_name for item in found} == {"com.example.Fibonacci"}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_ends_and_a_byte_order_mark_do_not_matter(ending: str) -> None:
    data = b"\xef\xbb\xbf" + TEXT.replace("\n", ending).encode()
    assert read_mapping(data).original_class("a.c") == "com.example.Point"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no class"),
        ("# only a comment\n", "names no class"),
        ("a.B -> c.d\n", r"line\[1\]"),
        ("a.B -> c:\na.C -> c:\n", r"line\[2\].*second time"),
        ("a.B -> c:\na.B -> d:\n", r"line\[2\].*as in line 1"),
        ("    int a() -> b\n", r"line\[1\].*class line before"),
        ("a.B -> c:\n    int a( -> b\n", r"line\[2\].*a member line"),
        ("a.B -> c:\n    int a() -> b c\n", r"line\[2\]"),
        ("a.B -> c:\n    1:int a() -> b\n", r"line\[2\]"),
        ("\x7fELF\x02\x01", r"line\[1\]"),
    ],
)
def test_what_is_no_mapping_is_refused_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(FormatError, match=sentence):
        read_mapping(text.encode())


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(FormatError, match="is not UTF-8 text"):
        read_mapping(b"a.B -> c:\n\xff\xfe\n")


@pytest.mark.parametrize(
    "line",
    [
        "a" * 400_000,
        "    " + "1:" * 200_000,
        "    int " + "a" * 400_000,
        "    int a(" + "," * 400_000,
        "->" * 200_000,
    ],
)
def test_hostile_lines_cost_linear_time(line: str) -> None:
    start = time.process_time()
    with pytest.raises(FormatError):
        read_mapping(f"a.B -> c:\n{line}\n".encode())
    assert time.process_time() - start < 5


@given(st.binary(max_size=200) | st.text(alphabet=" \n\t#:->().[],ab1", max_size=200).map(str.encode))
def test_only_format_errors_come_out(data: bytes) -> None:
    try:
        mapping = read_mapping(data)
    except FormatError:
        return
    mapping.original_methods("a", "a", "(I)V")
