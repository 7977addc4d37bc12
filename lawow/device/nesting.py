"""Which elastic call is made within which: a native version may call elastic functions itself.

Each call opens a frame while it is made. Threads that are started with a copy of the context
(`asyncio.to_thread`, hedging, batches) belong to the call that started them.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from itertools import count

__all__ = ["Frame", "current", "deepened", "nested"]

DEEPEST = 32
"""Functions of a path; what is called beyond belongs to the last one, as recursive calls to their first."""
_numbers = count(1)


class Frame:
    """A call under way, as a context manager, made with `nested`.

    `path` names the functions from the outermost to this one, each once. `inner_seconds` is the time of calls
    within it, of other functions than those. `number` is its own in this process. `has_inner` tells whether
    any elastic call was made within it.
    """

    __slots__ = ("_started", "_token", "has_inner", "inner_seconds", "number", "outer", "path")

    def __init__(self, export: str, outer: Frame | None) -> None:
        self.outer = outer
        self.path: tuple[str, ...] = deepened(() if outer is None else outer.path, export)
        self.has_inner = False
        self.inner_seconds = 0.0
        self.number = next(_numbers)

    def __enter__(self) -> Frame:
        self._token = _frame.set(self)
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        _frame.reset(self._token)
        outer = self.outer
        if outer is not None:  # a recursive call is part of the function's own work, what it calls is not
            outer.has_inner = True
            is_own = self.path == outer.path
            outer.inner_seconds += self.inner_seconds if is_own else time.perf_counter() - self._started


def deepened(path: tuple[str, ...], export: str) -> tuple[str, ...]:
    """Return the path of what is called within a call of `export` that has this path itself."""
    return path if export in path or len(path) == DEEPEST else (*path, export)


_frame: ContextVar[Frame | None] = ContextVar("lawow_elastic_call", default=None)


def current() -> Frame | None:
    """Return the call that this code runs within, None outside of any."""
    return _frame.get()


def nested(export: str) -> Frame:
    """Return the frame of a call; when it ends its time is the outer call's inner one, however it ends."""
    return Frame(export, _frame.get())
