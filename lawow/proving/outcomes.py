"""What a call did, on either machine, and whether both did the same.

Two outcomes are the same if both returned the same bits (any NaN is like any other: WebAssembly leaves
payloads open) and left the same arrays behind, or if both threw the same exception. What an array holds after
an exception is not compared: such a call runs again on the device, in the original. A call that needs more
time, stack or memory than a proof may spend decides nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

from lawow.formats.elements import Packed, SameAs
from lawow.proving.cases import SIZES, element_of, is_array

__all__ = ["EXHAUSTED", "Agreement", "Exhausted", "Outcome", "Resulted", "Threw", "compare", "shown"]

_EXPONENTS = {"F": 0x7F800000, "D": 0x7FF << 52}
_QUIET = {"F": 0x7FC00000, "D": 0x7FF8 << 48}
_CODES = {"F": "I", "D": "Q"}


@dataclass(frozen=True, slots=True)
class Resulted:
    """The call returned. `result` is a number as it lies in memory, an array, a parameter, or None for
    null or nothing. `arrays` has one item for each parameter: its content after the call; empty for numbers.
    """

    result: bytes | Packed | SameAs | None
    arrays: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Threw:
    """The call ended with an exception of this class; empty if the machine can't tell which, or whether there
    was one at all: it gave no result, and the original would be asked.
    """

    class_name: str


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The call needed too much time, stack or memory."""


Outcome = Resulted | Threw | Exhausted
EXHAUSTED = Exhausted()


class Agreement(Enum):
    """What the two outcomes of one case say."""

    EQUAL = "equal"
    UNDECIDED = "undecided"
    DIFFERENT = "different"


def compare(parameters: tuple[str, ...], return_type: str, first: Outcome, second: Outcome) -> Agreement:
    """Compare two outcomes of a method of these types."""
    if isinstance(first, Exhausted) or isinstance(second, Exhausted):
        return Agreement.UNDECIDED
    if isinstance(first, Threw) and isinstance(second, Threw):
        same = "" in (first.class_name, second.class_name) or first.class_name == second.class_name
    elif isinstance(first, Resulted) and isinstance(second, Resulted):
        same = _same_result(return_type, first.result, second.result) and all(
            not is_array(kind) or _plain(kind[1], before) == _plain(kind[1], after)
            for kind, before, after in zip(parameters, first.arrays, second.arrays, strict=True)
        )
    else:
        if Threw("") in (first, second):
            return Agreement.UNDECIDED
        same = False
    return Agreement.EQUAL if same else Agreement.DIFFERENT


def _same_result(
    kind: str, first: bytes | Packed | SameAs | None, second: bytes | Packed | SameAs | None
) -> bool:
    if isinstance(first, bytes) and isinstance(second, bytes):
        return _plain(kind, first) == _plain(kind, second)
    if isinstance(first, Packed) and isinstance(second, Packed):
        element = element_of(kind)
        return first.count == second.count and _plain(element, first.data) == _plain(element, second.data)
    return first == second


def _plain(kind: str, data: bytes) -> bytes:
    """Return numbers with one pattern for every NaN."""
    if kind not in _CODES or not data:
        return data
    form = f"<{len(data) // SIZES[kind]}{_CODES[kind]}"
    exponent, quiet = _EXPONENTS[kind], _QUIET[kind]
    size = 8 * SIZES[kind] - 1
    mask = (1 << size) - 1
    return struct.pack(
        form, *(quiet if item & mask > exponent else item for item in struct.unpack(form, data))
    )


def shown(outcome: Outcome) -> str:
    """Return what a call did, for a sentence."""
    if isinstance(outcome, Threw):
        return f"throws {outcome.class_name or 'an exception'}"
    if isinstance(outcome, Exhausted):
        return "does not end"
    result = outcome.result
    if isinstance(result, SameAs):
        return f"returns the array of parameter {result.parameter}"
    if isinstance(result, Packed):
        return f"returns {result.count} elements ({result.data[:16].hex()})"
    arrays = ", ".join(item[:16].hex() for item in outcome.arrays if item)
    return f"returns {result[::-1].hex() if result else 'nothing'}" + (f", leaves {arrays}" if arrays else "")
