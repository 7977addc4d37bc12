"""``lawow metrics``: what the Notifier knows of this machine, once or live."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from lawow.device.notifier import (
    DEFAULT_PERIOD_SECONDS,
    LinuxSource,
    Metric,
    Notifier,
    PsutilSource,
    Reading,
    RoundTripSource,
    Sample,
    Source,
    load_trace,
    trace_line,
)

__all__ = ["command"]

FIRST_SECONDS = 0.5
"""Between the two samples of one showing: CPU utilisation is a mean between samples."""


@click.command("metrics", short_help="Show this device's load, heat, battery and network.")
@click.option("--watch", is_flag=True, help="Go on until interrupted.")
@click.option(
    "--seconds",
    default=DEFAULT_PERIOD_SECONDS,
    show_default=True,
    type=click.FloatRange(0.1, 3600),
    help="With --watch: from one sample to the next.",
)
@click.option("--edge", metavar="URL", help="Measure the round trip to this edge as well.")
@click.option(
    "--trace",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Replay this file, as `--watch --json` writes it, instead of reading the system.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object a reading: the lines of a trace."
)
def command(watch: bool, seconds: float, edge: str | None, trace: Path | None, as_json: bool) -> None:
    """Show the metrics of this device, each with unit, provenance and source.

    A metric that is absent says where was looked for it.
    """
    sources: list[Source] = [load_trace(trace) if trace else _system()]
    if edge:
        sources.append(RoundTripSource(edge))
    notifier = Notifier(sources)
    if not trace:
        notifier.sample()
        time.sleep(FIRST_SECONDS)
    _show(notifier.sample(), as_json)
    while watch:
        time.sleep(seconds)
        _show(notifier.sample(), as_json)


def _system() -> Source:
    return LinuxSource() if sys.platform == "linux" else PsutilSource()


def _show(sample: Sample, as_json: bool) -> None:
    lines = [trace_line(reading) for reading in sample.readings.values()] if as_json else _table(sample)
    print("\n".join(lines), flush=True)


def _table(sample: Sample) -> list[str]:
    """One line a metric, those that are absent last."""
    shown = [_line(sample.readings[metric]) for metric in Metric if metric in sample.readings]
    missing = [
        f"{metric.value:<20} absent    {sample.absent[metric]}"
        for metric in Metric
        if metric in sample.absent
    ]
    return [*shown, *missing]


def _line(reading: Reading) -> str:
    value, unit = reading.value, reading.metric.unit
    text = value if isinstance(value, str) else f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    shown = text if unit in ("", "text") else f"{text} {unit}"
    return f"{reading.metric.value:<20} {shown:<22} {reading.provenance.value:<10} {reading.source}"
