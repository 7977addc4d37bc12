"""The runtime's native libraries for an app: stripped, aligned, checked, two files for each ABI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lawow.errors import FormatError, UsageError
from lawow.formats.elf import ElfIssue, read_elf, repack_elf, verify_android_library
from lawow.formats.elf.android import PAGE_SIZE_KINDS
from lawow.formats.elf.constants import PAGE_16K_BYTES
from lawow.pack import wasmedge
from lawow.pack.bindings import Binding
from lawow.pack.java_engine import ENDIVE
from lawow.pack.options import PackOptions
from lawow.pack.runtimes import (
    ABIS,
    LIBRARY,
    VERSION,
    fetched_library,
    library_from,
    library_of_wheel,
    require_abis,
)
from lawow.resources import android_stub

__all__ = ["AbiLibraries", "abi_libraries", "chosen_abis", "native_libraries", "sdk_notes", "tier_of"]

GLUE = "liblawow.so"
NATIVE_GLUE = "liblawownative.so"
NATIVE_MIN_API = 21
MIN_API = 26
"""The API level that wasmtime's Android libraries are built for."""
_FIRST_NATIVE_API = 29

# Each version of wasmtime exports this name with its own number; the glue checks for it when the app starts.
_VERSION_MARK = f"resolve_vmctx_memory_ptr_{VERSION.split('.')[0]}_{VERSION.split('.')[1]}_0"


@dataclass(frozen=True, slots=True)
class AbiLibraries:
    """What goes into the app for one ABI. `reason` says why it is not good for every phone, if it is not.

    `download_bytes` is None for a runtime that LAWOW does not know.
    """

    abi: str
    files: dict[str, bytes]
    reason: str
    download_bytes: int | None

    @property
    def installed_bytes(self) -> int:
        """What the libraries add to the installed app."""
        return sum(len(data) for data in self.files.values())


def _silent(_: str) -> None:
    """Tell nobody."""


def abi_libraries(options: PackOptions, abi: str, tell: Callable[[str], None] = _silent) -> AbiLibraries:
    """Prepare the libraries of one ABI; `tell` hears of downloads.

    Raises `FormatError` for a runtime that cannot go into an app.
    """
    raw, name = _raw_library(options, abi, tell)
    library, glue = LIBRARY, android_stub("prebuilt", abi, GLUE)
    if options.is_wasmedge:
        library, glue = wasmedge.LIBRARY, android_stub("prebuilt", abi, "wasmedge", GLUE)
    try:
        runtime = _repack(raw)
        (wasmedge.require_wasmedge if options.is_wasmedge else _require_wasmtime)(runtime)
    except FormatError as error:
        raise error.within(name) from None
    files = {GLUE: glue.read_bytes(), library: runtime}
    reason = ""
    for file, data in files.items():
        issues = verify_android_library(data, abi, file_name=file, packed=files, min_api=MIN_API)
        reason = reason or _require_loadable(issues, name if file == library else file)
    download_bytes = None if options.runtime_dir or options.is_wasmedge else ABIS[abi].download_bytes
    return AbiLibraries(abi, files, reason, download_bytes)


def chosen_abis(options: PackOptions) -> list[str]:
    """Return the ABIs to pack. Raises `UsageError` for one that there is no library for."""
    if not options.is_wasmedge:
        return require_abis(options.abis)
    there = [item.abi for item in options.libraries]
    for abi in options.abis:
        if abi not in there:
            raise UsageError(
                f"there is no WasmEdge for {abi}: give {abi}=FILE by --runtime-lib, or leave it out"
            )
    return [abi for abi in there if not options.abis or abi in options.abis]


def native_libraries(bindings: Sequence[Binding], abi: str) -> AbiLibraries:
    """Return the libraries of one ABI for an app whose modules are native code: no runtime is among them.

    Raises `FormatError` for a library that some phone would not load.
    """
    files = {NATIVE_GLUE: android_stub("prebuilt", abi, NATIVE_GLUE).read_bytes()}
    for item in bindings:
        files[f"liblawow-{item.module.file.removesuffix('.wasm')}.so"] = item.native[abi]
    for name, data in files.items():
        for issue in verify_android_library(data, abi, file_name=name, packed=files, min_api=NATIVE_MIN_API):
            raise FormatError(issue.sentence, file=name)
    return AbiLibraries(abi, files, "", None)


def _raw_library(options: PackOptions, abi: str, tell: Callable[[str], None]) -> tuple[bytes, str]:
    """Return the runtime as it comes, and what messages call it."""
    if options.is_wasmedge:
        path = next(item.path for item in options.libraries if item.abi == abi)
        return path.read_bytes(), str(path)
    if options.runtime_dir:
        return library_from(options.runtime_dir, abi), str(options.runtime_dir / abi / LIBRARY)
    wheel = ABIS[abi].wheel
    return library_of_wheel(options.wheels, abi) if options.wheels else fetched_library(abi, tell), wheel


def _repack(raw: bytes) -> bytes:
    """Strip and align to 16 KB; where alignment is impossible, only strip (the checks will say so)."""
    read_elf(raw)  # a malformed file is an error of its own, not a failure to align
    try:
        return repack_elf(raw, page_bytes=PAGE_16K_BYTES)
    except FormatError:
        return repack_elf(raw)


def _require_wasmtime(runtime: bytes) -> None:
    if not any(symbol.name == _VERSION_MARK and symbol.defined for symbol in read_elf(runtime).symbols()):
        raise FormatError(f"is not wasmtime {VERSION}, the only version that the glue fits")


def _require_loadable(issues: tuple[ElfIssue, ...], name: str) -> str:
    """Return why the library is good for debug builds only, or an empty string. Raises for anything worse."""
    for issue in issues:
        if issue.kind not in PAGE_SIZE_KINDS:
            raise FormatError(issue.sentence, file=name)
    return "; ".join(issue.sentence for issue in issues)


def tier_of(min_sdk: int | None, options: PackOptions) -> str:
    """Return how modules run on the devices that the app is for."""
    if options.is_remote:
        return "no runtime on the device: calls go to the edge"
    if options.is_java:
        return f"any ABI: no native library; an interpreter written in Java ({ENDIVE})"
    if options.is_native:
        return "native code without a sandbox"
    if options.is_wasmedge:
        return "interpreter (WasmEdge)"
    if options.profile.is_interpreted:
        return "interpreter"
    if min_sdk is not None and min_sdk >= _FIRST_NATIVE_API:
        return "native code"
    return f"native code from API {_FIRST_NATIVE_API} on, interpreter below"


def sdk_notes(minimum: int | None) -> list[str]:
    """Return what an app for these versions of Android should know of the runtime."""
    if minimum is None or minimum >= _FIRST_NATIVE_API:
        return []
    if minimum < MIN_API:
        native = f"runs native code from {_FIRST_NATIVE_API} on"
        return [f"minSdk is {minimum}; the runtime needs {MIN_API}, and {native}"]
    return [
        f"minSdk is {minimum}; below {_FIRST_NATIVE_API} modules are interpreted, about 14 to 90 times slower"
    ]
