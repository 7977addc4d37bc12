"""Modules at rest: blobs by SHA-256 on the disk, and in the database who owns which.

How files come and go is `lawow.edge.blobs`'s. Acknowledged means on disk.
Tenants see their own modules alone: knowing a digest is no permission, and the answer to an upload does not
tell whether somebody else has the module.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lawow.edge.blobs import Blobs, storage_failed
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.policies import TenantPolicy, default_quotas
from lawow.edge.refusals import Busy, NotFound, TooLarge
from lawow.limits import EDGE, EdgeLimits

__all__ = [
    "ModuleStore",
    "ModuleSummary",
    "Recovery",
    "StagedModule",
    "StoredExport",
    "StoredModule",
    "Upload",
]

MODULES_REMEMBERED = 256
MORE_MODULES = "`lawow tenant set NAME --modules N` on the edge allows more"
MORE_BYTES = "`lawow tenant set NAME --module-bytes N` on the edge allows more"


@dataclass(frozen=True, slots=True)
class StoredExport:
    """An exported function: name, core signature (``i>i``) and WIT text."""

    name: str
    signature: str
    wit: str


@dataclass(frozen=True, slots=True)
class StoredModule:
    """A module that a tenant owns. `digest` is SHA-256 in hex."""

    digest: str
    size_bytes: int
    exports: tuple[StoredExport, ...]

    def export(self, name: str) -> StoredExport:
        """Return the exported function called `name`. Raises `NotFound` with the names that exist."""
        for export in self.exports:
            if export.name == name:
                return export
        known = [export.name for export in self.exports[:20]]
        raise NotFound(f"no function {name!r} is exported; functions exported: {', '.join(known) or 'none'}")


@dataclass(frozen=True, slots=True)
class ModuleSummary:
    """What a list of modules says of each."""

    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StagedModule:
    """A module that lies complete in ``incoming``, was looked at, and waits to be kept."""

    path: Path
    module: StoredModule


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a start found left over from before: numbers of files and of rows without a file."""

    uploads_removed: int
    blobs_removed: int
    modules_lost: int


class Upload:
    """One body on its way in. Use as a context manager: whatever was not kept is gone at the end."""

    def __init__(
        self, store: ModuleStore, tenant: str, path: Path, limit_bytes: int, limit_name: str
    ) -> None:
        self.path = path
        self.size_bytes = 0
        self._store = store
        self._tenant = tenant
        self._limit_bytes = limit_bytes
        self._limit_name = limit_name
        self._hash = hashlib.sha256()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        with suppress(OSError):  # mostly because it was kept; else the next start removes it
            self.path.unlink()
        self._store.end_upload(self._tenant, self.size_bytes)

    def announce(self, size_bytes: int) -> None:
        """Refuse a body by the length that its sender announces. Raises `TooLarge`."""
        if size_bytes > self._limit_bytes:
            raise TooLarge(
                f"the body has {size_bytes} bytes, the limit {self._limit_name} is {self._limit_bytes}"
            )
        self._store.require_room(self._tenant, size_bytes - self.size_bytes)

    def write(self, chunk: bytes) -> None:
        """Add bytes. Raises `TooLarge` at the first byte too many, `StorageFailed` if the disk refuses."""
        self.announce(self.size_bytes + len(chunk))
        self._hash.update(chunk)
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise storage_failed(error) from None
        self._store.count(self._tenant, len(chunk))
        self.size_bytes += len(chunk)

    def seal(self) -> str:
        """Flush to the disk and return the SHA-256 in hex. A failed flush is final."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise storage_failed(error) from None
        self._close()
        return self._hash.hexdigest()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):  # what is kept was flushed before, and has told its errors then
                os.close(descriptor)


class ModuleStore:
    """The modules of all tenants. Methods block on the disk; call them from a thread where that matters."""

    def __init__(
        self,
        folder: DataFolder,
        database: Database,
        limits: EdgeLimits = EDGE,
        policy: Callable[[str], TenantPolicy] | None = None,
    ) -> None:
        """Without a `policy` every tenant has the defaults of `limits`."""
        default_policy = TenantPolicy(default_quotas(limits))
        self._folder = folder
        self._database = database
        self._limits = limits
        self._policy = policy or (lambda _: default_policy)
        self.blobs = Blobs(folder, database)
        self._lock = self.blobs.lock
        self._arriving: Counter[str] = Counter()
        self._uploads: Counter[str] = Counter()
        self._recent: dict[tuple[str, str], StoredModule] = {}
        self._removals = 0

    def recover(self) -> Recovery:
        """Remove what a crash left behind; call once, before any upload."""
        leftovers = list(self._folder.incoming.iterdir())
        for path in leftovers:
            _remove(path)
        return Recovery(len(leftovers), *self.blobs.recover())

    def begin(self, tenant: str, kind: str = "module") -> Upload:
        """Begin an upload of a ``module``, ``bundle`` or ``model``.

        Raises `Busy` when too many run for this tenant.
        """
        with self._lock:
            if self._uploads[tenant] >= self._limits.uploads_running_per_tenant:
                raise Busy("too many uploads of this tenant are under way", retry_after_seconds=1)
            self._uploads[tenant] += 1
        name = f"{kind}_bytes"
        try:
            return Upload(self, tenant, self.scratch(), int(getattr(self._limits, name)), name)
        except OSError as error:
            self.end_upload(tenant, 0)
            raise storage_failed(error) from None

    def scratch(self) -> Path:
        """Return a new path in ``incoming``; nothing lies there yet."""
        return self._folder.incoming / f"{secrets.token_hex(12)}.part"

    def count(self, tenant: str, size_bytes: int) -> None:
        """Count bytes of an upload that is under way; for `Upload`."""
        with self._lock:
            self._arriving[tenant] += size_bytes

    def end_upload(self, tenant: str, size_bytes: int) -> None:
        """Stop counting an upload, kept or not; for `Upload`."""
        with self._lock:
            self._arriving[tenant] -= size_bytes
            self._uploads[tenant] -= 1

    def require_room(self, tenant: str, size_bytes: int) -> None:
        """Raise `TooLarge` if `size_bytes` more, beside uploads under way, are beyond the quota."""
        kept_bytes, _ = self.blobs.usage(tenant)
        limit = self._policy(tenant).quotas["module_bytes"]
        if kept_bytes + self._arriving[tenant] + size_bytes > limit:
            raise TooLarge(
                f"modules and models of this tenant would exceed bytes_per_tenant, {limit} bytes in all; "
                f"{MORE_BYTES}"
            )

    def keep(self, tenant: str, staged: Sequence[StagedModule]) -> list[bool]:
        """Make staged modules the tenant's own, all or none; return for each whether it is new to the tenant.

        They are on the disk when this returns. A module that is there already is replaced by the same bytes,
        which repairs it if it rotted. Raises `TooLarge` beyond the quota, `StorageFailed` if the disk
        refuses.
        """
        with self._lock:
            known = {module.digest for module in self.list(tenant)}
            new = {item.module.digest: item for item in staged if item.module.digest not in known}
            self.require_quota(tenant, [item.module.size_bytes for item in new.values()])
            files = [(item.path, item.module.digest) for item in staged]
            self.blobs.keep(files, lambda: self._record(tenant, list(new.values())))
        return [item.module.digest in new for item in staged]

    def list(self, tenant: str) -> list[ModuleSummary]:
        """Return the tenant's modules, oldest first."""
        rows = self._database.query(
            "SELECT digest, bytes FROM modules WHERE tenant = ? ORDER BY created_unix, digest", (tenant,)
        )
        return [ModuleSummary(str(row[0]), _integer(row[1])) for row in rows]

    def get(self, tenant: str, digest: str) -> StoredModule:
        """Return one of the tenant's modules. Raises `NotFound`, the same for unknown and for others'."""
        cached = self._recent.get((tenant, digest))
        if cached is not None:
            return cached
        removals = self._removals
        rows = self._database.query(
            "SELECT digest, bytes, exports FROM modules WHERE tenant = ? AND digest = ?", (tenant, digest)
        )
        if not rows:
            raise NotFound(f"there is no module sha256:{digest}; upload it first")
        module = _stored(rows[0])
        if len(self._recent) >= MODULES_REMEMBERED:
            self._recent.clear()
        if removals == self._removals:
            self._recent[tenant, digest] = module
        return module

    def remove(self, tenant: str, digest: str) -> None:
        """Take a module from the tenant; its bytes go with their last owner.

        Raises `NotFound`, `StorageFailed`.
        """
        with self._lock:
            self.get(tenant, digest)
            with self._database.transaction() as connection:
                connection.execute("DELETE FROM modules WHERE tenant = ? AND digest = ?", (tenant, digest))
            self._forget_recent()
            self.blobs.remove_unowned([digest])

    def verified_blob(self, digest: str) -> Path:
        """Return the path of a module whose bytes were just found to be right.

        Raises `NotFound` if they are not: the blob is set aside and its owners have to upload it again.
        """
        path = self.blobs.verified(digest)
        if path is not None:
            return path
        self._forget_recent()
        raise NotFound(f"the edge's copy of sha256:{digest} was damaged and set aside; upload it again")

    def owned(self) -> set[tuple[str, str]]:
        """Return all pairs of tenant and digest."""
        return {
            (str(row[0]), str(row[1])) for row in self._database.query("SELECT tenant, digest FROM modules")
        }

    def require_quota(self, tenant: str, sizes: Sequence[int]) -> None:
        """Raise `TooLarge` if modules or models of these sizes beside those that are kept are too much."""
        kept_bytes, kept = self.blobs.usage(tenant)
        quotas = self._policy(tenant).quotas
        if kept + len(sizes) > quotas["modules"]:
            raise TooLarge(
                f"the tenant would have {kept + len(sizes)} modules and models, the limit "
                f"modules_per_tenant is {quotas['modules']}; {MORE_MODULES}"
            )
        total = kept_bytes + sum(sizes)
        if total > quotas["module_bytes"]:
            raise TooLarge(
                f"the tenant's modules and models would take {total} bytes, the limit bytes_per_tenant is "
                f"{quotas['module_bytes']}; {MORE_BYTES}"
            )

    def _record(self, tenant: str, new: Sequence[StagedModule]) -> None:
        now = int(time.time())
        with self._database.transaction() as connection:
            for item in new:
                exports = [[export.name, export.signature, export.wit] for export in item.module.exports]
                row = (tenant, item.module.digest, item.module.size_bytes, json.dumps(exports), now)
                connection.execute("INSERT INTO modules VALUES (?, ?, ?, ?, ?)", row)

    def _forget_recent(self) -> None:
        """Forget what `get` remembers, and what it has just read and not remembered yet."""
        self._removals += 1
        self._recent.clear()


def _stored_exports(text: str) -> tuple[StoredExport, ...]:
    """Read the database's form of exports, which `ModuleStore` itself wrote."""
    return tuple(StoredExport(name, signature, wit) for name, signature, wit in json.loads(text))


def _stored(row: Sequence[object]) -> StoredModule:
    return StoredModule(str(row[0]), _integer(row[1]), _stored_exports(str(row[2])))


def _integer(value: object) -> int:
    assert isinstance(value, int)  # the table is STRICT
    return value


def _remove(path: Path) -> None:
    """Remove a file, or a folder of files."""
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            _remove(child)
        path.rmdir()
    else:
        path.unlink()
