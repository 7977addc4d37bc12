"""The second paper's tables from our runs, and all as a page: each of our numbers beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lawow.figures.dynamic import PASSES, PLACES, DeviceRun, slowdown_of
from lawow.figures.page import paragraph, picture, render_page, table
from lawow.figures.paper import DEVICES
from lawow.figures.scene import VIEW

__all__ = ["COLUMNS", "dynamic_rows", "lesson", "render_dynamic"]

COLUMNS = (
    "device",
    "place",
    "frames",
    "response ms (emulated)",
    "paper ms",
    "mWh a frame (modelled)",
    "paper mWh",
)
FIGURES = {
    "pi3b": ("Figure 3", "Figure 4", "Table 2"),
    "jetson-nano": ("Figure 5", "Figure 6", "Table 3"),
}
DIFFERENCES = (
    "No Raspberry Pi, Jetson or 5G base station was here. A device is a process that gets a part of the "
    "processor time of this machine, a network is a proxy on loopback, and the edge is another process. "
    f"The detector is ours, with 0.2 GFLOP a picture of {VIEW[0]} by {VIEW[1]}, where YOLOv4 needs about "
    f"60; it looks at each picture {PASSES} times in both places, so that computing outweighs the network "
    "as it did there.",
    "How many times slower a device is comes from the paper's own response times, so the ratio of local "
    "responses to the edge's is theirs. What follows from it is not: responses over 5G and LAN with our "
    "protocol, load, bytes, cold and warm starts.",
    "Watts are the device's profile: idle, busy and offloaded as the paper tells or implies them. Degrees"
    " are of one thermal mass. Both are a model, not a measurement; energy is watts times the responses "
    "above.",
    "While offloaded the emulated Pi's processor is busier than the paper's 10 %: its Navigation is "
    "Python, and sends the next picture at once.",
    "The Nano's GPU is part of its one emulated processor; its local load is therefore drawn near 100 %, "
    "where the paper has below 30 % on the CPU and the rest on the GPU.",
    "What others do on this machine at the same time lengthens responses: they are times of the clock.",
)


def dynamic_rows(runs: Sequence[DeviceRun]) -> Sequence[tuple[str, ...]]:
    """Return a row for each device and place, as text."""
    return [_row(run, place) for run in runs for place in PLACES]


def _row(run: DeviceRun, place: str) -> tuple[str, ...]:
    paper = DEVICES[run.device]
    return (
        paper.title,
        place,
        str(len(run.responses(place))),
        f"{run.response_ms(place):.1f}",
        f"{paper.response_ms[place]:.1f}",
        f"{run.mwh_per_frame(place):.3f}",
        f"{paper.mwh_per_frame[place]:.3f}",
    )


def lesson(run: DeviceRun) -> str:
    """Say where each objective would run the detector."""
    by_time, by_energy = run.choice(run.response_ms), run.choice(run.mwh_per_frame)
    return f"{DEVICES[run.device].title}: by time {by_time}, by energy {by_energy}"


def render_dynamic(runs: Sequence[DeviceRun], drawings: Mapping[str, tuple[str, str]]) -> str:
    """Return the page; `drawings` are usage and responses by device."""
    sections = [
        (
            "Beside the paper: Tables 2 and 3",
            [table(COLUMNS, dynamic_rows(runs)), *(paragraph(lesson(run)) for run in runs)],
        )
    ]
    for run in runs:
        usage, responses = drawings.get(run.device, ("", ""))
        first, second, _ = FIGURES[run.device]
        title = DEVICES[run.device].title
        slow = f"{title}, emulated {slowdown_of(run.device):g} times slower than this machine"
        sections.append((f"{first}: {title}", [picture(usage, slow), _offloads(run)]))
        sections.append((f"{second}: {title}", [picture(responses, "Response of each frame")]))
    sections.append(("Why the figures differ from the paper's", [paragraph(text) for text in DIFFERENCES]))
    return render_page("Dynamic offloading, figures 3 to 6 and Tables 2 and 3", sections)


def _offloads(run: DeviceRun) -> str:
    found = [
        (phase.place, "cold" if phase.brought_bytes else "warm", f"{phase.offload_seconds * 1e3:.0f}")
        for phase in run.phases
        if phase.offload_seconds is not None
    ]
    return table(("offload over", "start", "ms until ready"), found)
