"""A slow process gets its part of the processor, and is let go."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lawow.device.emulation.slow import SlowProcess
from lawow.errors import UsageError

SPIN = """
from lawow.device.emulation.slow import end_with_parent
end_with_parent()
print(flush=True)
while True:
    pass
"""


@pytest.fixture
def spinning() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child
        child.kill()


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_process_gets_no_more_than_its_part_of_the_processor(spinning: subprocess.Popen[str]) -> None:
    """An upper bound, from one start of a pause to the end of another, so a busy machine cannot break it."""
    with SlowProcess(spinning.pid, 10) as slow:
        before, started = slow.processor_seconds, time.monotonic()
        time.sleep(0.5)
        wait_for(lambda: state_of(spinning.pid) == "T")
        used = slow.processor_seconds - before
        wait_for(lambda: state_of(spinning.pid) != "T")
        passed = time.monotonic() - started
    assert 0 < used / 10 < passed / 10 + 0.01


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


def test_a_process_runs_on_when_it_is_let_go(spinning: subprocess.Popen[str]) -> None:
    with SlowProcess(spinning.pid, 500):
        deadline = time.monotonic() + 10
        while state_of(spinning.pid) != "T" and time.monotonic() < deadline:
            time.sleep(0.001)
        assert state_of(spinning.pid) == "T"
    assert state_of(spinning.pid) == "R"


def test_the_end_of_the_process_ends_the_emulation(spinning: subprocess.Popen[str]) -> None:
    with SlowProcess(spinning.pid, 100):
        spinning.kill()
        assert spinning.wait(10) == -9


@pytest.mark.parametrize("slowdown", [0.5, 1001, float("nan")])
def test_slowdowns_that_mean_nothing_are_refused(slowdown: float) -> None:
    with pytest.raises(UsageError, match="allowed are 1 to 1000"):
        SlowProcess(1, slowdown)
