"""Java's arithmetic on values as bits, for what is computed at translation time.

Values are integers: the bits of 32 or 64, as signed numbers; floats are theirs, too. What Java's `strictfp`
says is what Python's floats do, as both are IEEE 754; a float operation is rounded once from the exact result
that double precision gives for two floats.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

__all__ = ["binary", "compare", "convert", "narrowed", "negated"]

_WIDTHS = {"int": 32, "long": 64, "float": 32, "double": 64}
_NAN = math.nan


def narrowed(value: int, bits: int) -> int:
    """Return the lowest bits as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _to_float(bits: int, kind: str) -> float:
    if kind == "double":
        return float(struct.unpack("<d", struct.pack("<q", bits))[0])
    return float(struct.unpack("<f", struct.pack("<i", narrowed(bits, 32)))[0])


def _from_float(value: float, kind: str) -> int:
    if kind == "double":
        return int(struct.unpack("<q", struct.pack("<d", value))[0])
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        packed = struct.pack("<f", math.copysign(math.inf, value))
    return int(struct.unpack("<i", packed)[0])


def _divide(one: int, other: int) -> int:
    quotient = abs(one) // abs(other)
    return quotient if (one < 0) == (other < 0) else -quotient


def _float_divide(one: float, other: float) -> float:
    if other:
        return one / other
    if not one or math.isnan(one) or math.isnan(other):
        return _NAN
    return math.copysign(math.inf, one) * math.copysign(1.0, other)


def _float_remainder(one: float, other: float) -> float:
    if math.isinf(one) or not other or math.isnan(one) or math.isnan(other):
        return _NAN
    return math.fmod(one, other)


_INTEGER: dict[str, Callable[[int, int, int], int]] = {
    "add": lambda one, other, width: one + other,
    "sub": lambda one, other, width: one - other,
    "rsub": lambda one, other, width: other - one,
    "mul": lambda one, other, width: one * other,
    "div": lambda one, other, width: _divide(one, other),
    "rem": lambda one, other, width: one - other * _divide(one, other),
    "and": lambda one, other, width: one & other,
    "or": lambda one, other, width: one | other,
    "xor": lambda one, other, width: one ^ other,
    "shl": lambda one, other, width: one << (other & width - 1),
    "shr": lambda one, other, width: one >> (other & width - 1),
    "ushr": lambda one, other, width: (one & (1 << width) - 1) >> (other & width - 1),
}
_FLOAT: dict[str, Callable[[float, float], float]] = {
    "add": lambda one, other: one + other,
    "sub": lambda one, other: one - other,
    "mul": lambda one, other: one * other,
    "div": _float_divide,
    "rem": _float_remainder,
}


def binary(name: str, one: int, other: int) -> int:
    """Compute ``add-int``, ``shl-long``, ``div-float`` and so on. Raises `ZeroDivisionError`."""
    operation, _, kind = name.partition("-")
    width = _WIDTHS[kind]
    if kind in ("int", "long"):
        return narrowed(_INTEGER[operation](one, other, width), width)
    return _from_float(_FLOAT[operation](_to_float(one, kind), _to_float(other, kind)), kind)


def negated(name: str, value: int) -> int:
    """Compute ``neg-int``, ``not-long``, ``neg-double`` and so on."""
    operation, _, kind = name.partition("-")
    width = _WIDTHS[kind]
    if operation == "not":
        return ~value
    if kind in ("int", "long"):
        return narrowed(-value, width)
    return narrowed(value ^ 1 << width - 1, width)


def convert(name: str, value: int) -> int:
    """Compute ``int-to-byte``, ``double-to-long`` and so on."""
    source, _, target = name.partition("-to-")
    if target in ("byte", "short"):
        return narrowed(value, 8 if target == "byte" else 16)
    if target == "char":
        return value & 0xFFFF
    number = _to_float(value, source) if source in ("float", "double") else value
    if target in ("float", "double"):
        return _rounded(number, target)
    width = _WIDTHS[target]
    if isinstance(number, int):
        return narrowed(number, width)
    if math.isnan(number):
        return 0
    limit = 1 << width - 1
    return (
        max(-limit, min(limit - 1, int(number)))
        if math.isfinite(number)
        else (limit - 1 if number > 0 else -limit)
    )


def _rounded(number: float, target: str) -> int:
    if target == "float" and isinstance(number, int):
        return _from_float(_float_of_integer(number), target)
    return _from_float(float(number), target)


def _float_of_integer(number: int) -> float:
    """Return an integer as the nearest float: rounded once, where by way of double it would be twice."""
    excess = abs(number).bit_length() - 24
    if excess <= 0:
        return float(number)
    unit = 1 << excess
    low, rest = divmod(abs(number), unit)
    low += rest > unit // 2 or (rest == unit // 2 and low & 1)
    return math.copysign(float(low * unit), number)


def compare(name: str, one: int, other: int) -> int:
    """Compute ``cmp-long``, ``cmpl-float``, ``cmpg-double`` and so on."""
    operation, _, kind = name.partition("-")
    if kind == "long":
        return (one > other) - (one < other)
    left, right = _to_float(one, kind), _to_float(other, kind)
    if math.isnan(left) or math.isnan(right):
        return 1 if operation == "cmpg" else -1
    return (left > right) - (left < right)
