"""Arguments and results of a call as they travel: raw slots, and JSON.

A signature is written in letters, parameters before and results after ``>``: ``iI>F`` takes an i32 and an i64
and returns an f64. A *slot* is the bit pattern of one value in 8 bytes, little-endian, i32 and f32 in the low
four bytes with the upper four zero; slots follow each other in the signature's order and nothing else is in
between. This form is exact: NaN payloads survive. In JSON an integer beyond 2^53 is a decimal string, because
many readers hold numbers in an f64, and NaN and the infinities are the strings ``"NaN"``, ``"Infinity"``,
``"-Infinity"``.

Nothing but `FormatError` escapes, whatever the input is. Defined by docs/edge.md, "Values".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from lawow.errors import FormatError

__all__ = [
    "SLOT_BYTES",
    "decode_slots",
    "encode_slots",
    "json_of_values",
    "number_of_json",
    "require_slots",
    "split_signature",
    "values_of_json",
]

SLOT_BYTES = 8
SIGNATURE = re.compile(r"[iIfF]*>[iIfF]*")
LAYOUTS = {
    "i": struct.Struct("<iI"),
    "I": struct.Struct("<q"),
    "f": struct.Struct("<fI"),
    "F": struct.Struct("<d"),
}
"""How each letter fills its slot; the second field of the short ones is the upper half, which is zero."""
NAMES = {"i": "i32", "I": "i64", "f": "f32", "F": "f64"}
INTEGER_BITS = {"i": 32, "I": 64}
EXACT_IN_JSON = 1 << 53
NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
DECIMAL = re.compile(r"-?[0-9]{1,20}")

Number = int | float


def split_signature(signature: str) -> tuple[str, str]:
    """Return the letters of parameters and of results. Raises `FormatError` for anything else."""
    if not SIGNATURE.fullmatch(signature):
        raise FormatError(
            "not a signature", found=repr(signature[:80]), allowed="letters iIfF around one '>'"
        )
    parameters, _, results = signature.partition(">")
    return parameters, results


def encode_slots(letters: str, values: Sequence[Number]) -> bytes:
    """Return `values` as slots; integers signed or unsigned. Raises `FormatError` for what does not fit."""
    _require_count(letters, len(values))
    return b"".join(
        _encode(letter, index, value)
        for index, (letter, value) in enumerate(zip(letters, values, strict=True))
    )


def decode_slots(letters: str, data: bytes) -> tuple[Number, ...]:
    """Return the values in slots: integers signed, f32 widened to Python's float.

    A NaN keeps its payload as f64; the quiet bit of an f32 may be set by widening. Raises `FormatError`.
    """
    require_slots(letters, data)
    layouts = [LAYOUTS[letter] for letter in letters]
    return tuple(layout.unpack_from(data, index * SLOT_BYTES)[0] for index, layout in enumerate(layouts))


def require_slots(letters: str, data: bytes) -> None:
    """Raise `FormatError` unless `data` is exactly the slots that `letters` ask for."""
    if len(data) != len(letters) * SLOT_BYTES:
        raise FormatError(
            "wrong length of the values", found=f"{len(data)} bytes", allowed=f"{len(letters) * SLOT_BYTES}"
        )
    for index, letter in enumerate(letters):
        offset = index * SLOT_BYTES
        if letter in "if" and any(data[offset + 4 : offset + 8]):
            raise FormatError(
                f"the upper half of this {NAMES[letter]} is not zero",
                structure="values",
                index=index,
                offset=offset,
            )


def values_of_json(letters: str, items: object) -> tuple[Number, ...]:
    """Return the values in a list from a JSON reader. Raises `FormatError` naming the first that is wrong."""
    if not isinstance(items, list):
        raise FormatError("the arguments must be a list", found=type(items).__name__)
    _require_count(letters, len(items))
    return tuple(
        number_of_json(letter, index, item)
        for index, (letter, item) in enumerate(zip(letters, items, strict=True))
    )


def json_of_values(letters: str, values: Sequence[Number]) -> list[int | float | str]:
    """Return results as items that JSON can hold."""
    return [_to_json(letter, value) for letter, value in zip(letters, values, strict=True)]


def _require_count(letters: str, count: int) -> None:
    if count != len(letters):
        types = ", ".join(NAMES[letter] for letter in letters) or "none"
        raise FormatError("wrong number of arguments", found=count, allowed=f"{len(letters)} ({types})")


def _encode(letter: str, index: int, value: Number) -> bytes:
    if letter in INTEGER_BITS:
        signed = _signed(letter, index, value)
        return LAYOUTS[letter].pack(*((signed, 0) if letter == "i" else (signed,)))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(letter, index, value)
    try:
        number = float(value)
        return LAYOUTS[letter].pack(*((number, 0) if letter == "f" else (number,)))
    except OverflowError:
        raise _wrong(letter, index, value) from None


def _signed(letter: str, index: int, value: object) -> int:
    """Return the signed reading of an integer that is in the signed or in the unsigned range."""
    bits = INTEGER_BITS[letter]
    if isinstance(value, bool) or not isinstance(value, int) or not -(1 << (bits - 1)) <= value < 1 << bits:
        raise _wrong(letter, index, value)
    return value - (1 << bits) if value >> (bits - 1) > 0 else value


def number_of_json(letter: str, index: int, item: object) -> Number:
    """Return one number from a JSON reader; `index` is its place in errors. Raises `FormatError`."""
    if letter in INTEGER_BITS:
        if isinstance(item, str) and DECIMAL.fullmatch(item):
            item = int(item)
        return _signed(letter, index, item)
    if isinstance(item, str) and item in NON_FINITE:
        return NON_FINITE[item]
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise _wrong(letter, index, item)
    try:
        number = float(item)
    except OverflowError:
        raise _wrong(letter, index, item) from None
    if number in (float("inf"), float("-inf")):  # a numeral beyond the range, such as 1e999
        raise _wrong(letter, index, item)
    return number


def _to_json(letter: str, value: Number) -> int | float | str:
    if letter in INTEGER_BITS:
        return str(value) if abs(value) > EXACT_IN_JSON else value
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _wrong(letter: str, index: int, value: object) -> FormatError:
    if isinstance(value, int) and value.bit_length() > 128:
        found = f"an integer of {value.bit_length()} bits"
    elif isinstance(value, int | float):
        found = repr(value)
    else:
        found = repr(value[:40]) if isinstance(value, str) else type(value).__name__
    return FormatError("does not fit", structure="arguments", index=index, found=found, allowed=NAMES[letter])
