"""Deadlines without a lock: none is missed, whenever it is set."""

from __future__ import annotations

import random
import threading

import pytest

from lawow.errors import LocalProtocolError
from lawow.runtime.watchdog import Watchdog


def test_no_deadline_is_missed_however_it_meets_the_thread_that_looks() -> None:
    """Deadlines come while the thread looks at others; with one overlooked this would wait for ever."""
    bumped = threading.Event()
    dog = Watchdog(bumped.set)
    choice = random.Random(7)
    try:
        for token in range(1, 3_000):
            dog.arm(-token, choice.choice((0.0001, 0.0003, 30.0)))  # of another call, which ends by itself
            dog.arm(token, choice.uniform(0.0, 0.0005))
            dog.disarm(-token)
            while not dog.expired(token):
                pass
            assert bumped.wait(20), f"the deadline of call {token} has passed, and no bump came"
            dog.disarm(token)
            bumped.clear()
    finally:
        dog.stop()


def test_a_call_that_has_ended_wakes_nobody() -> None:
    bumped = threading.Event()
    dog = Watchdog(bumped.set)
    dog.arm(1, 0.5)
    dog.disarm(1)
    assert not bumped.wait(0.8)
    dog.stop()


def test_a_watchdog_that_was_stopped_takes_no_deadline() -> None:
    dog = Watchdog(lambda: None)
    dog.arm(1, 30.0)
    dog.stop()
    with pytest.raises(LocalProtocolError, match="closed"):
        dog.arm(2, 60.0)
