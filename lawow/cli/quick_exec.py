"""The common form of ``lawow exec`` without click: ``exec MODULE EXPORT [NUMBER...] [--json] [--time]``.

Python's own start is most of the time that a short call takes, so nothing is imported here that the call does
not need: no click, rich, re, json, typing, dataclasses. A file that ran before is answered by
`lawow.execution.shortcut`, a small module that is new by `lawow.execution.first_run`, one that uses WASI, and
with ``--json`` or ``--time`` any, by the engine's usual modules. Everything else (other options, archives
seen for the first time, errors before the guest runs) is left to the click command, by returning.
"""

from __future__ import annotations

import os

from lawow.execution.shortcut import Outcome, explain, run_again

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from lawow.errors import LawowError
    from lawow.execution.output import GuestOutput
    from lawow.execution.preparation import Prepared, Request
    from lawow.execution.reactor import RunReport

__all__ = ["quick_exec"]

JSON = "--json"
FLAGS = (JSON, "--time")


def quick_exec(argv: list[str]) -> None:
    """Answer ``exec MODULE EXPORT [NUMBER...]`` and end the process, or return with nothing visible done."""
    flags = [item for item in argv if item in FLAGS]
    plain = [item for item in argv if item not in FLAGS]
    if not _is_plain(plain):
        return
    path, name, *arguments = plain
    if flags:
        status = _run_usually(path, name, arguments, flags)
        if status is not None:
            os._exit(status)
        return
    outcome = run_again(path, name, arguments, lambda: _late(path, name))
    if outcome is not None:
        os._exit(_finish(outcome, path, name))
    status = _run_first(path, name, arguments)
    if status is None:
        status = _run_usually(path, name, arguments)
    if status is not None:
        os._exit(status)


def _is_plain(argv: list[str]) -> bool:
    """Return whether `argv` has no options and names no member of an archive."""
    if len(argv) < 2 or argv[0][:1] == "-" or argv[1][:1] == "-" or "!" in argv[0]:
        return False
    return not any(item[:1] == "-" and not item[1:2].isdigit() for item in argv[2:])


def _finish(outcome: Outcome, path: str, name: str) -> int:
    """Print what came of the shortcut; return the exit status."""
    if not (outcome.error or outcome.trap):
        return _print(outcome.results)
    from lawow.execution.reactor import for_user

    return _complain(_with_names(for_user(explain(outcome), path), path, name))


def _run_first(path: str, name: str, arguments: list[str]) -> int | None:
    """Run a small module that is new; return the exit status, or None if it needs the usual modules."""
    from lawow.execution.first_run import run_first

    first = run_first(path, name, arguments, lambda: _late(path, name))
    if first is None:
        return None
    status = _finish(first.outcome, path, name)
    first.remember()
    return status


def _run_usually(path: str, name: str, arguments: list[str], flags: Collection[str] = ()) -> int | None:
    """Run by the engine's usual modules; return the exit status, or None to leave it to the click command."""
    from lawow.errors import LawowError
    from lawow.execution.preparation import Preparer, Request

    request = Request(path, "", name)
    try:
        preparer = Preparer()
        prepared = preparer.from_cache(request) or preparer.from_small_file(request)
    except (LawowError, OSError):
        return None  # the click command meets the same error and has the means to explain it
    if prepared is None or (JSON in flags and prepared.module.imports):
        return None  # what a guest says becomes a part of the document
    return _run(request, prepared, arguments, flags)


def _run(request: Request, prepared: Prepared, arguments: list[str], flags: Collection[str]) -> int:
    """Run the guest, print results or the error, remember compiled code; return the exit status."""
    from lawow.errors import LawowError
    from lawow.execution.deadline import DEFAULT_SECONDS, Deadline
    from lawow.execution.reactor import run_export

    deadline = Deadline(DEFAULT_SECONDS, lambda: _late(request.path, request.name, flags))
    stdout = stderr = None
    try:
        if prepared.module.imports:  # only then can a guest write anything
            stdout, stderr = _guest_outputs()
        report = run_export(prepared, arguments, label=request.path, stdout=stdout, stderr=stderr)
        deadline.cancel()
        status = _print(_lines(request, prepared, report, flags))
    except LawowError as error:
        deadline.cancel()
        status = _complain(_with_names(error, request.path, request.name), flags)
    if (stdout and stdout.was_cut) or (stderr and stderr.was_cut):
        _say_that_output_was_cut()
    prepared.remember()
    return status


def _lines(request: Request, prepared: Prepared, report: RunReport, flags: Collection[str]) -> list[str]:
    """Return what goes to standard output; what ``--time`` wants to know goes to standard error."""
    if not flags:
        return report.lines()
    from lawow.execution.facts import run_document, times_line

    if JSON not in flags:
        _say(f"{times_line(report)}\n")
        return report.lines()
    import json

    return [json.dumps(run_document(request.path, prepared, report))]


def _guest_outputs() -> tuple[GuestOutput, GuestOutput]:
    from lawow.execution.output import GuestOutput

    return GuestOutput(1), GuestOutput(2)


def _say_that_output_was_cut() -> None:
    from lawow.execution.output import cut_notice

    _say(f"lawow: {cut_notice()}\n")


def _late(path: str, name: str, flags: Collection[str] = ()) -> int:
    """Report that the deadline has passed; return the exit status."""
    from lawow.execution.deadline import DEFAULT_SECONDS, deadline_error

    return _complain(deadline_error(DEFAULT_SECONDS, f"{path}: {name}"), flags)


def _with_names(error: LawowError, path: str, name: str) -> LawowError:
    """Return a trap with the names that the module's exports give to its functions."""
    from lawow.errors import GuestTrap, LawowError
    from lawow.execution.extractor import open_package
    from lawow.execution.reactor import name_frames

    if not isinstance(error, GuestTrap):
        return error
    try:
        return name_frames(error, open_package(path).find(name))
    except (LawowError, OSError):  # the file has changed under us: the trap is still true
        return error


def _print(lines: list[str]) -> int:
    """Write results to standard output; return the exit status."""
    data = "".join(f"{line}\n" for line in lines).encode()
    try:
        while data:
            data = data[os.write(1, data) :]
    except BrokenPipeError:  # the reader went away
        return 1
    except OSError as error:
        _say(f"lawow: standard output: {(error.strerror or str(error)).lower()}\n")
        return 1
    return 0


def _say(text: str) -> None:
    try:
        os.write(2, text.encode("utf-8", "replace"))
    except OSError:  # nobody listens
        return


def _complain(error: LawowError, flags: Collection[str] = ()) -> int:
    """Print an error as `lawow.cli.main` does; return its exit status."""
    if JSON in flags:
        import json

        from lawow.execution.facts import problem_document

        _print([json.dumps(problem_document(error))])
    _say(f"lawow: {error}\n")
    return error.exit_code
