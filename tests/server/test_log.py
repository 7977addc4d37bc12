"""The log: one line for each event, whatever a peer puts into it."""

from __future__ import annotations

import io

import pytest

from lawow.server.log import EventLog


def logged(**facts: str | int | float | None) -> str:
    stream = io.StringIO()
    EventLog(stream)("event", **facts)
    return stream.getvalue()


@pytest.mark.parametrize(
    "text", ["a\nevent forged=1", "\x1b[2J\x1b]0;x\x07", 'quote" space', "\u2028\u202e", "\udc80", "a\r\0b"]
)
def test_no_text_makes_a_second_line_or_drives_a_terminal(text: str) -> None:
    line = logged(value=text)
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert line.isascii()


def test_long_values_are_cut_in_the_middle() -> None:
    line = logged(value="a" * 500 + "b" * 500)
    assert len(line) < 300
    assert "aaa...bbb" in line


def test_facts_that_are_none_are_left_out_and_numbers_are_short() -> None:
    assert logged(a=None, ms=1.23456, n=3).split(" ")[1:] == ["event", "ms=1.235", "n=3\n"]


def test_a_log_that_nobody_reads_stops_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    EventLog(stream)("event")
