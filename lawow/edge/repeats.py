"""Calls and openings of sessions that are asked for again: with an ``Idempotency-Key`` each happens once.

What a call does to an instance lives no longer than the instance, so what came of it is kept in memory:
within bounds, of which the keys are the wider one. A key whose outcome has no room any more still keeps its
call from running again. `lawow.edge.answers` does the same on disk for what outlives a restart.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice, takewhile
from typing import TypeVar, cast

from lawow.edge.answers import require_key
from lawow.edge.refusals import Conflict, DeadlineExceeded, SessionLost, TooLarge, WorkerLost
from lawow.errors import GuestTrap, LawowError
from lawow.limits import EDGE, EdgeLimits

__all__ = ["Repeats"]

T = TypeVar("T")
BEGUN = (GuestTrap, DeadlineExceeded, SessionLost, TooLarge, WorkerLost)
"""What may be raised after a guest has run; all other errors mean that nothing was begun."""


@dataclass(eq=False, slots=True)
class _Outcome:
    """What came of a request, if it is over; `size_bytes` counts while it is kept."""

    asked: bytes
    since: float
    over: asyncio.Event = field(default_factory=asyncio.Event)
    value: object = None
    error: LawowError | None = None
    size_bytes: int = 0
    was_begun: bool = True
    is_kept: bool = True


@dataclass(eq=False, slots=True)
class _Window:
    """The outcomes of a tenant, the oldest first, by the key's hash."""

    outcomes: dict[bytes, _Outcome] = field(default_factory=dict)
    kept_bytes: int = 0


class Repeats:
    """The outcomes of all tenants. For one event loop."""

    def __init__(self, limits: EdgeLimits = EDGE, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    async def once(
        self,
        tenant: str,
        key: str | None,
        asked: Callable[[], bytes],
        effect: Callable[[], Awaitable[T]],
        size: Callable[[T], int],
    ) -> T:
        """Have an effect and return what comes of it; with a key that had its effect already, that alone.

        Whoever comes while it goes on waits for it. `asked` tells the request: the same key with another one
        is a `Conflict`, and so is one whose outcome of `size` bytes is kept no more. Raises `BadRequest` for
        a key that can be guessed, and what `effect` raises, again and again if it is of the kinds `BEGUN`.
        """
        if key is None:
            return await effect()
        require_key(key)
        name, fingerprint = sha256(key.encode()).digest(), sha256(asked()).digest()
        while (known := self._find(tenant, name)) is not None:
            if known.asked != fingerprint:
                raise Conflict("this Idempotency-Key was used for another request; make a new one for each")
            await known.over.wait()
            if known.was_begun:
                return cast(T, _value_of(known))  # the same request has the same kind of outcome
        return await self._begin(tenant, name, fingerprint, effect, size)

    async def _begin(
        self,
        tenant: str,
        name: bytes,
        fingerprint: bytes,
        effect: Callable[[], Awaitable[T]],
        size: Callable[[T], int],
    ) -> T:
        outcome = _Outcome(fingerprint, self._clock())
        window = self._windows.setdefault(tenant, _Window())
        window.outcomes[name] = outcome
        self._forget_keys(window)
        try:
            value = await effect()
        except BEGUN as error:
            outcome.error = _without_frames(error)
            raise
        except BaseException:  # nothing was begun, so it may be asked for anew
            outcome.was_begun = False
            del window.outcomes[name]
            raise
        finally:
            outcome.over.set()
        outcome.value, outcome.size_bytes = value, size(value)
        window.kept_bytes += outcome.size_bytes
        self._free_bytes(window)
        return value

    def expire(self) -> None:
        """Forget what has been kept for long enough."""
        latest = self._clock() - self._limits.kept_call_seconds
        for tenant, window in list(self._windows.items()):
            by_age = takewhile(lambda item: item[1].since <= latest, window.outcomes.items())
            for name in [name for name, _ in by_age]:
                self._forget(window, name)
            if not window.outcomes:
                del self._windows[tenant]

    def _find(self, tenant: str, name: bytes) -> _Outcome | None:
        window = self._windows.get(tenant)
        return None if window is None else window.outcomes.get(name)

    def _forget_keys(self, window: _Window) -> None:
        """Forget the oldest keys beyond their number; those whose request goes on stay."""
        over = (name for name, outcome in window.outcomes.items() if outcome.over.is_set())
        for name in list(islice(over, max(len(window.outcomes) - self._limits.kept_calls, 0))):
            self._forget(window, name)

    def _free_bytes(self, window: _Window) -> None:
        """Let go of the oldest outcomes beyond their bytes; their keys stay."""
        for outcome in window.outcomes.values():
            if window.kept_bytes <= self._limits.kept_call_bytes:
                return
            if outcome.size_bytes:
                _let_go(window, outcome)

    def _forget(self, window: _Window, name: bytes) -> None:
        _let_go(window, window.outcomes.pop(name))


def _let_go(window: _Window, outcome: _Outcome) -> None:
    window.kept_bytes -= outcome.size_bytes
    outcome.size_bytes, outcome.value, outcome.is_kept = 0, None, False


def _without_frames(error: LawowError) -> LawowError:
    """Return the same error without a traceback, which would keep the arguments of the call in memory."""
    bare = type(error).__new__(type(error), *error.args)
    bare.__dict__.update(error.__dict__)
    return bare


def _value_of(outcome: _Outcome) -> object:
    if outcome.error is not None:
        raise _without_frames(outcome.error)
    if not outcome.is_kept:
        raise Conflict("the request of this Idempotency-Key was done, and what came of it is kept no more")
    return outcome.value
