"""zig as a C and C++ compiler for WebAssembly, this machine and Android: how it is found, run and heard.

It runs in the folder of the sources with relative names, so that no path of this machine enters its results.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lawow.errors import FormatError, UsageError

__all__ = ["INCLUDE_FOLDER", "run_zig", "zig_library_folder"]

INCLUDE_FOLDER = Path(__file__).resolve().parent
"""Where ``lawow.h`` lies."""

_LONGEST_COMPLAINT = 20_000


def run_zig(arguments: Sequence[str | Path], *, folder: Path, subject: str, is_cpp: bool = False) -> bytes:
    """Run zig's C or C++ compiler in `folder` and return its standard output.

    Raises `UsageError` if zig is not installed, `FormatError` with the compiler's own words if it fails.
    """
    if importlib.util.find_spec("ziglang") is None:
        raise UsageError("lawow build needs the compiler zig: pip install 'lawow[build]'")
    command = [sys.executable, "-m", "ziglang", "c++" if is_cpp else "cc", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    complaint = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode:
        raise FormatError(f"does not compile:\n{complaint[:_LONGEST_COMPLAINT]}", file=subject)
    if complaint:  # warnings
        print(complaint, file=sys.stderr)
    return done.stdout


def zig_library_folder() -> Path:
    """Return zig's folder of headers."""
    package = importlib.util.find_spec("ziglang")
    if package is None or package.origin is None:
        raise UsageError("lawow build needs the compiler zig: pip install 'lawow[build]'")
    return Path(package.origin).parent / "lib"
