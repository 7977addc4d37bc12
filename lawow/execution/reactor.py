"""Run one export of a module and account for time and memory.

A *reactor* is a module without a main program: ``_initialize`` runs once, then exports are called. The three
parts of a call's time are named as in the first paper: *transfer* (getting the module's bytes), *prepare*
(compile or load, instantiate), *run*.

On the start path of ``lawow exec``.
"""

from __future__ import annotations

from time import perf_counter

from lawow.errors import GuestTrap, LawowError, LimitExceeded, Refused, UsageError
from lawow.execution.arguments import format_result, parse_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lawow.execution.found import Found
    from lawow.execution.kept_state import KeptState
    from lawow.execution.preparation import Prepared
    from lawow.execution.typed import TypedCall
    from lawow.formats.interface import FuncType
    from lawow.runtime.base import CompiledModule, Instance
    from lawow.runtime.grants import Grants

    Output = Callable[[bytes], object]

__all__ = ["RunReport", "for_user", "name_frames", "run_export", "unknown_export"]

_OPTION_HINTS = {
    "memory_bytes": "--memory SIZE allows more",
    "fuel": "the guest was stopped; --fuel NUMBER allows more",
}
"""Limit -> how the user of ``lawow exec`` raises it; the others are fixed."""

_COMMAND = "_start"
"""A module that exports it is a command: its arguments are texts, and it has no result."""

_NEAR_NAMES = 3
_NAMES_SHOWN = 20
_NAMELESS = "function["


class RunReport:
    """What a run gave and what it cost. `memory_bytes` is the guest's exported memory at its largest.

    `runs_seconds` are the times of the call alone, one for each repetition; `run_seconds` is the first. A
    call with strings or lists has its results in `typed`.
    """

    __slots__ = (
        "function",
        "memory_bytes",
        "prepare_seconds",
        "results",
        "run_seconds",
        "runs_seconds",
        "transfer_seconds",
        "typed",
    )

    def __init__(self, function: FuncType) -> None:
        self.function = function
        self.results: tuple[int | float, ...] = ()
        self.memory_bytes = 0
        self.runs_seconds: list[float] = []
        self.transfer_seconds = self.prepare_seconds = self.run_seconds = 0.0
        self.typed: TypedCall | None = None

    def lines(self) -> list[str]:
        """Return the results as they are printed."""
        if self.typed is not None:
            return self.typed.lines()
        return [
            format_result(kind, value)
            for kind, value in zip(self.function.results, self.results, strict=False)
        ]


def run_export(
    prepared: Prepared,
    arguments: Sequence[str],
    *,
    label: str,
    memory_bytes: int | None = None,
    fuel: int | None = None,
    stdout: Output | None = None,
    stderr: Output | None = None,
    grants: Grants | None = None,
    deadline_seconds: float | None = None,
    repeat: int = 1,
    signature: str = "",
    state: KeptState | None = None,
) -> RunReport:
    """Make an instance and call the export with arguments as text; `label` names the module in errors.

    With `repeat` that is done so many times, each time in a fresh instance; results are the last ones. A
    `deadline_seconds` is passed on to the engine, whose profile must be able to interrupt a call. A
    `signature`, given here or known from a bundle, tells strings and lists from numbers. With a `state` the
    instance goes on from there and leaves its own; not for commands, and not together with `repeat`.

    Raises `UsageError` (no such export, arguments), `GuestTrap`, `LimitExceeded`, `Refused` (imports).
    """
    started = perf_counter()
    module, export = prepared.module, prepared.export
    if export == _COMMAND:
        grants, arguments = _with_command_line(grants, [label, *arguments]), ()

    def make() -> Instance:
        if state is not None:
            return state.make(
                module,
                memory_bytes=memory_bytes,
                deadline_seconds=deadline_seconds,
                fuel=fuel,
                stdout=stdout,
                stderr=stderr,
                grants=grants,
            )
        return module.instantiate(
            memory_bytes=memory_bytes,
            deadline_seconds=deadline_seconds,
            fuel=fuel,
            stdout=stdout,
            stderr=stderr,
            grants=grants,
        )

    try:
        with make() as instance:
            report = RunReport(_signature(instance, module, export))
            values = _arguments(report, export, signature or prepared.signature, arguments)
            ready = perf_counter()
            _call(instance, export, values, report, deadline_seconds)
            if state is not None:
                state.keep(module, instance)
        for _ in range(repeat - 1):
            with make() as instance:
                _call(instance, export, values, report, deadline_seconds)
    except LawowError as error:
        raise for_user(error, label) from None
    report.run_seconds = report.runs_seconds[0]
    report.transfer_seconds = prepared.transfer_seconds
    report.prepare_seconds = prepared.prepare_seconds + ready - started
    return report


def _with_command_line(grants: Grants | None, arguments: Sequence[str]) -> Grants:
    from lawow.runtime.grants import NOTHING

    return (grants or NOTHING).with_arguments(arguments)


def _arguments(report: RunReport, export: str, signature: str, texts: Sequence[str]) -> Sequence[int | float]:
    """Read the arguments: into `RunReport.typed` by a signature, else as the numbers that are returned."""
    if not signature:
        return parse_arguments(export, report.function, texts)
    from lawow.execution.typed import TypedCall

    report.typed = TypedCall(export, signature, report.function, texts)
    return ()


def _call(
    instance: Instance,
    export: str,
    values: Sequence[int | float],
    report: RunReport,
    deadline_seconds: float | None,
) -> None:
    """Call once and write results, time and memory into the report."""
    started = perf_counter()
    try:
        if report.typed is not None:
            report.typed.run(instance, deadline_seconds)
        else:
            report.results = instance.call(export, values, deadline_seconds=deadline_seconds)
    except GuestTrap as trap:
        if trap.status != 0:  # a guest that ends itself with 0 is content
            raise
    report.runs_seconds.append(perf_counter() - started)
    report.memory_bytes = max(report.memory_bytes, instance.memory_bytes)


def for_user(error: LawowError, label: str) -> LawowError:
    """Return the error with the module's name, and with the option that raises the limit."""
    if isinstance(error, UsageError | Refused):
        return type(error)(f"{label}: {error}")
    if isinstance(error, LimitExceeded):
        hint = _OPTION_HINTS.get(error.limit, error.hint)
        return LimitExceeded(error.limit, error.value, error.maximum, hint=hint, subject=label)
    return error


def _signature(instance: Instance, module: CompiledModule, export: str) -> FuncType:
    try:
        return instance.signature(export)
    except UsageError:
        if export in module.exports:  # a function that cannot be called: the engine's sentence says why
            raise
        raise unknown_export(export, module.exports) from None


def unknown_export(name: str, exports: Iterable[str]) -> UsageError:
    """Return the error for a function that a module does not export: near names first, then all."""
    import difflib

    names = [item for item in exports if item != "_initialize"]
    near = difflib.get_close_matches(name, names, _NEAR_NAMES)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
    return UsageError(f"no exported function is named {name!r}{hint}; functions exported: {shown or 'none'}")


def name_frames(trap: GuestTrap, found: Found) -> GuestTrap:
    """Return the trap with exported names in place of bare function numbers.

    A module without the custom section ``name`` still says what its exports are called.
    """
    if not any(frame.startswith(_NAMELESS) for frame in trap.frames):
        return trap
    names = {f"{_NAMELESS}{item.index}]": item.name for item in found.info.exports if item.kind == "func"}
    frames = tuple(names.get(frame, frame) for frame in trap.frames)
    return GuestTrap(trap.code, trap.args[0], frames=frames, status=trap.status)
