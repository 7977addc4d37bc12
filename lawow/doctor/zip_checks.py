"""What Android's installer and loader want of the archive: readable entries, stored and aligned ones, names.

Source: AOSP PackageParser and ``StrictJarFile`` (resources.arsc from targetSdkVersion 30 on), bionic's linker
(libraries inside of the APK), developer.android.com, "Support 16 KB page sizes".
"""

from __future__ import annotations

from collections.abc import Iterator

from lawow.doctor.app import Apk, App
from lawow.doctor.findings import Finding, Kind, Severity, listed
from lawow.errors import FormatError, LimitExceeded
from lawow.formats.zip import STORED, ZipEntry
from lawow.formats.zip.entry import shown_name

__all__ = ["PAGE_RULE_SDK", "check_archive"]

PAGE_RULE_SDK = 35
"""From this targetSdkVersion on Google Play asks for 16 KB pages in 64-bit code."""
_64_BIT = ("lib/arm64-v8a/", "lib/x86_64/", "lib/riscv64/")
_PAGE_BYTES, _LARGE_PAGE_BYTES, _WORD_BYTES = 4096, 16_384, 4
_STORED_RESOURCES_SDK = 30
_RESOURCES = b"resources.arsc"
_ALIGN = (
    "align the APK before it is signed (zipalign -P 16 4 in.apk out.apk), or `lawow sign` it, which aligns"
)

UNREADABLE = Kind(
    "unreadable-entry",
    Severity.ERROR,
    "Android cannot read it either: at the latest when the app does, it fails",
    "build the APK anew; this copy of it is damaged or was made by a tool that Android does not follow",
)
RESOURCES_COMPRESSED = Kind(
    "resources-compressed",
    Severity.ERROR,
    "Android 11 and later do not install an app for API level 30 or above whose resources.arsc is"
    " compressed; others unpack it into memory each time",
    "store it: zip -0, or build with aapt2 and the Android Gradle plugin, which do",
)
RESOURCES_MISALIGNED = Kind(
    "resources-misaligned",
    Severity.ERROR,
    "Android 11 and later do not install an app for API level 30 or above whose resources.arsc cannot be"
    " mapped in place",
    _ALIGN,
)
MISALIGNED = Kind(
    "misaligned-entry",
    Severity.WARNING,
    "Android has to copy what it could map in place: more memory for each process that reads it",
    _ALIGN,
)
LIBRARY_COMPRESSED = Kind(
    "library-compressed",
    Severity.ERROR,
    "with android:extractNativeLibs=false Android loads libraries from inside of the APK, and does not"
    " install an app that has compressed ones",
    "store the libraries (Android Gradle plugin: jniLibs.useLegacyPackaging = false), or leave"
    " extractNativeLibs true",
)
LIBRARY_MISALIGNED = Kind(
    "library-misaligned",
    Severity.ERROR,
    "with android:extractNativeLibs=false Android maps libraries inside of the APK, which has to have them"
    " at page borders: of 4 KB, and for 64 bits on newer phones of 16 KB",
    _ALIGN,
)
UNSAFE_NAME = Kind(
    "unsafe-name",
    Severity.WARNING,
    "tools that unpack the APK by name may write outside of their folder; Google Play may refuse the upload",
    "rename the file in the sources of the app; no part of Android makes such names",
)
CASE_CLASH = Kind(
    "case-clash",
    Severity.NOTE,
    "Android tells them apart; systems that do not unpack one over the other",
    "rename one of them, unless it was a shrinker of resources that chose the names",
)


def check_archive(app: App) -> Iterator[Finding]:
    """Yield what is wrong with the archives of the app."""
    for apk in app.apks:
        yield from _entries(apk)
        yield from _resources(app, apk)
        yield from _alignment(apk)
        yield from _libraries(app, apk)
        yield from _names(apk)


def _entries(apk: Apk) -> Iterator[Finding]:
    """Yield one finding for all entries that cannot be read: an archive that is made so has thousands."""
    faults: dict[str, str] = {}
    for entry in apk.archive.entries:
        try:
            for _ in entry.read_pieces():
                pass
        except (FormatError, LimitExceeded) as error:
            faults[shown_name(entry.name)] = str(error)
    if faults:
        first = next(iter(faults))
        more = f" (and {len(faults) - 1} more entries)" if len(faults) > 1 else ""
        yield UNREADABLE.at(apk.place(first), f"{faults[first]}{more}")


def _resources(app: App, apk: Apk) -> Iterator[Finding]:
    entry = apk.archive.by_name.get(_RESOURCES)
    if entry is None:
        return
    severity = Severity.ERROR if app.target_sdk >= _STORED_RESOURCES_SDK else Severity.WARNING
    if entry.method != STORED:
        yield RESOURCES_COMPRESSED.at(apk.place(entry.path), "is compressed", severity)
    elif entry.data_offset % _WORD_BYTES:
        yield RESOURCES_MISALIGNED.at(apk.place(entry.path), _offset(entry, _WORD_BYTES), severity)


def _offset(entry: ZipEntry, alignment: int) -> str:
    return f"starts at {entry.data_offset:#x}, which is no multiple of {alignment:,}"


def _alignment(apk: Apk) -> Iterator[Finding]:
    """Yield one finding for all entries beside resources and libraries."""
    loose = [
        shown_name(entry.name)
        for entry in apk.archive.entries
        if entry.method == STORED
        and entry.data_offset % _WORD_BYTES
        and entry.uncompressed_bytes
        and not entry.name.startswith((b"lib/", _RESOURCES))
    ]
    if loose:
        yield MISALIGNED.at(
            apk.place(), f"stored, but not aligned to 4 ({len(loose)} in all): {listed(loose)}"
        )


def _libraries(app: App, apk: Apk) -> Iterator[Finding]:
    if app.extracts_libraries:
        return
    for library in apk.libraries:
        if not library.file.endswith(".so"):
            continue
        if library.entry.method != STORED:
            yield LIBRARY_COMPRESSED.at(library.place, "is compressed")
        elif library.entry.data_offset % _PAGE_BYTES:
            yield LIBRARY_MISALIGNED.at(library.place, _offset(library.entry, _PAGE_BYTES))
        elif library.entry.path.startswith(_64_BIT) and library.entry.data_offset % _LARGE_PAGE_BYTES:
            severity = Severity.ERROR if app.target_sdk >= PAGE_RULE_SDK else Severity.WARNING
            yield LIBRARY_MISALIGNED.at(library.place, _offset(library.entry, _LARGE_PAGE_BYTES), severity)


def _names(apk: Apk) -> Iterator[Finding]:
    unsafe = [shown_name(entry.name) for entry in apk.archive.entries if not entry.is_safe_path]
    if unsafe:
        yield UNSAFE_NAME.at(apk.place(), f"not safe as paths ({len(unsafe)} in all): {listed(unsafe)}")
    by_folded: dict[bytes, list[str]] = {}
    for entry in apk.archive.entries:
        by_folded.setdefault(entry.name.lower(), []).append(shown_name(entry.name))
    clashes = [" and ".join(names) for names in by_folded.values() if len(names) > 1]
    if clashes:
        yield CASE_CLASH.at(apk.place(), f"differ in case only ({len(clashes)} in all): {listed(clashes)}")
