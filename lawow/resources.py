"""The parts of `android_stub/` that travel inside the package: stub library, glue, sources.

An installed wheel holds them at ``lawow/android_stub``; a source checkout holds them at the top level.
"""

from __future__ import annotations

from pathlib import Path

from lawow.errors import UsageError

__all__ = ["android_stub"]


def android_stub(*parts: str) -> Path:
    """Return the path of a file or folder of `android_stub/`. Raises `UsageError` if the package lacks it."""
    package = Path(__file__).resolve().parent
    for root in (package / "android_stub", package.parent / "android_stub"):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise UsageError(f"this installation of lawow lacks android_stub/{'/'.join(parts)}; install it again")
