"""The folder that ``--data`` names: what lies where, who holds it, the key that marks compiled code as ours.

::

    DATA/lock            held by the one server that runs on this folder
    DATA/edge.sqlite     tenants, tokens, ownership (write-ahead log beside it)
    DATA/key             32 random bytes, mode 0600: the key of the marks on compiled modules
    DATA/blobs/ab/HEX    modules by SHA-256
    DATA/compiled/       compiled modules by tenant, each with its mark; a cache
    DATA/incoming/       uploads on their way; emptied at every start
    DATA/partial/        resumable uploads, each named by its lease; kept over a restart
    DATA/damaged/        blobs whose digest did not match any more, for the operator to look at

Everything below DATA is readable for the service's user alone.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

from lawow.durable import sync_directory, write_file
from lawow.errors import Refused

__all__ = ["DATABASE", "DataFolder"]

DATABASE = "edge.sqlite"
"""Name of the SQLite file in the folder."""
KEY_BYTES = 32
FOLDERS = ("blobs", "compiled", "incoming", "partial", "damaged")


class DataFolder:
    """Paths below ``--data``. Making one creates what is missing, durably."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        above = [folder.parent for folder in (self.root, *self.root.parents) if not folder.exists()]
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in FOLDERS:
            (self.root / name).mkdir(mode=0o700, exist_ok=True)
        # Also where the folder itself is named: else a power cut takes it away with all that is in it.
        for folder in (self.root, *above):
            sync_directory(folder)
        self._lock: int | None = None

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / DATABASE

    @property
    def incoming(self) -> Path:
        """Uploads on their way; same file system as the blobs, so that a rename moves them."""
        return self.root / "incoming"

    @property
    def partial(self) -> Path:
        """Resumable uploads; same file system as the blobs."""
        return self.root / "partial"

    @property
    def compiled(self) -> Path:
        """The cache of compiled modules."""
        return self.root / "compiled"

    @property
    def damaged(self) -> Path:
        """Blobs that rotted."""
        return self.root / "damaged"

    def blob(self, digest: str) -> Path:
        """Return the path of a module; `digest` is SHA-256 in hex, checked by whoever parsed it."""
        return self.root / "blobs" / digest[:2] / digest

    def blobs(self) -> list[Path]:
        """Return all files below ``blobs``, whatever their names."""
        return [path for path in (self.root / "blobs").glob("*/*") if path.is_file()]

    def hold(self) -> None:
        """Take the folder for this process until it ends. Raises `Refused` if another server has it."""
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Refused(
                f"{self.root}: another `lawow serve` runs on this folder; give each its own"
            ) from None
        self._lock = descriptor

    def release(self) -> None:
        """Let another server take the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def key(self) -> bytes:
        """Return the key of the marks, made on first use. Raises `Refused` if the file is not ours alone."""
        path = self.root / "key"
        if not path.exists():
            write_file(path, secrets.token_bytes(KEY_BYTES), mode=0o600)
        status = path.stat()
        if status.st_mode & 0o077 or status.st_uid != os.geteuid():
            raise Refused(
                f"{path}: others can read it; remove it, and the cache of compiled code is made anew"
            )
        key = path.read_bytes()
        if len(key) != KEY_BYTES:
            raise Refused(f"{path}: {len(key)} bytes instead of {KEY_BYTES}; remove it, a new one is made")
        return key
