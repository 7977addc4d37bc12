"""Drawings in the papers' manner, as SVG text, by matplotlib (extra ``plots``)."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lawow.errors import UsageError
from lawow.figures.paper import CONTAINER_MEMORY_BYTES, VM_MEMORY_BYTES
from lawow.figures.table1 import Table1

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_memory", "draw_times", "new_figure", "require_plots", "svg_of"]

COLOURS = ("#4c72b0", "#dd8452", "#55a868")
"""Transfer, preparation, run: as far apart for colour-blind eyes as three colours are."""
MIB = 1 << 20


def require_plots() -> None:
    """Raise `UsageError` with the command that installs it if matplotlib is not here."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UsageError("figures need matplotlib; pip install 'lawow[plots]', or give --no-plots") from None


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that size in inches; it needs no screen."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def svg_of(figure: Figure) -> str:
    """Return the drawing as an ``svg`` element for a page."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": "lawow", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return re.sub(r"^.*?(?=<svg)", "", buffer.getvalue(), flags=re.DOTALL)


def draw_times(table: Table1) -> str:
    """Draw figure 5(a): for each program the device beside the offload, time stacked in three parts."""
    figure = new_figure(6.4, 3.6)
    axes = figure.subplots()
    for index, run in enumerate(table.runs):
        for shift, parts in ((-0.27, run.local), (0.0, run.cold), (0.27, run.warm)):
            bottom = 0.0
            heights = (parts.transfer, parts.prepare, parts.run)
            for height, colour in zip(heights, COLOURS, strict=True):
                axes.bar(index + shift, height, 0.24, bottom, color=colour)
                bottom += height
    _name_bars(table, axes)
    return svg_of(figure)


def _name_bars(table: Table1, axes: object) -> None:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

    assert isinstance(axes, Axes)
    places = [index + shift for index in range(len(table.runs)) for shift in (-0.27, 0.0, 0.27)]
    axes.set_xticks(places, ["device", "cold", "warm"] * len(table.runs), fontsize=8)
    for index, run in enumerate(table.runs):
        axes.annotate(
            run.program.title,
            (index, 0),
            (0, -24),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="top",
        )
    names = ("transfer", "prepare", "run")
    axes.legend(handles=[Patch(color=c, label=n) for c, n in zip(COLOURS, names, strict=True)])
    axes.set_ylabel("execution time (s)")


def draw_memory(table: Table1) -> str:
    """Draw figure 5(b): peak memory beside what the paper says of VM and container."""
    figure = new_figure(6.4, 3.2)
    axes = figure.subplots()
    ours = [(run.program.title, (run.warm.peak_memory_bytes or 0) / MIB) for run in table.runs]
    bars: Sequence[tuple[str, float]] = [
        ("VM\n(paper)", VM_MEMORY_BYTES / MIB),
        ("container\n(paper)", CONTAINER_MEMORY_BYTES / MIB),
        *ours,
    ]
    drawn = axes.bar(
        [name for name, _ in bars],
        [size for _, size in bars],
        color=["#bbbbbb", "#bbbbbb", *[COLOURS[2]] * len(ours)],
    )
    axes.bar_label(drawn, fmt="%.0f")
    axes.set_ylabel("memory (MiB)")
    return svg_of(figure)
