"""Runs some calls in both places and compares them bit by bit, to notice an edge that computes wrongly.

Results are compared as the signature's types, so a native version may return an f32 unrounded. Two runs that
both raise agree: a native version raises errors of its own. Every NaN is like any other: which of them
arithmetic gives, WebAssembly does not say, and processors differ. Whoever finds a mismatch stops offloading.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass

from lawow.channel.bodies import write_arguments
from lawow.channel.documents import Value, arguments_of_values
from lawow.errors import FormatError, UsageError
from lawow.formats.signature import ListType, parse_typed_signature

__all__ = ["Mismatch", "Shadow", "bits_of"]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A call that gave different bits here and there; None: it raised an error, or no value of its type."""

    export: str
    here: bytes | None
    there: bytes | None

    def __str__(self) -> str:
        """Tell where they differ, and nothing of what the values are."""
        if self.here is None or self.there is None:
            here, there = ("no result" if it is None else "a result" for it in (self.here, self.there))
            where = f"{here} here and {there} on the edge"
        else:
            pairs = enumerate(zip(self.here, self.there, strict=False))
            shorter = min(len(self.here), len(self.there))
            first = next((index for index, (one, other) in pairs if one != other), shorter)
            where = f"different results here and on the edge, from byte {first} on"
        return f"{self.export}: the same call gave {where}; it is not offloaded any more"


class Shadow:
    """Draws calls that are to be compared: a `share` of those that go to the edge; `dice` gives 0 to 1."""

    def __init__(self, share: float = 0.01, *, dice: Callable[[], float] = random.random) -> None:
        """Raises `UsageError` for a share that is not between 0 and 1."""
        if not 0 < share <= 1:
            raise UsageError(f"a share of calls is above 0 and at most 1, not {share}")
        self._share = share
        self._dice = dice

    def wants(self) -> bool:
        """Draw: whether to compare the next call."""
        return self._dice() < self._share


def bits_of(
    signature: str, result: Value | tuple[Value, ...] | None, values: Sequence[Value]
) -> bytes | None:
    """Return results and in-out lists in the wire's form; None for what is not of the signature's types."""
    kinds = signature.partition(">")[2]
    given: list[Value] = [] if result is None else list(result) if isinstance(result, tuple) else [result]
    for kind, value in zip(parse_typed_signature(signature).params, values, strict=True):
        if isinstance(kind, ListType) and kind.is_in_out:
            kinds += f"[{kind.element.letter}"
            given.append(value)
    own = [_with_one_nan(item) for item in given]  # lists are copied: none is an alias
    try:
        return write_arguments(arguments_of_values(parse_typed_signature(f"{kinds}>"), own))
    except FormatError:
        return None


def _with_one_nan(value: Value) -> Value:
    if isinstance(value, float) and math.isnan(value):
        return math.nan
    if isinstance(value, MutableSequence):
        return [math.nan if item != item else item for item in value]  # true of NaN alone
    return value
