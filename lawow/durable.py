"""Files that are whole or absent: the only code that puts results on the user's disk.

A result is written under a temporary name in its own folder, flushed to the disk, and renamed into place
when it is complete; then the folder is flushed. Whoever looks sees the old file or the new one, never a part,
and a failure leaves nothing behind. Acknowledged means on disk.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

__all__ = ["remove_tree_of_files", "replace_all", "sync_directory", "write_file"]


def write_file(path: Path, data: bytes, *, mode: int = 0o644, overwrite: bool = True) -> None:
    """Write `data` to `path` durably and atomically.

    With ``overwrite=False`` an existing file raises `FileExistsError` and stays as it is.
    Raises `OSError` (disk full, no permission) with nothing left behind.
    """
    replace_all([(path, data)], mode=mode, overwrite=overwrite)


def replace_all(files: Iterable[tuple[Path, bytes]], *, mode: int = 0o644, overwrite: bool = True) -> None:
    """Write several files; none gets its final name before all of them are complete on the disk.

    Folders must exist. Raises `OSError` with no temporary file left and, unless a rename itself fails,
    none of the final names changed.
    """
    staged: list[tuple[Path, Path]] = []
    try:
        for path, data in files:
            staged.append((_stage(path, data, mode), path))
        for temporary, path in staged:
            if overwrite:
                os.replace(temporary, path)
            else:
                os.link(temporary, path)  # fails if the name is taken, unlike a rename
    finally:
        for temporary, _ in staged:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
    for folder in {path.parent for _, path in staged}:
        sync_directory(folder)


def sync_directory(folder: Path) -> None:
    """Flush a folder's entries to the disk, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree_of_files(files: Iterable[Path], stop_at: Path) -> None:
    """Remove `files`, then every folder above them that became empty, up to but not including `stop_at`."""
    folders: set[Path] = set()
    for path in files:
        with suppress(FileNotFoundError):
            path.unlink()
        folders.update(parent for parent in path.parents if stop_at in parent.parents)
    for folder in sorted(folders, key=lambda item: len(item.parts), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _stage(path: Path, data: bytes, mode: int) -> Path:
    """Write `data` beside `path` under a temporary name and flush it; clean up when that fails."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return temporary
