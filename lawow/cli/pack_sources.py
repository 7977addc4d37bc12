"""Sources on the way into an app: what `lawow pack` builds with `lawow build`, and where it keeps it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lawow.errors import Refused
from lawow.pack import Builder

__all__ = ["source_builder"]

_PYTHON = ".py"
_SUFFIXES = frozenset((".c", ".cpp", ".cc", ".cxx", _PYTHON))


def source_builder(tell: Callable[[str], None]) -> Builder:
    """Return what makes modules of sources; `tell` hears before a compiler runs."""
    return Builder(_SUFFIXES, lambda source: _build(source, tell))


def _build(source: Path, tell: Callable[[str], None]) -> bytes:
    """Return the module of a source, kept or built. Raises `UsageError` with the command that installs."""
    if source.suffix == _PYTHON:
        raise Refused(
            f"{source}: lawow build makes a component of a Python source, and the runtime on the device runs"
            " core modules only; use C or C++ here, or build it and run it with lawow exec"
        )
    from lawow.build.kept import kept_module
    from lawow.build.sources import find_sources

    return kept_module(find_sources(source), source.stem, _cache_folder(), tell)


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "lawow" / "built"
