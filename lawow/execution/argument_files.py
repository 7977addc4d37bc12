"""Arguments that stand in a file: ``@FILE`` on the command line."""

from __future__ import annotations

from lawow.errors import LimitExceeded
from lawow.limits import ARCHIVE

__all__ = ["read_argument_file"]


def read_argument_file(path: str) -> bytes:
    """Return the content of a file. Raises `OSError`, `LimitExceeded`."""
    with open(path, "rb") as stream:
        content = stream.read(ARCHIVE.entry_bytes + 1)
    if len(content) > ARCHIVE.entry_bytes:
        raise LimitExceeded("entry_bytes", "more", ARCHIVE.entry_bytes, subject=path)
    return content
