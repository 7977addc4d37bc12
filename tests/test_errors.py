"""Errors speak in sentences that name the place, and map to the exit codes that the documents promise."""

from __future__ import annotations

import inspect

import pytest

from lawow import errors
from lawow.errors import FormatError, GuestTrap, LawowError, LimitExceeded


def test_a_format_error_reads_from_the_outside_in() -> None:
    error = FormatError(
        "is past the end", structure="string_ids", index=17, offset=0x1F40, found=8000, allowed="at most 7680"
    )
    assert str(error.within("classes.dex").within("app.apk")) == (
        "app.apk: classes.dex: string_ids[17]: is past the end"
        " (found 8000, allowed at most 7680, at offset 0x1f40)"
    )


def test_details_hold_only_what_is_known() -> None:
    assert FormatError("no", structure="header").details() == {"structure": "header"}


def test_a_limit_names_itself_its_value_and_the_way_out() -> None:
    error = LimitExceeded("deadline_seconds", 61, 60, hint="raise it with --timeout", subject="fib.wasm")
    assert str(error) == "fib.wasm: deadline_seconds is 61, the limit is 60; raise it with --timeout"


def test_a_trap_lists_frames_innermost_first() -> None:
    trap = GuestTrap("unreachable", "wasm `unreachable` instruction executed", frames=("abort", "main"))
    assert str(trap).endswith("(in abort < main)")


@pytest.mark.parametrize("name", errors.__all__)
def test_the_tree_in_the_module_docstring_is_the_tree_in_the_code(name: str) -> None:
    error = getattr(errors, name)
    lines = [
        line for line in inspect.getdoc(errors).splitlines() if f" {name} " in f" {line.strip('│├└─ ')} "
    ]
    assert len(lines) == 1, f"{name} is not in the drawn tree"
    if error is not LawowError:
        assert str(error.exit_code) in lines[0].split()
