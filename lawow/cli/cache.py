"""``lawow cache``: show, verify and prune the compiled code that ``lawow exec`` keeps."""

from __future__ import annotations

import json
from datetime import datetime

import click

from lawow.cli.exec import parse_size
from lawow.errors import FormatError
from lawow.execution.kept_code import KeptCode

__all__ = ["command"]

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Look after the compiled code that `lawow exec` keeps. Each subcommand takes --json."""


@command.command("show")
@_JSON
def _show(as_json: bool) -> None:
    """List compiled code, newest first, with the exports that it was kept for."""
    kept = KeptCode()
    files = sorted(kept.files.values(), key=lambda item: -item.modified_ns)
    if as_json:
        rows = [
            {
                "file": item.name,
                "bytes": item.size_bytes,
                "written": item.modified_ns / 1e9,
                "entries": item.entries,
                "exports": sorted(item.exports),
            }
            for item in files
        ]
        facts = {"folder": kept.folder, "bytes": kept.size_bytes, "limit_bytes": kept.limit_bytes}
        click.echo(json.dumps({**facts, "files": rows}))
        return
    for item in files:
        written = datetime.fromtimestamp(item.modified_ns / 1e9).strftime("%Y-%m-%d %H:%M")
        exports = ", ".join(sorted(item.exports)) or "no export"
        click.echo(f"{item.name[:12]}  {item.size_bytes:>12,} bytes  {written}  {exports}")
    click.echo(f"{kept.folder}: {len(files)} modules, {kept.size_bytes:,} of {kept.limit_bytes:,} bytes")


@command.command("verify")
@click.option("--remove", is_flag=True, help="Remove what is damaged.")
@_JSON
def _verify(remove: bool, as_json: bool) -> None:
    """Compare every file with its digest; exit code 3 if one is damaged and stays."""
    kept = KeptCode()
    checked = len(kept.files)
    damaged = kept.verify()
    if remove:
        kept.remove(damaged)
    if as_json:
        click.echo(json.dumps({"checked": checked, "damaged": damaged, "removed": remove}))
    else:
        for name in damaged:
            click.echo(f"{name}: damaged{', removed' if remove else ''}")
        click.echo(f"{checked} modules checked, {len(damaged)} files damaged")
    if damaged and not remove:
        raise FormatError(
            f"{len(damaged)} damaged files, which are never run; `lawow cache verify --remove` removes them",
            file=str(kept.folder),
        )


@command.command("prune")
@click.option(
    "--to",
    "largest_bytes",
    metavar="SIZE",
    default="0",
    show_default=True,
    callback=lambda context, parameter, text: 0 if text == "0" else parse_size(context, parameter, text),
    help="How much may stay: bytes, or with KiB, MiB, GiB. The oldest files go first.",
)
@_JSON
def _prune(largest_bytes: int, as_json: bool) -> None:
    """Remove compiled code, all of it or the oldest; modules are compiled again when they run next."""
    kept = KeptCode()
    before = kept.size_bytes
    removed = kept.prune(largest_bytes)
    if as_json:
        facts = {"removed": removed, "freed_bytes": before - kept.size_bytes, "bytes": kept.size_bytes}
        click.echo(json.dumps(facts))
        return
    click.echo(
        f"{len(removed)} files removed, {before - kept.size_bytes:,} bytes freed, {kept.size_bytes:,} left"
    )
