"""Models for inference at rest: ONNX files by the names under which a tenant's modules load them.

They lie beside the modules (`lawow.edge.blobs`), count for the same quotas, and are the tenant's alone. A
name is the tenant's to give: uploading to one that is there replaces its model at once.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lawow.edge.blobs import Blobs
from lawow.edge.database import Database
from lawow.edge.module_store import ModuleStore
from lawow.edge.refusals import BadRequest, NotFound, TooLarge
from lawow.limits import EDGE, EdgeLimits

__all__ = ["ModelStore", "StoredModel", "require_model_name"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model that a tenant owns. `digest` is SHA-256 in hex."""

    name: str
    digest: str
    size_bytes: int


def require_model_name(name: str) -> str:
    """Return a name that a model can have. Raises `BadRequest`."""
    if not NAME.fullmatch(name):
        raise BadRequest(
            f"{name[:80]!r} is no name for a model: 1 to 63 of A-Z, a-z, 0-9, '.', '_', '-', "
            "and the first a letter or digit"
        )
    return name


class ModelStore:
    """The models of all tenants. All but `open` block on the disk."""

    def __init__(self, store: ModuleStore, database: Database, limits: EdgeLimits = EDGE) -> None:
        """`store` keeps the modules, which share files and quotas."""
        self._store = store
        self._blobs: Blobs = store.blobs
        self._database = database
        self._limits = limits

    def keep(self, tenant: str, path: Path, model: StoredModel) -> bool:
        """Make a flushed file the tenant's model of that name; return whether the name is new.

        It is on the disk when this returns. Raises `TooLarge` beyond a quota, `StorageFailed`.
        """
        with self._blobs.lock:
            before = {item.name: item for item in self.list(tenant)}
            old = before.get(model.name)
            if old is None and len(before) >= self._limits.models_per_tenant:
                raise TooLarge(
                    f"the tenant has {len(before)} models, the limit models_per_tenant is "
                    f"{self._limits.models_per_tenant}; DELETE one"
                )
            if old is None or old.digest != model.digest:
                self._store.require_quota(tenant, [model.size_bytes])
            self._blobs.keep([(path, model.digest)], lambda: self._record(tenant, model))
            if old is not None:
                self._blobs.remove_unowned([old.digest])
        return old is None

    def list(self, tenant: str) -> Sequence[StoredModel]:
        """Return the tenant's models by name."""
        rows = self._database.query(
            "SELECT name, digest, bytes FROM models WHERE tenant = ? ORDER BY name", (tenant,)
        )
        return [StoredModel(str(name), str(digest), int(str(size))) for name, digest, size in rows]

    def remove(self, tenant: str, name: str) -> None:
        """Take a model from the tenant. Raises `NotFound`, `StorageFailed`."""
        with self._blobs.lock:
            found = [item for item in self.list(tenant) if item.name == name]
            if not found:
                raise NotFound(f"there is no model {name!r}")
            with self._database.transaction() as connection:
                connection.execute("DELETE FROM models WHERE tenant = ? AND name = ?", (tenant, name))
            self._blobs.remove_unowned([found[0].digest])

    async def open(self, digest: str) -> int | None:
        """Return a descriptor of a file that was just found to be right; None: it is there no more."""
        return await asyncio.to_thread(self._open, digest)

    def _open(self, digest: str) -> int | None:
        path = self._blobs.verified(digest)
        return None if path is None else os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def _record(self, tenant: str, model: StoredModel) -> None:
        row = (tenant, model.name, model.digest, model.size_bytes, int(time.time()))
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?, ?)", row)
