"""Frames between supervisor and worker: a worker is not trusted, so nothing it sends may surprise."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.edge.call_windows import SLOTS
from lawow.edge.messages import (
    HEADER,
    MAX_PAYLOAD_BYTES,
    NEEDS_CODE,
    Admit,
    Call,
    Close,
    Dismiss,
    Failure,
    Identity,
    Listen,
    Message,
    Open,
    Provide,
    Ready,
    Report,
    Result,
    Save,
    Trap,
    read_header,
    read_message,
    write_message,
)
from lawow.edge.usage import OUTCOMES, Usage, read_usage, write_usage
from lawow.errors import FormatError

EXAMPLES: list[Message] = [
    Ready("limits,filter"),
    Call("ab" * 32, True, "fib", "i>i", 1.5, bytes(8)),
    Result(0.25, 1.0, b"\x01" * 16),
    Trap("unreachable", "the guest trapped", ("inner", "outer")),
    Failure(NEEDS_CODE, "says why"),
    Call("ab" * 32, False, "fib", "S>[i", 1.5, bytes(8), "5e55"),
    Open("ab" * 32, True, "5e55", 2.0),
    Open("ab" * 32, True, "5e55", 2.0, b"LWST and so on"),
    Close("ab" * 32, "5e55"),
    Save("ab" * 32, False, "5e55", 2.0),
    Identity(b"PEM"),
    Listen(10.0, 512, deadline_seconds=2.0),
    Admit("ab" * 32, True, "1ea5e", "cd" * 32, "5e55", False, 2.0),
    Dismiss("1ea5e", "lease-ended"),
    Report(),
    Provide("hazards"),
]


def read(frame: bytes) -> Message:
    length, kind = read_header(frame[: HEADER.size])
    assert length == len(frame) - HEADER.size
    return read_message(kind, frame[HEADER.size :])


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_messages_come_back_as_they_were(message: Message) -> None:
    assert read(write_message(message)) == message


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_truncation_at_every_offset_and_every_changed_byte_is_a_value_or_a_format_error(
    message: Message,
) -> None:
    frame = write_message(message)
    kind, payload = frame[4], frame[HEADER.size :]
    for end in range(len(payload)):
        outcome(kind, payload[:end])
    for index in range(len(payload)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            outcome(kind, payload[:index] + bytes([value]) + payload[index + 1 :])


def outcome(kind: int, payload: bytes) -> None:
    try:
        read_message(kind, payload)
    except FormatError:
        return


@given(st.integers(1, 13), st.binary(max_size=200))
def test_any_payload_is_a_value_or_a_format_error(kind: int, payload: bytes) -> None:
    outcome(kind, payload)


@pytest.mark.parametrize(
    "header", [HEADER.pack(MAX_PAYLOAD_BYTES + 1, 1), HEADER.pack(0, 0), HEADER.pack(0, 15)]
)
def test_headers_beyond_the_limit_or_of_unknown_kinds_are_refused(header: bytes) -> None:
    with pytest.raises(FormatError):
        read_header(header)


def test_a_frame_may_be_longer_where_a_state_is_expected() -> None:
    header = HEADER.pack(MAX_PAYLOAD_BYTES + 100, 3)
    assert read_header(header, state_bytes=100) == (MAX_PAYLOAD_BYTES + 100, 3)
    with pytest.raises(FormatError):
        read_header(header, state_bytes=99)


def test_names_that_a_guest_chose_are_cut() -> None:
    message = read(write_message(Trap("x", "y" * 10**6, tuple("z" * 10**5 for _ in range(1000)))))
    assert isinstance(message, Trap)
    assert len(message.message) == 1 << 16
    assert len(message.frames) == 64
    assert all(len(frame) == 1000 for frame in message.frames)


def test_usage_comes_back_as_it_was_and_never_surprises() -> None:
    usages = [
        Usage("1ea5e", 7, True, {"ok": 5, "cancelled": 1}, {0: 2, SLOTS - 1: 4}),
        Usage("2ea5e", 0, False),
    ]
    written = write_usage(usages)
    assert read_usage(written) == usages
    for end in range(1, len(written)):
        try:
            assert read_usage(written[:end]) != usages
        except FormatError:
            continue


@pytest.mark.parametrize(("outcome", "slot"), [(len(OUTCOMES), 0), (0, SLOTS), (0xFFFF, 0xFFFF)])
def test_usage_of_no_known_outcome_or_slot_is_refused(outcome: int, slot: int) -> None:
    written = struct.pack("<H5sIBHHIHHI", 5, b"1ea5e", 1, 1, 1, outcome, 1, 1, slot, 1)
    with pytest.raises(FormatError):
        read_usage(written)


def test_usage_that_counts_something_twice_is_refused() -> None:
    with pytest.raises(FormatError, match="twice"):
        read_usage(struct.pack("<H5sIBHHIHIH", 5, b"1ea5e", 1, 1, 2, 0, 1, 0, 1, 0))
    with pytest.raises(FormatError, match="twice"):
        read_usage(2 * write_usage([Usage("1ea5e", 7, True)]))


def test_usage_beyond_what_a_processor_can_do_is_refused() -> None:
    counted = struct.pack("<H5sIBHHIH", 5, b"1ea5e", 1, 1, 1, 0, 0xFFFFFFFF, 0)
    with pytest.raises(FormatError, match="allowed at most"):
        read_usage(counted)
