"""The Execution Handler of an edge host: takes modules and bundles in, and executes calls of their exports.

It knows no HTTP and no engine: `ModuleStore` keeps modules, `Intake` and `CompiledCache` look at them and
compile them in throw-away processes, `Supervisor` runs calls on the tenant's worker. Whoever hands out a
host's resources stands in front of it and calls the same methods.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from lawow.channel.values import require_slots, split_signature
from lawow.edge.compiled_cache import CompiledCache
from lawow.edge.intake import BundleFindings, Intake
from lawow.edge.messages import Call
from lawow.edge.module_store import ModuleStore, StagedModule, StoredExport, StoredModule, Upload
from lawow.edge.refusals import BadArguments, BadModule, SignatureMismatch, WorkerLost
from lawow.edge.supervisor import Finished, Supervisor
from lawow.errors import FormatError
from lawow.limits import EDGE, EdgeLimits

__all__ = ["ExecutionHandler"]


@dataclass(frozen=True, slots=True)
class ExecutionHandler:
    """What one host does for its tenants."""

    store: ModuleStore
    intake: Intake
    compiled: CompiledCache
    supervisor: Supervisor
    limits: EdgeLimits = EDGE

    async def keep_module(self, tenant: str, upload: Upload, digest: str) -> tuple[StoredModule, bool]:
        """Keep an upload that is complete, and return it with whether it is new to the tenant.

        It is on the disk, looked at and compiled when this returns. Raises `BadModule`, `TooLarge`, `Busy`,
        `StorageFailed`; then nothing of it is left.
        """
        actual = await asyncio.to_thread(upload.seal)
        if actual != digest:
            raise BadModule(f"the body's SHA-256 is {actual}, its name says {digest}")
        exports = await self.intake.module(upload.path)
        await self.compiled.prepare(tenant, digest, upload.path)
        module = StoredModule(digest, upload.size_bytes, exports)
        created = await asyncio.to_thread(self.store.keep, tenant, [StagedModule(upload.path, module)])
        return module, created[0]

    async def keep_bundle(self, tenant: str, upload: Upload) -> BundleFindings:
        """Keep all modules of a bundle, or none; same promises and errors as `keep_module`."""
        await asyncio.to_thread(upload.seal)
        with self.intake.bundle_folder() as staged:
            findings = await self.intake.bundle(upload.path, staged)
            for item in findings.modules:
                await self.compiled.prepare(tenant, item.module.digest, item.path)
            await asyncio.to_thread(self.store.keep, tenant, findings.modules)
            return findings

    def export(
        self, tenant: str, digest: str, name: str, expected_signature: str | None = None
    ) -> StoredExport:
        """Return an export of one of the tenant's modules. Raises `NotFound`, `SignatureMismatch`."""
        export = self.store.get(tenant, digest).export(name)
        if expected_signature is not None and expected_signature != export.signature:
            raise SignatureMismatch(
                f"{name} has the signature {export.signature}, the caller expects {expected_signature[:100]}"
            )
        return export

    async def call(
        self, tenant: str, digest: str, export: StoredExport, arguments: bytes, deadline_seconds: float
    ) -> Finished:
        """Run an export on a fresh instance; `arguments` and results are slots.

        Raises `BadArguments`, `GuestTrap`, `DeadlineExceeded`, `Busy`, `WorkerLost`, `BadModule`.
        """
        parameters, _ = split_signature(export.signature)
        try:
            require_slots(parameters, arguments)
        except FormatError as error:
            raise BadArguments(str(error)) from None
        call = Call(digest, False, export.name, export.signature, deadline_seconds, arguments)

        async def open_code() -> int:
            return await self._open_code(tenant, digest)

        return await self.supervisor.run(tenant, call, open_code)

    async def _open_code(self, tenant: str, digest: str) -> int:
        """Return compiled code, compiling it again if the cache has lost it."""
        for _ in range(2):
            descriptor = await self.compiled.open(tenant, digest)
            if descriptor is not None:
                return descriptor
            source = await asyncio.to_thread(self.store.verified_blob, digest)
            await self.compiled.prepare(tenant, digest, source)
        raise WorkerLost("the compiled module cannot be read back from the edge's disk")
