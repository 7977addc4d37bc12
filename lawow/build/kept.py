"""Built modules, kept under the digest of what the compiler would see.

The key is over the preprocessed text of every file, so headers and macros count, both as it is compiled and
as it is searched for tags; and over everything else that makes the result: the compiler's version, wasm-opt,
LAWOW itself. What is kept is therefore what would be built.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from lawow import __version__
from lawow.build.modules import build_module
from lawow.build.sources import CPP_SUFFIXES, Sources
from lawow.build.zig import INCLUDE_FOLDER, run_zig
from lawow.durable import write_file
from lawow.errors import FormatError
from lawow.formats.wasm import inspect_module

__all__ = ["kept_module"]

_SEEN_AS = ((), ("-DLAWOW_SCAN",))
_OPTIMIZER = "wasm-opt"


def kept_module(
    sources: Sources, name: str, folder: Path, tell: Callable[[str], None] = lambda _: None
) -> bytes:
    """Return the module of these sources, from `folder` or built and put there; `tell` hears before a build.

    A kept file that is damaged is built again. Raises what `build_module` raises.
    """
    path = folder / f"{_digest(sources, name)}.wasm"
    if path.is_file():
        module = path.read_bytes()
        if _is_module(module):
            return module
    tell(f"building {sources.label}")
    module = build_module(sources, name).wasm
    folder.mkdir(parents=True, exist_ok=True)
    write_file(path, module)
    return module


def _digest(sources: Sources, name: str) -> str:
    digest = hashlib.sha256()
    for part in (name.encode(), *_texts(sources), *_tools()):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def _texts(sources: Sources) -> Iterator[bytes]:
    """Yield the name and both preprocessed forms of each file."""
    for name in sources.files:
        yield name.encode()
        for flags in _SEEN_AS:
            arguments = ("-E", "-P", "-w", "-target", "wasm32-wasi", *flags, "-I", INCLUDE_FOLDER, name)
            is_cpp = Path(name).suffix in CPP_SUFFIXES
            yield run_zig(arguments, folder=sources.folder, subject=sources.label, is_cpp=is_cpp)


def _tools() -> Iterator[bytes]:
    yield __version__.encode()
    yield metadata.version("ziglang").encode()
    optimizer = shutil.which(_OPTIMIZER)
    if optimizer:
        found = os.stat(optimizer)
        yield f"{found.st_size} {found.st_mtime_ns}".encode()


def _is_module(data: bytes) -> bool:
    try:
        inspect_module(data)
    except FormatError:
        return False
    return True
