"""Whether the native libraries fit the phones that the manifest allows: which ABIs there are, and are they
complete.

Android picks one ABI for the whole app, the phone's first that has any library, and takes no library of
another. Sources: developer.android.com, "Android ABIs", "Support 64-bit architectures".
"""

from __future__ import annotations

from collections.abc import Iterator

from lawow.doctor.app import App
from lawow.doctor.findings import Finding, Kind, Severity, listed
from lawow.doctor.lawow_parts import GLUE, RUNTIMES
from lawow.formats.elf.constants import MACHINE_OF_ABI

__all__ = ["check_abis"]

_WIDER = {"armeabi": "arm64-v8a", "armeabi-v7a": "arm64-v8a", "x86": "x86_64"}
_OBSOLETE = {"armeabi", "mips", "mips64"}

ONLY_32_BIT = Kind(
    "only-32-bit",
    Severity.ERROR,
    "phones with 64-bit processes only do not install it (Pixel 7 and later, among others); Google Play"
    " takes no app without the 64-bit counterpart of each 32-bit ABI",
    "build the libraries for the 64-bit ABI too (ndk.abiFilters), or update the dependency that brings them",
)
OBSOLETE = Kind(
    "obsolete-abi",
    Severity.NOTE,
    "the NDK has not built for it since r17; ARM phones look into it last, phones with MIPS are gone",
    "leave the folder out (ndk.abiFilters)",
)
UNKNOWN = Kind(
    "unknown-abi",
    Severity.WARNING,
    "Android looks into the folders of the ABIs that it knows only; these libraries are never found",
    f"name the folder after an ABI: {', '.join(sorted(MACHINE_OF_ABI))}",
)
INCOMPLETE = Kind(
    "missing-in-abi",
    Severity.WARNING,
    "a phone of that ABI loads its libraries alone, so code that loads a missing one fails there",
    "build or fetch the missing libraries for this ABI, or leave the ABI out (ndk.abiFilters)",
)


def check_abis(app: App) -> Iterator[Finding]:
    """Yield what is wrong with the choice of ABIs. The runtime of LAWOW counts for widths, not for gaps."""
    files = app.files_by_abi
    for abi in sorted(files):
        wider = _WIDER.get(abi)
        if wider and wider not in files and not (app.is_set and len(files) == 1):
            yield ONLY_32_BIT.at(f"lib/{abi}", f"has {listed(sorted(files[abi]))}; {wider} has nothing")
        if abi in _OBSOLETE:
            yield OBSOLETE.at(f"lib/{abi}", f"has {listed(sorted(files[abi]))}")
        elif abi not in MACHINE_OF_ABI:
            yield UNKNOWN.at(f"lib/{abi[:100]!a}", f"has {listed(sorted(files[abi]))}")
    yield from _gaps(
        {abi: names - {GLUE, *RUNTIMES} for abi, names in files.items() if abi in MACHINE_OF_ABI}
    )


def _gaps(files: dict[str, set[str]]) -> Iterator[Finding]:
    everything = set().union(*files.values())
    for abi, names in sorted(files.items()):
        if missing := sorted(everything - names):
            others = sorted(other for other in files if set(missing) & files[other])
            yield INCOMPLETE.at(f"lib/{abi}", f"lacks {listed(missing)}, which {listed(others)} has")
