"""Which place takes which item of a batch next, so that all places end at about the same time.

Places are the device and leases. Each takes an item when it has room; one that is so slow that the others
will have done all that is left before it could do this one item leaves it to them. How long a place takes for
an item is learned by its size, item by item, and over batches. No clock, no threads: who runs them tells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import log

from lawow.device.policy.estimate import Estimate

__all__ = ["HERE", "Balance", "new_pace"]

HERE = 0
"""Index of the device among the places; leases follow."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


def new_pace() -> Estimate:
    """Return what is known of a place before its first item: that twice the size takes twice as long."""
    return Estimate(1.0, 3.0)


@dataclass(slots=True)
class _Place:
    """A place. `running` of at most `window` items are under way; after a loss it rests for a while."""

    pace: Estimate
    window: int
    running: int = 0
    ended: int = 0
    rests_until: float = 0.0
    pause_seconds: float = field(default=FIRST_PAUSE_SECONDS)

    @property
    def room(self) -> int:
        """Items that it takes beside those under way; one alone before the first has come back."""
        return (self.window if self.ended else 1) - self.running

    def seconds(self, log_size: float) -> float:
        """Return how long one more item would take there beside those under way, from start to end."""
        return self.pace.seconds(log_size) * (self.running + 1)


class Balance:
    """The items of one batch, by their sizes, and the places with their paces; the first is the device.

    `window` items are under way at a lease at most, one at the device. `is_for_device` tells of an item
    whether the device may take it while there is a lease. For one thread at a time.
    """

    def __init__(
        self,
        sizes: Sequence[float],
        paces: Sequence[Estimate],
        window: int,
        is_for_device: Callable[[int], bool],
    ) -> None:
        self._logs = [log(1.0 + size) for size in sizes]
        self._places = [_Place(pace, 1 if index == HERE else window) for index, pace in enumerate(paces)]
        self._waiting = deque(range(len(sizes)))
        self._is_for_device = is_for_device
        self._left = len(sizes)
        self._beside: dict[int, int] = {}

    @property
    def is_over(self) -> bool:
        """Whether each item has ended."""
        return not self._left

    def take(self, place: int, now: float) -> int | None:
        """Return the item that the place is to begin now, None for none at the moment."""
        item = self._places[place]
        if not self._waiting or item.room < 1 or not self._is_up(place, now):
            return None
        others = self._others(place, now)
        if place == HERE and others and not self._is_for_device(self._waiting[0]):
            return None
        if item.pace.calls and self._is_done_sooner(item, others):
            return None
        item.running += 1
        index = self._waiting.popleft()
        self._beside[index] = item.running
        return index

    def end(self, place: int, index: int, seconds: float | None) -> None:
        """The item has ended there; `seconds` is how long it took, None if that says nothing of the place."""
        item = self._places[place]
        beside = self._beside.pop(index)
        if seconds is not None:
            self._learn(item, self._logs[index], seconds / beside, is_full=beside == item.window)
            item.pause_seconds = FIRST_PAUSE_SECONDS
        item.running -= 1
        item.ended += 1
        self._left -= 1

    @staticmethod
    def _learn(item: _Place, log_size: float, seconds: float, *, is_full: bool) -> None:
        """Take note of a pace; with room left the way takes most of the time, so it is that or better."""
        if is_full or not item.pace.calls or seconds < item.pace.seconds(log_size):
            item.pace.learn(log_size, seconds)

    def give_back(self, place: int, index: int, now: float) -> None:
        """The item did not come about there: it is the next one, and the place rests, longer each time."""
        item = self._places[place]
        item.running -= 1
        self._waiting.appendleft(index)
        if self._is_up(place, now):
            item.rests_until = now + item.pause_seconds
            item.pause_seconds = min(2 * item.pause_seconds, LONGEST_PAUSE_SECONDS)
            item.ended = 0

    def running(self, place: int) -> int:
        """Return how many items are under way there."""
        return self._places[place].running

    def wakes_at(self, place: int) -> float:
        """Return when the place is there again after its rest."""
        return self._places[place].rests_until

    def _is_up(self, place: int, now: float) -> bool:
        return now >= self._places[place].rests_until

    def _others(self, place: int, now: float) -> list[_Place]:
        """Return who else may take the next item: leases that are up, and the device if it is for it."""
        leases = [
            other for at, other in enumerate(self._places) if at not in (HERE, place) and self._is_up(at, now)
        ]
        if place != HERE and self._is_for_device(self._waiting[0]):
            return [self._places[HERE], *leases]
        return leases

    def _is_done_sooner(self, item: _Place, others: list[_Place]) -> bool:
        """Tell whether the others will have done all that waits before this one could do its next item.

        Never of the place that would be the first to end that item, so that one place always takes it.
        """
        known = [other for other in others if other.pace.calls]
        if not known:
            return False
        log_size = self._logs[self._waiting[0]]
        rate = sum(1 / other.pace.seconds(log_size) for other in known)
        work = len(self._waiting) + sum(other.running for other in known)
        first = min(other.seconds(log_size) for other in known)
        return max(work / rate, first) < item.seconds(log_size)
