"""Sources on the way into an app: what `lawow pack` has `lawow build` make.

Nothing is kept here: zig itself compiles and links anew only what has changed, headers included.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from lawow.errors import Refused
from lawow.pack import Builder

__all__ = ["source_builder"]

_PYTHON = ".py"
_SUFFIXES = frozenset((".c", ".cpp", ".cc", ".cxx", _PYTHON))


def source_builder(tell: Callable[[str], None]) -> Builder:
    """Return what makes modules of sources; `tell` hears before a compiler runs."""
    return Builder(_SUFFIXES, lambda source: _build(source, tell), _native)


def _build(source: Path, tell: Callable[[str], None]) -> bytes:
    """Return the module of a source. Raises `UsageError` with the command that installs the compiler."""
    if source.suffix == _PYTHON:
        raise Refused(
            f"{source}: lawow build makes a component of a Python source, and the runtime on the device runs"
            " core modules only; use C or C++ here, or build it and run it with lawow exec"
        )
    from lawow.build.modules import build_module
    from lawow.build.sources import find_sources

    tell(f"building {source}")
    return build_module(find_sources(source), source.stem).wasm


def _native(source: Path, module: bytes, abis: Sequence[str]) -> dict[str, bytes]:
    """Return the library of a source's tagged functions for each ABI, tied to their module."""
    from lawow.build.modules import scan_prototypes
    from lawow.build.native import build_module_libraries
    from lawow.build.sources import find_sources

    sources = find_sources(source)
    digest = hashlib.sha256(module).hexdigest()
    return build_module_libraries(sources, source.stem, scan_prototypes(sources), digest, abis)
