"""A guest's output is bounded, and cannot control the terminal that it is shown on."""

from __future__ import annotations

import os
import pty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.execution.output import CapturedOutput, GuestOutput, cut_notice, escape_controls


def through_pipe(writes: list[bytes], limit_bytes: int = 1 << 20) -> tuple[bytes, bool]:
    reading, writing = os.pipe()
    output = GuestOutput(writing, limit_bytes)
    for data in writes:
        output(data)
    os.close(writing)
    with open(reading, "rb") as stream:
        return stream.read(), output.was_cut


def through_terminal(writes: list[bytes]) -> bytes:
    controller, terminal = pty.openpty()
    output = GuestOutput(terminal)
    for data in writes:
        output(data)
    seen = os.read(controller, 65536)
    os.close(terminal)
    os.close(controller)
    return seen


def test_bytes_go_to_a_program_unchanged() -> None:
    assert through_pipe([b"\x1b[31m\0\xff", b"more\n"]) == (b"\x1b[31m\0\xffmore\n", False)


@pytest.mark.parametrize(
    ("writes", "kept", "was_cut"),
    [
        ([b"12345"], b"12345", False),
        ([b"123456"], b"12345", True),
        ([b"123", b"456", b"789"], b"12345", True),
        ([b"12345", b""], b"12345", False),
    ],
)
def test_output_is_cut_at_its_limit(writes: list[bytes], kept: bytes, was_cut: bool) -> None:
    assert through_pipe(writes, 5) == (kept, was_cut)
    captured = CapturedOutput(5)
    for data in writes:
        captured(data)
    assert (captured.text().encode(), captured.was_cut) == (kept, was_cut)


def test_a_terminal_sees_escapes_instead_of_control_characters() -> None:
    seen = through_terminal([b"red: \x1b[31m bell: \x07 c1: \xc2\x9b2J \xffend"])
    assert seen == rb"red: \x1b[31m bell: \x07 c1: \x9b2J \xffend"


def test_a_character_split_between_two_writes_is_shown_whole_on_a_terminal() -> None:
    assert through_terminal(["é".encode()[:1], "é".encode()[1:], b"!"]) == "é!".encode()


def test_directional_overrides_are_shown() -> None:
    assert escape_controls("a\u202eb\u200bc") == "a\\u202eb\\u200bc"
    assert escape_controls("tab\tand\nnewline, ünïcode 漢字") == "tab\tand\nnewline, ünïcode 漢字"


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    assert all(letter.isprintable() or letter in "\n\t" for letter in escape_controls(text))


def test_a_closed_reader_is_an_error_for_the_guest() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        GuestOutput(writing)(b"x")
    os.close(writing)


def test_the_notice_names_the_limit() -> None:
    assert cut_notice(7) == "the guest's output was cut at 7 bytes (output_bytes)"
