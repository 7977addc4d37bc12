"""Two threads, of which one leads: it serves the sockets, and does one piece of work where it stands.

Quick work costs no hand-over: the leader does it between two sockets. While it is at work the baton lies
free, and the other thread, which looks now and then, takes it from work that goes on for longer. Then that
thread leads, and the first one stands by when it is done. So nothing that runs holds up the sockets, and
nobody has to know beforehand what takes long. A look costs the leader more than a call, since both need the
interpreter's lock: the longer all work was quick, the rarer they are, from 1 ms to 16 ms. Who has the baton
owns all state of the loop; no other lock is needed. One piece of work is done at a time, since all instances
of a tenant share memory and processor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from lawow.edge.messages import Message

__all__ = ["Crew"]

FIRST_LOOK_SECONDS = 0.001
RAREST_LOOK_SECONDS = 0.016
T = TypeVar("T")


class Crew(Generic[T]):
    """Does work of the kind `T`. All but `run` is for the leader."""

    def __init__(self, lead: Callable[[], bool], wake: Callable[[], object]) -> None:
        """`lead` serves until the end (True) or until `do` returns None (False).

        `wake` makes the leader look for what `take_done` has; another thread calls it.
        """
        self._lead = lead
        self._wake = wake
        self._baton = threading.Lock()
        self._changed = threading.Condition(threading.Lock())
        self._steps = 0  # odd while the thread that began to lead is at work
        self._is_parked = False
        self._is_over = False
        self._error: BaseException | None = None
        self._until = self._latest = float("inf")
        self._done: tuple[T, Message] | None = None
        self.at_work: T | None = None

    def run(self) -> None:
        """Lead until the end. Raises what `lead` or work raises, on whichever thread."""
        threading.Thread(target=self._take_part, name="lawow-crew", daemon=True).start()
        self._baton.acquire()
        self._take_part(leads=True)
        if self._error is not None:
            raise self._error

    def do(self, item: T, work: Callable[[T], Message], until: float) -> Message | None:
        """Do work and return what came of it; None: another thread leads by now, and will be told.

        Only while `at_work` is None. The work `is_overdue` after the moment `until`.
        """
        self.at_work = item
        self._until = until
        self._steps += 1
        if self._is_parked:
            self._rouse()
        self._baton.release()
        message = work(item)
        self._steps += 1
        if self._baton.acquire(False):  # by position: a keyword takes four times as long
            self.at_work = None
            return message
        self._done = item, message
        self._wake()
        return None

    def take_done(self) -> tuple[T, Message] | None:
        """Return what the other thread has done since it stopped leading, once."""
        done, self._done = self._done, None
        if done is not None:
            self.at_work = None
            self._latest = float("inf")
        return done

    def is_overdue(self, now: float) -> bool:
        """Whether work goes on although it should have been stopped."""
        return now > self._latest

    # inside

    def _take_part(self, leads: bool = False) -> None:
        try:
            while leads or self._stands_by():
                if self._lead():
                    return
                leads = False
        except BaseException as error:  # noqa: BLE001  # `run` raises it, whichever thread this is
            self._error = error
        finally:
            with self._changed:
                self._is_over = True
                self._is_parked = False
                self._changed.notify_all()

    def _rouse(self) -> None:
        with self._changed:
            self._is_parked = False
            self._changed.notify()

    def _stands_by(self) -> bool:
        """Wait for work that takes too long, and take the baton; False at the end."""
        with self._changed:
            while not self._is_over:
                self._is_parked = True
                if self._steps & 1:  # it began before it could see that nobody looks
                    self._is_parked = False
                while self._is_parked:
                    self._changed.wait()
                if self._takes_over():
                    return True
            return False

    def _takes_over(self) -> bool:
        """Look at the work of the leader until there was none for a while."""
        pause = FIRST_LOOK_SECONDS
        while not self._is_over:
            seen = self._steps
            self._changed.wait(pause)
            if self._steps != seen:
                pause = min(2 * pause, RAREST_LOOK_SECONDS)
            elif not seen & 1:
                return False
            elif self._baton.acquire(False):
                self._latest = self._until
                return True
        return False
