"""What the figures conclude: from the papers' own numbers, the papers' own conclusions."""

from __future__ import annotations

import pytest

from lawow.figures.dynamic import PLACES, DeviceRun, Phase, slowdown_of
from lawow.figures.dynamic_report import lesson
from lawow.figures.paper import DEVICES, PROGRAMS
from lawow.figures.processes import Parts
from lawow.figures.table1 import ProgramRun


def run_of_paper(device: str) -> DeviceRun:
    """Return a run in which every response took what the paper says."""
    milliseconds = DEVICES[device].response_ms
    phases = [Phase(place, 0.0, 1.0, [milliseconds[place] / 1e3] * 3) for place in PLACES]
    return DeviceRun(device, tuple(phases), ())


def test_time_alone_would_not_offload_from_the_jetson_and_energy_would() -> None:
    assert lesson(run_of_paper("jetson-nano")) == "Nvidia Jetson Nano: by time local, by energy lan"


def test_both_offload_from_the_pi() -> None:
    assert lesson(run_of_paper("pi3b")) == "Raspberry Pi 3B: by time lan, by energy lan"


@pytest.mark.parametrize("device", DEVICES)
def test_energy_by_the_model_is_the_papers_to_a_tenth(device: str) -> None:
    """Tables 2 and 3 follow from the watts of the profile and the responses of the text."""
    run = run_of_paper(device)
    for place, wanted in DEVICES[device].mwh_per_frame.items():
        assert run.mwh_per_frame(place) == pytest.approx(wanted, rel=0.11)


def test_no_device_is_emulated_faster_than_this_machine() -> None:
    assert slowdown_of("jetson-nano") == 1.0
    assert slowdown_of("pi3b") > 20


def test_the_needed_slowdown_gives_the_papers_saving() -> None:
    """0.1 s on the edge, 2 s on a device 20 times slower: to save 90 % a device has to need 1 s."""
    here, there = Parts(0, 0, 2.0, (1,), None), Parts(0.02, 0.01, 0.07, (1,), None)
    run = ProgramRun(PROGRAMS[1], here, there, there)
    assert run.saved == pytest.approx(0.95)
    assert run.needed_slowdown(20) == pytest.approx(10)
