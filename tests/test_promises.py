"""The table of faults and load in docs/PROMISES.md has every test that is marked with an id, and no other."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from tests.conftest import ROOT

SECTION = "## Faults, strangers and load, by id"
REQUIRED = (
    {f"N{number}" for number in range(1, 13)}
    | {f"F{number}" for number in (*range(1, 9), 11, 12)}
    | {f"L{number}" for number in range(1, 8)}
    | {"W1", "W2", "W13"}
)


def marked(path: Path) -> set[str]:
    """Return the ids that tests of a file are marked with."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            for item in node.decorator_list:
                if isinstance(item, ast.Call) and ast.unparse(item.func) == "pytest.mark.promise":
                    found |= {str(ast.literal_eval(argument)) for argument in item.args}
    return found


def marks_by_id() -> dict[str, set[str]]:
    """Return the files of tests for each id, as pytest would collect them."""
    files: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "tests").rglob("test_*.py"):
        for name in marked(path):
            files[name].add(str(path.relative_to(ROOT)))
    return dict(files)


def rows_by_id() -> dict[str, set[str]]:
    """Return the files that the table names for each id."""
    section = (ROOT / "docs" / "PROMISES.md").read_text().partition(SECTION)[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if re.match(r"\| [A-Z]\d+ \|", line)]
    return {row.split("|")[1].strip(): set(re.findall(r"`(tests/[\w/]+\.py)`", row)) for row in rows}


def test_every_id_of_the_table_has_the_tests_that_it_names_and_no_marked_test_is_missing() -> None:
    assert rows_by_id() == marks_by_id()


def test_no_id_of_the_threats_that_the_edge_faces_is_left_out() -> None:
    assert set(rows_by_id()) >= REQUIRED
