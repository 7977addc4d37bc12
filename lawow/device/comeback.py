"""The way back to an edge that was lost, looked for beside the calls: none of them waits long for it.

One try at a time, in a thread of its own; after one that failed there is a pause, longer each time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Generic, TypeVar

from lawow.errors import HostLost, LawowError

__all__ = ["Comeback"]

T = TypeVar("T")
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0


class Comeback(Generic[T]):
    """What `find` finds, once it does. For several threads; `clock` gives seconds."""

    def __init__(self, find: Callable[[], T], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._find = find
        self._clock = clock
        self._lock = threading.Lock()
        self._try: Future[T] | None = None
        self._began = 0.0
        self._next = float("-inf")
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def wait(self, seconds: float) -> T:
        """Return what was found, at the latest so long after the try that is under way began.

        Raises `HostLost` if nothing was by then, or while nobody looks.
        """
        with self._lock:
            now = self._clock()
            if self._try is None:
                if now < self._next:
                    raise HostLost("the edge was lost, and is looked for again soon; the call was not sent")
                self._try, self._began = self._started(), now
            running, left = self._try, self._began + seconds - now
        try:
            return running.result(max(left, 0.0))
        except FutureTimeout:
            raise HostLost("the edge was lost, and is being looked for; the call was not sent") from None
        except LawowError as error:
            self._failed(running)
            raise HostLost(
                f"the edge was lost, and not found again ({error}); the call was not sent"
            ) from None

    def _started(self) -> Future[T]:
        future: Future[T] = Future()
        threading.Thread(target=self._run, args=(future,), name="lawow-comeback", daemon=True).start()
        return future

    def _run(self, future: Future[T]) -> None:
        try:
            future.set_result(self._find())
        except BaseException as error:  # noqa: BLE001  # whatever it is, who waits has to get it
            future.set_exception(error)

    def _failed(self, running: Future[T]) -> None:
        with self._lock:
            if self._try is running:  # the first one who hears of it
                self._try = None
                self._next = self._clock() + self._pause_seconds
                self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
