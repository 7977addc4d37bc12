"""The short way for a small module that has never run: scan, compile, run, and remember.

The rules are those of `lawow.execution.preparation`, for the one case that needs nothing else: a file of its
own, small, cheap by the scan, that imports nothing and whose export takes and returns integers and doubles.
So the engine is reached by `lawow.runtime.bare`, and neither ctypes nor the usual modules are imported. For
anything else, and for any error, it returns None before a guest has run.
"""

from __future__ import annotations

import os
import stat

from lawow.errors import LawowError
from lawow.execution.harmless import is_cheap, is_plain_reactor
from lawow.execution.shortcut import new_guest, parse_plain, run_guest
from lawow.formats.interface import signature_letters
from lawow.formats.wasm import inspect_module
from lawow.runtime.cache import CodeCache
from lawow.runtime.hot import COMPILE, MODULE
from lawow.runtime.places import Entry, digest_of, file_key
from lawow.runtime.profiles import EXEC_PROFILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lawow.runtime.bare import BareGuest, Outcome

__all__ = ["FirstRun", "run_first"]


_ONE_THREAD_BYTES = 16 << 10
"""A module up to this size compiles faster without threads."""


class FirstRun:
    """What came of a first run, and what to `remember` of it when the user has the result."""

    __slots__ = ("_found", "_guest", "_source", "outcome")

    def __init__(self, outcome: Outcome, source: _Source, guest: BareGuest, found: Entry | None) -> None:
        self.outcome = outcome
        self._source = source
        self._guest = guest
        self._found = found

    def remember(self) -> None:
        """Put the code into the cache, unless it came from there, and say that it is this file's."""
        source, entry = self._source, self._found
        if entry is None and (code := self._guest.serialize()):
            entry = source.cache.store(source.content, code)
        if entry is not None:
            source.cache.put(source.key, entry, export=source.name, signature=source.signature, is_pure=True)


def run_first(path: str, name: str, texts: list[str], late: Callable[[], int]) -> FirstRun | None:
    """Compile a module that is not in the cache and run its export; None to leave it to the usual way.

    `late` is as for `lawow.execution.shortcut.run_again`.
    """
    try:
        source = _read(path, name)
    except (OSError, LawowError):
        return None  # the usual way meets the same error and has the means to explain it
    values = None if source is None else parse_plain(source.signature, texts)
    if source is None or values is None:
        return None
    guest = new_guest(in_one_thread=len(source.wasm) <= _ONE_THREAD_BYTES)
    if guest is None:
        return None
    found = source.cache.find(source.content)
    if found is None or not guest.load(f"{source.cache.folder}/{found.code}"):
        found = None
        if not guest.compile(source.wasm):
            return None
    outcome = run_guest(guest, name, source.signature, values, late)
    return None if outcome is None else FirstRun(outcome, source, guest, found)


class _Source:
    """A module's bytes, its keys in the cache by file and by content, an export and its signature."""

    __slots__ = ("cache", "content", "key", "name", "signature", "wasm")

    def __init__(self, wasm: bytes, key: str | None, name: str, signature: str) -> None:
        self.wasm = wasm
        self.key = key
        self.name = name
        self.signature = signature
        self.content = digest_of(wasm)
        self.cache = CodeCache.for_user(EXEC_PROFILE)


def _read(path: str, name: str) -> _Source | None:
    """Read and scan a module; None if it is not one for this way. Raises `OSError`, `LawowError`."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would take its bytes from the usual way
        return None
    with open(path, "rb", buffering=0) as stream:
        facts = os.fstat(stream.fileno())  # before it is read: see `Request.key`
        if facts.st_size > COMPILE.in_process_bytes:
            return None
        key, wasm = file_key(facts, "", name), stream.read(COMPILE.in_process_bytes)
    signature = _signature(wasm, name)
    return _Source(wasm, key, name, signature) if signature else None


def _signature(wasm: bytes, name: str) -> str:
    """Scan the module; return the letters of an export that may be run in this way, or ""."""
    info = inspect_module(wasm, limits=MODULE)
    exports = {item.name: item.type for item in info.exports if item.type is not None}
    function = exports.get(name)
    if function is None or info.imports or info.interface is not None:
        return ""
    return signature_letters(function) if is_cheap(info) and is_plain_reactor(exports) else ""
