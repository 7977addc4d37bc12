"""Runs of `tests.faults.storage` under strace: recorded, or with errors instead of system calls."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.conftest import ROOT
from tests.tools import tool

Done = subprocess.CompletedProcess[str]


def traced(data: Path, log: Path, *options: str) -> Done:
    """Run the steps on a folder under strace, which writes the system calls to `log`."""
    command = [tool("strace"), "-f", "-y", "-o", str(log), *options]
    steps = [sys.executable, "-m", "tests.faults.storage", str(data)]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    return subprocess.run(
        [*command, *steps], capture_output=True, text=True, cwd=ROOT, env=env, timeout=120, check=False
    )


def places(log: Path, data: Path) -> dict[str, list[int]]:
    """Return for each system call which of its calls, counted from 1, touch the folder.

    The interpreter's own calls come before those, and are the same in each run.
    """
    found: dict[str, list[int]] = {}
    counts: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        match = re.match(r"\d+ +(\w+)\(", line)
        if match:
            counts[match[1]] += 1
            if str(data) in line:
                found.setdefault(match[1], []).append(counts[match[1]])
    return found
