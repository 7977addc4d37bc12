"""Tagged prototypes: what becomes an interface, what is refused, and with which reason."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.build.prototypes import find_prototypes
from lawow.errors import FormatError
from lawow.formats.wit import print_function

TAG = "lawow_offload__"


def interface(declaration: str) -> str:
    (found,) = find_prototypes(f"{TAG} {declaration}")
    return print_function(found.function)


@pytest.mark.parametrize(
    ("declaration", "expected"),
    [
        ("int fib(int n) { return n; }", "fib: func(n: s32) -> s32"),
        ("void noThing(void);", "no-thing: func()"),
        ("unsigned long long f(int64_t, _Bool b);", "f: func(p0: s64, b: bool) -> u64"),
        ("float f(double d, unsigned char c, signed char s);", "f: func(d: f64, c: u8, s: s8) -> f32"),
        ("int f(const char text[lawow_string__]);", "f: func(text: string) -> s32"),
        ("void f(const uint16_t v[lawow_list__]);", "f: func(v: list<u16>)"),
        ("lawow_returns_string__ f(void) {", "f: func() -> string"),
        ("lawow_returns_list_int32_t f(int type) {", "f: func(%type: s32) -> list<s32>"),
        ("const int f(const int x);", "f: func(x: s32) -> s32"),
    ],
)
def test_a_prototype_becomes_a_function(declaration: str, expected: str) -> None:
    assert interface(declaration) == expected


@pytest.mark.parametrize(
    ("declaration", "reason"),
    [
        ("long f(void);", "another size"),
        ("int f(size_t n);", "another size"),
        ("int f(int *p);", "pointer"),
        ("int f(int v[4]);", "pointer, array"),
        ("struct s f(void);", "cannot cross"),
        ("int f(int a, ...);", "variable number"),
        ("static int f(void);", "static"),
        ("int f(unknown x);", "C parser"),
        ("int x;", "no function"),
        ("typedef int f(void);", "no function"),
        ("int f(int aB, int a_b);", "two parameters"),
        ("int f(void); lawow_offload__ double f(void);", "declared twice"),
        ("int f_g(void); lawow_offload__ int fG(void);", "same name"),
        ("", "followed by no function"),
        ("int f(void", "followed by no function"),
        ("int f(" + "int a, " * 5000 + "int b);", "too long"),
    ],
)
def test_what_cannot_cross_is_refused_with_the_reason(declaration: str, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        find_prototypes(f"{TAG} {declaration}")


def test_a_tag_in_a_string_is_none() -> None:
    assert find_prototypes(f"const char *s = \"{TAG} int f(void);\", c = '{TAG[0]}';") == []


def test_the_rest_of_the_source_is_not_read() -> None:
    source = (
        f"template <class T> struct x {{ auto y() -> T; }};\n{TAG} int f(int n) {{ return x<int>{{}}.y(); }}"
    )
    assert [item.c_name for item in find_prototypes(source)] == ["f"]


def test_only_strings_and_lists_need_an_allocator() -> None:
    texts = ("int f(int n);", "int f(const char s[lawow_string__]);", "lawow_returns_list_double f(void);")
    assert [find_prototypes(f"{TAG} {text}")[0].needs_memory for text in texts] == [False, True, True]


@settings(max_examples=60, deadline=None)
@given(st.text("abint long()[]{};,*\"'_0 ", max_size=40))
def test_any_declaration_gives_a_value_or_a_format_error(text: str) -> None:
    try:
        find_prototypes(f"{TAG} {text};")
    except FormatError:
        return
