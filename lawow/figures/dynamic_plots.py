"""The second paper's figures 3 to 6 from our samples, as SVG text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lawow.figures.dynamic import PLACES, DeviceRun, Sample
from lawow.figures.plots import COLOURS, new_figure, svg_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_responses", "draw_usage"]

SHADES = {"local": "#c9c9c9", "5g": "#ededed", "lan": "#f5f5f5"}
"""As the paper: local execution dark, remote execution light."""
USAGE: tuple[tuple[str, Callable[[Sample], float]], ...] = (
    ("processor (%)\nemulated", lambda sample: sample.load * 100),
    ("temperature (°C)\nmodelled", lambda sample: sample.celsius),
    ("power (W)\nmodelled", lambda sample: sample.watts),
    ("sent (Mbit/s)\nemulated", lambda sample: sample.sent_per_second * 8e-6),
    ("received (kbit/s)\nemulated", lambda sample: sample.received_per_second * 8e-3),
)


def draw_usage(run: DeviceRun) -> str:
    """Draw figure 3 or 5: five curves over time, phases shaded."""
    figure = new_figure(7.2, 8.0)
    all_axes = figure.subplots(len(USAGE), 1, sharex=True)
    at = [sample.at for sample in run.samples]
    for axes, (name, value) in zip(all_axes, USAGE, strict=True):
        for phase in run.phases:
            if phase.place in SHADES:
                axes.axvspan(phase.begins, phase.ends, color=SHADES[phase.place], linewidth=0)
        axes.plot(at, [value(sample) for sample in run.samples], color=COLOURS[0], linewidth=1.2)
        axes.set_ylabel(name)
        axes.set_ylim(bottom=0)
    _mark_offloads(run, all_axes[0])
    all_axes[-1].set_xlabel("time (s); dark: local, light: offloaded over 5G, lightest: over a LAN")
    return svg_of(figure)


def _mark_offloads(run: DeviceRun, axes: Axes) -> None:
    """Say at each offload whether it was a cold or a warm start."""
    for phase in run.phases:
        if phase.offload_seconds is not None:
            kind = "cold" if phase.brought_bytes else "warm"
            axes.text(phase.begins, 110, f"{kind}\n{phase.offload_seconds * 1e3:.0f} ms", fontsize=8)


def draw_responses(run: DeviceRun) -> str:
    """Draw figure 4 or 6: the response time of each frame, by place."""
    figure = new_figure(6.4, 3.2)
    axes = figure.subplots()
    for place, colour in zip(PLACES, COLOURS, strict=True):
        found = [seconds * 1e3 for seconds in run.responses(place)]
        axes.plot(found, color=colour, marker="." if len(found) < 20 else "", label=place, linewidth=1)
    axes.set_yscale("log")
    axes.set_xlabel("frame")
    axes.set_ylabel("response (ms), emulated")
    axes.legend()
    return svg_of(figure)
