"""Files that are whole or absent: the only code that puts results on the user's disk.

A result is written under a temporary name in its own folder, flushed to the disk, and renamed into place
when it is complete; then the folder is flushed. Whoever looks sees the old file or the new one, never a part,
and a failure leaves nothing behind. Acknowledged means on disk.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = [
    "made_folders",
    "remove_tree_of_files",
    "removed_if_nobody_hears",
    "replace_all",
    "sync_directory",
    "write_file",
]


def write_file(path: Path, data: bytes, *, mode: int = 0o644, overwrite: bool = True) -> None:
    """Write `data` to `path` durably and atomically.

    With ``overwrite=False`` an existing file raises `FileExistsError` and stays as it is.
    Raises `OSError` (disk full, no permission) with nothing left behind.
    """
    replace_all([(path, data)], mode=mode, overwrite=overwrite)


def replace_all(files: Iterable[tuple[Path, bytes]], *, mode: int = 0o644, overwrite: bool = True) -> None:
    """Write several files; none gets its final name before all of them are complete on the disk.

    Folders must exist. Raises `OSError` with no temporary file left and the final names as they were: files
    that had been replaced already are put back.
    """
    staged: list[tuple[Path, Path]] = []
    undo: list[tuple[Path, Path | None]] = []
    try:
        for path, data in files:
            staged.append((_stage(path, data, mode), path))
        for temporary, path in staged:
            if overwrite:
                undo += _keep(path)
                os.replace(temporary, path)
            else:
                os.link(temporary, path)  # fails if the name is taken, unlike a rename
                undo.append((path, None))
        for folder in {path.parent for _, path in staged}:
            sync_directory(folder)
    except BaseException:
        for path, kept in reversed(undo):
            _put_back(path, kept)
        raise
    finally:
        for leftover in (*(temporary for temporary, _ in staged), *(kept for _, kept in undo if kept)):
            with suppress(FileNotFoundError):
                os.unlink(leftover)


@contextmanager
def made_folders(*folders: Path) -> Iterator[None]:
    """Make folders and their parents for the block; if that raises, remove those that were not there."""
    made: list[Path] = []
    try:
        for folder in folders:
            missing = [item for item in (folder, *folder.parents) if not item.exists()]
            for item in reversed(missing):
                item.mkdir()
                made.append(item)
        yield
    except BaseException:
        for item in reversed(made):
            with suppress(OSError):  # somebody else put something there meanwhile
                item.rmdir()
        raise


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


@contextmanager
def removed_if_nobody_hears(files: Iterable[Path], folder: Path) -> Iterator[None]:
    """Remove results below `folder` again if the block, which reports them, fails.

    A failed run leaves nothing. A reader that went away (`BrokenPipeError`) has heard enough.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError:
        remove_tree_of_files(files, folder)
        raise


def _keep(path: Path) -> list[tuple[Path, Path | None]]:
    """Give the file at `path` a second name and return both, or None for the second if there is no file.

    Returns nothing where the file system knows no second names: then that file cannot be put back.
    """
    kept = path.with_name(f".{path.name}.{secrets.token_hex(6)}.old")
    try:
        os.link(path, kept)
    except FileNotFoundError:
        return [(path, None)]
    except OSError:
        return []
    return [(path, kept)]


def _put_back(path: Path, kept: Path | None) -> None:
    """Make `path` what it was before: `kept`, or nothing."""
    with suppress(FileNotFoundError):
        if kept is None:
            path.unlink()
        else:
            os.replace(kept, path)


def _stage(path: Path, data: bytes, mode: int) -> Path:
    """Write `data` beside `path` under a temporary name and flush it; clean up when that fails.

    Raises `OSError` with the name of `path`, since the temporary one tells nobody anything.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        _write_part(temporary, data, mode)
    except OSError as error:
        error.filename = str(path)
        raise
    return temporary


def _write_part(temporary: Path, data: bytes, mode: int) -> None:
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
