"""What the edge writes to its disk, in one process to be disturbed: ``python -m tests.faults.storage DATA``.

Each step is acknowledged on standard output as ``done NAME VALUE`` or ``refused NAME``, by writev, so that
faults of write never hit the report. `judge` opens the folder again, as a start of the edge does, and finds
what is missing, half there, or there without a right.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from lawow.edge.audit import AuditLog
from lawow.edge.clock import steady_clock
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.hosts import HERE
from lawow.edge.lease_states import ENDED, Event
from lawow.edge.leases import Lease, LeaseBook
from lawow.edge.model_store import ModelStore, StoredModel
from lawow.edge.module_store import ModuleStore, StagedModule, StoredExport, StoredModule
from lawow.edge.partial_uploads import PartialUploads
from lawow.edge.refusals import EdgeRefusal, NotFound, StorageFailed
from lawow.edge.resource_manager import Reservation
from lawow.edge.tenants import Tenants

TENANT = "acme"
WHOLE = bytes(range(256)) * 60
PART_BYTES = 6_000
MODULES = {name: bytes([number]) * 9_000 for number, name in enumerate(("alone", "one", "two"), 1)}
SETS = (("alone",), ("one", "two"))
MODEL = "eyes"
MODELS = (bytes([11]) * 7_000, bytes([12]) * 8_000)
"""The second takes the place of the first."""
EXPORTS = (StoredExport("f", ">", "f: func()"),)


class Storage:
    """The stores of an edge on one folder, without anything that runs modules."""

    def __init__(self, root: Path) -> None:
        self.folder = DataFolder(root)
        self.database = Database(self.folder.database)
        self.tenants = Tenants(self.database)
        self.store = ModuleStore(self.folder, self.database)
        self.models = ModelStore(self.store, self.database)
        self.leases = LeaseBook(self.database, steady_clock())
        self.uploads = PartialUploads(self.folder, self.store, self.leases)
        self.audit = AuditLog(self.database)

    def grant(self) -> Lease:
        """Make a lease for a module that comes in parts."""
        digest = hashlib.sha256(WHOLE).hexdigest()
        with self.database.transaction() as connection:
            return self.leases.grant(connection, Reservation(TENANT, HERE), digest, "")[0]

    def keep(self, names: tuple[str, ...]) -> str:
        """Upload modules and keep them together."""
        staged = []
        with ExitStack() as uploads:
            for name in names:
                upload = uploads.enter_context(self.store.begin(TENANT))
                upload.write(MODULES[name])
                stored = StoredModule(upload.seal(), upload.size_bytes, EXPORTS)
                staged.append(StagedModule(upload.path, stored))
            self.store.keep(TENANT, staged)
        return ",".join(item.module.digest for item in staged)

    def keep_model(self, data: bytes) -> str:
        """Upload a model."""
        with self.store.begin(TENANT, "model") as upload:
            upload.write(data)
            model = StoredModel(MODEL, upload.seal(), upload.size_bytes)
            self.models.keep(TENANT, upload.path, model)
        return model.digest

    def append(self, lease: Lease) -> str:
        """Receive the next part of a module."""
        offset = self.uploads.offset(lease)

        async def chunks() -> AsyncIterator[bytes]:
            yield WHOLE[offset : offset + PART_BYTES]

        return f"{lease.id}:{asyncio.run(self.uploads.append(lease, offset, chunks()))}"


def say(*words: str) -> None:
    """Acknowledge: one system call that no fault of ours touches."""
    os.writev(1, [" ".join(words).encode() + b"\n"])


def step(name: str, work: Callable[[], object]) -> None:
    """Do one step, and tell how it ended; whatever is no refusal of ours escapes."""
    try:
        say("done", name, str(work()))
    except EdgeRefusal:
        say("refused", name)


async def in_this_thread(work: Callable[..., object], *arguments: object) -> object:
    """Stand in for `asyncio.to_thread`: strace counts the calls of each thread by itself."""
    return work(*arguments)


def main(data: str) -> None:
    """Go through every kind of write once."""
    asyncio.to_thread = in_this_thread  # type: ignore[assignment]
    try:
        storage = Storage(Path(data))
    except (OSError, StorageFailed):
        say("refused", "open")
        return
    for _ in range(2):  # the first makes the tenant, without which nothing else can be
        step("token", lambda: storage.tenants.issue(TENANT).token)
    step("modules", lambda: storage.keep(SETS[0]))
    held: list[Lease] = []
    step("lease", lambda: held.append(storage.grant()) or held[0].id)
    for _ in range(2):
        if held:
            step("part", lambda: storage.append(held[0]))
    step("modules", lambda: storage.keep(SETS[1]))
    for data_of_model in MODELS:
        step("model", lambda model=data_of_model: storage.keep_model(model))
    step("audit", lambda: storage.audit.write("operator", "test", "nothing", "done"))
    step("ended", lambda: storage.leases.move(storage.grant(), Event.RECALL).id)
    step("usage", lambda: storage.store.blobs.usage(TENANT))
    storage.database.close()


@dataclass(frozen=True, slots=True)
class Report:
    """What a run said: facts that were acknowledged, and names of steps that were refused."""

    done: tuple[tuple[str, str], ...]
    refused: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> Report:
        """Read the lines of a run, up to where it ended."""
        lines = [line.split(" ", 2) for line in text.splitlines()]
        return cls(
            tuple((line[1], line[2]) for line in lines if line[0] == "done"),
            tuple(line[1] for line in lines if line[0] == "refused"),
        )


def judge(data: Path, report: Report) -> list[str]:
    """Start on the folder again, and return every sentence that is wrong about it."""
    storage = Storage(data)
    with closing(storage.database):
        check = storage.database.query("PRAGMA integrity_check")[0][0]
        wrong = [] if check == "ok" else [f"the database: {check}"]
        storage.store.recover()
        storage.uploads.recover(storage.leases.held())
        for kind, value in report.done:
            if kind == "part" and kind in report.refused:
                continue  # after an error of the disk an upload begins again
            wrong += JUDGES.get(kind, _anything)(storage, value)
        return wrong + _half_there(storage)


def _token(storage: Storage, token: str) -> list[str]:
    return [] if storage.tenants.identify(token) else ["an acknowledged token is lost"]


def _modules(storage: Storage, digests: str) -> list[str]:
    wrong = []
    for digest in digests.split(","):
        try:
            storage.store.get(TENANT, digest)
            storage.store.verified_blob(digest)
        except NotFound as error:
            wrong.append(f"an acknowledged module is lost: {error}")
    return wrong


def _model(storage: Storage, digest: str) -> list[str]:
    order = [hashlib.sha256(data).hexdigest() for data in MODELS]
    found = [item.digest for item in storage.models.list(TENANT)]
    if not found or order.index(found[0]) < order.index(digest):
        return ["an acknowledged model is lost"]
    return [] if storage.store.blobs.verified(found[0]) else ["a model is not whole"]


def _lease(storage: Storage, lease: str) -> list[str]:
    try:
        found = storage.leases.get(TENANT, lease)
    except NotFound:
        return ["an acknowledged lease is lost"]
    return [f"the lease is {found.state}"] if found.state in ENDED else []


def _ended(storage: Storage, lease: str) -> list[str]:
    try:
        found = storage.leases.get(TENANT, lease)
    except NotFound:
        return ["an ended lease is lost"]
    return [] if found.state in ENDED else ["a lease that was ended is in force again"]


def _part(storage: Storage, value: str) -> list[str]:
    lease, _, size = value.partition(":")
    try:
        found = storage.leases.by_id(lease)
    except NotFound:
        return ["the lease of an upload is lost"]
    if storage.uploads.offset(found) < int(size):
        return [f"{size} bytes of an upload were acknowledged, {storage.uploads.offset(found)} are there"]
    return []


def _anything(storage: Storage, value: str) -> list[str]:
    return []


JUDGES: dict[str, Callable[[Storage, str], list[str]]] = {
    "token": _token,
    "modules": _modules,
    "model": _model,
    "lease": _lease,
    "ended": _ended,
    "part": _part,
}


def _half_there(storage: Storage) -> list[str]:
    """Return what is visible and not whole, and what nobody owns."""
    wrong = []
    listed = {item.digest for item in storage.store.list(TENANT)}
    for names in SETS:
        digests = {hashlib.sha256(MODULES[name]).hexdigest() for name in names}
        if listed & digests not in (set(), digests):
            wrong.append(f"a part of the set {names} is there")
    for digest in listed:
        wrong += _modules(storage, digest)
    models = {item.digest for item in storage.models.list(TENANT)}
    for digest in models:
        wrong += _model(storage, digest)
    owned = listed | models
    wrong += [f"{path.name} is nobody's" for path in storage.folder.blobs() if path.name not in owned]
    wrong += [f"{path.name} was left in incoming" for path in storage.folder.incoming.iterdir()]
    for lease in storage.leases.held():
        begun = WHOLE[: storage.uploads.offset(lease)]
        if storage.uploads.digest(lease) != hashlib.sha256(begun).hexdigest():
            wrong.append("the bytes of an upload are not those that were sent")
    return wrong


if __name__ == "__main__":
    main(sys.argv[1])
