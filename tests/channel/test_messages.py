"""Messages hold one value of the channel's type, laid out as an argument is."""

from __future__ import annotations

import pytest

from lawow.channel.documents import Value
from lawow.channel.messages import MESSAGE_TYPES, pack_message, unpack_message
from lawow.errors import FormatError

EXAMPLES: list[tuple[str, Value, str]] = [
    ("s32", -1, "ffffffff00000000"),
    ("s64", -(1 << 63), "0000000000000080"),
    ("f64", 1.5, "000000000000f83f"),
    ("string", "hé", "030000000000000068c3a90000000000"),
    ("list<f32>", [1.0, -2.0], "02000000000000000000803f000000c0"),
    ("list<bool>", [1, 0, 1], "03000000000000000100010000000000"),
]


@pytest.mark.parametrize(("type_name", "value", "data"), EXAMPLES)
def test_a_value_is_laid_out_as_written_by_hand(type_name: str, value: Value, data: str) -> None:
    assert pack_message(type_name, value).hex() == data
    assert unpack_message(type_name, bytes.fromhex(data)) == value


def test_types_are_those_of_parameters() -> None:
    assert len(MESSAGE_TYPES) == 13
    with pytest.raises(FormatError, match="not a type of messages"):
        pack_message("list<string>", ["a"])


@pytest.mark.parametrize(
    "data", ["", "01", "0300000000000000ffffff0000000000", "0300000001000000616263" + "00" * 5]
)
def test_what_is_no_value_of_the_type_is_refused(data: str) -> None:
    with pytest.raises(FormatError):
        unpack_message("string", bytes.fromhex(data))
