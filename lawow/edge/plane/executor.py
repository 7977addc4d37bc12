"""The thread for work that takes long, beside the one that reads and writes sockets.

It does one thing at a time, since all instances of a tenant share memory and processor. Everything but `run`
belongs to the thread that owns the sockets, which is woken when work is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from lawow.edge.messages import DEFECT, Failure, Message

__all__ = ["Executor", "Work"]

Work = Callable[[], Message]
Done = Callable[[Message], object]


class Executor:
    """Runs work, one piece after the other."""

    def __init__(self, wake: Callable[[], object]) -> None:
        """`wake` is called on the executor's thread when something is done."""
        self._wake = wake
        self._changed = threading.Condition(threading.Lock())
        self._work: Work | None = None
        self._done: Done | None = None
        self._answer: Message | None = None
        self._latest = float("inf")
        self._thread: threading.Thread | None = None

    @property
    def is_idle(self) -> bool:
        """Whether work may be given to it, or done on the caller's own thread in its place."""
        return self._done is None

    def start(self, work: Work, done: Done, *, within_seconds: float) -> None:
        """Do `work`; `finish` hands its answer to `done`. It is `is_overdue` after `within_seconds`."""
        assert self.is_idle
        self._done = done
        self._latest = monotonic() + within_seconds
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lawow-executor", daemon=True)
            self._thread.start()
        with self._changed:
            self._work = work
            self._changed.notify()

    def finish(self) -> None:
        """Hand on what is done, if something is."""
        with self._changed:
            answer, self._answer = self._answer, None
        if answer is not None and self._done is not None:
            done, self._done = self._done, None
            self._latest = float("inf")
            done(answer)

    def is_overdue(self) -> bool:
        """Whether work goes on although it should have been stopped."""
        return monotonic() > self._latest

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._work is None:
                    self._changed.wait()
                work, self._work = self._work, None
            answer: Message = Failure(DEFECT, "work on the executor raised an error of its own")
            try:
                answer = work()
            finally:  # an error ends this thread; the worker says so and ends, too
                with self._changed:
                    self._answer = answer
                self._wake()
