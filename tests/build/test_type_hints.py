"""Type hints: what becomes an interface, what is refused, and in which line."""

from __future__ import annotations

import pytest

from lawow.build.type_hints import find_functions
from lawow.errors import FormatError
from lawow.formats.wit import print_function

SOURCE = b"""
from typing import Optional
import os

def mean(values: list[float]) -> float: ...
def shoutWords(text: str, times: "int | None") -> list[str]: ...
def span(data: bytes, flag: Optional[bool]) -> tuple[int, float]: ...
def nothing() -> None: ...
def _hidden(x): ...
class Other:
    def method(self, x): ...
"""


def test_functions_at_the_top_level_are_exported_with_their_types() -> None:
    assert [print_function(item.function) for item in find_functions(SOURCE, "app.py")] == [
        "mean: func(values: list<f64>) -> f64",
        "shout-words: func(text: string, times: option<s64>) -> list<string>",
        "span: func(data: list<u8>, flag: option<bool>) -> tuple<s64, f64>",
        "nothing: func()",
    ]


def test_all_selects_what_is_exported() -> None:
    source = b"__all__ = ['f']\ndef f() -> int: ...\ndef g(x): ..."
    assert [item.name for item in find_functions(source, "app.py")] == ["f"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def f(x) -> int: ...", "line 1: parameter x of f has no type hint"),
        ("def f(x: int): ...", "no type hint for its result"),
        ("\ndef f(x: dict[str, int]) -> int: ...", "line 2: the type hint 'dict"),
        ("def f(x: int = 3) -> int: ...", "default values"),
        ("def f(*x: int) -> int: ...", "plain parameters"),
        ("async def f() -> int: ...", "coroutine"),
        ("def f(x: Optional[int | None]) -> int: ...", "optional value of an optional"),
        ("def f(x: 'a b') -> int: ...", "no type in WIT"),
        ("def fG() -> int: ...\ndef f_g() -> int: ...", "same name"),
        ("x = 1", "no function"),
        ("def f(:", "no Python source in line 1"),
        ("\0", "no Python source"),
        ("(" * 5000, "no Python source"),
    ],
)
def test_what_has_no_type_is_refused_with_its_line(source: str, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        find_functions(source.encode(), "app.py")
