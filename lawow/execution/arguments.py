"""Arguments and results between text and WebAssembly's number types.

Integers are decimal or hexadecimal, signed or unsigned (``-1`` and ``4294967295`` are the same i32). Floats
are decimal, C's hexadecimal (``0x1.8p3``), ``inf`` or ``nan``. Anything that does not fit exactly one value
of the parameter's type is refused; floats are rounded to it. Results are printed so that they read back to
the same bits: integers signed, floats with as few digits as that takes.

On the start path of ``lawow exec``.
"""

from __future__ import annotations

import struct

from lawow.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lawow.formats.interface import FuncType

__all__ = ["format_result", "is_number", "json_value", "parse_arguments", "parse_number"]

_INTEGER_BITS = {"i32": 32, "i64": 64}
_LONGEST_NUMBER = 400
"""Characters of an argument. A double's exact decimal expansion can be longer; nobody types one."""

_SAFE_INTEGER = 1 << 53
"""Beyond it JSON numbers lose digits in many readers, so such integers become strings."""

_WORDS = ("inf", "infinity", "nan")


def is_number(text: str) -> bool:
    """Return whether `text` could be an argument, so that ``-5`` is told from an option."""
    body = text.lstrip("+-").lower()
    return body in _WORDS or body[:1].isdigit() or (body[:1] == "." and body[1:2].isdigit())


def parse_arguments(export: str, function: FuncType, texts: Sequence[str]) -> list[int | float]:
    """Return the values of `texts` as the parameters of `function` take them.

    Raises `UsageError` that names the argument, its type and what is allowed.
    """
    if len(texts) != len(function.params):
        lists = any(text.startswith("[") for text in texts)
        hint = "; --signature, such as '[i>i', says where a list is meant" if lists else ""
        raise UsageError(
            f"{export} takes {_count(len(function.params))}, {len(texts)} given; its type is {function}{hint}"
        )
    return [
        parse_number(index, kind, text)
        for index, (kind, text) in enumerate(zip(function.params, texts, strict=True))
    ]


def _count(number: int) -> str:
    return "no arguments" if number == 0 else f"{number} argument{'s' if number > 1 else ''}"


def parse_number(index: int, kind: str, text: str) -> int | float:
    """Return the value of the argument at `index`, of the type named `kind`. Raises `UsageError`."""
    refusal = f"argument {index + 1} is {text[:40]!r}, which is no {kind}"
    if len(text) > _LONGEST_NUMBER or not text.isascii() or "_" in text or text != text.strip():
        raise UsageError(f"{refusal}: not a number")
    if kind in _INTEGER_BITS:
        return _parse_integer(text, _INTEGER_BITS[kind], refusal)
    return _parse_float(text, kind, refusal)


def _parse_integer(text: str, bits: int, refusal: str) -> int:
    digits = text.lstrip("+-").lower()
    try:
        value = int(text, 16 if digits.startswith("0x") else 10)
    except ValueError:
        raise UsageError(f"{refusal}: give a decimal or hexadecimal integer") from None
    lowest, highest = -(1 << (bits - 1)), (1 << bits) - 1
    if not lowest <= value <= highest:
        raise UsageError(f"{refusal}: allowed are {lowest} to {highest}")
    return value


def _parse_float(text: str, kind: str, refusal: str) -> float:
    try:
        value = float.fromhex(text) if "0x" in text.lower() else float(text)
        if kind == "f32":
            struct.pack("<f", value)
    except ValueError:
        raise UsageError(f"{refusal}: give a decimal or hexadecimal number, inf or nan") from None
    except OverflowError:
        raise UsageError(f"{refusal}: too large; inf is written as such") from None
    if value in (float("inf"), float("-inf")) and "inf" not in text.lower():
        raise UsageError(f"{refusal}: too large; inf is written as such")
    return value


def format_result(kind: str, value: int | float) -> str:
    """Return the shortest text that `parse_arguments` turns into the same value."""
    if kind != "f32" or value != value:
        return repr(value)
    for digits in range(1, 10):
        shorter = float(f"{value:.{digits}g}")
        if _rounded_to_f32(shorter) == value:
            return repr(shorter)
    return repr(value)


def _rounded_to_f32(value: float) -> float:
    try:
        (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    except OverflowError:  # few digits can round up beyond the largest f32
        return float("nan")
    return float(rounded)


def json_value(kind: str, value: int | float) -> int | float | str:
    """Return a result as JSON can hold it: large integers, infinities and NaN become strings."""
    if isinstance(value, float):
        if value != value:
            return "NaN"
        if value in (float("inf"), float("-inf")):
            return "Infinity" if value > 0 else "-Infinity"
        return float(format_result(kind, value))
    return value if -_SAFE_INTEGER <= value <= _SAFE_INTEGER else str(value)
