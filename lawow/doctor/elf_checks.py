"""What Android's loader, and Google Play, object to in the native libraries.

The facts are those of `lawow.formats.elf`; here each gets its weight, which for most depends on the
targetSdkVersion, its reason and its mend. Source: bionic, `android-changes-for-ndk-developers.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lawow.doctor.app import App, Library
from lawow.doctor.findings import Finding, Severity
from lawow.doctor.zip_checks import PAGE_RULE_SDK
from lawow.errors import FormatError
from lawow.formats.elf import ElfIssue, repack_elf, verify_android_library
from lawow.formats.elf.android import PAGE_SIZE_KINDS
from lawow.formats.elf.constants import PAGE_16K_BYTES

__all__ = ["check_libraries"]


@dataclass(frozen=True, slots=True)
class _Rule:
    """How a kind of issue weighs: `severity` from targetSdkVersion `since` on, `below` before."""

    why: str
    mend: str
    severity: Severity = Severity.ERROR
    since: int = 1
    below: Severity = Severity.WARNING

    def weight(self, target_sdk: int) -> Severity:
        """Return the severity for an app."""
        return self.severity if target_sdk >= self.since else self.below


_REBUILD = "build it with the NDK's own tools (r28 or later), or update the dependency that brings it"
_PAGES = _Rule(
    "phones with pages of 16 KB cannot load it, and Google Play takes no app for Android 15 and later with"
    " such a 64-bit library",
    "build it with NDK r28 or later, or with -Wl,-z,max-page-size=16384, or update the dependency that"
    " brings it",
    since=PAGE_RULE_SDK,
)
_SECTIONS = _Rule(
    "Android's loader refuses it for apps for API level 26 and above: it compares section headers and"
    " segments",
    "strip it with the NDK's llvm-strip, not with a tool that drops section headers or packs the file",
    since=26,
)
_REFUSED = _Rule("Android's loader refuses it, and System.loadLibrary throws", _REBUILD)
_TOO_NEW = _Rule(
    "on the oldest phones that minSdkVersion allows, the loader does not understand it",
    "raise minSdk, or build the library for the app's minSdk (ANDROID_PLATFORM)",
)
_RULES = {
    "malformed": _Rule(
        "a file in this folder is installed as a library; loading it fails",
        "put data into assets/ instead, and build libraries anew that are damaged",
        severity=Severity.WARNING,
    ),
    "file-name": _Rule(
        "Android installs only files named lib*.so from here (all files, where the app is debuggable)",
        "rename it to lib*.so",
        severity=Severity.WARNING,
    ),
    "type": _Rule(
        "System.loadLibrary cannot load it; as a program it runs only where Android unpacks it",
        "nothing to do if the app runs it as a program; else link it with -shared",
        severity=Severity.NOTE,
    ),
    "machine": _Rule("it does not run on the phones that this folder is for", "put it into its ABI's folder"),
    "no-load": _REFUSED,
    "no-dynamic": _REFUSED,
    "no-hash": _REFUSED,
    "relocation": _REFUSED,
    "no-sections": _SECTIONS,
    "dynamic-mismatch": _SECTIONS,
    "dynamic-strings": _SECTIONS,
    "page-alignment": _PAGES,
    "shared-page": _PAGES,
    "relro-page": _PAGES,
    "writable-code": _Rule(
        "Android's loader refuses it for apps for API level 26 and above; below, whoever can write there"
        " can run code in the app",
        _REBUILD,
        since=26,
    ),
    "executable-stack": _Rule(
        "Android ignores the wish; older and other loaders make every stack of the process executable",
        "assemble with -Wa,--noexecstack, or link with -Wl,-z,noexecstack",
        severity=Severity.NOTE,
    ),
    "text-relocations": _Rule(
        "Android's loader refuses it for apps for API level 23 and above, and in 64 bits always",
        "compile all of it with -fPIC, assembler sources included",
        since=23,
    ),
    "tls": _TOO_NEW,
    "relr": _TOO_NEW,
    "gnu-hash": _TOO_NEW,
    "api": _Rule(
        "it may use functions that older phones lack, and loading it fails there",
        "build it for the app's minSdk (ANDROID_PLATFORM), or raise minSdk",
        severity=Severity.WARNING,
    ),
    "needed": _Rule(
        "Android finds no such library for an app, and System.loadLibrary throws",
        "add the library for this ABI, link it statically, or raise minSdk to where Android has it",
    ),
    "symbol-version": _Rule(
        "the loader finds no such version in the phone's library, and System.loadLibrary throws",
        "build it with the NDK for the app's minSdk (ANDROID_PLATFORM); nothing for glibc runs on Android",
    ),
    "soname": _Rule(
        "from targetSdkVersion 23 on other libraries find it by the SONAME; loaded by file name it is"
        " another",
        "link it with -Wl,-soname=<its file name>",
        severity=Severity.NOTE,
    ),
}


def check_libraries(app: App) -> Iterator[Finding]:
    """Yield what is wrong with each native library."""
    for library in app.libraries:
        if library.file.endswith(".so") and library.data:
            yield from _check(app, library)


def _check(app: App, library: Library) -> Iterator[Finding]:
    issues = _issues(app, library, library.data)
    pages = [issue for issue in issues if issue.kind in PAGE_SIZE_KINDS]
    for issue in issues:
        if issue.kind in PAGE_SIZE_KINDS and issue is not pages[0]:
            continue  # what else is wrong with the pages follows from the first
        rule = _RULES[issue.kind]
        mend = rule.mend
        if issue.kind in PAGE_SIZE_KINDS and _can_be_realigned(app, library):
            mend += (
                "; this file can be aligned as it is: lawow.formats.elf.repack_elf(data, page_bytes=16384)"
            )
        weight = rule.weight(app.target_sdk)
        yield Finding(f"elf-{issue.kind}", weight, library.place, issue.sentence, rule.why, mend)


def _issues(app: App, library: Library, data: bytes) -> tuple[ElfIssue, ...]:
    packed = app.files_by_abi[library.abi]
    return verify_android_library(
        data, library.abi, file_name=library.file, packed=packed, min_api=app.min_sdk
    )


def _can_be_realigned(app: App, library: Library) -> bool:
    try:
        better = repack_elf(library.data, page_bytes=PAGE_16K_BYTES)
    except FormatError:
        return False
    return not any(issue.kind in PAGE_SIZE_KINDS for issue in _issues(app, library, better))
