"""Cancelling: each action runs once, whether it comes before or after."""

from __future__ import annotations

from lawow.device.cancel import Cancel


def test_each_action_runs_once_whenever_it_was_left() -> None:
    cancel, ran = Cancel(), list[str]()
    cancel.on_set(lambda: ran.append("before"))
    assert (ran, cancel.is_set) == ([], False)
    cancel.set()
    cancel.set()
    cancel.on_set(lambda: ran.append("after"))
    assert (ran, cancel.is_set) == (["before", "after"], True)
