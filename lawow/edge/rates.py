"""How often: token buckets by key, in a table of bounded size."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["RateLimiter"]

KEYS_REMEMBERED = 10_000


@dataclass(slots=True)
class _Bucket:
    left: float
    updated: float


class RateLimiter:
    """For each key `burst` at once, then `per_second`. For one thread.

    Of more than 10,000 keys the one that was not used for longest is forgotten, and begins with a full bucket
    when it comes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str, per_second: float, burst: float) -> float | None:
        """Count one. Return None if it is within the limit, else the seconds until one would be.

        The rate is the caller's each time, so that another one is in force at once; 0 lets nothing through.
        """
        now = self._clock()
        bucket = self._buckets.pop(key, None) or _Bucket(burst, now)
        bucket.left = min(burst, bucket.left + (now - bucket.updated) * per_second)
        bucket.updated = now
        self._buckets[key] = bucket
        if len(self._buckets) > KEYS_REMEMBERED:
            self._buckets.popitem(last=False)
        if bucket.left >= 1:
            bucket.left -= 1
            return None
        return (1 - bucket.left) / per_second if per_second > 0 else 3600.0

    def __len__(self) -> int:
        return len(self._buckets)
