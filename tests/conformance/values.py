"""Values of a test script as bit patterns: numbers of 32 and 64 bits, and vectors of 128.

Source of the form: what ``wast2json`` of wabt writes; ``wasm-tools json-from-wast`` follows it.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["agrees", "joined", "pattern_of", "split"]

_LANE_BITS = {"i8": 8, "i16": 16, "i32": 32, "i64": 64, "f32": 32, "f64": 64}
_QUIET = {"f32": 0x7FC00000, "f64": 0x7FF8 << 48}
_WITHOUT_SIGN = {"f32": (1 << 31) - 1, "f64": (1 << 63) - 1}
_LOW = (1 << 64) - 1


def pattern_of(item: dict[str, object]) -> int:
    """Return the bit pattern of an argument, a number or a vector; converters differ in signs."""
    if item["type"] != "v128":
        return int(str(item["value"])) & (1 << _LANE_BITS[str(item["type"])]) - 1
    bits = _LANE_BITS[str(item["lane_type"])]
    lanes = [int(lane) & (1 << bits) - 1 for lane in _lanes(item)]
    return sum(lane << bits * position for position, lane in enumerate(lanes))


def split(kind: str, pattern: int) -> list[int]:
    """Return the 64-bit words in which a value passes: two for a vector, low half first."""
    return [pattern & _LOW, pattern >> 64] if kind == "v128" else [pattern]


def joined(kinds: Sequence[str], words: Sequence[int]) -> list[int]:
    """Return the bit patterns of which `words` are the words, by type."""
    rest = iter(words)
    return [next(rest) | next(rest) << 64 if kind == "v128" else next(rest) for kind in kinds]


def agrees(kind: str, pattern: int, wanted: dict[str, object]) -> bool:
    """Tell whether a result is what a script expects, which may be any NaN of a kind, or one of several."""
    if wanted["type"] == "either":
        choices = wanted["values"]
        assert isinstance(choices, list)
        return any(agrees(kind, pattern, choice) for choice in choices)
    if wanted["type"] != kind:
        return False
    if kind != "v128":
        return _number_agrees(kind, pattern, str(wanted["value"]))
    lane_kind = str(wanted["lane_type"])
    bits = _LANE_BITS[lane_kind]
    found = [pattern >> bits * position & (1 << bits) - 1 for position in range(128 // bits)]
    return all(_number_agrees(lane_kind, *pair) for pair in zip(found, _lanes(wanted), strict=True))


def _number_agrees(kind: str, pattern: int, value: str) -> bool:
    if not value.startswith("nan:"):
        return int(value) & (1 << _LANE_BITS[kind]) - 1 == pattern
    quiet = _QUIET[kind]
    return pattern & _WITHOUT_SIGN[kind] == quiet if value == "nan:canonical" else pattern & quiet == quiet


def _lanes(item: dict[str, object]) -> list[str]:
    lanes = item["value"]
    assert isinstance(lanes, list)
    return [str(lane) for lane in lanes]
