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

NEVER = float("inf")


class Watchdog:
    """The deadlines of one engine. `bump` increments its epoch; it is called by the watchdog's own thread."""

    def __init__(self, bump: Callable[[], object]) -> None:
        self._bump = bump
        self._changed = threading.Condition(threading.Lock())
        self._deadlines: dict[int, float] = {}
        self._errands: dict[int, Callable[[], object]] = {}
        self._sleeps_until = NEVER
        self._thread: threading.Thread | None = None
        self._stopped = False

    def arm(self, token: int, seconds: float) -> None:
        """Let the call `token` run for `seconds` from now on."""
        due = self._deadlines[token] = monotonic() + seconds
        if due < self._sleeps_until:  # else the thread looks early enough, without a lock: see `_watch`
            self._rouse(token)

    def disarm(self, token: int) -> None:
        """The call `token` has ended."""
        self._deadlines.pop(token, None)
        if self._errands:
            self._errands.pop(token, None)

    def expire(self, token: int) -> None:
        """Let the deadline of the call `token` be now; no effect on one that has ended."""
        with self._changed:
            if token in self._deadlines:
                self._deadlines[token] = 0.0
                self._bump()

    def send(self, token: int, errand: Callable[[], object]) -> None:
        """Let the thread of the call `token` do `errand` where it may be stopped.

        The guest does not run meanwhile. A call that ends first does not do it, but perhaps the next one of
        the same instance does: an errand knows what it is for.
        """
        with self._changed:
            if token in self._deadlines:
                self._errands[token] = errand
                self._bump()

    def run_errand(self, token: int) -> None:
        """Do what the call `token` was sent for, on its own thread."""
        errand = self._errands.pop(token, None) if self._errands else None
        if errand is not None:
            errand()

    def expired(self, token: int) -> bool:
        """Return whether the deadline of the call `token` has passed."""
        return monotonic() >= self._deadlines.get(token, NEVER)

    def stop(self) -> None:
        """End the thread; nothing is bumped afterwards."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _rouse(self, token: int) -> None:
        """Let the thread see a deadline that is earlier than its next look."""
        with self._changed:
            if self._stopped:
                self._deadlines.pop(token, None)
                raise LocalProtocolError("this engine has been closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="lawow-watchdog", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._stopped:
                now = monotonic()
                if any(deadline <= now for deadline in self._known()):
                    self._bump()
                # `arm` writes a deadline and then reads `_sleeps_until`; here that is written and then the
                # deadlines are read again: one of both sees what the other wrote, so `arm` needs no lock.
                self._sleeps_until = self._next_look(now)
                while (again := self._next_look(now)) < self._sleeps_until:
                    self._sleeps_until = again
                self._changed.wait(None if self._sleeps_until == NEVER else self._sleeps_until - now)
            self._sleeps_until = NEVER

    def _known(self) -> list[float]:
        """Return a copy, because `arm` and `disarm` take no lock: they are on the path of every call."""
        return list(self._deadlines.values())

    def _next_look(self, now: float) -> float:
        """Return the earliest deadline that has not passed.

        A call whose deadline has passed but which has not ended yet may sit in a host function or a bulk
        instruction started before the bump; it is asked again at each further wake.
        """
        return min((deadline for deadline in self._known() if deadline > now), default=NEVER)
