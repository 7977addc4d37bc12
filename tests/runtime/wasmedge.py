"""The real WasmEdge, for tests: on the path, or fetched from Debian by ``.ci/wasmedge`` and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@cache
def wasmedge() -> str:
    """Return the path of the command. A missing one is a failure with the command that fetches it."""
    found = os.environ.get("LAWOW_WASMEDGE") or shutil.which("wasmedge")
    if found:
        return found
    done = subprocess.run([str(ROOT / ".ci" / "wasmedge")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"WasmEdge is needed by the tests: run .ci/wasmedge\n{done.stderr}"
    return done.stdout.strip()
