"""The picture of `lawow simulate`: a bar for each policy, as a multiple of the oracle's cost."""

from __future__ import annotations

import io
from pathlib import Path

from lawow.device.simulate import Comparison
from lawow.durable import write_file
from lawow.errors import UsageError

__all__ = ["require_plot", "write_plot"]

KINDS = (".png", ".svg")


def require_plot(path: Path) -> None:
    """Raise `UsageError` for another kind of file than .png and .svg, and without matplotlib."""
    if path.suffix not in KINDS:
        raise UsageError(f"{path}: a plot is a .png or a .svg file")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UsageError("plots need matplotlib: pip install 'lawow[plots]'") from None


def write_plot(result: Comparison, path: Path, title: str) -> None:
    """Draw a comparison into a file that `require_plot` takes. Raises `OSError`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

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
    figure.savefig(stream, format=path.suffix.removeprefix("."))
    write_file(path, stream.getvalue())
