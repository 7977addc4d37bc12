"""``lawow edges``: find edges, the nearest first."""

from __future__ import annotations

import json

import click

from lawow.device.discovery import (
    EDGES_VARIABLE,
    FoundEdge,
    announced_edges,
    environment_edges,
    given_edge,
    nearest_first,
)

__all__ = ["command"]


@click.command("edges", short_help="Find edges, the nearest first.")
@click.argument("given", nargs=-1, metavar="[URL[#SHA256]]...")
@click.option(
    "--seconds",
    default=2.5,
    show_default=True,
    type=click.FloatRange(0.1, 60),
    help="To listen for edges that announce themselves.",
)
@click.option(
    "--interface", "interfaces", multiple=True, help="Listen on this address alone; may be repeated."
)
@click.option("--no-mdns", is_flag=True, help="Take given edges and those of the environment alone.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    given: tuple[str, ...], seconds: float, interfaces: tuple[str, ...], no_mdns: bool, as_json: bool
) -> None:
    """List the edges that are GIVEN, in the environment's LAWOW_EDGES, or announce themselves here.

    The nearest by measured round trip comes first. That an edge is found says nothing of whether it can be
    trusted: compare its certificate with what its operator told you.
    """
    found = [*map(given_edge, given), *environment_edges()]
    if not no_mdns:
        found = [*announced_edges(seconds, interfaces), *found]
    edges = nearest_first(found)
    if as_json:
        print(json.dumps({"edges": [_document(edge) for edge in edges]}))
        return
    for edge in edges:
        print(_line(edge))
    if not edges:
        print(f"no edges; start one with `lawow serve --announce`, or name one in {EDGES_VARIABLE}")


def _document(edge: FoundEdge) -> dict[str, object]:
    return {
        "url": edge.url,
        "name": edge.name or None,
        "source": edge.source,
        "certificate_sha256": edge.pin,
        "round_trip_seconds": edge.round_trip_seconds,
    }


def _line(edge: FoundEdge) -> str:
    trip = edge.round_trip_seconds
    shown = "unreachable" if trip is None else f"{trip * 1000:.2f} ms"
    pin = "" if edge.pin is None else f"  SHA-256 {edge.pin}"
    return f"{shown:>11}  {edge.url}  {edge.source}{f' as {edge.name}' if edge.name else ''}{pin}"
