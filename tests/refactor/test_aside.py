"""Work beside the process: the result is the same, whatever becomes of the copy that does it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from lawow.refactor.aside import Aside

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do as if no other test had left a thread behind."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())


@pytest.fixture
def others() -> set[str]:
    """The children that earlier tests left, such as a compiler that is kept warm."""
    return children()


def test_the_result_comes_from_another_process(alone: None, others: set[str]) -> None:
    with Aside(os.getpid) as aside:
        assert aside.result() != os.getpid()
    assert children() == others


def test_large_results_arrive_whole(alone: None) -> None:
    with Aside(lambda: bytes(range(256)) * 10_000) as aside:
        assert aside.result() == bytes(range(256)) * 10_000


def test_an_error_rises_here(alone: None, others: set[str]) -> None:
    def fail() -> int:
        raise ValueError("no")

    with Aside(fail) as aside, pytest.raises(ValueError, match="no"):
        aside.result()
    assert children() == others


def test_work_whose_copy_is_killed_is_done_here(alone: None) -> None:
    here = os.getpid()

    def work() -> int:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()

    with Aside(work) as aside:
        assert aside.result() == here


def test_a_copy_that_nobody_asks_is_ended(alone: None, others: set[str]) -> None:
    with Aside(signal.pause):
        assert len(children() - others) == 1
    assert children() == others


def test_with_other_threads_nothing_is_copied() -> None:
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        with Aside(os.getpid) as aside:
            assert aside.result() == os.getpid()
    finally:
        done.set()
        other.join()
