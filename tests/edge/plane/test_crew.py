"""Two threads that lead by turns: which thread does what, and that no work is lost between them."""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic

import pytest

from lawow.edge.messages import Message, Result
from lawow.edge.plane.crew import Crew

DONE = Result(0.0, 0.0, b"")


class Loop:
    """A loop without sockets: does what is queued, and blocks in it as the item says."""

    def __init__(self, items: list[threading.Event | None]) -> None:
        self.items = deque(items)
        self.count = len(items)
        self.leaders: list[int] = []
        self.done: list[threading.Event | None] = []
        self.woken = threading.Event()
        self.beats = 0
        self.crew: Crew[threading.Event | None] = Crew(self.lead, self.woken.set)

    def lead(self) -> bool:
        """Serve until all is done."""
        self.leaders.append(threading.get_ident())
        while len(self.done) < self.count:
            taken = self.crew.take_done()
            if taken is not None:
                self.done.append(taken[0])
            if self.crew.at_work is None and self.items:
                item = self.items.popleft()
                if self.crew.do(item, self.work, monotonic() + 60.0) is None:
                    return False
                self.done.append(item)
                continue
            self.beats += 1
            for item in self.waiting():
                item.set()  # what holds the work up ends only because somebody else leads
            self.woken.wait(0.001)
        return True

    def waiting(self) -> list[threading.Event]:
        """Return what the work that runs waits for."""
        return [] if self.crew.at_work is None else [self.crew.at_work]

    def work(self, item: threading.Event | None) -> Message:
        """Block until the other thread has come to lead."""
        if item is not None:
            assert item.wait(20)
        return DONE


def test_work_that_blocks_is_left_to_its_thread_and_the_other_one_leads() -> None:
    loop = Loop([threading.Event()])
    loop.crew.run()
    assert len(set(loop.leaders)) == 2
    assert loop.beats


def test_threads_change_as_often_as_work_blocks_and_all_of_it_is_done_once() -> None:
    items = [threading.Event() if index % 5 == 0 else None for index in range(200)]
    loop = Loop(list(items))
    loop.crew.run()
    assert loop.done == items
    assert loop.leaders.count(loop.leaders[0]) >= 20


def test_quick_work_needs_no_other_thread() -> None:
    loop = Loop([None] * 1_000)
    loop.crew.run()
    assert loop.done == [None] * 1_000


def test_work_is_overdue_once_its_time_is_over() -> None:
    class Late(Loop):
        def waiting(self) -> list[threading.Event]:
            return super().waiting() if self.crew.is_overdue(monotonic()) else []

    loop = Late([threading.Event()])
    do = loop.crew.do
    loop.crew.do = lambda item, work, _: do(item, work, monotonic() + 0.05)  # type: ignore[method-assign]
    loop.crew.run()
    assert len(loop.done) == 1


def test_an_error_in_the_loop_ends_it_for_both_threads() -> None:
    class Broken(Loop):
        def waiting(self) -> list[threading.Event]:
            [item] = super().waiting()
            item.set()
            raise OSError("on the second thread")

    with pytest.raises(OSError, match="on the second thread"):
        Broken([threading.Event()]).crew.run()
