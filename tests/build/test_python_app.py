"""A Python source goes from nothing to a result: built to a component, compiled, called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.build.test_modules import build
from tests.conftest import lawow

SOURCE = '''
"""Statistics."""
import math

def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)

def shoutWords(text: str, times: int | None) -> list[str]:
    print("shouting")
    return [word.upper() for word in text.split()] * (times or 1)
'''


@pytest.mark.slow
def test_packages_of_this_environment_stay_outside(tmp_path: Path) -> None:
    """They may be for this machine alone, and the same source would be another component elsewhere."""
    packages, path = tmp_path / "packages", tmp_path / "bin"
    for folder in (packages, path):
        folder.mkdir()
    (packages / "only_here.py").write_text("SIZE = 1\n")
    python = path / "python3"  # whom the tool would ask where packages are
    python.write_text(f"#!/bin/sh\necho {packages}\n")
    python.chmod(0o755)
    source = tmp_path / "app.py"
    source.write_text("import only_here\n\ndef size() -> int:\n    return only_here.SIZE\n")
    environment = f"{path}:{os.environ['PATH']}"
    done = lawow("build", source, "-o", tmp_path / "app.wasm", check=False, PATH=environment)
    assert done.returncode == 3
    assert "No module named 'only_here'" in done.stderr
    assert not (tmp_path / "app.wasm").exists()


def test_a_python_source_becomes_a_component_that_runs(tmp_path: Path) -> None:
    (tmp_path / "stats.py").write_text(SOURCE)
    done = build(tmp_path, "stats.py")
    assert done.returncode == 0, done.stderr
    assert "mean: func(values: list<f64>) -> f64" in done.stdout
    component = tmp_path / "stats.wasm"
    assert lawow("exec", component, "mean", "[1, 2.5]").stdout == "1.75\n"
    shouted = lawow("exec", component, "shout-words", "hello small world", "none").stdout
    assert shouted == 'shouting\n["HELLO", "SMALL", "WORLD"]\n'
    failed = lawow("exec", component, "mean", "[]", check=False)
    assert failed.returncode == 5
    assert "ZeroDivisionError" in failed.stderr
