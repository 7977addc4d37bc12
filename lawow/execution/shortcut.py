"""The shortest way from a file that ran before to its result: one engine call after another, and nothing
else.

Compiled code in the cache, a module that imports nothing, an export with integers and doubles, arguments in
plain decimal: then `lawow.runtime.bare` runs it, and no more is imported than this module does. Where
anything is unusual *before* the guest starts it returns None, and another way is taken:
`lawow.execution.first_run`, or the usual modules, which also explain what goes wrong *in* the guest.
"""

from __future__ import annotations

import os
import sys

from lawow.execution.deadline import Deadline
from lawow.runtime.bare import BITS, DOUBLE, BareGuest, Outcome, is_available
from lawow.runtime.hot import CALL
from lawow.runtime.places import (
    default_folder,
    entry_path,
    file_key,
    find_entry,
    find_library,
    flavour_of,
    is_private,
)
from lawow.runtime.profiles import EXEC_PROFILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lawow.errors import LawowError

__all__ = ["Outcome", "explain", "new_guest", "parse_plain", "run_again", "run_guest"]

_LONGEST_NUMBER = 24
_SUPPORTED = "".join(BITS) + DOUBLE + ">"


def run_again(path: str, name: str, texts: list[str], late: Callable[[], int]) -> Outcome | None:
    """Run an export of a file that ran before and is unchanged; None if this is not the case for it.

    `late` is called in another thread when the deadline has passed, and gives the status to end with.
    """
    found = _find(path, name)
    if found is None:
        return None
    code, export, signature = found
    values = parse_plain(signature, texts)
    guest = None if values is None else new_guest()
    if values is None or guest is None or not guest.load(code):
        return None
    return run_guest(guest, export, signature, values, late)


def new_guest(*, in_one_thread: bool = False) -> BareGuest | None:
    """Return an engine for one module; None if its library, or Python, is not as it should be."""
    library, _ = find_library(sys.path)
    if not library or not is_available():
        return None
    try:
        return BareGuest(library, in_one_thread=in_one_thread)
    except OSError:  # a damaged library: the usual way says so
        return None


def run_guest(
    guest: BareGuest, export: str, signature: str, values: list[int | float], late: Callable[[], int]
) -> Outcome | None:
    """Run an export of a module that `guest` has loaded, until the deadline. None if there is no such."""
    deadline = Deadline(CALL.deadline_seconds, late)
    outcome = guest.run(export, signature, values)
    deadline.cancel()
    return outcome


def explain(outcome: Outcome) -> LawowError:
    """Return the error that an outcome stands for, as the usual way would raise it."""
    from lawow.runtime.failures import Bounds, guest_failure

    bounds = Bounds(CALL.memory_bytes, CALL.table_elements, None)
    return guest_failure(outcome.error, outcome.trap, bounds)


def _find(path: str, name: str) -> tuple[str, str, str] | None:
    """Return the path of the compiled code, the export and its signature."""
    folder = default_folder()
    try:
        key = file_key(os.stat(path), "", name)
        if folder is None or key is None or not is_private(folder):
            return None
        entry = find_entry(folder, entry_path(folder, flavour_of(EXEC_PROFILE.name), key))
    except (OSError, ValueError):
        return None
    return (f"{folder}/{entry.code}", entry.export, entry.signature) if entry.is_pure else None


def parse_plain(signature: str, texts: list[str]) -> list[int | float] | None:
    """Return plain decimal arguments as values; None for anything that needs a second look.

    That is also a signature with other types than integers and doubles.
    """
    kinds, arrow, _ = signature.partition(">")
    if not arrow or signature.strip(_SUPPORTED) or len(kinds) != len(texts):
        return None
    values: list[int | float] = []
    for kind, text in zip(kinds, texts, strict=True):
        digits = text[1:] if text[:1] == "-" else text
        if not (digits.isascii() and digits.isdigit() and len(text) <= _LONGEST_NUMBER):
            return None
        number = int(text)
        if kind != DOUBLE and not -(1 << (BITS[kind] - 1)) <= number < 1 << BITS[kind]:
            return None
        values.append(float(number) if kind == DOUBLE else number)
    return values
