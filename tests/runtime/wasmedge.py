"""The real WasmEdge, for tests: on the path, or fetched from Debian by ``.ci/wasmedge`` and kept."""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

LOADS = "from lawow.runtime.libwasmedge import library; library()"


@cache
def wasmedge() -> str:
    """Return the path of the command. A missing one is a failure with the command that fetches it."""
    found = os.environ.get("LAWOW_WASMEDGE") or shutil.which("wasmedge")
    if found:
        return found
    done = subprocess.run([str(ROOT / ".ci" / "wasmedge")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"WasmEdge is needed by the tests: run .ci/wasmedge\n{done.stderr}"
    return done.stdout.strip()


@cache
def python_with_library() -> str:
    """Return a Python that can load WasmEdge's library: this one, or this one by the fetched loader.

    The fetched packages may need a later C library than this machine has. Their own loader starts any program
    with theirs, so also Python, in an environment of the same packages.
    """
    if _loads(sys.executable):
        return sys.executable
    root = Path(wasmedge()).resolve().parent.parent / "root"
    loader = next(root.rglob("ld-linux*.so*"))
    libraries = os.pathsep.join({str(path.parent) for path in root.rglob("libwasmedge.so.0")})
    folder = Path(tempfile.mkdtemp(prefix="lawow-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", folder)
    (folder / "lib").symlink_to(Path(sys.prefix) / "lib")
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    words = [
        str(loader),
        "--library-path",
        libraries,
        "--argv0",
        str(python),
        os.path.realpath(sys.executable),
    ]
    python.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    python.chmod(0o755)
    assert _loads(str(python)), "WasmEdge's library is needed by the tests: run .ci/wasmedge"
    return str(python)


def environment() -> dict[str, str]:
    """Return the environment in which that Python finds this LAWOW, and no WasmEdge by name."""
    kept = {name: value for name, value in os.environ.items() if name != "LAWOW_WASMEDGE"}
    return {**kept, "PYTHONPATH": str(ROOT)}


def _loads(python: str) -> bool:
    done = subprocess.run([python, "-c", LOADS], env=environment(), capture_output=True, check=False)
    return done.returncode == 0
