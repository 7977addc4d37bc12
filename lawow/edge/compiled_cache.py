"""Compiled modules on the disk, each with a mark that only this edge can make.

Compiled code is native code: whoever runs it trusts it. So a file of this cache is used only if it begins
with the right HMAC-SHA256 under the key in ``DATA/key``, taken over tenant, module, engine, and the code
itself; a file from elsewhere, for another engine or with one flipped bit is removed and made again. Every
tenant has files of its own: a shared one would tell by its speed that somebody else has the module. Modules
that could not be compiled are remembered, so that the second try costs nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import platform
from contextlib import suppress
from pathlib import Path

from lawow.durable import sync_directory
from lawow.edge.children import python_command, run_child
from lawow.edge.compile_worker import REFUSED
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.refusals import BadModule, Busy, StorageFailed
from lawow.limits import COMPILE, EDGE, EdgeLimits
from lawow.runtime.libwasmtime import VERSION
from lawow.runtime.profiles import EDGE_PROFILE

__all__ = ["ENGINE", "CompiledCache"]

ENGINE = f"wasmtime-{VERSION}/{EDGE_PROFILE.name}/{platform.machine()}/state-1"
"""What compiled code fits to; part of every mark. The last part: how state is exposed."""

MARK_BYTES = 32
COMPILES_WAITING = 16
SENTENCE_BYTES = 2_000


class CompiledCache:
    """Compiles, keeps and hands out. For one event loop."""

    def __init__(self, folder: DataFolder, database: Database, limits: EdgeLimits = EDGE) -> None:
        self._folder = folder
        self._database = database
        self._limits = limits
        self._key = folder.key()
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0

    def recover(self, owned: set[tuple[str, str]]) -> int:
        """Remove files of modules that nobody owns and of writes that were interrupted; return how many."""
        wanted = {self._path(tenant, digest) for tenant, digest in owned}
        removed = 0
        for path in self._folder.compiled.glob("*/*"):
            if path not in wanted:
                path.unlink()
                removed += 1
        return removed

    async def prepare(self, tenant: str, digest: str, source: Path) -> None:
        """Make sure that the module, whose verified bytes lie at `source`, is compiled.

        Raises `BadModule` (invalid, or too costly; also when it is remembered to be), `Busy`,
        `StorageFailed`.
        """
        self._require_not_refused(tenant, digest)
        if self._path(tenant, digest).exists():
            return
        if self._waiting >= COMPILES_WAITING:
            raise Busy("too many modules wait to be compiled", retry_after_seconds=5)
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                self._require_not_refused(tenant, digest)
                if not self._path(tenant, digest).exists():
                    await self._compile(tenant, digest, source)
        finally:
            self._waiting -= 1

    async def open(self, tenant: str, digest: str) -> int | None:
        """Return a descriptor of the compiled code behind its verified mark, or None if there is none."""
        return await asyncio.to_thread(self._open, tenant, digest)

    def forget(self, tenant: str, digest: str) -> None:
        """Remove what is kept for a module."""
        self._path(tenant, digest).unlink(missing_ok=True)

    def _open(self, tenant: str, digest: str) -> int | None:
        path = self._path(tenant, digest)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb", closefd=False) as stream:
            mark = stream.read(MARK_BYTES)
            code = stream.read()
        if hmac.compare_digest(mark, self._mark(tenant, digest, code)):
            os.lseek(descriptor, MARK_BYTES, os.SEEK_SET)
            with suppress(OSError):
                os.utime(path)  # the time of last use, for `_evict`
            return descriptor
        os.close(descriptor)
        path.unlink(missing_ok=True)
        return None

    async def _compile(self, tenant: str, digest: str, source: Path) -> None:
        target = self._path(tenant, digest)
        scratch = self._folder.incoming / f"{target.parent.name}-{digest}.compiling"
        try:
            status = await self._run(source, scratch)
            if status == 0:
                await asyncio.to_thread(self._keep, tenant, digest, scratch, target)
                return
            sentence = _refusal(status, scratch)
        except OSError as error:
            raise StorageFailed(f"the edge's disk refused a write: {error.strerror}") from None
        finally:
            scratch.unlink(missing_ok=True)
        await asyncio.to_thread(self._remember, tenant, digest, sentence)
        raise BadModule(sentence)

    def _remember(self, tenant: str, digest: str, sentence: str) -> None:
        with self._database.transaction() as connection:
            row = (tenant, digest, ENGINE, sentence)
            connection.execute("INSERT OR REPLACE INTO refused_modules VALUES (?, ?, ?, ?)", row)

    async def _run(self, source: Path, scratch: Path) -> int:
        stdin = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        stdout = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            command = python_command("lawow.edge.compile_worker")
            # Wall time too, because a busy machine gives a process less than all of its time.
            return await run_child(command, stdin=stdin, stdout=stdout, wall_seconds=2 * COMPILE.cpu_seconds)
        finally:
            os.close(stdin)
            os.close(stdout)

    def _keep(self, tenant: str, digest: str, scratch: Path, target: Path) -> None:
        """Write mark and code; no flush of the file, since a torn one fails its mark and is made again."""
        code = scratch.read_bytes()
        target.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = target.with_suffix(".part")
        try:
            with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
                stream.write(self._mark(tenant, digest, code))
                stream.write(code)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(target.parent)
        self._evict(target)

    def _evict(self, newest: Path) -> None:
        """Remove the tenant's files that were unused for longest while they take more than the limit."""
        found = [(path.stat().st_mtime, path.stat().st_size, path) for path in newest.parent.iterdir()]
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._limits.compiled_bytes_per_tenant:
                return
            if path != newest:
                path.unlink(missing_ok=True)
                total -= size

    def _require_not_refused(self, tenant: str, digest: str) -> None:
        rows = self._database.query(
            "SELECT reason FROM refused_modules WHERE tenant = ? AND digest = ? AND engine = ?",
            (tenant, digest, ENGINE),
        )
        if rows:
            raise BadModule(str(rows[0][0]))

    def _mark(self, tenant: str, digest: str, code: bytes) -> bytes:
        header = "\0".join((ENGINE, tenant, digest, "")).encode()
        return hmac.digest(self._key, header + hashlib.sha256(code).digest(), "sha256")

    def _path(self, tenant: str, digest: str) -> Path:
        """Paths come from digests alone, never from names that somebody chose."""
        return self._folder.compiled / hashlib.sha256(tenant.encode()).hexdigest()[:32] / digest


def _refusal(status: int, scratch: Path) -> str:
    """Say why a module was not compiled."""
    if status == REFUSED:
        with scratch.open("rb") as stream:
            return stream.read(SENTENCE_BYTES).decode(errors="replace")
    return (
        f"compiling this module takes more than {COMPILE.cpu_seconds} s of processor time "
        f"or {COMPILE.address_space_bytes >> 20} MiB of memory"
    )
