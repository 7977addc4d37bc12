"""The Execution Handler of an edge host: takes modules and bundles in, and executes calls of their exports.

It knows no HTTP and no engine: `ModuleStore` and `ModelStore` keep what comes, `Intake` and `CompiledCache`
look at it and compile it in throw-away processes, `Supervisor` runs calls on the tenant's worker. Whoever
hands out a host's resources stands in front of it and calls the same methods.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lawow.channel.bodies import read_arguments
from lawow.channel.values import require_slots
from lawow.edge.compiled_cache import CompiledCache
from lawow.edge.intake import BundleFindings, Intake
from lawow.edge.messages import Call
from lawow.edge.model_store import ModelStore, StoredModel, require_model_name
from lawow.edge.module_store import ModuleStore, StagedModule, StoredExport, StoredModule, Upload
from lawow.edge.refusals import BadArguments, BadModule, Busy, Conflict, SignatureMismatch, WorkerLost
from lawow.edge.repeats import Repeats
from lawow.edge.supervisor import Finished, OpenCode, Supervisor
from lawow.errors import FormatError, LimitExceeded
from lawow.formats.interface import signature_letters
from lawow.formats.signature import parse_typed_signature, typed_wit_of
from lawow.limits import EDGE, EdgeLimits
from lawow.runtime.host_functions import INFERENCE

__all__ = ["ExecutionHandler"]


@dataclass(frozen=True, slots=True)
class ExecutionHandler:
    """What one host does for its tenants."""

    store: ModuleStore
    models: ModelStore
    intake: Intake
    compiled: CompiledCache
    supervisor: Supervisor
    limits: EdgeLimits = EDGE
    repeats: Repeats = field(init=False)
    _moving: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        object.__setattr__(self, "repeats", Repeats(self.limits))

    async def keep_module(self, tenant: str, upload: Upload, digest: str) -> tuple[StoredModule, bool]:
        """Keep an upload that is complete, and return it with whether it is new to the tenant.

        It is on the disk, looked at and compiled when this returns. Raises `BadModule`, `TooLarge`, `Busy`,
        `StorageFailed`; then nothing of it is left.
        """
        actual = await asyncio.to_thread(upload.seal)
        if actual != digest:
            raise BadModule(f"the body's SHA-256 is {actual}, its name says {digest}")
        return await self.keep_file(tenant, upload.path, upload.size_bytes, digest)

    async def keep_file(
        self, tenant: str, path: Path, size_bytes: int, digest: str
    ) -> tuple[StoredModule, bool]:
        """Keep a flushed file whose digest was checked; same promises and errors as `keep_module`."""
        exports = await self.intake.module(path, self.supervisor.grants(tenant))
        await self.compiled.prepare(tenant, digest, path)
        module = StoredModule(digest, size_bytes, exports)
        created = await asyncio.to_thread(self.store.keep, tenant, [StagedModule(path, module)])
        return module, created[0]

    async def keep_bundle(self, tenant: str, upload: Upload) -> BundleFindings:
        """Keep all modules of a bundle, or none; same promises and errors as `keep_module`."""
        await asyncio.to_thread(upload.seal)
        with self.intake.bundle_folder() as staged:
            findings = await self.intake.bundle(upload.path, staged, self.supervisor.grants(tenant))
            for item in findings.modules:
                await self.compiled.prepare(tenant, item.module.digest, item.path)
            await asyncio.to_thread(self.store.keep, tenant, findings.modules)
            return findings

    def require_inference(self, tenant: str) -> None:
        """Raise `BadModule` unless the tenant was granted inference."""
        if INFERENCE not in self.supervisor.grants(tenant):
            raise BadModule(
                "no module of this tenant could load a model: it was not granted inference; "
                f"`lawow tenant set NAME --grant {INFERENCE}` on the edge gives it"
            )

    async def keep_model(self, tenant: str, upload: Upload, name: str) -> tuple[StoredModel, bool]:
        """Keep an upload as the model of that name, and return it with whether the name is new.

        It is on the disk, and ONNX Runtime has opened it, when this returns. Raises as `keep_module`.
        """
        require_model_name(name)
        model = StoredModel(name, await asyncio.to_thread(upload.seal), upload.size_bytes)
        await self.intake.model(upload.path)
        return model, await asyncio.to_thread(self.models.keep, tenant, upload.path, model)

    async def remove_model(self, tenant: str, name: str) -> None:
        """Take a model from the tenant. Raises `NotFound`, `StorageFailed`."""
        await asyncio.to_thread(self.models.remove, tenant, name)

    async def remove_module(self, tenant: str, digest: str) -> None:
        """Take a module from the tenant, with its compiled code. Calls that run go on.

        Raises `NotFound`, `StorageFailed`, `Conflict` while a session is an instance of it.
        """
        self.store.get(tenant, digest)
        if self.supervisor.has_session_of(tenant, digest):
            raise Conflict(f"a session is an instance of sha256:{digest}; close it first, or let it expire")
        await asyncio.to_thread(self.store.remove, tenant, digest)
        self.compiled.forget(tenant, digest)

    def export(
        self, tenant: str, digest: str, name: str, expected_signature: str | None = None
    ) -> StoredExport:
        """Return an export of one of the tenant's modules, with the signature that the caller expects.

        That is the export's own, or one with strings and lists whose core type the export has. Raises
        `NotFound`, `SignatureMismatch`.
        """
        export = self.store.get(tenant, digest).export(name)
        if expected_signature is None or expected_signature == export.signature:
            return export
        return _with_signature(export, expected_signature)

    async def call(
        self,
        tenant: str,
        digest: str,
        export: StoredExport,
        arguments: bytes,
        deadline_seconds: float,
        session: str = "",
    ) -> Finished:
        """Run an export on a fresh instance or in a session; arguments and results are bodies.

        Raises `BadArguments` and what `Supervisor.run` raises.
        """
        _require_arguments(export.signature, arguments)
        call = Call(digest, False, export.name, export.signature, deadline_seconds, arguments, session)
        return await self.supervisor.run(tenant, call, self.code_of(tenant, digest))

    async def open_session(
        self, tenant: str, digest: str, deadline_seconds: float, state: bytes = b""
    ) -> str:
        """Make an instance of a module that stays, and return its name; in a `state` if one is given.

        Raises as `call`, `NotFound`, and `BadState` for a state that is not one of the module.
        """
        self.store.get(tenant, digest)
        code = self.code_of(tenant, digest)
        return await self.supervisor.open_session(tenant, digest, deadline_seconds, code, state)

    async def state_of_session(self, tenant: str, session: str, deadline_seconds: float) -> bytes:
        """Return the state of a session, which goes on. Raises as `Supervisor.state_of_session`."""
        code = self.code_of(tenant, self.supervisor.digest_of_session(tenant, session))
        return await self.supervisor.state_of_session(tenant, session, deadline_seconds, code)

    @contextmanager
    def moving_state(self, tenant: str) -> Iterator[None]:
        """Count a state that is held in memory on its way in or out. Raises `Busy` for too many at a time."""
        if self._moving[tenant] >= self.limits.uploads_running_per_tenant:
            raise Busy("too many states of this tenant are on their way", retry_after_seconds=1)
        self._moving[tenant] += 1
        try:
            yield
        finally:
            self._moving[tenant] -= 1
            if not self._moving[tenant]:
                del self._moving[tenant]

    def code_of(self, tenant: str, digest: str) -> OpenCode:
        """Return what opens the compiled code of a module, for a worker that lacks it."""

        async def open_code() -> int:
            return await self._open_code(tenant, digest)

        return open_code

    async def _open_code(self, tenant: str, digest: str) -> int:
        """Return compiled code, compiling it again if the cache has lost it."""
        for _ in range(2):
            descriptor = await self.compiled.open(tenant, digest)
            if descriptor is not None:
                return descriptor
            source = await asyncio.to_thread(self.store.verified_blob, digest)
            await self.compiled.prepare(tenant, digest, source)
        raise WorkerLost("the compiled module cannot be read back from the edge's disk")


def _with_signature(export: StoredExport, text: str) -> StoredExport:
    """Return the export as one with strings and lists. Raises `SignatureMismatch`."""
    mismatch = f"{export.name} has the signature {export.signature}, the caller expects {text[:100]}"
    try:
        signature = parse_typed_signature(text)
    except (FormatError, LimitExceeded) as error:
        raise SignatureMismatch(f"{mismatch}; that {error}") from None
    core = signature_letters(signature.flat)
    if core != export.signature:
        raise SignatureMismatch(mismatch if signature.is_core else f"{mismatch}, which is {core[:100]}")
    return StoredExport(export.name, text, typed_wit_of(export.name, signature))


def _require_arguments(text: str, arguments: bytes) -> None:
    """Raise `BadArguments` unless the body holds what the signature asks for."""
    signature = parse_typed_signature(text)
    try:
        if signature.is_core:
            require_slots(text.partition(">")[0], arguments)
        else:
            read_arguments(signature, arguments)
    except FormatError as error:
        raise BadArguments(str(error)) from None
