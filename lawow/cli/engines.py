"""``lawow engines``: the WebAssembly engines on this machine, their releases, abilities and known weaknesses,
and what there is for inference.
"""

from __future__ import annotations

import json

import click

from lawow.execution.engines import EngineFacts, describe_engines
from lawow.execution.inference import describe_inference

__all__ = ["command"]


@click.command(
    short_help="List the engines that are here.", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """List the engines that `lawow exec --engine NAME` can use on this machine, and what --grant nn can."""
    found = describe_engines()
    inference = describe_inference()
    if as_json:
        engines = [_document(facts) for facts in found]
        click.echo(json.dumps({"engines": engines, "nn": inference.document()}))
        return
    for facts in found:
        click.echo(f"{facts.name}  {facts.version or 'not usable'}  {facts.place or facts.problem}")
        for name, word in facts.capabilities.items():
            click.echo(f"  {name + ':':<22}{word}")
        for item, fixed in facts.advisories:
            click.echo(f"  {item.name}: {item.sentence}; ended by {fixed}")
        if facts.version and not facts.advisories:
            click.echo("  known weaknesses:     none in the list of this release of lawow")
    for line in inference.lines():
        click.echo(line)


def _document(facts: EngineFacts) -> dict[str, object]:
    return {
        "name": facts.name,
        "version": facts.version or None,
        "path": facts.place or None,
        "problem": facts.problem or None,
        "capabilities": facts.capabilities,
        "advisories": [
            {"name": item.name, "sentence": item.sentence, "fixed_in": fixed}
            for item, fixed in facts.advisories
        ],
    }
