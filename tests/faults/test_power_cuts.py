"""F4: after a power cut at any moment, what was acknowledged is there, and nothing is half there."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from tests.faults.power_cuts import CALLS, Choice, Disk, Event, read_recording
from tests.faults.storage import Report, judge
from tests.faults.tracing import traced

EXTREMES = (Choice(0, 0), Choice(1, 1), Choice(0, 1), Choice(1, 0))
"""Nothing but what was flushed; everything; names without bytes; bytes without names."""
IN_ALL = os.environ.get("LAWOW_FAULTS") == "all"
EVERY, RANDOM_STATES = (1, 8) if IN_ALL else (8, 1)


def record(folder: Path) -> tuple[list[Event], str]:
    """Return what a run changed below ``folder/root``, and what it said."""
    root = folder / "root"
    root.mkdir()
    options = ("-xx", "-s", "100000", "-e", f"trace={','.join(CALLS)}")
    done = traced(root / "data", folder / "log", *options)
    assert done.returncode == 0, done.stderr
    return list(read_recording((folder / "log").read_text(), str(root))), done.stdout


@pytest.mark.promise("F4")
def test_a_power_cut_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    events, all_said = record(tmp_path)
    disk, said, chance, states = Disk(str(tmp_path / "root")), "", Random(4), 0
    for number, event in enumerate(events):
        said += event.data.decode() if event.call == "writev" else ""
        disk.follow(event)
        if number % EVERY:
            continue
        for choice in (*EXTREMES, *(Choice(chance.random(), chance.random()) for _ in range(RANDOM_STATES))):
            place = tmp_path / f"{number}-{states}"
            place.mkdir()
            disk.write_state(place, choice, chance)
            assert judge(place / "data", Report.read(said)) == [], f"after {number}, {event.call}: {choice}"
            states += 1
    assert said == all_said
    print(f"F4: {states} states after {len(events)} changes, 0 violations")


@pytest.mark.parametrize("forgotten", ["fsync", "fdatasync"])
def test_a_flush_that_is_forgotten_is_found_out(tmp_path: Path, forgotten: str) -> None:
    """The judge of this test: the same recording, as if the edge had not flushed."""
    events, said = record(tmp_path)
    disk = Disk(str(tmp_path / "root"))
    for event in events:
        if event.call != forgotten:
            disk.follow(event)
    place = tmp_path / "state"
    place.mkdir()
    disk.write_state(place, Choice(0, 0), Random(4))
    assert judge(place / "data", Report.read(said)) != []
