"""External judges used by the tests. A missing one is a failure with the package to install, not a skip."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

PACKAGES = {
    "apksigner": "apksigner",
    "zipalign": "zipalign",
    "aapt": "aapt",
    "dexdump": "dexdump",
    "dmtracedump": "dmtracedump",
    "baksmali": "libsmali-java",
    "smali": "libsmali-java",
    "enjarify": "enjarify",
    "java": "default-jdk-headless",
    "javac": "default-jdk-headless",
    "jar": "default-jdk-headless",
    "jarsigner": "default-jdk-headless",
    "keytool": "default-jdk-headless",
    "mvn": "maven",
    "node": "nodejs",
    "npm": "npm",
    "gcc": "gcc",
    "qemu-aarch64": "qemu-user",
    "wast2json": "wabt",
    "chromium": "chromium",
}


def tool(name: str) -> str:
    """Return the path of a required command."""
    path = shutil.which(name)
    assert path, f"{name} is needed by the tests: apt-get install {PACKAGES.get(name, name)}"
    return path


def run(
    *argv: str | Path,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    check: bool = True,
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end (at most 300 s) and return it; with `check`, a failure shows its output."""
    done = subprocess.run(
        [tool(str(argv[0])), *map(str, argv[1:])]
        if os.sep not in str(argv[0])
        else [str(item) for item in argv],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if check:
        shown = " ".join(map(str, argv))
        assert done.returncode == 0, f"{shown}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def enjarify(dex: Path, jar: Path) -> Path:
    """Convert a dex (or an APK) to a JAR of JVM class files."""
    # enjarify runs on the system's own python3, whatever environment runs the tests.
    run("enjarify", "-f", "-o", jar, dex, env={"PATH": f"/usr/bin:{os.environ['PATH']}"})
    return jar
