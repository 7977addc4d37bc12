"""An interpreter that has what this one has, and a distribution that offers host functions."""

from __future__ import annotations

import sys
import venv
from pathlib import Path

from tests.conftest import ROOT

__all__ = ["interpreter_offering"]


def interpreter_offering(root: Path, name: str, source: str) -> Path:
    """Make a virtual environment below `root` whose module `name`, of that `source`, offers ``FUNCTIONS``."""
    venv.create(root / "venv", symlinks=True)
    packages = next((root / "venv" / "lib").glob("python*")) / "site-packages"
    info = packages / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lawow.host_functions]\n{name} = {name}:FUNCTIONS\n")
    (packages / f"{name}.py").write_text(source)
    mine = [path for path in sys.path if path.endswith("-packages")]
    (packages / "rest.pth").write_text("\n".join([str(ROOT), *mine]))
    return root / "venv" / "bin" / "python"
