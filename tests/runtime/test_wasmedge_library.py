"""WasmEdge's library, in a process that can load it: every case of `with_wasmedge`, by name."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.runtime.wasmedge import ROOT, environment, python_with_library

CASES = sorted((Path(__file__).parent / "with_wasmedge").glob("cases_*.py"))


def names() -> list[str]:
    """Return the names of the cases, in their order."""
    found = [item for path in CASES for item in ast.parse(path.read_text()).body]
    return [
        item.name for item in found if isinstance(item, ast.FunctionDef) and item.name.startswith("test_")
    ]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Name of a case -> what went wrong in each run of it, "" for nothing. All run in one process."""
    report = tmp_path_factory.mktemp("wasmedge") / "report.xml"
    argv = [python_with_library(), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    done = subprocess.run(
        [*argv, *map(str, CASES)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert report.exists(), (
        f"the process ended with status {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    )
    found: dict[str, list[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):  # made by the line above
        name = case.attrib["name"].partition("[")[0]
        found.setdefault(name, []).append("\n".join(f"{item.tag}: {item.text}" for item in case))
    return found


@pytest.mark.parametrize("name", names())
def test_with_the_library(name: str, reports: dict[str, list[str]]) -> None:
    assert reports[name], "it did not run"
    assert "".join(reports[name]) == ""
