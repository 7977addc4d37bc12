"""Changes to a user's source tree: all checked before the first one is made, none to what is not ours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lawow.durable import remove_tree_of_files, replace_all
from lawow.errors import Refused
from lawow.pack.lock import LOCK_FILE, lock_bytes, read_lock

__all__ = ["Changes", "compare_tree", "plan_changes", "plan_removal"]

_CHANGED = "was changed since pack wrote it"
_MOST_NAMED = 5  # conflicts in one message


@dataclass(frozen=True, slots=True)
class Changes:
    """What will happen to a tree. Paths are relative, with ``/``. Nothing has happened before `apply`."""

    app: Path
    write: dict[str, bytes]
    remove: tuple[str, ...]
    unchanged: tuple[str, ...]
    lock: dict[str, str]

    @property
    def is_empty(self) -> bool:
        """Whether the tree is already as it should be."""
        return not self.write and not self.remove and read_lock(self.app) == self.lock

    def differences(self) -> list[str]:
        """Return each file that is not as it should be, with what is wrong with it."""
        lines = [f"{path} {'differs' if (self.app / path).exists() else 'is missing'}" for path in self.write]
        lines += [f"{path} is left over" for path in self.remove]
        if read_lock(self.app) != self.lock:
            lines.append(f"{LOCK_FILE} {'differs' if (self.app / LOCK_FILE).exists() else 'is missing'}")
        return sorted(lines)

    def apply(self) -> None:
        """Write and remove. A failure before the last file is complete on the disk changes no file.

        Interrupted in the middle of the renames, some files are new and the lock is the old one; running the
        command again completes it, because a file with the planned content is never in the way.
        """
        if self.is_empty:
            return
        files = [(self.app / path, data) for path, data in self.write.items()]
        made = _make_folders(self.app, (path for path, _ in files))
        try:
            if self.lock:
                files.append((self.app / LOCK_FILE, lock_bytes(self.lock)))
            replace_all(files)
        except BaseException:
            _remove_empty(made)
            raise
        gone = [self.app / path for path in self.remove]
        if not self.lock:
            gone.append(self.app / LOCK_FILE)
        remove_tree_of_files(gone, self.app)


def plan_changes(app: Path, files: dict[str, bytes], *, force: bool = False) -> Changes:
    """Compare the planned files with the tree.

    Raises `Refused` if one is in the way that pack did not write, or that was changed since; with `force`,
    the latter are replaced.
    """
    ours = read_lock(app)
    found = _found(app, files, ours)
    changes = _compared(app, files, ours, found)
    conflicts = [
        _conflict(path, path in ours)
        for path in sorted(found)
        if found[path] is not None
        and found[path] not in (changes.lock.get(path), ours.get(path))
        and not (force and path in ours)
    ]
    _refuse(app, conflicts, "nothing was written")
    return changes


def compare_tree(app: Path, files: dict[str, bytes]) -> Changes:
    """Return what would make the tree the planned one, whoever wrote what is there now."""
    ours = read_lock(app)
    return _compared(app, files, ours, _found(app, files, ours))


def _found(app: Path, files: dict[str, bytes], ours: dict[str, str]) -> dict[str, str | None]:
    """Return the digest of each file that is planned or ours, None where nothing is."""
    return {path: _digest_of(app / path) for path in files.keys() | ours.keys()}


def _compared(
    app: Path, files: dict[str, bytes], ours: dict[str, str], found: dict[str, str | None]
) -> Changes:
    lock = {path: _sha256(data) for path, data in files.items()}
    write = {path: data for path, data in files.items() if found[path] != lock[path]}
    stale = tuple(sorted(path for path in ours.keys() - files.keys() if found[path] is not None))
    unchanged = tuple(sorted(files.keys() - write.keys()))
    return Changes(app, write, stale, unchanged, lock)


def plan_removal(app: Path, *, force: bool = False) -> Changes:
    """Plan to take back everything in the lock file.

    Raises `Refused` for files that were changed since, without `force`.
    """
    ours = read_lock(app)
    found = {path: _digest_of(app / path) for path in ours}
    changed = [path for path in sorted(ours) if found[path] not in (None, ours[path])]
    _refuse(app, [] if force else [_conflict(path, ours=True) for path in changed], "nothing was removed")
    return Changes(app, {}, tuple(sorted(path for path in ours if found[path] is not None)), (), {})


def _conflict(path: str, ours: bool) -> str:
    return f"{path} {_CHANGED}" if ours else f"{path} exists and was not written by pack"


def _refuse(app: Path, conflicts: list[str], outcome: str) -> None:
    if not conflicts:
        return
    forced = any(item.endswith(_CHANGED) for item in conflicts)
    hint = " (--force replaces and removes files changed since)" if forced else ""
    shown = "; ".join(conflicts[:_MOST_NAMED])
    more = f"; and {len(conflicts) - _MOST_NAMED} more" if len(conflicts) > _MOST_NAMED else ""
    raise Refused(f"{app}: {shown}{more}: {outcome}{hint}")


def _digest_of(path: Path) -> str | None:
    """Return the digest of a file, None if nothing is there, another text if it is no plain file."""
    if path.is_symlink() or path.is_dir():
        return "not a file"
    try:
        return _sha256(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _make_folders(app: Path, paths: Iterable[Path]) -> list[Path]:
    """Make the folders that are missing and return them, innermost first."""
    folders = {folder for path in paths for folder in path.parents if app in folder.parents}
    missing = {folder for folder in folders if not folder.exists()}
    for folder in sorted(missing, key=lambda item: len(item.parts)):
        folder.mkdir(exist_ok=True)
    return sorted(missing, key=lambda item: len(item.parts), reverse=True)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
