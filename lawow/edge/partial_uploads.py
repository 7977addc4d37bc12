"""Modules on their way in parts: a file for each lease, which grows by appending and survives a restart.

The bytes are flushed before their number is written down, so the offset that the edge tells is on the disk.
SHA-256 is computed while they stream; after a restart it is taken up from the file. A file is as large as a
module may be at most, counts against its tenant's quota, goes with its lease, and is swept at the start of
the edge if no lease in force has begun it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lawow.durable import sync_directory
from lawow.edge.data_folder import DataFolder
from lawow.edge.leases import Lease, LeaseBook
from lawow.edge.module_store import ModuleStore
from lawow.edge.refusals import Conflict, StorageFailed, TooLarge
from lawow.limits import EDGE, EdgeLimits

__all__ = ["PartialUploads"]


@dataclass(slots=True)
class _Part:
    """What is known of a file: whose it is, its size, the digest of its bytes, how many are flushed."""

    tenant: str
    size_bytes: int
    digest: hashlib._Hash
    kept_bytes: int


class PartialUploads:
    """The files of all leases. For one event loop."""

    def __init__(
        self, folder: DataFolder, store: ModuleStore, leases: LeaseBook, limits: EdgeLimits = EDGE
    ) -> None:
        self._folder = folder
        self._store = store
        self._leases = leases
        self._limits = limits
        self._parts: dict[str, _Part] = {}

    def recover(self, held: Sequence[Lease]) -> int:
        """Take up the files of leases in force, remove all others, and return how many those were."""
        begun = {lease.id: lease for lease in held if lease.received_bytes}
        swept = 0
        for path in list(self._folder.partial.iterdir()):
            lease = begun.get(path.name)
            if lease is None or path.stat().st_size < lease.received_bytes:
                path.unlink()
                swept += 1
            else:
                self._take_up(lease, path)
        for lease in begun.values():
            if lease.id not in self._parts:
                self._leases.record_received(lease, 0)
        return swept

    def path(self, lease: Lease) -> Path:
        """Return where the bytes lie; leases are named by the edge."""
        return self._folder.partial / lease.id

    def offset(self, lease: Lease) -> int:
        """Return how many bytes of the module are on the disk."""
        part = self._parts.get(lease.id)
        return 0 if part is None else part.kept_bytes

    async def append(self, lease: Lease, offset: int, chunks: AsyncIterator[bytes]) -> int:
        """Add the bytes that follow those on the disk, and return how many there are then.

        What came before a connection was lost, or a limit was hit, is kept. Raises `Conflict` for another
        offset, `TooLarge`, `StorageFailed`, and what `chunks` raises.
        """
        if offset != self.offset(lease):
            raise Conflict(f"the upload continues at byte {self.offset(lease)}, not at {offset}")
        part = self._parts.setdefault(lease.id, _Part(lease.tenant, 0, hashlib.sha256(), 0))
        try:
            with _opened(self.path(lease), part.size_bytes) as descriptor:
                try:
                    async for chunk in chunks:
                        self._write(descriptor.number, part, chunk)
                finally:
                    # What was received is kept even where this task is being cancelled. All waiting for the
                    # disk is in threads: a disk that is slow, or a tenant of many parts, delays nobody else.
                    await asyncio.to_thread(os.fsync, descriptor.number)
            await asyncio.to_thread(sync_directory, self._folder.partial)
        except OSError as error:
            self.remove(lease)
            reason = (error.strerror or "unknown reason").lower()
            raise StorageFailed(f"the edge's disk refused a write: {reason}") from None
        finally:
            if lease.id in self._parts:
                try:
                    await asyncio.to_thread(self._leases.record_received, lease, part.size_bytes)
                finally:
                    part.kept_bytes = part.size_bytes
        return part.size_bytes

    def digest(self, lease: Lease) -> str:
        """Return the SHA-256, in hex, of what has come."""
        part = self._parts.get(lease.id)
        return hashlib.sha256().hexdigest() if part is None else part.digest.hexdigest()

    def remove(self, lease: Lease) -> None:
        """Forget an upload, complete or not; no effect if there is none."""
        part = self._parts.pop(lease.id, None)
        with suppress(OSError):  # mostly because there is none; else the next start sweeps it
            self.path(lease).unlink()
        if part is not None:
            self._store.count(part.tenant, -part.size_bytes)
            self._leases.record_received(lease, 0)

    def _write(self, descriptor: int, part: _Part, chunk: bytes) -> None:
        limit = self._limits.module_bytes
        if part.size_bytes + len(chunk) > limit:
            raise TooLarge(f"the module has more than {limit} bytes, the limit module_bytes")
        self._store.require_room(part.tenant, len(chunk))
        view = memoryview(chunk)
        while view:
            view = view[os.write(descriptor, view) :]
        part.digest.update(chunk)
        part.size_bytes += len(chunk)
        self._store.count(part.tenant, len(chunk))

    def _take_up(self, lease: Lease, path: Path) -> None:
        """Cut what was not acknowledged off, and compute the digest so far."""
        os.truncate(path, lease.received_bytes)
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
        self._parts[lease.id] = _Part(lease.tenant, lease.received_bytes, digest, lease.received_bytes)
        self._store.count(lease.tenant, lease.received_bytes)


class _opened:
    """A file open for appending behind its first `size_bytes`; as a context manager."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self.number, size_bytes)
        os.lseek(self.number, size_bytes, os.SEEK_SET)

    def __enter__(self) -> _opened:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.number)
