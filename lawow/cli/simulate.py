"""``lawow simulate``: what each policy would have cost, on a device and a network, in virtual time."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from lawow.cli.simulate_plot import require_plot, write_plot
from lawow.device.policy import Objective
from lawow.device.profiles import load_device, load_network
from lawow.device.simulate import (
    Comparison,
    Scenario,
    SimCall,
    compare,
    policies,
    read_trace,
    simulate_capacity,
    synthetic,
)
from lawow.device.simulate.workload import MIXED
from lawow.errors import UsageError

__all__ = ["command"]

CAPACITY_SAMPLE = 2_000
"""Calls that all devices take theirs from, each beginning at another one."""


@click.command("simulate", short_help="Compare policies on a device and a network, in virtual time.")
@click.option(
    "--device", default="pi3b", show_default=True, help="pi3b, jetson-nano, mate10, or a .toml file."
)
@click.option("--network", default="wifi", show_default=True, help="lan, wifi, 5g, 4g, or a .toml file.")
@click.option("--policy", "names", multiple=True, help="A policy to compare; again for more. All by default.")
@click.option("--objective", default="time", show_default=True, type=click.Choice(["time", "energy", "both"]))
@click.option(
    "--function",
    "functions",
    multiple=True,
    type=click.Choice([item.name for item in MIXED]),
    help="A made-up function; again for more. All by default.",
)
@click.option("--calls", default=2_000, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option("--seed", default=1, show_default=True, type=int)
@click.option(
    "--trace", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Recorded calls instead."
)
@click.option(
    "--trace-slowdown",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.001, 100_000),
    help="How many times slower than the edge the machine was that recorded the trace.",
)
@click.option("--devices", type=click.IntRange(1, 100_000), help="So many devices share one edge.")
@click.option(
    "--processors", default=4, show_default=True, type=click.IntRange(1, 10_000), help="Of that edge."
)
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw the table: .png or .svg.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    device: str,
    network: str,
    names: tuple[str, ...],
    objective: str,
    functions: tuple[str, ...],
    calls: int,
    seed: int,
    trace: Path | None,
    trace_slowdown: float,
    devices: int | None,
    processors: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Replay calls through the very policies that decide real ones.

    The oracle knows what every call costs beforehand. All times and energies are modelled.
    """
    if plot is not None:
        require_plot(plot)
    scenario = Scenario(load_device(device), load_network(network), Objective.named(objective), seed=seed)
    made = [item for item in MIXED if not functions or item.name in functions]
    count = CAPACITY_SAMPLE if devices else calls
    chosen = (
        synthetic(made, count, seed)
        if trace is None
        else read_trace(trace.read_bytes(), str(trace), trace_slowdown)
    )
    known = policies(scenario, chosen)
    if unknown := sorted(set(names) - set(known)):
        raise UsageError(f"no policy is named {unknown[0]!r}; there are {', '.join(known)}")
    if devices is not None:
        _capacity(chosen, scenario, names or ("adaptive",), devices, processors, calls, as_json)
        return
    result = compare(chosen, scenario, names)
    _show(result, as_json)
    if plot is not None:
        write_plot(result, plot, f"{scenario.device.name} on {scenario.network.name}, {objective} (modelled)")


def _show(result: Comparison, as_json: bool) -> None:
    if as_json:
        outcomes = {
            name: {**asdict(outcome), "over_oracle": result.over_oracle(name)}
            for name, outcome in result.outcomes.items()
        }
        click.echo(json.dumps({"provenance": "modelled", "oracle": result.oracle, "policies": outcomes}))
        return
    click.echo("policy        cost  of oracle    seconds        mWh  on the edge   (all modelled)")
    click.echo(f"oracle  {result.oracle:10.4g}       1.00")
    for name, outcome in sorted(result.outcomes.items(), key=lambda item: item[1].cost):
        click.echo(
            f"{name:<10}{outcome.cost:8.4g} {result.over_oracle(name):10.2f} {outcome.seconds:10.4g} "
            f"{outcome.mwh:10.4g} {outcome.remote_calls / outcome.calls:11.1%}"
        )


def _capacity(
    chosen: list[SimCall],
    scenario: Scenario,
    names: tuple[str, ...],
    devices: int,
    processors: int,
    calls: int,
    as_json: bool,
) -> None:
    """Print what many devices meet at one edge, `calls` of them in all, half a second between two of one."""
    known = policies(scenario, chosen)
    for name in names:
        result = simulate_capacity(
            chosen,
            scenario,
            known[name],
            devices=devices,
            processors=processors,
            calls_per_device=max(calls // devices, 1),
            pause_seconds=0.5,
        )
        if as_json:
            click.echo(json.dumps({"provenance": "modelled", "policy": name, **asdict(result)}))
            continue
        share = result.remote_calls / result.calls
        click.echo(
            f"{name}: {result.devices} devices, {result.calls} calls, {share:.1%} on the edge; "
            f"mean {result.mean_seconds * 1000:.1f} ms, p99 {result.p99_seconds * 1000:.1f} ms, "
            f"waiting {result.mean_wait_seconds * 1000:.2f} ms; edge {result.busy:.0%} busy (all modelled)"
        )
