"""The picture of `lawow simulate`: a bar for each policy, as a multiple of the oracle's cost."""

from __future__ import annotations

import io
from pathlib import Path

from lawow.device.simulate import Comparison
from lawow.durable import write_file
from lawow.errors import UsageError

__all__ = ["write_plot"]


def write_plot(result: Comparison, path: Path, title: str) -> None:
    """Draw a comparison into a .png or .svg file. Raises `UsageError` without matplotlib, `OSError`."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("plots need matplotlib: pip install 'lawow[plots]'") from None
    kind = path.suffix.removeprefix(".")
    if kind not in ("png", "svg"):
        raise UsageError(f"{path}: a plot is a .png or a .svg file")
    names = sorted(result.outcomes, key=result.over_oracle)
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    bars = axes.barh(names[::-1], [result.over_oracle(name) for name in names[::-1]])
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("cost, as a multiple of the oracle's")
    axes.set_title(title)
    stream = io.BytesIO()
    figure.savefig(stream, format=kind)
    write_file(path, stream.getvalue())
