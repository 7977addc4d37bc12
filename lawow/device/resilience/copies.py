"""Arguments of a call that is made twice: lists that a call changes must not be changed by the other one."""

from __future__ import annotations

import copy
from collections.abc import MutableSequence, Sequence

from lawow.channel.documents import Value

__all__ = ["own_copies", "take_over"]


def own_copies(values: Sequence[Value]) -> tuple[Value, ...]:
    """Return the values, lists copied; a list that is there twice is so in the copies."""
    copied: dict[int, Value] = {}
    for value in values:
        if isinstance(value, MutableSequence) and id(value) not in copied:
            copied[id(value)] = copy.copy(value)
    return tuple(copied.get(id(value), value) for value in values)


def take_over(values: Sequence[Value], copies: Sequence[Value]) -> None:
    """Put what a call has made of its copies into the caller's own lists."""
    for value, copied in zip(values, copies, strict=True):
        if isinstance(value, MutableSequence) and isinstance(copied, Sequence):
            value[:] = copied
