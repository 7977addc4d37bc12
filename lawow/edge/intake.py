"""What an upload holds, found out by `lawow.edge.intake_worker` in a process of its own.

Its findings are checked again where they matter: a module's digest is computed over the bytes that are kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lawow.edge.children import python_command, run_child
from lawow.edge.module_store import ModuleStore, StagedModule, StoredExport, StoredModule
from lawow.edge.refusals import BadModule, StorageFailed
from lawow.limits import EDGE, EdgeLimits

__all__ = ["BundleFindings", "Intake", "MethodRecord"]

WALL_SECONDS = 60.0
FINDINGS_BYTES = 8 << 20
PARALLEL = 2


@dataclass(frozen=True, slots=True)
class MethodRecord:
    """A Java method of a bundle, and the module (SHA-256 in hex) and export that it stands for."""

    class_name: str
    method: str
    descriptor: str
    digest: str
    export: str
    signature: str


@dataclass(frozen=True, slots=True)
class BundleFindings:
    """The modules of a bundle, staged, and its methods."""

    modules: tuple[StagedModule, ...]
    methods: tuple[MethodRecord, ...]


class Intake:
    """Looks at uploads."""

    def __init__(self, store: ModuleStore, limits: EdgeLimits = EDGE) -> None:
        self._store = store
        self._limits = limits
        self._slots = asyncio.Semaphore(PARALLEL)

    async def module(self, path: Path, grants: Sequence[str] = ()) -> tuple[StoredExport, ...]:
        """Return what a module exports that may import the host functions of `grants`. Raises `BadModule`."""
        with self._scratch() as findings:
            await self._look("module", path, findings, grants)
            return _exports(_read_line(findings)["exports"])

    async def model(self, path: Path) -> None:
        """Raise `BadModule` for what is no model that guests could load."""
        with self._scratch() as findings:
            await self._look("model", path, findings, ())
            _read_line(findings)

    @contextmanager
    def bundle_folder(self) -> Iterator[list[Path]]:
        """Hold a list of staged files that are removed at the end, unless they were kept."""
        paths: list[Path] = []
        try:
            yield paths
        finally:
            for path in paths:
                path.unlink(missing_ok=True)

    async def bundle(self, path: Path, staged: list[Path], grants: Sequence[str] = ()) -> BundleFindings:
        """Return what a bundle holds; its modules are staged in files that are added to `staged`."""
        with self._scratch() as findings:
            await self._look("bundle", path, findings, grants)
            return await asyncio.to_thread(self._unpack, findings, staged)

    async def _look(self, kind: str, path: Path, findings: Path, grants: Sequence[str]) -> None:
        """Run the worker. Raises `BadModule` with its sentence, or with ours if it was stopped."""
        async with self._slots:
            stdin = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            stdout = os.open(findings, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                command = python_command("lawow.edge.intake_worker", kind, *grants)
                status = await run_child(command, stdin=stdin, stdout=stdout, wall_seconds=WALL_SECONDS)
            finally:
                os.close(stdin)
                os.close(stdout)
        if status:
            raise BadModule(f"looking at this {kind} cost too much time or memory")

    def _unpack(self, findings: Path, staged: list[Path]) -> BundleFindings:
        with findings.open("rb") as stream:
            document = _parse(stream.readline(FINDINGS_BYTES + 1))
            modules = tuple(self._stage(stream, record, staged) for record in _list(document["modules"]))
        methods = tuple(_method(record) for record in _list(document["methods"]))
        return BundleFindings(modules, methods)

    def _stage(self, stream: BinaryIO, record: object, staged: list[Path]) -> StagedModule:
        """Copy one module out of the findings into a file of its own, flushed, and check its digest."""
        facts = _dict(record)
        digest, size_bytes = str(facts["sha256"]), int(str(facts["bytes"]))
        if size_bytes > self._limits.module_bytes:
            limit = self._limits.module_bytes
            raise BadModule(f"a module has {size_bytes} bytes, the limit module_bytes is {limit}")
        data = stream.read(size_bytes)
        if hashlib.sha256(data).hexdigest() != digest:
            raise BadModule("a module of the bundle does not have the digest that was found")
        path = self._store.scratch()
        staged.append(path)
        try:
            _write_flushed(path, data)
        except OSError as error:
            raise StorageFailed(f"the edge's disk refused a write: {error.strerror}") from None
        return StagedModule(path, StoredModule(digest, size_bytes, _exports(facts["exports"])))

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        path = self._store.scratch()
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def _write_flushed(path: Path, data: bytes) -> None:
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _read_line(findings: Path) -> dict[str, object]:
    with findings.open("rb") as stream:
        return _parse(stream.readline(FINDINGS_BYTES + 1))


def _parse(line: bytes) -> dict[str, object]:
    """Return the findings. Raises `BadModule` with the sentence that the worker wrote instead of them."""
    if not line.endswith(b"\n"):
        raise BadModule("the exports take too much space to be listed")
    document = _dict(json.loads(line))
    if "error" in document:
        raise BadModule(str(document["error"]))
    return document


def _exports(records: object) -> tuple[StoredExport, ...]:
    return tuple(StoredExport(*(str(part) for part in _list(record))) for record in _list(records))


def _method(record: object) -> MethodRecord:
    facts = {key: str(value) for key, value in _dict(record).items()}
    return MethodRecord(
        facts["class"],
        facts["method"],
        facts["descriptor"],
        facts["sha256"],
        facts["export"],
        facts["signature"],
    )


def _list(value: object) -> list[object]:
    assert isinstance(value, list)  # our own worker's writing
    return value


def _dict(value: object) -> dict[str, object]:
    assert isinstance(value, dict)  # our own worker's writing
    return value
