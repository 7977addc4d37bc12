"""A call's end, asked for from another thread: what hedging tells the place that was slower.

It asks and does not wait. Who runs the call says how it is stopped; what cannot be stopped runs to its end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Cancel"]


class Cancel:
    """Set once, from any thread. `is_set` tells whether it was."""

    def __init__(self) -> None:
        self.is_set = False
        self._lock = threading.Lock()
        self._actions: list[Callable[[], None]] = []

    def set(self) -> None:
        """Run each action that was left here, in this thread; a second time there are none."""
        with self._lock:
            self.is_set = True
            actions, self._actions = self._actions, []
        for action in actions:
            action()

    def on_set(self, action: Callable[[], None]) -> None:
        """Leave an action that stops the call; it runs at once if it is too late to leave it."""
        with self._lock:
            if not self.is_set:
                self._actions.append(action)
                return
        action()
