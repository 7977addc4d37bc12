"""Files of /proc and /sys as the Notifier reads them: little of each, and no file believed.

Refuses, as `Missing` with path and reason: files that are not there, that cannot be read, that are larger
than `NOTIFIER.file_bytes`, are no text, hold no number, or one outside of what nature allows. Opens without
blocking, so that a pipe in a file's place holds nobody up.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lawow.limits import NOTIFIER

__all__ = ["Missing", "Tree", "number"]

MOST_DIGITS = 20
"""Of 2^64; longer numbers cost time and mean nothing."""


class Missing(Exception):
    """A value that is not to be had; the text says where was looked and what was found."""


class Tree:
    """The file system below a root: ``/``, or a folder that is built like it."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root).rstrip("/")

    def text(self, path: str) -> str:
        """Return a file's text without white space at its ends. `path` begins with a slash."""
        try:
            descriptor = os.open(self._root + path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise Missing(f"{path}: {getattr(error, 'strerror', None) or error}") from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Missing(f"{path}: not a file")
            data = _contents(descriptor)
        except OSError as error:  # drivers answer with ENODATA, EIO, EAGAIN while a device sleeps
            raise Missing(f"{path}: {error.strerror}") from None
        finally:
            os.close(descriptor)
        if len(data) > NOTIFIER.file_bytes:
            raise Missing(f"{path}: more than {NOTIFIER.file_bytes} bytes")
        try:
            return data.decode().strip()
        except UnicodeDecodeError:
            raise Missing(f"{path}: no text") from None

    def number(self, path: str, least: float, most: float) -> int:
        """Return the whole number that a file holds, if it lies in the range."""
        return number(self.text(path).removesuffix("%").rstrip(), path, least, most)

    def names(self, folder: str) -> list[str]:
        """Return names in a folder, sorted, `NOTIFIER.devices` at most; none if it is not there."""
        try:
            with os.scandir(self._root + folder) as entries:
                found = [entry.name for entry, _ in zip(entries, range(NOTIFIER.devices), strict=False)]
        except OSError:
            return []
        return sorted(found)

    def holds(self, path: str) -> bool:
        """Tell whether something has this path."""
        return os.path.exists(self._root + path)


def _contents(descriptor: int) -> bytes:
    """Read to the end, or one byte beyond what is allowed: files of /proc come in pieces."""
    data = b""
    while len(data) <= NOTIFIER.file_bytes:
        piece = os.read(descriptor, NOTIFIER.file_bytes + 1 - len(data))
        if not piece:
            break
        data += piece
    return data


def number(text: str, path: str, least: float, most: float) -> int:
    """Return the whole number that a text is, if it lies in the range; `path` is for the error."""
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > MOST_DIGITS:
        raise Missing(f"{path}: found {text[:40]!r}, which is no whole number")
    value = int(text)
    if not least <= value <= most:
        raise Missing(f"{path}: found {value}, allowed is {least:.0f} to {most:.0f}")
    return value
