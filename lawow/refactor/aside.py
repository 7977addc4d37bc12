"""Work on a second processor: a copy of this process computes one thing while the caller goes on.

A thread would not do, since the interpreter runs one at a time, and a fresh process would import and read
everything again. Where no copy can be made safely (no `fork`, one processor, other threads that may hold
locks) the work is done in this process, when its result is asked for; so it is when the copy fails, whatever
the reason: an error then rises where it can be read. Nothing of a copy is left behind.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Aside"]

_Result = TypeVar("_Result")


class Aside(Generic[_Result]):
    """A computation beside this one. `work` takes nothing, and its result can be pickled.

    A context manager: at its end the copy is gone, asked for or not.
    """

    def __init__(self, work: Callable[[], _Result]) -> None:
        self._work = work
        self._child = 0
        self._pipe = -1
        if _can_fork():
            self._fork()

    def __enter__(self) -> Aside[_Result]:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
            self._reap()

    def result(self) -> _Result:
        """Wait for the result and return it, or raise what `work` raises."""
        if self._child:
            with open(self._pipe, "rb", closefd=False) as stream:
                answer = stream.read()
            if self._reap() == 0:
                return pickle.loads(answer)  # type: ignore[no-any-return]  # of our own copy
        return self._work()

    def _fork(self) -> None:
        self._pipe, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._child = os.fork()
        if self._child:
            os.close(writer)
            return
        code = 1
        try:
            os.close(self._pipe)
            with open(writer, "wb") as stream:
                pickle.dump(self._work(), stream, pickle.HIGHEST_PROTOCOL)
            code = 0
        finally:
            os._exit(code)  # nothing of the caller's clean-up, nor its words about an error, is the copy's

    def _reap(self) -> int:
        """Wait for the end of the copy; return its exit status."""
        os.close(self._pipe)
        child, self._child = self._child, 0
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _can_fork() -> bool:
    if not hasattr(os, "fork") or threading.active_count() > 1:
        return False
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return len(allowed) > 1
