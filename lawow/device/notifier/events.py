"""What a subscriber is told, and an iterator over it for threads and for event loops."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from lawow.device.notifier.metrics import Sample
from lawow.device.notifier.triggers import Trigger
from lawow.limits import NOTIFIER

__all__ = ["Event", "Events"]


@dataclass(frozen=True, slots=True)
class Event:
    """A trigger became active or inactive; `sample` is the one that did it."""

    trigger: Trigger
    is_active: bool
    sample: Sample


class _Closable(Protocol):
    def close(self) -> None: ...


class Events:
    """The events of one trigger, in order; ends when it or its Notifier is closed.

    Keeps `NOTIFIER.events` that nobody has taken; then the oldest go and `missed` counts them.
    """

    def __init__(self, forget: Callable[[Events], None]) -> None:
        self._forget = forget
        self._waiting: deque[Event] = deque()
        self._changed = threading.Condition()
        self._sleepers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._is_closed = False
        self.subscription: _Closable | None = None
        self.missed = 0

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def put(self, event: Event) -> None:
        """Add an event; called by the Notifier."""
        with self._changed:
            if len(self._waiting) == NOTIFIER.events:
                self._waiting.popleft()
                self.missed += 1
            self._waiting.append(event)
            self._wake()

    def close(self) -> None:
        """End the iteration, also of those who wait in another thread, after the events that were there."""
        if self.subscription is not None:
            self.subscription.close()
        with self._changed:
            self._is_closed = True
            self._wake()
        self._forget(self)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        with self._changed:
            while not self._waiting:
                if self._is_closed:
                    raise StopIteration
                self._changed.wait()
            return self._waiting.popleft()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while True:
            with self._changed:
                if self._waiting:
                    return self._waiting.popleft()
                if self._is_closed:
                    raise StopAsyncIteration
                sleeper = (asyncio.get_running_loop(), asyncio.Event())
                self._sleepers.append(sleeper)
            try:
                await sleeper[1].wait()
            finally:
                with self._changed:
                    if sleeper in self._sleepers:  # cancelled
                        self._sleepers.remove(sleeper)

    def _wake(self) -> None:
        self._changed.notify_all()
        for loop, changed in self._sleepers:
            if not loop.is_closed():  # its coroutine can never go on
                loop.call_soon_threadsafe(changed.set)
        self._sleepers.clear()
