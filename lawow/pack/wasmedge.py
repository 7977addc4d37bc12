"""libwasmedge.so as the user built it for Android, looked through before it goes into an app.

WasmEdge comes with no Android build to pin, so the user brings one for each ABI. The glue takes its functions
by name (``android_stub/jni/wasmedge_api.h``) and knows the layouts of one version; a file that lacks one of
them, or does not hold that version's number, is refused here and not on the phone. What Android's loader asks
for is looked at as for every library (`lawow.formats.elf`). Nothing of the file is run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lawow.errors import FormatError, LimitExceeded, UsageError
from lawow.formats.elf import read_elf
from lawow.formats.elf.constants import MACHINE_OF_ABI
from lawow.resources import android_stub

__all__ = ["LIBRARY", "VERSION", "UserLibrary", "read_user_libraries", "require_wasmedge"]

LIBRARY = "libwasmedge.so"
VERSION = "0.14.1"
_MOST_LIBRARY_BYTES = 256 << 20
_ABIS = ("arm64-v8a", "x86_64")
"""What the glue is built for."""
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class UserLibrary:
    """A file of the user's and the ABI that it is for."""

    abi: str
    path: Path


def read_user_libraries(given: Sequence[str]) -> tuple[UserLibrary, ...]:
    """Return the libraries that ``FILE`` and ``ABI=FILE`` name, at most one for each ABI.

    Raises `UsageError` for a file that is not there, two of one ABI, or an ABI that is not the file's;
    `FormatError` for a file that is no library of an ABI that the glue is built for.
    """
    found: dict[str, UserLibrary] = {}
    for text in given:
        library = _read(text)
        if library.abi in found:
            raise UsageError(f"--runtime-lib: two files for {library.abi}; give one")
        found[library.abi] = library
    return tuple(found[abi] for abi in _ABIS if abi in found)


def require_wasmedge(data: bytes) -> None:
    """Raise `FormatError` unless a library is one that the glue can work with."""
    defined = {symbol.name for symbol in read_elf(data).symbols() if symbol.defined}
    missing = [name for name in _needed() if name not in defined]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise FormatError(
            f"is not the WasmEdge {VERSION} that the glue fits: it does not export"
            f" {', '.join(missing[:_SHOWN])}{more}; build that version as a shared library with its C API"
        )
    if VERSION.encode() + b"\0" not in data:
        raise FormatError(f"does not say that it is WasmEdge {VERSION}, the only version that the glue fits")


def _read(text: str) -> UserLibrary:
    said, _, rest = text.partition("=")
    path = Path(rest if said in MACHINE_OF_ABI else text)
    if not path.is_file():
        raise UsageError(f"--runtime-lib: {path}: no such file")
    if path.stat().st_size > _MOST_LIBRARY_BYTES:
        raise LimitExceeded("library_bytes", path.stat().st_size, _MOST_LIBRARY_BYTES, subject=str(path))
    try:
        machine = read_elf(path.read_bytes()).machine
    except FormatError as error:
        raise error.within(str(path)) from None
    abi = next((abi for abi in _ABIS if MACHINE_OF_ABI[abi] == machine), None)
    if abi is None:
        allowed = ", ".join(f"{int(MACHINE_OF_ABI[abi])} ({abi})" for abi in _ABIS)
        raise FormatError(
            "is for a machine that there is no glue for", file=str(path), found=str(machine), allowed=allowed
        )
    if said in MACHINE_OF_ABI and said != abi:
        raise UsageError(f"--runtime-lib: {path} is for {abi}, not for {said}")
    return UserLibrary(abi, path)


def _needed() -> list[str]:
    """Return the functions that the glue takes from the library, out of the glue's own list."""
    source = android_stub("jni", "wasmedge_api.h").read_text()
    return [f"WasmEdge_{name}" for name in re.findall(r"\bX\([^,()]+, (\w+), \(", source)]
