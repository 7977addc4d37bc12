"""Robolectric and Android 15, from Maven Central: ``python -m tests.android.robolectric.framework``.

They are fetched once, to `.cache/robolectric`; afterwards nothing here needs a network. `pom.xml` names the
versions; its digest is the folder's name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import CACHE
from tests.tools import run

__all__ = ["Framework", "framework"]

_POM = Path(__file__).with_name("pom.xml")


@dataclass(frozen=True, slots=True)
class Framework:
    """A folder of JARs for the class path, and the folder where Robolectric finds Android's classes."""

    libraries: Path
    sdk: Path


def framework() -> Framework:
    """Return what `pom.xml` names, fetched on first use. Raises `AssertionError` with Maven's output."""
    folder = CACHE / "robolectric" / hashlib.sha256(_POM.read_bytes()).hexdigest()[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            _fetch(Path(temporary))
            try:
                Path(temporary, "made").rename(folder)
            except OSError:  # another process was faster
                assert folder.exists()
    return Framework(folder / "lib", folder / "sdk")


def _fetch(work: Path) -> None:
    """Copy the artifacts to ``work/made``; Maven compares each with the checksum in the repository."""
    project = work / "project"
    project.mkdir()
    shutil.copy(_POM, project)
    run("mvn", "-q", "-B", "--strict-checksums", "process-resources", f"-Dout={work / 'made'}", cwd=project)
    for archive in (work / "made" / "lib").glob("*.aar"):
        with zipfile.ZipFile(archive) as library:
            archive.with_suffix(".jar").write_bytes(library.read("classes.jar"))
        archive.unlink()


if __name__ == "__main__":
    print(os.path.relpath(framework().libraries.parent))
