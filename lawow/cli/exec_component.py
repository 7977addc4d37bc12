"""``lawow exec`` for components: what is printed, and what stands in the JSON document."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

import click

from lawow.errors import LawowError, UsageError
from lawow.execution.components import (
    ComponentReport,
    PreparedComponent,
    prepare_component,
    run_component,
)
from lawow.execution.deadline import Deadline, deadline_error
from lawow.execution.facts import peak_memory_bytes
from lawow.execution.found import Found
from lawow.execution.granting import Grants
from lawow.execution.output import CapturedOutput, GuestOutput, cut_notice
from lawow.formats.wave import print_wave, to_json
from lawow.formats.wit import print_function, print_wit

__all__ = ["ComponentOptions", "exec_component"]


@dataclass(frozen=True, slots=True)
class ComponentOptions:
    """The options of ``lawow exec`` that mean something for a component."""

    timeout_seconds: float
    memory_bytes: int
    fuel: int | None
    use_cache: bool
    as_json: bool
    show_time: bool
    shows_interface: bool = False
    repeat: int = 1
    engine: str = "wasmtime"
    grants: Grants | None = None


def exec_component(
    found: Found, path: str, member: str, export: str | None, texts: Sequence[str], options: ComponentOptions
) -> None:
    """Run a function of a component, or list what it exports where no function is named."""
    if options.engine != "wasmtime":
        raise UsageError(f"{path}: is a component, which only the engine wasmtime runs here")
    prepared = prepare_component(
        found, path, member, with_fuel=options.fuel is not None, use_cache=options.use_cache
    )
    if options.shows_interface or export is None:
        _list(prepared, options)
        return
    captured = CapturedOutput() if options.as_json else None
    stdout, stderr = captured or GuestOutput(1), GuestOutput(2)
    deadline = Deadline(options.timeout_seconds, lambda: _late(path, export, options))
    try:
        report = run_component(
            prepared,
            export,
            texts,
            label=path,
            memory_bytes=options.memory_bytes,
            fuel=options.fuel,
            stdout=stdout,
            stderr=stderr,
            grants=options.grants,
            repeat=options.repeat,
        )
    finally:
        deadline.cancel()
    if options.as_json:
        said = captured.text() if captured is not None else ""
        click.echo(json.dumps(_document(path, report, said)))
    elif report.function.result is not None and report.result is not None:
        click.echo(print_wave(report.result, report.function.result))
    if stdout.was_cut or stderr.was_cut:
        click.echo(f"lawow: {cut_notice()}", err=True)
    if options.show_time and not options.as_json:
        click.echo(_times(report), err=True)


def _list(prepared: PreparedComponent, options: ComponentOptions) -> None:
    """Print the component's functions, or its whole interface."""
    component = prepared.component
    if options.as_json:
        functions = [
            {"name": item.name, "interface": item.interface, "wit": print_function(item)}
            for item in component.world.functions
        ]
        click.echo(json.dumps({"exports": functions, "uncallable": dict(component.uncallable)}))
        return
    if options.shows_interface:
        click.echo(print_wit(component.world), nl=False)
        return
    for item in component.world.functions:
        click.echo(f"{item.interface}#{print_function(item)}" if item.interface else print_function(item))
    for name, reason in component.uncallable.items():
        click.echo(f"{name}  cannot be called: {reason}")
    if not component.world.functions and not component.uncallable:
        click.echo("no functions are exported")


def _document(path: str, report: ComponentReport, stdout: str) -> dict[str, object]:
    kind = report.function.result
    results = [] if kind is None or report.result is None else [to_json(report.result, kind)]
    return {
        "module": path,
        "export": report.function.name,
        "wit": print_function(report.function),
        "results": results,
        "seconds": {
            "transfer": report.transfer_seconds,
            "prepare": report.prepare_seconds,
            "run": report.runs_seconds[0],
        },
        "peak_memory_bytes": peak_memory_bytes(),
        "stdout": stdout,
    }


def _times(report: ComponentReport) -> str:
    return (
        f"transfer {report.transfer_seconds:.6f} s, prepare {report.prepare_seconds:.6f} s, "
        f"run {report.runs_seconds[0]:.6f} s, peak memory of the process {peak_memory_bytes()} bytes"
    )


def _late(path: str, export: str, options: ComponentOptions) -> int:
    """Report the deadline, in another thread and just before the process ends; return the status."""
    error: LawowError = deadline_error(options.timeout_seconds, f"{path}: {export}")
    if options.as_json:
        facts = {"error": type(error).__name__, **error.details()}
        os.write(
            1, (json.dumps({**facts, "message": str(error), "exit_code": error.exit_code}) + "\n").encode()
        )
    os.write(2, f"lawow: {error}\n".encode())
    return error.exit_code
