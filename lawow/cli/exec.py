"""``lawow exec``: run an export of a module, or list what a file holds.

The whole of the command, with options, archives, help and explained errors; the common form is answered
faster by `lawow.cli.quick_exec`, with the same results.
"""

from __future__ import annotations

import json
import os
from time import perf_counter
from typing import TYPE_CHECKING

import click

from lawow.cli.negative_numbers import CommandWithNumbers, plain_arguments
from lawow.errors import GuestTrap, UsageError
from lawow.execution.deadline import DEFAULT_SECONDS, Deadline, deadline_error
from lawow.execution.engines import NAMES, make_engine
from lawow.execution.extractor import Package, find_component, open_package, split_member
from lawow.execution.facts import problem_document, run_document, statistics, times_line
from lawow.execution.found import Found
from lawow.execution.granting import DEVICES, read_grants, read_inference
from lawow.execution.output import CapturedOutput, GuestOutput, cut_notice, escape_controls
from lawow.execution.preparation import Prepared, Preparer, Request
from lawow.execution.reactor import RunReport, name_frames, run_export
from lawow.formats.interface import FOR_THE_CALLER, FuncType, signature_letters
from lawow.limits import CALL

if TYPE_CHECKING:
    from lawow.execution.granting import Grants, InferenceGrant
    from lawow.execution.kept_state import KeptState

__all__ = ["command", "parse_size"]

_UNITS = {"": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_MAX_MEMORY_BYTES = 1 << 34
"""More than a 32-bit memory can have; a 64-bit memory of this size is still addressable with one
reservation.
"""

_MARGIN_SECONDS = 60.0
"""An engine that can interrupt its guest does so that much after this process would have ended itself."""


def parse_size(context: click.Context, parameter: click.Parameter, text: str) -> int:
    """Return the bytes that ``64MiB`` stands for."""
    digits = text.strip().lower().rstrip("kmgib")
    unit = text.strip().lower()[len(digits) :]
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18 or unit not in _UNITS:
        raise click.BadParameter(f"{text!r} is no size; give bytes, or a number with KiB, MiB or GiB")
    size = int(digits) * _UNITS[unit]
    if not 0 < size <= _MAX_MEMORY_BYTES:
        raise click.BadParameter(f"{text!r} is out of range; 1 byte to 16 GiB are allowed")
    return size


@click.command(
    cls=CommandWithNumbers,
    short_help="Run an export of a module, or list them.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("module")
@click.argument("export", required=False)
@click.argument("arguments", nargs=-1)
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.FloatRange(0, 10**9, min_open=True),
    default=DEFAULT_SECONDS,
    show_default=True,
    help="Seconds until the guest is stopped.",
)
@click.option(
    "--memory",
    "memory_bytes",
    metavar="SIZE",
    callback=parse_size,
    default=f"{CALL.memory_bytes >> 20}MiB",
    show_default=True,
    help="What the guest's memory may grow to: bytes, or with KiB, MiB, GiB.",
)
@click.option(
    "--fuel", type=click.IntRange(1, (1 << 64) - 1), help="Instructions that the guest may execute."
)
@click.option(
    "--signature",
    metavar="TEXT",
    default="",
    help="Types of EXPORT where it takes strings or lists, such as '&[i>i' or 'SS>S' (docs/exec.md).",
)
@click.option("--time", "show_time", is_flag=True, help="Print where the time went and the peak memory.")
@click.option(
    "--repeat",
    type=click.IntRange(1, 1_000_000),
    default=1,
    help="Call so often, each time in a fresh instance; print least, median and 99th percentile.",
)
@click.option(
    "--engine",
    "engine_name",
    type=click.Choice(NAMES),
    default=NAMES[0],
    show_default=True,
    help="What runs the module; `lawow engines` tells which are here.",
)
@click.option(
    "--dir",
    "directories",
    metavar="HOST::GUEST[:ro]",
    multiple=True,
    help="Grant the folder HOST under the name GUEST; with :ro for reading only.",
)
@click.option("--env", "variables", metavar="NAME[=VALUE]", multiple=True, help="Grant a variable.")
@click.option("--stdin", "grants_stdin", is_flag=True, help="Grant this command's standard input.")
@click.option(
    "--grant",
    "function_grants",
    metavar="NAME",
    multiple=True,
    help="Grant the host functions that an installed package offers under this name, or nn: inference.",
)
@click.option(
    "--model",
    "models",
    metavar="NAME=FILE",
    multiple=True,
    help="With --grant nn: let the guest load the ONNX model FILE by NAME.",
)
@click.option(
    "--device",
    type=click.Choice(DEVICES),
    help="With --grant nn: where models run; default: where the guest asks.",
)
@click.option(
    "--state",
    "state_file",
    metavar="FILE",
    help="Go on from the state in FILE, if it exists, and leave the new state there (docs/state.md).",
)
@click.option("--no-cache", is_flag=True, help="Neither use nor keep compiled code.")
@click.option("--interface", "shows_interface", is_flag=True, help="Print MODULE's interface as WIT.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    module: str,
    export: str | None,
    arguments: tuple[str, ...],
    timeout_seconds: float,
    memory_bytes: int,
    fuel: int | None,
    signature: str,
    show_time: bool,
    repeat: int,
    engine_name: str,
    directories: tuple[str, ...],
    variables: tuple[str, ...],
    grants_stdin: bool,
    function_grants: tuple[str, ...],
    models: tuple[str, ...],
    device: str | None,
    state_file: str | None,
    no_cache: bool,
    shows_interface: bool,
    as_json: bool,
) -> None:
    """Run EXPORT of MODULE with ARGUMENTS, or list what MODULE exports.

    MODULE is a .wasm, a .wat, an offload bundle (EXPORT may then be Class.method) or an APK; a module in an
    archive is named FILE!MODULE. Nothing is granted to the guest but clocks, random numbers and its output;
    --dir, --env, --stdin and --grant add to that (--model and --device to --grant nn).

    \b
    lawow exec fibonacci.wasm fib 10
    lawow exec app-offload.jar FibonacciWasm.fib 10
    lawow exec app.apk!fibonacci.wasm fib 10
    lawow exec arrays.wasm sum '[1, 2, 3]' --signature '&[i>i'
    """
    path, member = split_member(module)
    component = find_component(path, member)
    if component is not None:
        from lawow.cli.exec_component import ComponentOptions, exec_component

        if read_inference(function_grants, models, device) is not None:
            raise UsageError(f"{path}: is a component; --grant nn is for core modules")
        if state_file is not None:
            raise UsageError(f"{path}: is a component; --state is for core modules")
        grants = read_grants(directories, variables, grants_stdin, function_grants)
        limits = (timeout_seconds, memory_bytes, fuel)
        options = ComponentOptions(
            *limits, not no_cache, as_json, show_time, shows_interface, repeat, engine_name, grants
        )
        texts = plain_arguments(arguments)
        exec_component(component, path, member, export, texts, options)
        return
    if shows_interface:
        _show_interfaces(open_package(path), member, path)
        return
    if export is None:
        _list(open_package(path), member, as_json)
        return
    inference = read_inference(function_grants, models, device)
    grants = read_grants(directories, variables, grants_stdin, function_grants, inference)
    engine = make_engine(engine_name, with_fuel=fuel is not None)
    state = None
    if state_file is not None:
        from lawow.execution.kept_state import KeptState

        state = KeptState(state_file, engine, export, repeat)
    run = _Run(
        Request(path, member, export, is_known=state is None),
        as_json,
        grants,
        signature,
        can_interrupt=engine.profile.has_epochs,
        inference=inference,
        state=state,
    )
    prepared = run.prepare(Preparer(engine=engine, grants=grants, use_cache=not no_cache))
    texts = plain_arguments(arguments)
    report = run.execute(prepared, texts, timeout_seconds, memory_bytes, fuel, repeat)
    run.print(prepared, report)
    if not as_json:
        if show_time:
            click.echo(times_line(report), err=True)
            run.print_models()
        if repeat > 1:
            click.echo(_repetitions(report), err=True)


class _Run:
    """One run, from the file to what is printed."""

    def __init__(
        self,
        request: Request,
        as_json: bool,
        grants: Grants | None,
        signature: str,
        *,
        can_interrupt: bool,
        inference: InferenceGrant | None = None,
        state: KeptState | None = None,
    ) -> None:
        self._request = request
        self._can_interrupt = can_interrupt
        self._signature = signature
        self._grants = grants
        self._inference = inference
        self._state = state
        # With --json, standard output belongs to the report; what the guest says becomes a field of it.
        self._captured = CapturedOutput() if as_json else None
        self._stdout = self._captured or GuestOutput(1)
        self._stderr = GuestOutput(2)

    def prepare(self, preparer: Preparer) -> Prepared:
        """Return compiled code: from the cache, else from the module in the file."""
        prepared = preparer.from_cache(self._request) if self._state is None else None
        if prepared is None:
            started = perf_counter()
            found = self._find()
            if self._state is not None:
                found = self._state.expose(found)
            transferred = perf_counter() - started
            prepared = preparer.prepare(found, self._request)
            prepared.transfer_seconds += transferred
        return prepared

    def execute(
        self,
        prepared: Prepared,
        arguments: list[str],
        timeout_seconds: float,
        memory_bytes: int,
        fuel: int | None,
        repeat: int,
    ) -> RunReport:
        """Run the guest under its limits."""
        deadline = Deadline(timeout_seconds, lambda: self._late(timeout_seconds))
        try:
            return run_export(
                prepared,
                arguments,
                label=self._request.path,
                memory_bytes=memory_bytes,
                fuel=fuel,
                stdout=self._stdout,
                stderr=self._stderr,
                grants=self._grants,
                deadline_seconds=timeout_seconds + _MARGIN_SECONDS if self._can_interrupt else None,
                repeat=repeat,
                signature=self._signature,
                state=self._state,
            )
        except GuestTrap as trap:
            raise name_frames(trap, self._find()) from None
        finally:
            deadline.cancel()
            prepared.remember()
            self._print_refusals()

    def print(self, prepared: Prepared, report: RunReport) -> None:
        """Print the results."""
        if self._captured is not None:
            click.echo(json.dumps(self._document(prepared, report)))
        else:
            for line in report.lines():
                click.echo(line)
        if self._stdout.was_cut or self._stderr.was_cut:
            click.echo(f"lawow: {cut_notice()}", err=True)

    def print_models(self) -> None:
        """Print where models ran."""
        for use in self._inference.report.models if self._inference is not None else ():
            click.echo(escape_controls(use.line()), err=True)

    def _print_refusals(self) -> None:
        """Print what the guest was refused for inference: to it these are numbers."""
        for sentence in self._inference.report.refusals if self._inference is not None else ():
            click.echo(f"lawow: {escape_controls(sentence)}", err=True)

    def _find(self) -> Found:
        return open_package(self._request.path).find(self._request.name, self._request.member)

    def _document(self, prepared: Prepared, report: RunReport) -> dict[str, object]:
        document = run_document(self._request.path, prepared, report)
        if self._inference is not None:
            document["nn"] = self._inference.report.document()
        if self._captured is not None and prepared.module.imports:
            document["stdout"] = self._captured.text()
        return document

    def _late(self, seconds: float) -> int:
        """Report the deadline, in another thread and just before the process ends; return the status."""
        error = deadline_error(seconds, f"{self._request.path}: {self._request.name}")
        if self._captured is not None:
            os.write(1, (json.dumps(problem_document(error)) + "\n").encode())
        os.write(2, f"lawow: {error}\n".encode())
        return error.exit_code


def _repetitions(report: RunReport) -> str:
    facts = statistics(report.runs_seconds)
    return (
        f"{facts['count']} calls: least {facts['min']:.6f} s, median {facts['median']:.6f} s, "
        f"99th percentile {facts['p99']:.6f} s"
    )


def _show_interfaces(package: Package, member: str, path: str) -> None:
    """Print the WIT of a module, or of all in an archive."""
    from lawow.execution.interfaces import interface_of
    from lawow.formats.wit import print_wit

    modules = {member: package.member(member)} if member else package.modules
    texts = [print_wit(interface_of(found, path)) for found in modules.values()]
    click.echo("\n".join(texts), nl=False)


def _list(package: Package, member: str, as_json: bool) -> None:
    """Print the modules of a file, their exported functions, and a bundle's methods."""
    modules = {member: package.member(member)} if member else package.modules
    methods = package.bundle.methods if package.bundle is not None and not member else ()
    if as_json:
        click.echo(
            json.dumps(
                {
                    "modules": {name: _exports(found) for name, found in modules.items()},
                    "methods": {
                        f"{item.class_name}.{item.method}": {
                            "module": item.module,
                            "export": item.export,
                            "signature": item.signature,
                        }
                        for item in methods
                    },
                }
            )
        )
        return
    for name, found in modules.items():
        if len(package.modules) > 1:
            click.echo(f"{name}:")
        _print_exports(found, indent="  " if len(package.modules) > 1 else "")
    for item in methods:
        click.echo(f"{item.class_name}.{item.method}{item.descriptor} = {item.module} {item.export}")


def _functions(found: Found) -> list[tuple[str, FuncType]]:
    return [
        (item.name, item.type)
        for item in found.info.exports
        if item.type is not None and item.name not in FOR_THE_CALLER
    ]


def _exports(found: Found) -> list[dict[str, object]]:
    from lawow.execution.interfaces import declaration_of

    return [
        {
            "name": name,
            "type": str(function),
            "signature": signature_letters(function) if function.is_callable else None,
            "wit": declaration_of(found, name, function),
        }
        for name, function in _functions(found)
    ]


def _print_exports(found: Found, indent: str) -> None:
    from lawow.execution.interfaces import declaration_of

    functions = _functions(found)
    if not functions:
        click.echo(f"{indent}no functions are exported")
        return
    name_width = max(len(name) for name, _ in functions)
    type_width = max(len(str(function)) for _, function in functions)
    for name, function in functions:
        is_callable = function.is_callable
        remark = declaration_of(found, name, function) if is_callable else "cannot be called from outside"
        click.echo(f"{indent}{name:<{name_width}}  {function!s:<{type_width}}  {remark}")
