"""Compiled code on disk, so that a module is compiled once and mapped afterwards in half a millisecond.

Two kinds of small files lie in one folder, ``$XDG_CACHE_HOME/lawow/code`` (default ``~/.cache/lawow/code``):
``<digest>.cwasm`` is compiled code, ``<key>.entry`` says which code belongs to a key and how to recognise it.
A module has two keys. The *file key* is device, inode, size and times of the file, so that a run which hits
need not read the module; the *content key* is a digest of its bytes, for a file that was copied or touched.
Both include the engine's release and the profile. The processor is not in the key: the engine itself refuses
code that needs instructions which the machine lacks, and then the module is compiled again.

**Why an entry can be trusted.** Compiled code runs outside of any sandbox, and the engine accepts a file
with flipped bytes. So the folder must belong to the user and be closed to everybody else, or it is not
used; who can write there anyway can already run code as the user, which is why a secret key would add
nothing. Against damage each entry holds the code's size, modification time and digest. The digest is
checked at every load up to `VERIFIED_BYTES`; above it, where hashing would take longer than the rest of the
start, size and time are. No lock is needed: files are written under another name and renamed, and equal
names have equal meaning.

On the start path of ``lawow exec``.
"""

from __future__ import annotations

import os
import stat
import time

try:
    from _blake2 import blake2b  # hashlib itself loads OpenSSL: 4 ms
except ImportError:
    from hashlib import blake2b

from lawow.errors import FormatError
from lawow.runtime.libwasmtime import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lawow.runtime.base import CompiledModule, Engine
    from lawow.runtime.profiles import EngineProfile

__all__ = ["VERIFIED_BYTES", "CodeCache", "Entry", "content_key", "default_folder", "digest_of", "file_key"]

VERIFIED_BYTES = 4 << 20
"""Code up to this size is hashed at every load: 1 ms per MiB. SQLite's is 3.5 MiB."""

_LARGEST_CACHE_BYTES = 1 << 30
"""Above it the oldest half of the files goes. Roughly 300 modules of SQLite's size."""

_SETTLED_SECONDS = 0.1
"""A file changed more recently gets no file key: another write within the clock's step would look the same.
"""

_ABANDONED_SECONDS = 3600
"""No compilation takes so long; a ``.part`` file of that age belongs to a process that was killed."""

_HEAD = "lawow-code-1"
_CHUNK_BYTES = 1 << 20


class Entry:
    """Where the code for a key lies, how to recognise it, and the export that the key stands for (or "")."""

    __slots__ = ("code", "digest", "export", "mtime_ns", "size_bytes")

    def __init__(self, code: str, digest: str, size_bytes: int, mtime_ns: int, export: str) -> None:
        self.code = code
        self.digest = digest
        self.size_bytes = size_bytes
        self.mtime_ns = mtime_ns
        self.export = export

    def to_text(self) -> str:
        """Return the form in the file."""
        facts = f"{self.size_bytes} {self.mtime_ns} {self.digest}"
        return "\n".join((_HEAD, self.code, facts, self.export, ""))

    @classmethod
    def from_text(cls, text: str) -> Entry | None:
        """Return the entry that `to_text` wrote, or None if it is damaged."""
        lines = text.split("\n")
        facts = lines[2].split(" ") if len(lines) == 5 else []
        if lines[0] != _HEAD or len(facts) != 3 or not (facts[0].isdecimal() and facts[1].isdecimal()):
            return None
        if "/" in lines[1] or not lines[1].endswith(".cwasm"):
            return None
        return cls(lines[1], facts[2], int(facts[0]), int(facts[1]), lines[3])


def default_folder() -> str | None:
    """Return the cache's folder for this user, or None if the environment names none."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):  # the XDG specification: relative paths are to be ignored
        home = os.environ.get("HOME", "")
        base = f"{home}/.cache" if home.startswith("/") else ""
    return f"{base}/lawow/code" if base else None


def digest_of(data: bytes) -> str:
    """Return the digest by which code and content are recognised, in hexadecimal."""
    return blake2b(data, digest_size=32).hexdigest()


def content_key(descriptor: int) -> str:
    """Return `digest_of` the whole file open at `descriptor`, without holding it in memory."""
    state = blake2b(digest_size=32)
    offset = 0
    while chunk := os.pread(descriptor, _CHUNK_BYTES, offset):
        state.update(chunk)
        offset += len(chunk)
    return state.hexdigest()


def file_key(facts: os.stat_result, selector: str = "") -> str | None:
    """Return the key of a file by its `os.stat`; `selector` says what of it is meant (an archive's module).

    None if the file changed a moment ago: its times could not tell it from the next change.
    """
    if time.time() - facts.st_ctime < _SETTLED_SECONDS:
        return None
    numbers = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    return "file " + " ".join(map(str, numbers)) + " " + selector


class CodeCache:
    """The cache of one folder for one profile. Without a usable folder it finds nothing and keeps nothing."""

    def __init__(self, folder: str | None, profile: EngineProfile) -> None:
        self._flavour = f"{VERSION} {profile.name}"
        self.folder = folder if folder is not None and _is_private(folder) else None

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
        path = self._entry_path(key)
        try:
            with open(path, encoding="utf-8") as stream:
                entry = Entry.from_text(stream.read())
        except (OSError, ValueError):
            return None
        if entry is None or not self._is_sound(entry):
            _remove(path)
            return None
        return entry

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

    def put(self, key: str | None, entry: Entry, export: str = "") -> None:
        """Remember that `key` (and `export`, where the key implies one) has the code of `entry`."""
        if self.folder is None or key is None:
            return
        text = Entry(entry.code, entry.digest, entry.size_bytes, entry.mtime_ns, export).to_text()
        try:
            self._write(self._entry_path(key), text.encode())
        except OSError:  # disk full: the next run compiles again
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

    def part_path(self) -> str:
        """Return an unused name in the folder for code that is being written."""
        return f"{self.folder}/{os.getpid()}-{os.urandom(6).hex()}.part"

    def _adopt(self, content: str, digest: str) -> Entry:
        name = f"{self._name(content)}.cwasm"
        facts = os.stat(f"{self.folder}/{name}")
        entry = Entry(name, digest, facts.st_size, facts.st_mtime_ns, "")
        self.put(content, entry)
        self._prune()
        return entry

    def _is_sound(self, entry: Entry) -> bool:
        try:
            facts = os.stat(f"{self.folder}/{entry.code}")
            if (facts.st_size, facts.st_mtime_ns) != (entry.size_bytes, entry.mtime_ns):
                return False
            if facts.st_size > VERIFIED_BYTES:
                return True
            with open(f"{self.folder}/{entry.code}", "rb", buffering=0) as stream:
                return digest_of(stream.read()) == entry.digest
        except OSError:
            return False

    def _name(self, key: str) -> str:
        return blake2b(f"{self._flavour}\0{key}".encode(), digest_size=20).hexdigest()

    def _entry_path(self, key: str) -> str:
        return f"{self.folder}/{self._name(key)}.entry"

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
            _remove(part)
            raise

    def _prune(self) -> None:
        """Remove what killed processes left, and the oldest files if the folder has grown too large."""
        with os.scandir(self.folder) as items:
            files = [(item.stat().st_mtime_ns, item.stat().st_size, item.path) for item in items]
        for written_ns, _, path in files:
            if path.endswith(".part") and time.time_ns() - written_ns > _ABANDONED_SECONDS * 10**9:
                _remove(path)
        total = sum(size for _, size, _ in files)
        if total <= _LARGEST_CACHE_BYTES:
            return
        for _, size, path in sorted(files):
            _remove(path)
            total -= size
            if total <= _LARGEST_CACHE_BYTES // 2:
                break


def _is_private(folder: str) -> bool:
    """Return whether `folder` is a folder of this user that nobody else may enter."""
    try:
        facts = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and not facts.st_mode & 0o077


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:  # gone already, or the disk is read-only: either way there is nothing to do
        return
