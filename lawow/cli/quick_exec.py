"""The common form of ``lawow exec`` without click: ``lawow exec MODULE EXPORT [NUMBER...]``.

Python's own start is most of the time that a short call takes, so nothing is imported here that the call does
not need: no click, rich, re, json, typing, dataclasses. Everything else (options, archives seen for the first
time, errors before the guest runs) is left to the click command, by returning.
"""

from __future__ import annotations

import os

from lawow.errors import GuestTrap, LawowError
from lawow.execution.arguments import format_result, is_number
from lawow.execution.deadline import DEFAULT_SECONDS, Deadline, deadline_error
from lawow.execution.preparation import Prepared, Preparer, Request
from lawow.execution.reactor import run_export

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lawow.execution.output import GuestOutput

__all__ = ["quick_exec"]


def quick_exec(argv: list[str]) -> None:
    """Answer ``exec MODULE EXPORT [NUMBER...]`` and end the process, or return with nothing visible done."""
    request = _plain_request(argv)
    if request is None:
        return
    try:
        preparer = Preparer()
        prepared = preparer.from_cache(request) or preparer.from_small_file(request)
    except (LawowError, OSError):
        return  # the click command meets the same error and has the means to explain it
    if prepared is not None:
        os._exit(_run(request, prepared, argv[2:]))


def _plain_request(argv: list[str]) -> Request | None:
    """Return what is asked for if `argv` has no options, and no member of an archive by name."""
    if len(argv) < 2 or argv[0][:1] == "-" or argv[1][:1] == "-" or "!" in argv[0]:
        return None
    if any(item[:1] == "-" and not is_number(item) for item in argv[2:]):
        return None
    return Request(argv[0], "", argv[1])


def _run(request: Request, prepared: Prepared, arguments: list[str]) -> int:
    """Run the guest, print results or the error, remember compiled code; return the exit status."""
    deadline = Deadline(DEFAULT_SECONDS, lambda: _complain(_late(request)))
    stdout = stderr = None
    try:
        if prepared.module.imports:  # only then can a guest write anything
            stdout, stderr = _guest_outputs()
        report = run_export(prepared, arguments, label=request.path, stdout=stdout, stderr=stderr)
        deadline.cancel()
        kinds = report.function.results
        lines = [format_result(kind, value) for kind, value in zip(kinds, report.results, strict=False)]
        status = _print("".join(f"{line}\n" for line in lines))
    except LawowError as error:
        deadline.cancel()
        status = _complain(_explained(error, request))
    if (stdout and stdout.was_cut) or (stderr and stderr.was_cut):
        _say_that_output_was_cut()
    prepared.remember()
    return status


def _guest_outputs() -> tuple[GuestOutput, GuestOutput]:
    from lawow.execution.output import GuestOutput

    return GuestOutput(1), GuestOutput(2)


def _say_that_output_was_cut() -> None:
    from lawow.execution.output import cut_notice

    _say(f"lawow: {cut_notice()}\n")


def _late(request: Request) -> LawowError:
    return deadline_error(DEFAULT_SECONDS, f"{request.path}: {request.name}")


def _explained(error: LawowError, request: Request) -> LawowError:
    """Return a trap with the names that the module's exports give to its functions."""
    if not isinstance(error, GuestTrap):
        return error
    from lawow.execution.extractor import open_package
    from lawow.execution.reactor import name_frames

    try:
        return name_frames(error, open_package(request.path).find(request.name))
    except (LawowError, OSError):  # the file has changed under us: the trap is still true
        return error


def _print(text: str) -> int:
    """Write to standard output; return the exit status."""
    data = text.encode()
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError:  # the reader went away
        return 1
    return 0


def _say(text: str) -> None:
    try:
        os.write(2, text.encode("utf-8", "replace"))
    except OSError:  # nobody listens
        return


def _complain(error: LawowError) -> int:
    """Print an error as `lawow.cli.main` does; return its exit status."""
    _say(f"lawow: {error}\n")
    return error.exit_code
