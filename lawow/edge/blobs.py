"""Files by SHA-256, and who owns them: what modules and models of all tenants have in common at rest.

A file is flushed under a temporary name, renamed, and its folder flushed, before the row that makes it
visible is committed; whatever was interrupted is removed at the next start. A file without an owner goes; one
whose bytes no longer have its digest is set aside, and its owners no longer have it.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from lawow.durable import sync_directory
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import OWNERS, Database
from lawow.edge.refusals import StorageFailed

__all__ = ["Blobs", "storage_failed"]


class Blobs:
    """The files of one data folder. Methods block on the disk.

    `lock` is held by whoever changes files and the rows of their owners together.
    """

    def __init__(self, folder: DataFolder, database: Database) -> None:
        self._folder = folder
        self._database = database
        self.lock = threading.Lock()

    def recover(self) -> tuple[int, int]:
        """Remove files without an owner and rows without a file; return how many of each."""
        owned = {str(row[0]) for row in self._database.query("SELECT DISTINCT digest FROM owned_blobs")}
        found = self._folder.blobs()
        orphans = [path for path in found if path.name not in owned]
        for path in orphans:
            path.unlink()
        lost = owned - {path.name for path in found}
        for digest in lost:
            self._disown(digest)
        return len(orphans), len(lost)

    def usage(self, tenant: str) -> tuple[int, int]:
        """Return bytes and number of what a tenant owns."""
        sql = "SELECT COALESCE(SUM(bytes), 0), COUNT(*) FROM owned_blobs WHERE tenant = ?"
        size_bytes, count = self._database.query(sql, (tenant,))[0]
        assert isinstance(size_bytes, int)  # sums of a STRICT table
        assert isinstance(count, int)
        return size_bytes, count

    def keep(self, files: Sequence[tuple[Path, str]], record: Callable[[], object]) -> None:
        """Move flushed files to the names of their digests, then `record` their owner; all or none.

        Raises `StorageFailed` if the disk refuses. For whoever holds the lock.
        """
        moved: list[str] = []
        try:
            for path, digest in files:
                self._place(path, digest)
                moved.append(digest)
            record()
        except OSError as error:
            self.remove_unowned(moved)
            raise storage_failed(error) from None
        except StorageFailed:
            self.remove_unowned(moved)
            raise

    def remove_unowned(self, digests: Sequence[str]) -> None:
        """Take back files that nobody owns; a later start would do it too. For whoever holds the lock."""
        for digest in digests:
            with suppress(OSError, StorageFailed):
                if not self._database.query("SELECT 1 FROM owned_blobs WHERE digest = ?", (digest,)):
                    self._folder.blob(digest).unlink(missing_ok=True)

    def verified(self, digest: str) -> Path | None:
        """Return the path of a file whose bytes were just found to be right; None: it is set aside."""
        path = self._folder.blob(digest)
        try:
            with path.open("rb") as stream:
                intact = hashlib.file_digest(stream, "sha256").hexdigest() == digest
        except OSError:
            intact = False
        if intact:
            return path
        with self.lock:
            with suppress(FileNotFoundError):
                os.replace(path, self._folder.damaged / digest)
            self._disown(digest)
        return None

    def _place(self, path: Path, digest: str) -> None:
        """Move a flushed file to its name and flush the folders above it."""
        target = self._folder.blob(digest)
        if not target.parent.is_dir():
            target.parent.mkdir(mode=0o700)
            try:
                sync_directory(target.parent.parent)
            except OSError:
                target.parent.rmdir()  # the next upload must not take it for one that is on the disk
                raise
        os.replace(path, target)
        sync_directory(target.parent)

    def _disown(self, digest: str) -> None:
        with self._database.transaction() as connection:
            for table in OWNERS:
                connection.execute(f"DELETE FROM {table} WHERE digest = ?", (digest,))


def storage_failed(error: OSError) -> StorageFailed:
    """Return what a peer is told when the disk refuses a write."""
    return StorageFailed(f"the edge's disk refused a write: {(error.strerror or 'unknown reason').lower()}")
