"""The lock file: which files `lawow pack` wrote into an app's module, with their digests.

``lawow.lock.json``, schema 1: ``{"schema": 1, "lawow": VERSION, "wasmtime": VERSION, "files": {PATH:
SHA-256}}``; paths are relative to the module, with ``/``. What stands in it is ours to replace and to take
back, as long as the file still has that digest; all else belongs to the user.
"""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath

from lawow import __version__
from lawow.errors import FormatError
from lawow.pack.runtimes import VERSION

__all__ = ["LOCK_FILE", "lock_bytes", "read_lock"]

LOCK_FILE = "lawow.lock.json"
_SCHEMA = 1
_DIGEST = re.compile(r"[0-9a-f]{64}")


def lock_bytes(digests: dict[str, str]) -> bytes:
    """Return the lock file for these digests by path."""
    document = {
        "schema": _SCHEMA,
        "lawow": __version__,
        "wasmtime": VERSION,
        "files": {path: digests[path] for path in sorted(digests)},
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def read_lock(app: Path) -> dict[str, str]:
    """Return the digests by path; empty if there is no lock file. Raises `FormatError` if it is damaged.

    A path that would leave the module is refused: removing files is what this list is for.
    """
    path = app / LOCK_FILE
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise FormatError(
            "is not JSON; restore it, or delete it together with what pack wrote", file=str(path)
        ) from None
    files = document.get("files") if isinstance(document, dict) else None
    if not isinstance(files, dict) or document.get("schema") != _SCHEMA:
        raise FormatError("is not a lock file of schema 1", file=str(path))
    for name, digest in files.items():
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest) or not _is_inside(name):
            raise FormatError("names no file of this module", file=str(path), found=f"{name[:100]!r}")
    return dict(files)


def _is_inside(name: str) -> bool:
    pure = PurePosixPath(name)
    return bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts and pure.as_posix() == name
