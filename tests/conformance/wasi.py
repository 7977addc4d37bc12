"""Run suites of WASI preview 1 in the layout of the public WebAssembly/wasi-testsuite.

A suite is a folder with a ``manifest.json`` and modules. Each ``NAME.wasm`` is one test, a WASI command;
``NAME.json`` beside it, where it exists, says how it is run and what is expected::

    {"args": [], "env": {}, "dirs": [], "exit_code": 0, "stdout": "...", "stderr": "..."}

All keys may be missing; output is compared only where it is given. A folder of ``dirs`` lies beside the
module and is granted under its own name, in a copy: nothing of the suite is changed. Beyond that layout, our
own tests use ``stdin`` (text) and ``read_only_dirs``.

Each test goes the way of ``lawow exec``: the same reading of options, scan, compilation, grants and run, in
this process for wasmtime, in one of its own for WasmEdge.

Source of the layout: doc/specification.md of the testsuite.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lawow.errors import FormatError, GuestTrap, LawowError, LimitExceeded, Refused
from lawow.execution.engines import NAMES, make_engine
from lawow.execution.extractor import open_package
from lawow.execution.granting import read_grants
from lawow.execution.preparation import Preparer, Request
from lawow.execution.reactor import run_export
from lawow.runtime.base import Engine
from lawow.runtime.grants import NOTHING, Grants
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.conformance.report import Report, Unsupported

__all__ = ["Case", "find_suites", "read_case", "run_case", "run_suite"]

MANIFEST = "manifest.json"
DEADLINE_SECONDS = 30.0  # of one test; those of the public suite sleep for some milliseconds
_KINDS: dict[str, type] = {
    "args": list,
    "env": dict,
    "dirs": list,
    "exit_code": int,
    "stdout": str,
    "stderr": str,
    "stdin": str,
    "read_only_dirs": list,
}
_OTHER_TARGETS = ("wasm32-wasip2", "wasm32-wasip3")


@dataclass(frozen=True, slots=True)
class Case:
    """One test: a module, what it is granted, and what it must do. None: any output is right."""

    module: Path
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    folders: tuple[str, ...] = ()
    read_only_folders: tuple[str, ...] = ()
    stdin: bytes = b""
    exit_code: int = 0
    stdout: bytes | None = None
    stderr: bytes | None = None


def find_suites(folder: Path) -> list[Path]:
    """Return the folders that hold a manifest and modules, sorted."""
    found = (path.parent for path in folder.rglob(MANIFEST))
    return sorted(path for path in found if any(path.glob("*.wasm")))


def read_case(module: Path) -> Case:
    """Read what is expected of a module. Raises `FormatError` if its file says it in another form."""
    path = module.with_suffix(".json")
    if not path.exists():
        return Case(module)
    try:
        facts = json.loads(path.read_text())
    except ValueError as error:
        raise FormatError(f"is no JSON: {error}", file=str(path)) from None
    if not isinstance(facts, dict) or any(
        not isinstance(facts[key], _KINDS.get(key, object)) for key in facts
    ):
        raise FormatError("is no description of a test", file=str(path))
    if unknown := facts.keys() - _KINDS.keys():
        raise Unsupported(f"test with {', '.join(sorted(unknown))}")
    texts = {key: facts[key].encode() if key in facts else None for key in ("stdout", "stderr")}
    return Case(
        module,
        tuple(map(str, facts.get("args", ()))),
        tuple((str(name), str(value)) for name, value in facts.get("env", {}).items()),
        tuple(map(str, facts.get("dirs", ()))),
        tuple(map(str, facts.get("read_only_dirs", ()))),
        facts.get("stdin", "").encode(),
        facts.get("exit_code", 0),
        **texts,
    )


def run_suite(folder: Path, engine_name: str = NAMES[0]) -> Report:
    """Run all modules of a suite."""
    modules = sorted(folder.glob("*.wasm"))
    report = Report(files=len(modules))
    if folder.name in _OTHER_TARGETS:
        report.unsupported[f"test of {folder.name}"] = len(modules)
        return report
    with _engine(engine_name) as engine:
        for module in modules:
            try:
                run_case(read_case(module), engine)
            except Unsupported as reason:
                report.unsupported[str(reason)] += 1
            except (AssertionError, LawowError) as error:
                report.failures.append(f"{_name(folder)}: {module.stem}: {error}")
            else:
                report.passed += 1
    return report


def _name(folder: Path) -> str:
    """Return the name of a suite, or of its folder if the manifest has none."""
    try:
        return str(json.loads((folder / MANIFEST).read_text())["name"])
    except (ValueError, KeyError, TypeError):
        return folder.name


@contextmanager
def _engine(name: str) -> Iterator[Engine]:
    """Return an engine that can end a test at its deadline without ending this process."""
    engine = WasmtimeEngine(EDGE_PROFILE) if name == NAMES[0] else make_engine(name)
    try:
        yield engine
    finally:
        engine.close()


def run_case(case: Case, engine: Engine) -> None:
    """Run one test. Raises `AssertionError` if it does other than expected, `Unsupported`."""
    with tempfile.TemporaryDirectory(prefix="lawow-") as name:
        _copy_folders(case, Path(name))
        options = [f"{name}/{folder}::{folder}" for folder in case.folders]
        options += [f"{name}/{folder}::{folder}:ro" for folder in case.read_only_folders]
        status, stdout, stderr = _run(case, engine, options)
    for what, found, wanted in (
        ("status", status, case.exit_code),
        ("standard output", stdout, case.stdout),
        ("standard error", stderr, case.stderr),
    ):
        if wanted is not None and found != wanted:
            said = f"; it said {stderr.decode('utf-8', 'replace').strip()[-300:]!r}" if stderr else ""
            raise AssertionError(f"{what} {found!r}, expected {wanted!r}{said}")


def _copy_folders(case: Case, target: Path) -> None:
    for folder in (*case.folders, *case.read_only_folders):
        shutil.copytree(case.module.parent / folder, target / folder, symlinks=True)


def _run(case: Case, engine: Engine, options: Sequence[str]) -> tuple[int | str, bytes, bytes]:
    """Run the command; return its status or the code of its trap, and what it said on both streams."""
    out, err = bytearray(), bytearray()
    granted = (
        read_grants(options, [f"{name}={value}" for name, value in case.environment], False, ()) or NOTHING
    )
    grants = Grants(granted.directories, granted.environment, case.stdin)
    request = Request(str(case.module), "", "_start")
    preparer = Preparer(engine=engine, grants=grants, use_cache=False)
    try:
        prepared = preparer.prepare(open_package(request.path).find(request.name), request)
        run_export(
            prepared,
            case.arguments,
            label=case.module.name,
            stdout=out.extend,
            stderr=err.extend,
            grants=grants,
            deadline_seconds=DEADLINE_SECONDS,
        )
    except GuestTrap as trap:
        return trap.code if trap.status is None else trap.status, bytes(out), bytes(err)
    except (Refused, LimitExceeded) as error:
        if isinstance(error, LimitExceeded) and error.limit == "deadline_seconds":
            raise
        raise Unsupported(f"module that is refused: {error}") from None
    return 0, bytes(out), bytes(err)
