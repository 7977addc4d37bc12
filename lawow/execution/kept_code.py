"""The user's cache of compiled code, seen from outside: what it holds, whether it is whole, how to shrink it.

What the files mean and why they can be trusted stands in `lawow.runtime.cache`. All of this may run beside
processes that use the cache: a file that goes away meanwhile is one that is not there.
"""

from __future__ import annotations

import os

from lawow.errors import Refused
from lawow.runtime.cache import LARGEST_CACHE_BYTES, remove_file
from lawow.runtime.places import Entry, default_folder, digest_of, is_private

__all__ = ["KeptCode", "KeptFile"]

_CODE, _ENTRY = ".cwasm", ".entry"


class KeptFile:
    """One file of compiled code: how many keys lead to it, and the exports among them."""

    __slots__ = ("digest", "entries", "exports", "modified_ns", "name", "size_bytes")

    def __init__(self, name: str, size_bytes: int, modified_ns: int) -> None:
        self.name = name
        self.size_bytes = size_bytes
        self.modified_ns = modified_ns
        self.digest = ""
        self.entries = 0
        self.exports: set[str] = set()


class KeptCode:
    """The cache of this user, as it was when this was made. Raises `Refused` if it is open to others."""

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder or default_folder()
        self.limit_bytes = LARGEST_CACHE_BYTES
        self.files: dict[str, KeptFile] = {}
        self.damaged: list[str] = []
        self._sizes: dict[str, tuple[int, int]] = {}  # name -> modification time and size, of every file
        if self.folder is None or not os.path.isdir(self.folder):
            return
        if not is_private(self.folder):
            raise Refused(
                f"{self.folder} is not used: it must belong to you and be closed to others (chmod 700)"
            )
        self._read(self.folder)

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(size for _, size in self._sizes.values())

    def verify(self) -> list[str]:
        """Return the names of the files that are damaged: entries that cannot be read, code with other bytes.

        Code that no entry describes is not damaged, but never used either.
        """
        wrong = list(self.damaged)
        for file in self.files.values():
            try:
                with open(f"{self.folder}/{file.name}", "rb") as stream:
                    is_right = not file.digest or digest_of(stream.read()) == file.digest
            except OSError:
                continue
            if not is_right:
                wrong.append(file.name)
        return sorted(wrong)

    def remove(self, names: list[str]) -> int:
        """Remove files by name; return how many bytes that freed."""
        freed = 0
        for name in names:
            freed += self._sizes.pop(name, (0, 0))[1]
            self.files.pop(name, None)
            remove_file(f"{self.folder}/{name}")
        return freed

    def prune(self, largest_bytes: int) -> list[str]:
        """Remove the oldest files until no more than `largest_bytes` are left; return their names."""
        chosen, left = [], self.size_bytes
        for name, (_, size) in sorted(self._sizes.items(), key=lambda item: item[1]):
            if left <= largest_bytes:
                break
            chosen.append(name)
            left -= size
        self.remove(chosen)
        return chosen

    def _read(self, folder: str) -> None:
        with os.scandir(folder) as items:
            for item in items:
                try:
                    facts = item.stat(follow_symlinks=False)
                except OSError:
                    continue
                self._sizes[item.name] = (facts.st_mtime_ns, facts.st_size)
                if item.name.endswith(_CODE):
                    self.files[item.name] = KeptFile(item.name, facts.st_size, facts.st_mtime_ns)
        for name in sorted(self._sizes):
            if name.endswith(_ENTRY):
                self._read_entry(folder, name)

    def _read_entry(self, folder: str, name: str) -> None:
        try:
            with open(f"{folder}/{name}", "rb") as stream:
                entry = Entry.from_text(stream.read().decode())
        except OSError:
            return
        except UnicodeDecodeError:
            entry = None
        file = self.files.get(entry.code) if entry is not None else None
        if entry is None or file is None:
            self.damaged.append(name)
            return
        file.entries += 1
        file.digest = entry.digest
        if entry.export:
            file.exports.add(entry.export)
