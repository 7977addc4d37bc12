"""The deadline of a process that runs one guest: when it comes, the process says so and ends.

Guest code compiled without epoch checks cannot be interrupted, and need not be if nothing else lives in the
process. A second thread sleeps in the kernel until the time is up; guest code, compilation and WASI calls all
run without Python's lock, so it can always wake. Cost: one thread, nothing in the guest. For the same reason
Python cannot react to Ctrl-C while a guest runs, so meanwhile the kernel does: the process ends.

On the start path of ``lawow exec``: `_thread` and `_signal`, whose public wrappers take 5 ms to import.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
from _thread import allocate_lock, start_new_thread

from lawow.runtime.hot import CALL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lawow.errors import LimitExceeded

__all__ = ["DEFAULT_SECONDS", "Deadline", "deadline_error"]

DEFAULT_SECONDS = CALL.deadline_seconds


class Deadline:
    """Ends the process after `seconds`, unless `cancel` comes first.

    `report` is called in another thread just before and returns the exit status; it must not take locks that
    the main thread could hold. Until `cancel`, Ctrl-C ends the process too. For the main thread.
    """

    __slots__ = ("_lock", "_on_interrupt")

    def __init__(self, seconds: float, report: Callable[[], int]) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()
        start_new_thread(_watch, (self._lock.acquire, seconds, report))
        self._on_interrupt = _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

    def cancel(self) -> None:
        """Call the deadline off; only the first call counts."""
        if self._lock.locked():
            self._lock.release()
            _signal.signal(_signal.SIGINT, self._on_interrupt)


def _watch(acquire: Callable[[bool, float], bool], seconds: float, report: Callable[[], int]) -> None:
    if not acquire(True, seconds):
        os._exit(report())


def deadline_error(seconds: float, subject: str) -> LimitExceeded:
    """Return the error that a deadline of `lawow exec` reports."""
    from lawow.errors import LimitExceeded

    return LimitExceeded(
        "deadline_seconds",
        f"more than {seconds:g}",
        f"{seconds:g}",
        subject=subject,
        hint="the guest was stopped; --timeout SECONDS allows more",
    )
