"""What the user grants to a guest, from the text of options to `Grants`: ``--dir``, ``--env``, ``--stdin``,
``--grant``.
"""

from __future__ import annotations

import os

from lawow.errors import UsageError
from lawow.runtime.grants import Directory, Grants
from lawow.runtime.host_functions import find_host_functions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Grants", "parse_directory", "parse_variable", "read_grants"]

_READ_ONLY = "ro"


def read_grants(
    directories: Sequence[str], variables: Sequence[str], stdin: bool, functions: Sequence[str]
) -> Grants | None:
    """Return what these texts grant together, or None if that is nothing. Raises `UsageError`."""
    if not (directories or variables or stdin or functions):
        return None
    return Grants(
        [parse_directory(text) for text in directories],
        [parse_variable(text) for text in variables],
        stdin,
        find_host_functions(functions),
    )


def parse_directory(text: str) -> Directory:
    """Return the folder that ``HOST::GUEST`` or ``HOST::GUEST:ro`` grants.

    Raises `UsageError` for another form, or if HOST is no folder.
    """
    host, separator, guest = text.partition("::")
    name, colon, mode = guest.partition(":")
    if not separator or not host or not name or (colon and mode != _READ_ONLY):
        raise UsageError(f"{text!r} grants no folder; give HOST::GUEST, or HOST::GUEST:ro for reading only")
    if "\0" in text:
        raise UsageError("the name of a folder cannot hold a zero byte")
    if not os.path.isdir(host):
        raise UsageError(f"{host} cannot be granted: it is no folder")
    return Directory(host, name, not mode)


def parse_variable(text: str) -> tuple[str, str]:
    """Return name and value of ``NAME=VALUE``; ``NAME`` alone stands for this process's value.

    Raises `UsageError` for another form, or if this process has no such variable.
    """
    name, separator, value = text.partition("=")
    if not name or "\0" in text:
        raise UsageError(f"{text!r} is no variable; give NAME=VALUE, or NAME to pass on your own")
    if not separator:
        if name not in os.environ:
            raise UsageError(f"the environment has no variable {name} to pass on; give {name}=VALUE")
        value = os.environ[name]
    return name, value
