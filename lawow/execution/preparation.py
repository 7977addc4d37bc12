"""Prepare a module: find its compiled code in the cache, or compile it in the way that is safe for it.

Three ways, cheapest first: a file that ran before and did not change is not even read; a small module that
the scan finds harmless is compiled in this process; everything else is compiled in a limited child, and
neither the module nor its code is copied into this process, which so stays below 50 MB for any module.

On the start path of ``lawow exec``: a run whose code is in the cache imports nothing beyond the engine.
"""

from __future__ import annotations

import os
import stat
from time import perf_counter

from lawow.errors import FormatError, LimitExceeded
from lawow.execution.harmless import is_cheap, is_plain_reactor, require_known_imports
from lawow.formats.interface import is_typed, signature_letters
from lawow.runtime.cache import CodeCache, content_key
from lawow.runtime.hot import COMPILE, MODULE
from lawow.runtime.places import Entry, digest_of, file_key
from lawow.runtime.profiles import EXEC_FUEL_PROFILE, EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from lawow.execution.found import Found
    from lawow.runtime.base import CompiledModule, Engine
    from lawow.runtime.grants import Grants

__all__ = ["Prepared", "Preparer", "Request"]


class Request:
    """What the user named: a file, a member of it (or ""), and an export or method. For one run.

    Without `is_known`, what is compiled is not the module in the file, so nothing is remembered of the file.
    """

    __slots__ = ("_is_known", "_key", "member", "name", "path")

    def __init__(self, path: str, member: str, name: str, *, is_known: bool = True) -> None:
        self._is_known = is_known
        self.path = path
        self.member = member
        self.name = name
        self._key: list[str | None] = []

    def key(self) -> str | None:
        """Return the cache key. Raises `OSError` if there is no such file.

        It tells the file's state at the first call, which must come before the file is read: a file that is
        replaced while its guest runs must not be taken for what ran. None for standard input and for a
        folder, whose times tell nothing of the files in it.
        """
        if not self._key:
            self._key.append(self._present_key())
        return self._key[0]

    def _present_key(self) -> str | None:
        if self.path == "-" or not self._is_known:
            return None
        facts = os.stat(self.path)
        return file_key(facts, self.member, self.name) if stat.S_ISREG(facts.st_mode) else None


class Prepared:
    """Compiled code, the export to call, and how long it took to get there.

    `signature` is the one by which the export is called if it has strings or lists, or "". `remember` puts
    code that was compiled just now into the cache; to be called when the user has the result.
    """

    __slots__ = ("export", "module", "prepare_seconds", "remember", "signature", "transfer_seconds")

    def __init__(self, module: CompiledModule, export: str, signature: str = "") -> None:
        self.module = module
        self.export = export
        self.signature = signature
        self.transfer_seconds = self.prepare_seconds = 0.0
        self.remember: Callable[[], object] = _nothing


def _nothing() -> None:
    """There is nothing to remember."""


class Preparer:
    """Prepares modules for one engine profile, with the user's cache or without any."""

    def __init__(
        self,
        *,
        with_fuel: bool = False,
        use_cache: bool = True,
        engine: Engine | None = None,
        grants: Grants | None = None,
    ) -> None:
        self._grants = grants
        self._engine = engine or WasmtimeEngine(EXEC_FUEL_PROFILE if with_fuel else EXEC_PROFILE)
        profile = self._engine.profile
        self._cache = CodeCache.for_user(profile) if use_cache else CodeCache(None, profile)

    def from_cache(self, request: Request) -> Prepared | None:
        """Return the code for a file that ran before and is unchanged since; None otherwise.

        Raises `OSError` if there is no such file.
        """
        started = perf_counter()
        entry = self._cache.find(request.key())
        module = self._load(entry)
        if entry is None or module is None:
            return None
        signature = entry.signature if is_typed(entry.signature) else ""
        prepared = Prepared(module, entry.export or request.name, signature)
        prepared.prepare_seconds = perf_counter() - started
        return prepared

    def from_small_file(self, request: Request) -> Prepared | None:
        """Compile a binary module that is alone in its file, small and harmless; None if it is anything else.

        Raises `OSError`, and what `prepare` raises.
        """
        from lawow.formats.wasm import inspect_module

        started = perf_counter()
        with open(request.path, "rb", buffering=0) as stream:
            if os.fstat(stream.fileno()).st_size > COMPILE.in_process_bytes:
                return None
            wasm = stream.read()
        if not wasm.startswith(b"\0asm"):
            return None
        transferred = perf_counter()
        info = inspect_module(wasm, limits=MODULE)
        require_known_imports(info, request.path)
        if info.is_component or info.interface is not None or not is_cheap(info):
            return None
        prepared = self._compile_here(wasm, request, "")
        prepared.transfer_seconds = transferred - started
        prepared.prepare_seconds = perf_counter() - transferred
        return prepared

    def prepare(self, found: Found, request: Request) -> Prepared:
        """Prepare any module.

        Raises `FormatError`, `LimitExceeded` (the scan, or the child's limits), `Refused` (imports).
        """
        started = perf_counter()
        data = found.data
        transferred = perf_counter()
        require_known_imports(found.info, found.label, self._grants)
        is_small = len(data) <= COMPILE.in_process_bytes and is_cheap(found.info)
        try:
            if is_small or self._engine.compiles_apart:
                prepared = self._compile_here(bytes(data), request, found.export, found.signature)
            else:
                prepared = self._compile_there(data, request, found.export, found.signature)
        except FormatError as error:
            raise error.within(found.label) from None
        prepared.transfer_seconds = transferred - started
        prepared.prepare_seconds = perf_counter() - transferred
        return prepared

    def _compile_here(self, wasm: bytes, request: Request, export: str, signature: str = "") -> Prepared:
        """Compile in this process, unless the same bytes are in the cache from another file."""
        content = digest_of(wasm)
        entry = self._cache.find(content)
        cached = self._load(entry)
        prepared = Prepared(cached or self._engine.compile(wasm), export or request.name, signature)

        def remember() -> None:
            kept = entry if cached else self._cache.store(content, prepared.module.serialize())
            self._remember(kept, prepared, request)

        prepared.remember = remember
        return prepared

    def _compile_there(
        self, data: bytes | memoryview, request: Request, export: str, signature: str
    ) -> Prepared:
        """Compile in a child, unless the same bytes are in the cache from another file."""
        import tempfile

        with tempfile.TemporaryFile() as copy:
            _give_content(data, request.path, copy)
            content = content_key(copy.fileno())
            entry = self._cache.find(content)
            module = self._load(entry)
            if module is None:
                module, entry = self._compile_in_child(copy.fileno(), content)
        prepared = Prepared(module, export or request.name, signature)
        self._remember(entry, prepared, request)
        return prepared

    def _compile_in_child(self, descriptor: int, content: str) -> tuple[CompiledModule, Entry | None]:
        """Compile in a child, unless the same content hit a limit before; remember it if it does now."""
        known = self._cache.refusal(content)
        if known is not None:
            raise known
        try:
            return self._run_child(descriptor, content)
        except LimitExceeded as error:
            self._cache.refuse(content, error)
            raise

    def _run_child(self, descriptor: int, content: str) -> tuple[CompiledModule, Entry | None]:
        """Compile in a child into the cache, or into a folder of our own if there is no cache."""
        import tempfile

        from lawow.runtime.compile_worker import compile_in_child

        os.lseek(descriptor, 0, os.SEEK_SET)
        profile = self._engine.profile
        if self._cache.folder is not None:
            part = self._cache.part_path()
            _, digest = compile_in_child(descriptor, part, profile)
            entry = self._cache.adopt(content, digest, part)
            module = self._load(entry)
            if module is not None:
                return module, entry
            os.lseek(descriptor, 0, os.SEEK_SET)
        with tempfile.TemporaryDirectory(prefix="lawow-") as folder:
            part = f"{folder}/module.cwasm"
            compile_in_child(descriptor, part, profile)
            return self._engine.load(part), None  # mapped, so it outlives the folder

    def _load(self, entry: Entry | None) -> CompiledModule | None:
        return None if entry is None else self._cache.load_entry(self._engine, entry)

    def _remember(self, entry: Entry | None, prepared: Prepared, request: Request) -> None:
        """Remember for the request's file which code to run, and what is known of the export."""
        if entry is None:
            return
        module, export = prepared.module, prepared.export
        function = module.exports.get(export)
        if function is None:  # an error that a later run shall explain again
            return
        signature = prepared.signature or (signature_letters(function) if function.is_callable else "")
        is_pure = not module.imports and is_plain_reactor(module.exports)
        self._cache.put(request.key(), entry, export=export, signature=signature, is_pure=is_pure)


def _give_content(data: bytes | memoryview, path: str, copy: IO[bytes]) -> None:
    """Make `copy` a file with the module's bytes: the module's own file if it is one, else a copy."""
    if isinstance(data, memoryview):  # the mapped file itself
        with open(path, "rb") as stream:
            os.dup2(stream.fileno(), copy.fileno())
        return
    copy.write(data)
    copy.flush()
