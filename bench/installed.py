"""The wheel of this tree, installed into an environment of its own: what users run, not the checkout.

An editable installation starts differently (its byte code may be missing, its path is longer), and so does a
console script that an older installer writes. Both would be measured with every run.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

__all__ = ["lawow", "python"]

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / "build" / "bench" / "env"
STAMP = ENVIRONMENT / "made-from"


def python() -> str:
    """Return the interpreter of the environment."""
    lawow()
    return str(ENVIRONMENT / "bin" / "python")


@cache
def lawow() -> str:
    """Install the tree's wheel, unless the environment has it; return the path of the command."""
    script = ENVIRONMENT / "bin" / "lawow"
    with tempfile.TemporaryDirectory(prefix="lawow-wheel-") as folder:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        wheel = next(Path(folder).glob("*.whl"))
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if not STAMP.exists() or STAMP.read_text() != digest:
            _install(wheel)
            STAMP.write_text(digest)
    _require_lean(script)
    return str(script)


def _install(wheel: Path) -> None:
    """Make the environment anew, with what the wheel depends on, and with byte code."""
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(ENVIRONMENT)], check=True)
    target = ["--python", str(ENVIRONMENT / "bin" / "python"), "-q", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", *target, "install", "--compile", str(wheel)], check=True)
    if not list(ENVIRONMENT.glob("lib/python*/site-packages/lawow/cli/__pycache__/quick_exec.*.pyc")):
        sys.exit("bench: the installed wheel has no byte code, so its start would not be a user's")


def _require_lean(script: Path) -> None:
    """Stop if the command is not the wheel's own script, after the line that names the interpreter."""
    own = (ROOT / "lawow" / "__main__.py").read_text().split("\n", 1)[1]
    if script.read_text().split("\n", 1)[1] != own:
        sys.exit(f"bench: {script} is not the script of the wheel; its start would be measured with lawow's")
