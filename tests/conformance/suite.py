"""Run public conformance suites through LAWOW: WebAssembly specification tests, and those of WASI preview 1.

    python -m tests.conformance.suite FOLDER [--engine NAME] [--json]

Every ``.wast`` below the folder is a specification test; every folder with a ``manifest.json`` and modules
beside it is a suite of WASI. What was found is run, what was not is named as absent.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from lawow.execution.engines import NAMES
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.conformance.report import Report
from tests.conformance.script import run_file
from tests.conformance.wasi import find_suites, run_suite

__all__ = ["main", "run_suites"]

SPECIFICATION = "WebAssembly specification"
WASI = "WASI preview 1"
NOT_THE_STANDARD = {
    "proposals": "file of a proposal, which is not the standard",
    "legacy": "file of what the standard has dropped",
}
"""Folders of the public suite, and why they are not run."""


def run_suites(folder: Path, engine: str = NAMES[0]) -> list[Report]:
    """Run what lies below a folder; a kind of suite that is absent has a report with 0 files.

    The specification's tests keep an instance between calls, so they run on wasmtime alone.
    """
    specification, wasi = Report(SPECIFICATION), Report(WASI)
    if engine == NAMES[0]:
        own = WasmtimeEngine(EXEC_PROFILE)
        for path in sorted(folder.rglob("*.wast")):
            specification.add(_run_specification(path, path.relative_to(folder), own))
    for path in find_suites(folder):
        wasi.add(run_suite(path, engine))
    return [specification, wasi]


def _run_specification(path: Path, name: Path, engine: WasmtimeEngine) -> Report:
    """Run a test file. Proposals and what was dropped contradict the standard, so they are not asked."""
    for folder, reason in NOT_THE_STANDARD.items():
        if folder in name.parts:
            return Report(files=1, unsupported=Counter([reason]))
    return run_file(path, engine)


def main() -> int:
    """Run the suites, print counts; return 1 if anything failed, 2 if there is nothing to run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", choices=NAMES, default=NAMES[0], help="for WASI (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    reports = run_suites(options.folder, options.engine)
    found = [report for report in reports if report.files]
    absent = [report.kind for report in reports if not report.files]
    if options.json:
        print(json.dumps({"suites": [report.document() for report in found], "absent": absent}))
    else:
        print("\n".join(line for report in found for line in report.lines()))
        for kind in absent:
            print(f"{kind}: no tests below {options.folder}")
    return 2 if not found else int(any(report.failures for report in found))


if __name__ == "__main__":
    sys.exit(main())
