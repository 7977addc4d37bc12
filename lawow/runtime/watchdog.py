"""Deadlines for guest code: one thread that sleeps until the earliest deadline and then bumps the epoch once.

There is no ticking: an idle engine costs nothing, and a deadline is late by 0.2 ms instead of a tick. A bump
wakes every call that runs on the engine at that moment; the library then asks back (`expired`) for each of
them whether it is its own deadline that has passed, and lets the others go on.
"""

from __future__ import annotations

import threading
from time import monotonic

from lawow.errors import LocalProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Watchdog"]


class Watchdog:
    """The deadlines of one engine. `bump` increments its epoch; it is called by the watchdog's own thread."""

    def __init__(self, bump: Callable[[], object]) -> None:
        self._bump = bump
        self._changed = threading.Condition(threading.Lock())
        self._deadlines: dict[int, float] = {}
        self._sleeps_until = float("inf")
        self._thread: threading.Thread | None = None
        self._stopped = False

    def arm(self, token: int, seconds: float) -> None:
        """Let the call `token` run for `seconds` from now on."""
        due = monotonic() + seconds
        with self._changed:
            if self._stopped:
                raise LocalProtocolError("this engine has been closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="lawow-watchdog", daemon=True)
                self._thread.start()
            self._deadlines[token] = due
            if due < self._sleeps_until:  # else the thread wakes early enough anyway
                self._changed.notify()

    def disarm(self, token: int) -> None:
        """The call `token` has ended."""
        self._deadlines.pop(token, None)

    def expire(self, token: int) -> None:
        """Let the deadline of the call `token` be now; no effect on one that has ended."""
        with self._changed:
            if token in self._deadlines:
                self._deadlines[token] = 0.0
                self._bump()

    def expired(self, token: int) -> bool:
        """Return whether the deadline of the call `token` has passed."""
        return monotonic() >= self._deadlines.get(token, float("inf"))

    def stop(self) -> None:
        """End the thread; nothing is bumped afterwards."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _watch(self) -> None:
        with self._changed:
            while not self._stopped:
                now = monotonic()
                # A copy, because `disarm` takes no lock: it is on the path of every call.
                due = list(self._deadlines.values())
                if any(deadline <= now for deadline in due):
                    self._bump()
                # A call whose deadline has passed but which has not ended yet may sit in a host function or a
                # bulk instruction started before the bump; it is asked again at each further wake.
                self._sleeps_until = min(
                    (deadline for deadline in due if deadline > now), default=float("inf")
                )
                self._changed.wait(None if self._sleeps_until == float("inf") else self._sleeps_until - now)
