"""``lawow bench``: the figures of both papers, ours beside theirs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from lawow.device.profiles import network_names
from lawow.durable import replace_all

__all__ = ["busy_note", "command", "dynamic", "table1"]

P = ParamSpec("P")
R = TypeVar("R")
QUICK_SECONDS = 4.0
_FILE_COLUMNS = 120
"""Width of a table that no terminal shows, where every heading has room."""


def _options(default_out: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Add what both figures take."""

    def add(function: Callable[P, R]) -> Callable[P, R]:
        for option in (
            click.option("--json", "as_json", is_flag=True, help="Print JSON."),
            click.option("--no-plots", is_flag=True, help="Draw nothing; needs no matplotlib."),
            click.option(
                "--out",
                type=click.Path(path_type=Path, file_okay=False),
                default=default_out,
                show_default=True,
                help="Folder for report.html and figures.json.",
            ),
            click.option("--quick", is_flag=True, help="Fewer rounds: below 3 minutes."),
        ):
            function = option(function)
        return function

    return add


@click.group("bench", short_help="Draw the papers' figures, from runs on this machine.")
def command() -> None:
    """Run what both papers ran, on emulated devices and networks against a real edge on loopback.

    Each figure takes --json, and leaves a page and its numbers in a folder.
    """


@command.command("lawow")
@_options("build/figures/lawow")
@click.option(
    "--slowdown",
    type=click.FloatRange(1, 1000),
    default=30.0,
    show_default=True,
    help="How many times slower than this machine the device is.",
)
@click.option("--network", type=click.Choice(network_names()), default="wifi", show_default=True)
@click.option(
    "--modules",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of Table I's modules; default: those of the clone.",
)
def table1(
    quick: bool,
    out: Path,
    no_plots: bool,
    as_json: bool,
    slowdown: float,
    network: str,
    modules: Path | None,
) -> None:
    """Draw figure 5 of the LAWOW paper: time on the device and offloaded, and memory."""
    from lawow.figures import plots
    from lawow.figures.table1 import measure_table1
    from lawow.figures.table1_report import COLUMNS, render_table1, table1_rows

    if not no_plots:
        plots.require_plots()
    _say_if_busy()
    found = measure_table1(
        slowdown=slowdown, network=network, quick=quick, modules=modules, say=_sayer(as_json)
    )
    drawings = ("", "") if no_plots else (plots.draw_times(found), plots.draw_memory(found))
    _finish(out, found.document(), render_table1(found, *drawings), as_json)
    if not as_json:
        _print_table("LAWOW, figure 5", COLUMNS, table1_rows(found))


@command.command("dynamic")
@_options("build/figures/dynamic")
@click.option(
    "--device",
    "devices",
    multiple=True,
    type=click.Choice(("pi3b", "jetson-nano")),
    help="Of this device alone; may be repeated. Default: both.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 600),
    default=150.0,
    show_default=True,
    help="Of each phase, eight for each device; the paper's 150. --quick: 4.",
)
def dynamic(
    quick: bool, out: Path, no_plots: bool, as_json: bool, devices: tuple[str, ...], seconds: float
) -> None:
    """Draw figures 3 to 6 and Tables 2 and 3 of the second paper: object detection here and offloaded."""
    from lawow.figures import dynamic_plots, plots
    from lawow.figures.dynamic import ROBOTS, measure_dynamic
    from lawow.figures.dynamic_report import COLUMNS, dynamic_rows, lesson, render_dynamic

    if not no_plots:
        plots.require_plots()
    _say_if_busy()
    say, length = _sayer(as_json), QUICK_SECONDS if quick else seconds
    runs = [measure_dynamic(device, seconds=length, say=say) for device in devices or tuple(ROBOTS)]
    drawings = {
        run.device: (dynamic_plots.draw_usage(run), dynamic_plots.draw_responses(run))
        for run in runs
        if not no_plots
    }
    document: dict[str, object] = {"figure": "dynamic offloading, figures 3 to 6, tables 2 and 3"}
    document["devices"] = [run.document() for run in runs]
    _finish(out, document, render_dynamic(runs, drawings), as_json)
    if not as_json:
        _print_table("Tables 2 and 3", COLUMNS, dynamic_rows(runs))
        for run in runs:
            click.echo(lesson(run))


def _sayer(as_json: bool) -> Callable[[str], None]:
    return lambda text: None if as_json else click.echo(text)


def busy_note(load: float, processors: int) -> str | None:
    """Return what to say of figures from a machine with that load, the mean of a minute; None if it is idle.

    An emulated device gets its part of a processor that has others to serve, so places may change ranks.
    """
    if load < processors:
        return None
    return f"note      this machine is busy (load {load:.1f}, {processors} processors): take it for a trial"


def _say_if_busy() -> None:
    note = busy_note(os.getloadavg()[0], os.cpu_count() or 1)
    if note is not None:
        click.echo(note, err=True)


def _finish(out: Path, document: dict[str, object], page: str, as_json: bool) -> None:
    """Write both files and tell where they are."""
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2) + "\n"
    replace_all([(out / "figures.json", text.encode()), (out / "report.html", page.encode())])
    click.echo(json.dumps(document) if as_json else f"report    {out / 'report.html'}")


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title)
    for index, name in enumerate(columns):
        shown.add_column(name, justify="right" if index else "left", overflow="fold")
    for row in rows:
        shown.add_row(*row)
    width = None if sys.stdout.isatty() else _FILE_COLUMNS
    Console(highlight=False, width=width).print(shown)
