"""``lawow audit``: read the audit log of an edge, and see whether it is whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from lawow.cli.operator_options import data_option, json_option, open_database, show
from lawow.edge.audit import AuditLog

__all__ = ["command"]


@click.group("audit", short_help="Read and verify the audit log of an edge.")
def command() -> None:
    """Read and verify the audit log of the edge on --data, which may run meanwhile.

    Each prints JSON with --json.
    """


@command.command("show")
@click.option("--last", default=50, show_default=True, type=click.IntRange(1, 1_000_000), help="How many.")
@data_option
@json_option
def _show_records(last: int, data: Path, as_json: bool) -> None:
    """Show the last records, oldest first. With --json each is one line."""
    with open_database(data) as database:
        records = AuditLog(database).show(last)
    if as_json:
        for record in records:
            show(asdict(record), "", True)
        return
    lines = [
        f"{item.number}  {item.time}  {item.who}  {item.action}  {item.outcome}  {item.subject}".rstrip()
        for item in records
    ]
    print("\n".join(line.encode("unicode_escape").decode() for line in lines) or "no records yet")


@command.command("verify")
@click.option("--head", metavar="HASH", help="A hash that was printed earlier: it must be there still.")
@data_option
@json_option
def _verify(head: str | None, data: Path, as_json: bool) -> None:
    """See whether records were changed, removed or exchanged. Note the hash that is printed elsewhere."""
    with open_database(data) as database:
        state = AuditLog(database).verify(head)
    text = f"{state.records} records from number {state.first} on are whole\nhead {state.head}"
    show(asdict(state), text, as_json)
