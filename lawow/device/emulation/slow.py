"""A process that gets as little of a processor as a slow device has, by SIGSTOP and SIGCONT.

It needs no cgroup and no privilege. Only processor time is stretched: waiting for a network or a clock takes
as long as ever. What is measured in such a process is *emulated*: caches, vector units and the number of
cores stay this machine's.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
import time
from types import TracebackType

from lawow.errors import UsageError

__all__ = ["SlowProcess", "end_with_parent"]

LOOK_SECONDS = 0.001
BURST_SECONDS = 0.000_5  # of processor time that an idle process may save up
SLOWEST = 1_000.0
SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>


def end_with_parent() -> None:
    """Let this process be killed when the one that started it ends: a stopped one would stay for ever."""
    ctypes.CDLL(None, use_errno=True).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


class SlowProcess:
    """Gives a child process 1 / `slowdown` seconds of processor time a second. Use as a context manager.

    Raises `UsageError` for a slowdown outside 1 to 1,000, or a process that is not there.
    """

    def __init__(self, pid: int, slowdown: float) -> None:
        if not 1 <= slowdown <= SLOWEST:
            raise UsageError(f"slowdown is {slowdown}; allowed are 1 to {SLOWEST:.0f}")
        self.slowdown = slowdown
        self._pid = pid
        self._clock = (~pid << 3) | 2  # CPUCLOCK_SCHED of the process, as clock_getcpuclockid(3) makes it
        try:
            self._used = time.clock_gettime(self._clock)
        except OSError:
            raise UsageError(f"there is no process {pid} to slow down") from None
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lawow-slow", daemon=True)

    def __enter__(self) -> SlowProcess:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._thread.join()
        self._signal(signal.SIGCONT)

    @property
    def processor_seconds(self) -> float:
        """Processor time that the process has used, as the device would count it: stretched."""
        return time.clock_gettime(self._clock) * self.slowdown

    def _run(self) -> None:
        """Keep an account: time earns, processor time costs, and who is in debt stands still."""
        credit, last = 0.0, time.monotonic()
        with contextlib.suppress(OSError):  # the process has ended
            while self.slowdown > 1 and not self._ends.wait(LOOK_SECONDS):
                now, used = time.monotonic(), time.clock_gettime(self._clock)
                credit = min(BURST_SECONDS, credit + (now - last) / self.slowdown) - (used - self._used)
                last, self._used = now, used
                if credit < 0:
                    self._signal(signal.SIGSTOP)
                    self._ends.wait(-credit * self.slowdown)
                    self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)
