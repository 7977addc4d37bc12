"""Tickets that a client carries: they say a position, and nothing else is taken for one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lawow.channel.sequences import Position
from lawow.channel.tickets import position_of_ticket, position_ticket

NUMBERS = st.integers(min_value=0, max_value=(1 << 64) - 1)


@given(NUMBERS, NUMBERS)
def test_a_position_comes_back_as_it_was(received: int, sent: int) -> None:
    assert position_of_ticket(position_ticket(Position(received, sent))) == Position(received, sent)


@given(st.binary(max_size=40))
def test_bytes_of_any_other_kind_are_no_position(data: bytes) -> None:
    found = position_of_ticket(data)
    assert found is None or position_ticket(found) == data


def test_a_ticket_that_is_cut_or_longer_is_none() -> None:
    ticket = position_ticket(Position(1, 2))
    assert all(position_of_ticket(ticket[:end]) is None for end in range(len(ticket)))
    assert position_of_ticket(ticket + b"\0") is None
