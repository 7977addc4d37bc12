"""Android's own tools as further judges of a slim APK, where they are installed. LAWOW never needs them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lawow.refactor.certificate import JudgeResult

__all__ = ["judge_apk"]

# name, arguments before the APK's path, arguments that tell the version (None: it has no such option)
_JUDGES: tuple[tuple[str, tuple[str, ...], tuple[str, ...] | None], ...] = (
    ("apksigner", ("verify",), ("--version",)),
    ("zipalign", ("-c", "-p", "4"), None),
    ("aapt", ("dump", "badging"), ("version",)),
    ("dexdump", ("-f",), None),
)
_IS_QUIET = {"dexdump"}  # whatever it says on stderr is a fault, whatever its exit status
_SECONDS = 600
_WORDS = 300


def judge_apk(apk: Path) -> Iterator[JudgeResult]:
    """Yield what each tool on the PATH says of the file at `apk`; tools that are not there say nothing."""
    for name, arguments, version in _JUDGES:
        tool = shutil.which(name)
        if tool is None:
            continue
        done = _run(tool, *arguments, str(apk))
        accepted = done.returncode == 0 and not (name in _IS_QUIET and done.stderr.strip())
        words = (done.stderr or ("" if accepted else done.stdout)).replace(str(apk), apk.name).strip()
        yield JudgeResult(name, _version(tool, version), accepted, words[:_WORDS])


def _version(tool: str, arguments: tuple[str, ...] | None) -> str:
    if arguments is None:
        return "unknown"
    done = _run(tool, *arguments)
    return (done.stdout or done.stderr).strip().partition("\n")[0] or "unknown"


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
    )
