"""``lawow trace record``: runs a program and writes down the calls of its elastic functions."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import click

from lawow.device.tracing import VARIABLE
from lawow.errors import UsageError

__all__ = ["command"]


@click.group("trace", short_help="Record a program's calls.")
def command() -> None:
    """Traces of elastic functions, for lawow simulate. Each subcommand takes --json."""


@command.command("record", context_settings={"ignore_unknown_options": True})
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The trace: JSON lines. Must not exist.",
)
@click.option("--json", "as_json", is_flag=True, help="Say on standard error as JSON what was recorded.")
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def _record(ctx: click.Context, output: Path, as_json: bool, program: tuple[str, ...]) -> None:
    """Run PROGRAM with its arguments and record the calls of its elastic functions.

    A line holds names, sizes and times, never arguments or results. Ends with the program's own status.
    """
    if output.exists():
        raise UsageError(f"{output}: exists; name another file, or remove it")
    done = subprocess.run(program, env={**os.environ, VARIABLE: str(output.resolve())}, check=False)
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    if not output.exists():
        if status == 0:
            raise UsageError(f"{program[0]}: called no elastic function, so there is no trace")
        click.echo(f"lawow: {program[0]}: ended with status {status} before any elastic function", err=True)
        ctx.exit(status)
    with output.open("rb") as lines:
        calls = sum(1 for _ in lines)
    facts = json.dumps({"file": str(output), "calls": calls})
    click.echo(facts if as_json else f"{output}: {calls} calls", err=True)
    ctx.exit(status)
