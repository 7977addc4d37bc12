"""The values of a channel's messages: one value of the WIT type that the channel was opened with.

A type is a number (``s32``, ``s64``, ``f32``, ``f64``), ``string``, or a list of numbers or booleans
(``list<f32>``). A value is laid out as an argument is (docs/edge.md, "Values"), so a message means the same
to a module that takes it as to the device that sent it. Nothing but `FormatError` escapes.
"""

from __future__ import annotations

from lawow.channel.bodies import read_returned, write_arguments
from lawow.channel.documents import Value, arguments_of_values, values_of_returned
from lawow.errors import FormatError
from lawow.formats.signature import parse_typed_signature

__all__ = ["MESSAGE_TYPES", "pack_message", "require_message_type", "unpack_message"]

LETTERS = ("i", "I", "f", "F", "S", "[z", "[b", "[c", "[s", "[i", "[I", "[f", "[F")


def _types() -> dict[str, str]:
    return {parse_typed_signature(f"{letters}>").params[0].wit: letters for letters in LETTERS}


MESSAGE_TYPES = _types()
"""WIT type -> its letters in a signature."""


def require_message_type(type_name: str) -> str:
    """Return the letters of a type. Raises `FormatError` for one that no message has."""
    letters = MESSAGE_TYPES.get(type_name)
    if letters is None:
        raise FormatError(
            "not a type of messages", found=repr(type_name[:80]), allowed=", ".join(MESSAGE_TYPES)
        )
    return letters


def pack_message(type_name: str, value: Value) -> bytes:
    """Return a value as a message. Raises `FormatError` for one that does not fit."""
    signature = parse_typed_signature(f"{require_message_type(type_name)}>")
    return write_arguments(arguments_of_values(signature, [value]))


def unpack_message(type_name: str, data: bytes | bytearray | memoryview) -> Value:
    """Return the value in a message. Raises `FormatError`."""
    signature = parse_typed_signature(f">{require_message_type(type_name)}")
    return values_of_returned(signature, read_returned(signature, (), bytes(data)))[0][0]
