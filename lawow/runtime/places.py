"""Where things are: the engine's library, and the compiled code that earlier runs left.

The part of `lawow.runtime.cache` and `lawow.runtime.libwasmtime` that the shortest start of ``lawow exec``
needs, in one small module without further imports: how an entry of the cache is found and recognised, and
which shared library is the right one. What the entries mean, and why they can be trusted, stands in
`lawow.runtime.cache`.
"""

from __future__ import annotations

import os
import stat
import sys
import time

try:
    from _blake2 import blake2b  # hashlib itself loads OpenSSL: 4 ms
except ImportError:
    from hashlib import blake2b

__all__ = [
    "VERIFIED_BYTES",
    "VERSION",
    "VERSIONED_SYMBOL",
    "Entry",
    "default_folder",
    "digest_of",
    "entry_path",
    "file_key",
    "find_entry",
    "find_library",
    "flavour_of",
    "is_private",
    "name_of",
    "new_digest",
]

VERSION = "50.0.1"
"""The only release of the `wasmtime` wheel that may be loaded; the same as in pyproject.toml."""

VERSIONED_SYMBOL = "set_vmctx_memory_50_0_0"
"""A symbol whose name carries the engine's release line, so that a wheel with a false version is caught
too.
"""

VERIFIED_BYTES = 1 << 20
"""Code up to this size is hashed at every load: 1 ms per MiB. The demo's is 14 KiB, SQLite's 3.5 MiB."""

_SETTLED_SECONDS = 0.1
"""A file changed more recently gets no file key: another write within the clock's step would look the same.
"""

_LIBRARY_NAMES = {"linux": "_libwasmtime.so", "darwin": "_libwasmtime.dylib"}
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}

_HEAD = "lawow-code-3"
_LINES = 7


class Entry:
    """Where the code for a key lies and how to recognise it.

    A file's key stands for one `export`; then `signature` is its type in letters ("" if it cannot be
    called) and `is_pure` says that the module imports nothing and that its ``_initialize``, if it has one,
    takes and returns nothing. The key of a content stands for code alone.
    """

    __slots__ = ("code", "ctime_ns", "digest", "export", "is_pure", "signature", "size_bytes")

    def __init__(
        self,
        code: str,
        digest: str,
        size_bytes: int,
        ctime_ns: int,
        export: str = "",
        signature: str = "",
        is_pure: bool = False,
    ) -> None:
        self.code = code
        self.digest = digest
        self.size_bytes = size_bytes
        self.ctime_ns = ctime_ns
        self.export = export
        self.signature = signature
        self.is_pure = is_pure

    def to_text(self) -> str:
        """Return the form in the file."""
        facts = f"{self.size_bytes} {self.ctime_ns} {self.digest}"
        purity = "pure" if self.is_pure else ""
        return "\n".join((_HEAD, self.code, facts, self.export, self.signature, purity, ""))

    @classmethod
    def from_text(cls, text: str) -> Entry | None:
        """Return the entry that `to_text` wrote, or None if it is damaged."""
        lines = text.split("\n")
        facts = lines[2].split(" ") if len(lines) == _LINES and lines[0] == _HEAD else []
        if len(facts) != 3 or not (facts[0].isdecimal() and facts[1].isdecimal()):
            return None
        if "/" in lines[1] or not lines[1].endswith(".cwasm"):
            return None
        return cls(lines[1], facts[2], int(facts[0]), int(facts[1]), lines[3], lines[4], lines[5] == "pure")


def find_library(folders: list[str]) -> tuple[str, str]:
    """Return the path of the engine's library under the first of `folders` that holds it, and what is wrong.

    One of the two is empty. Looks at file names only, because importing the package, or even Python's
    finder for it, costs more than the load.
    """
    machine = os.uname().machine
    name, platform = _LIBRARY_NAMES.get(sys.platform), _MACHINES.get(machine.lower())
    if name is None or platform is None:
        return "", f"no WebAssembly engine for {sys.platform} on {machine}"
    for folder in folders:
        path = f"{folder}/wasmtime/{sys.platform}-{platform}/{name}"
        if folder and os.path.exists(path):
            if not os.path.isdir(f"{folder}/wasmtime-{VERSION}.dist-info"):
                return "", f"{folder}/wasmtime is not release {VERSION}"
            return path, ""
    return "", "the WebAssembly engine is not installed"


def default_folder() -> str | None:
    """Return the cache's folder for this user, or None if the environment names none."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):  # the XDG specification: relative paths are to be ignored
        home = os.environ.get("HOME", "")
        base = f"{home}/.cache" if home.startswith("/") else ""
    return f"{base}/lawow/code" if base else None


def is_private(folder: str) -> bool:
    """Return whether `folder` is a folder of this user that nobody else may enter."""
    try:
        facts = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and not facts.st_mode & 0o077


def file_key(facts: os.stat_result, member: str, name: str) -> str | None:
    """Return the key of an export by the `os.stat` of its file; `member` is a module's name in an archive.

    None if the file changed a moment ago: its times could not tell it from the next change.
    """
    if time.time() - facts.st_ctime < _SETTLED_SECONDS:
        return None
    numbers = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    return "\0".join(("file", *map(str, numbers), member, name))


def flavour_of(profile: str) -> str:
    """Return what, beside the module, decides which code is right: the engine's release and the profile."""
    return f"{VERSION} {profile}"


def name_of(flavour: str, key: str) -> str:
    """Return the name, without suffix, of the files for a key."""
    return blake2b(f"{flavour}\0{key}".encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def entry_path(folder: str, flavour: str, key: str) -> str:
    """Return the path of a key's entry."""
    return f"{folder}/{name_of(flavour, key)}.entry"


def new_digest(data: bytes = b"") -> blake2b:
    """Return the state of the digest by which code and content are recognised."""
    return blake2b(data, digest_size=32)


def digest_of(data: bytes) -> str:
    """Return the digest of `data` in hexadecimal."""
    return new_digest(data).hexdigest()


def find_entry(folder: str, path: str) -> Entry:
    """Return the entry in the file `path` if it is whole and the code that it names is the right one.

    Raises `OSError` if there is no such file, `ValueError` if it is damaged or its code is gone or damaged.
    """
    with open(path, "rb", buffering=0) as stream:
        entry = Entry.from_text(stream.read().decode())
    if entry is None or not _is_sound(folder, entry):
        raise ValueError(path)
    return entry


def _is_sound(folder: str, entry: Entry) -> bool:
    try:
        with open(f"{folder}/{entry.code}", "rb", buffering=0) as stream:
            facts = os.fstat(stream.fileno())
            if facts.st_size != entry.size_bytes:
                return False
            is_as_written = facts.st_ctime_ns == entry.ctime_ns and facts.st_size > VERIFIED_BYTES
            return is_as_written or digest_of(stream.read()) == entry.digest
    except OSError:
        return False
