"""Compiled code on disk, so that a module is compiled once and mapped afterwards in half a millisecond.

Two kinds of small files lie in one folder, ``$XDG_CACHE_HOME/lawow/code`` (default
``~/.cache/lawow/code``): ``<digest>.cwasm`` is compiled code, ``<key>.entry`` says which code belongs to a
key and how to recognise it. A module has two kinds of keys. A *file key* is device, inode, size and times
of the file, and an export's name: a run which hits need not read the module; the *content key* is a digest
of its bytes, for a file that was copied or touched. Both include the engine's release and the profile. The
processor is not in the key: the engine itself refuses code that needs instructions which the machine lacks,
and then the module is compiled again.

**Why an entry can be trusted.** Compiled code runs outside of any sandbox, and the engine accepts a file
with flipped bytes. So the folder must belong to the user and be closed to everybody else, or it is not
used; who can write there anyway can already run code as the user, which is why a secret key would add
nothing. Against damage each entry holds the code's size, change time and digest. The digest is checked at
every load up to `VERIFIED_BYTES`. Larger code, which would take longer to hash than to start, is flushed to
the disk when it is written, and hashed only if its change time, which no program can set, is another than
then. No lock is needed: files are written under another name and renamed, and equal names have equal
meaning.

On the start path of ``lawow exec``.
"""

from __future__ import annotations

import os
import time

from lawow.errors import FormatError, LimitExceeded
from lawow.runtime.hot import COMPILE
from lawow.runtime.places import (
    VERIFIED_BYTES,
    Entry,
    default_folder,
    digest_of,
    entry_path,
    find_entry,
    flavour_of,
    is_private,
    name_of,
    new_digest,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lawow.runtime.base import CompiledModule, Engine
    from lawow.runtime.profiles import EngineProfile

__all__ = ["LARGEST_CACHE_BYTES", "CodeCache", "content_key", "remove_file"]

LARGEST_CACHE_BYTES = 1 << 30
"""Above it the oldest half of the files goes. Roughly 300 modules of SQLite's size."""

_ABANDONED_SECONDS = 3600
"""No compilation takes so long; a ``.part`` file of that age belongs to a process that was killed."""

_REFUSAL_LINES = 5

_CHUNK_BYTES = 1 << 20


def content_key(descriptor: int) -> str:
    """Return `digest_of` the whole file open at `descriptor`, without holding it in memory."""
    state = new_digest()
    offset = 0
    while chunk := os.pread(descriptor, _CHUNK_BYTES, offset):
        state.update(chunk)
        offset += len(chunk)
    return state.hexdigest()


class CodeCache:
    """The cache of one folder for one profile. Without a usable folder it finds nothing and keeps nothing."""

    def __init__(self, folder: str | None, profile: EngineProfile) -> None:
        self._flavour = flavour_of(profile.name)
        self.folder = folder if folder is not None and is_private(folder) else None

    @classmethod
    def for_user(cls, profile: EngineProfile) -> CodeCache:
        """Return the user's cache; make its folder if it does not exist."""
        folder = default_folder()
        if folder is not None and not os.path.isdir(folder):
            try:
                os.makedirs(os.path.dirname(folder), exist_ok=True)
                os.mkdir(folder, 0o700)
            except OSError:  # a read-only home: work without
                folder = None
        return cls(folder, profile)

    def find(self, key: str | None) -> Entry | None:
        """Return the entry of a key if its code is there and sound; a damaged one is removed."""
        if self.folder is None or key is None:
            return None
        path = entry_path(self.folder, self._flavour, key)
        try:
            return find_entry(self.folder, path)
        except ValueError:
            remove_file(path)
        except OSError:
            return None
        return None

    def load(self, engine: Engine, key: str | None) -> CompiledModule | None:
        """Return the compiled module of a key, or None if it must be compiled."""
        entry = self.find(key)
        return None if entry is None else self.load_entry(engine, entry)

    def load_entry(self, engine: Engine, entry: Entry) -> CompiledModule | None:
        """Return the compiled module of an entry, or None if this engine cannot use it."""
        try:
            return engine.load(f"{self.folder}/{entry.code}")
        except FormatError:  # made on another machine that shares this folder
            return None

    def put(
        self, key: str | None, entry: Entry, *, export: str = "", signature: str = "", is_pure: bool = False
    ) -> None:
        """Remember that `key` has the code of `entry`, and what is known of the export that it stands for."""
        if self.folder is None or key is None:
            return
        facts = (entry.code, entry.digest, entry.size_bytes, entry.ctime_ns)
        text = Entry(*facts, export, signature, is_pure).to_text()
        try:
            data = text.encode()
            self._write(entry_path(self.folder, self._flavour, key), data)
        except (OSError, UnicodeEncodeError):  # disk full, or a name that is no text: compile again next time
            return

    def store(self, content: str, code: bytes) -> Entry | None:
        """Write compiled code for the content key `content`; None if that is impossible."""
        if self.folder is None:
            return None
        digest = digest_of(code)
        path = f"{self.folder}/{self._name(content)}.cwasm"
        try:
            self._write(path, code)
            return self._adopt(content, digest)
        except OSError:
            return None

    def adopt(self, content: str, digest: str, part: str) -> Entry | None:
        """Take over the code that another process wrote to `part` in the cache's folder."""
        try:
            os.replace(part, f"{self.folder}/{self._name(content)}.cwasm")
            return self._adopt(content, digest)
        except OSError:
            return None

    def refuse(self, content: str, error: LimitExceeded) -> None:
        """Remember that compiling this content hit a limit, so that nobody tries again for nothing."""
        if self.folder is None:
            return
        facts = [error.limit, str(error.value), str(error.maximum), error.hint, error.subject]
        try:
            self._write(self._refusal_path(content), "\n".join(facts).encode())
        except OSError:
            return

    def refusal(self, content: str) -> LimitExceeded | None:
        """Return the limit that this content hit before, or None."""
        if self.folder is None:
            return None
        try:
            with open(self._refusal_path(content), "rb") as stream:
                facts = stream.read().decode("utf-8", "replace").split("\n")
        except OSError:
            return None
        if len(facts) != _REFUSAL_LINES:
            return None
        limit, value, maximum, hint, subject = facts
        told = f"{hint} at an earlier try, which is remembered; --no-cache tries again"
        return LimitExceeded(limit, value, maximum, hint=told, subject=subject)

    def _refusal_path(self, content: str) -> str:
        # Limits that are changed in a later release are another question.
        limits = f"{COMPILE.cpu_seconds} {COMPILE.address_space_bytes}"
        return f"{self.folder}/{self._name(f'{limits} {content}')}.refused"

    def part_path(self) -> str:
        """Return an unused name in the folder for code that is being written."""
        return f"{self.folder}/{os.getpid()}-{os.urandom(6).hex()}.part"

    def _adopt(self, content: str, digest: str) -> Entry:
        name = f"{self._name(content)}.cwasm"
        facts = os.stat(f"{self.folder}/{name}")
        entry = Entry(name, digest, facts.st_size, facts.st_ctime_ns)
        self.put(content, entry)
        self._prune()
        return entry

    def _name(self, key: str) -> str:
        return name_of(self._flavour, key)

    def _write(self, path: str, data: bytes) -> None:
        """Write a file whole or not at all. Not flushed to the disk: a torn file fails its digest.

        Code that is too large to be hashed at every load is flushed.
        """
        part = self.part_path()
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb", buffering=0) as stream:
                view = memoryview(data)
                while view:
                    view = view[stream.write(view) :]
                if len(data) > VERIFIED_BYTES:
                    os.fsync(descriptor)
            os.replace(part, path)
        except OSError:
            remove_file(part)
            raise

    def _prune(self) -> None:
        """Remove what killed processes left, and the oldest files if the folder has grown too large."""
        with os.scandir(self.folder) as items:
            files = [(item.stat().st_mtime_ns, item.stat().st_size, item.path) for item in items]
        for written_ns, _, path in files:
            if path.endswith(".part") and time.time_ns() - written_ns > _ABANDONED_SECONDS * 10**9:
                remove_file(path)
        total = sum(size for _, size, _ in files)
        if total <= LARGEST_CACHE_BYTES:
            return
        for _, size, path in sorted(files):
            remove_file(path)
            total -= size
            if total <= LARGEST_CACHE_BYTES // 2:
                break


def remove_file(path: str) -> None:
    """Remove a file, if that is possible."""
    try:
        os.unlink(path)
    except OSError:  # gone already, or the disk is read-only: either way there is nothing to do
        return
