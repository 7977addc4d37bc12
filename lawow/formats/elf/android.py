"""What Android's loader, its installer and Google Play object to in a native library, as data.

Sources: bionic's `linker_phdr.cpp` (segments, section headers, RELRO) and `linker_relocate.cpp` (kinds of
relocations), its document `android-changes-for-ndk-developers.md` (text relocations, SONAME, hash tables and
packed relocations by API level), the NDK's list of stable libraries, Google Play's 16 KB page size rule.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from lawow.errors import FormatError
from lawow.formats.bytes import align_up
from lawow.formats.elf.constants import (
    ET_DYN,
    MACHINE_OF_ABI,
    PAGE_16K_BYTES,
    DynamicTag,
    Machine,
    SectionType,
    SegmentFlag,
    SegmentType,
)
from lawow.formats.elf.reader import ElfFile, read_elf

__all__ = ["PAGE_SIZE_KINDS", "ElfIssue", "verify_android_library"]

PAGE_SIZE_KINDS = frozenset({"page-alignment", "shared-page", "relro-page"})
"""Kinds of issues that only matter on devices with 16 KB pages and to Google Play."""

_SYSTEM_LIBRARIES = {
    "libEGL.so": 9,
    "libGLESv1_CM.so": 4,
    "libGLESv2.so": 5,
    "libGLESv3.so": 18,
    "libOpenMAXAL.so": 14,
    "libOpenSLES.so": 9,
    "libaaudio.so": 26,
    "libamidi.so": 29,
    "libandroid.so": 9,
    "libbinder_ndk.so": 29,
    "libc.so": 1,
    "libcamera2ndk.so": 24,
    "libdl.so": 1,
    "libicu.so": 31,
    "libjnigraphics.so": 8,
    "liblog.so": 1,
    "libm.so": 1,
    "libmediandk.so": 21,
    "libnativehelper.so": 31,
    "libnativewindow.so": 26,
    "libneuralnetworks.so": 27,
    "libstdc++.so": 1,
    "libsync.so": 26,
    "libvulkan.so": 24,
    "libz.so": 1,
}
"""The libraries that Android lets apps load, and the first API level that has each."""
_RELOCATIONS: dict[int, frozenset[int]] = {
    # NONE, ABS64, ABS32, ABS16, GLOB_DAT, JUMP_SLOT, RELATIVE, three of TLS, TLSDESC, IRELATIVE
    Machine.AARCH64: frozenset({0, 256, 257, 258, 259, *range(1025, 1033)}),
    # NONE, 64, PC32, GLOB_DAT, JUMP_SLOT, RELATIVE, 32, three of TLS, TLSDESC, IRELATIVE
    Machine.X86_64: frozenset({0, 1, 2, 6, 7, 8, 10, 16, 17, 18, 36, 37}),
    # NONE, ABS32, REL32, TLS_DESC, three of TLS, GLOB_DAT, JUMP_SLOT, RELATIVE, IRELATIVE
    Machine.ARM: frozenset({0, 2, 3, 13, 17, 18, 19, 21, 22, 23, 160}),
    # NONE, 32, PC32, GLOB_DAT, JUMP_SLOT, RELATIVE, TLS_TPOFF, DTPMOD32, DTPOFF32, TLS_DESC, IRELATIVE
    Machine.X86: frozenset({0, 1, 2, 6, 7, 8, 14, 35, 36, 41, 42}),
    # NONE, 32, 64, RELATIVE, JUMP_SLOT, DTPMOD64, DTPREL64, TPREL64, TLSDESC, IRELATIVE
    Machine.RISCV: frozenset({0, 1, 2, 3, 5, 7, 9, 11, 12, 58}),
}
_VERSION_API = {
    "LIBC_N": 24,
    "LIBC_O": 26,
    "LIBC_P": 28,
    "LIBC_Q": 29,
    "LIBC_R": 30,
    "LIBC_S": 31,
    "LIBC_T": 33,
    "LIBC_U": 34,
    "LIBC_V": 35,
}
"""The versions of what bionic's libraries gained, named after the platform; LIBC is of all time."""
_DF_TEXTREL = 4
_API_GNU_HASH = 23
_API_ELF_TLS = 29
_PACKED_RELOCATIONS = {
    DynamicTag.ANDROID_REL: 23,
    DynamicTag.ANDROID_RELA: 23,
    DynamicTag.ANDROID_RELR: 28,
    DynamicTag.RELR: 30,
}
"""Compact forms of relocations, and the first API level whose loader knows each."""


@dataclass(frozen=True, slots=True)
class ElfIssue:
    """One objection: `kind` for programs, `sentence` for people."""

    kind: str
    sentence: str


@dataclass(frozen=True, slots=True)
class _Context:
    abi: str
    file_name: str
    packed: Collection[str]
    min_api: int


def verify_android_library(
    data: bytes, abi: str, *, file_name: str, packed: Collection[str] = (), min_api: int = 26
) -> tuple[ElfIssue, ...]:
    """Return everything that stands against the library in an app. Never raises for bad input.

    `abi` is the name of its folder (``arm64-v8a``); `packed` are names of libraries that the app has;
    `min_api` is the oldest API level it runs on.
    """
    context = _Context(abi, file_name, packed, min_api)
    try:
        elf = read_elf(data)
        return tuple(itertools.chain.from_iterable(check(elf, context) for check in _CHECKS))
    except FormatError as error:
        return (ElfIssue("malformed", str(error)),)


def _check_kind(elf: ElfFile, context: _Context) -> Iterator[ElfIssue]:
    if not (context.file_name.startswith("lib") and context.file_name.endswith(".so")):
        yield ElfIssue("file-name", f"{context.file_name} is not named lib*.so; Android installs no others")
    if elf.type != ET_DYN:
        yield ElfIssue("type", "is not a shared library")
    wanted = MACHINE_OF_ABI.get(context.abi)
    if elf.machine != wanted:
        yield ElfIssue(
            "machine",
            f"is for machine {elf.machine}; {context.abi} is {int(wanted) if wanted else 'unknown'}",
        )
    if not elf.loads:
        yield ElfIssue("no-load", "has no loadable segment")


def _check_sections(elf: ElfFile, _: _Context) -> Iterator[ElfIssue]:
    section = next((item for item in elf.sections if item.type == SectionType.DYNAMIC), None)
    segment = next(iter(elf.of_type(SegmentType.DYNAMIC)), None)
    if segment is None:
        yield ElfIssue("no-dynamic", "has no dynamic section")
    elif not elf.sections or not elf.section_names_index or section is None:
        yield ElfIssue("no-sections", "has no section headers; Android's loader wants them")
    elif (section.offset, section.size_bytes) != (segment.offset, segment.file_bytes):
        yield ElfIssue("dynamic-mismatch", "the section .dynamic is not where the segment PT_DYNAMIC is")
    elif section.link >= len(elf.sections) or elf.sections[section.link].type != SectionType.STRTAB:
        yield ElfIssue("dynamic-strings", "the section .dynamic names no string table")


def _check_pages(elf: ElfFile, _: _Context) -> Iterator[ElfIssue]:
    if elf.layout.bits < 64:
        return  # 32-bit processes have pages of 4 KB
    page = PAGE_16K_BYTES
    if any(load.alignment < page or (load.offset - load.address) % page for load in elf.loads):
        yield ElfIssue(
            "page-alignment", "LOAD segments are not aligned to 16 KB; Google Play refuses such a library"
        )
    for one, other in itertools.pairwise(elf.loads):
        if one.memory_bytes and (one.end - 1) // page == other.address // page:
            yield ElfIssue(
                "shared-page", f"two LOAD segments share the 16 KB page at {other.address // page * page:#x}"
            )
    for relro in elf.of_type(SegmentType.GNU_RELRO):
        rounded = align_up(relro.end, page)
        writable = (load for load in elf.loads if load.flags & SegmentFlag.WRITE)
        if rounded > relro.end and any(load.address < rounded and load.end > relro.end for load in writable):
            yield ElfIssue("relro-page", "RELRO rounded up to 16 KB covers data that is written later")


def _check_rights(elf: ElfFile, _: _Context) -> Iterator[ElfIssue]:
    both = SegmentFlag.WRITE | SegmentFlag.EXECUTE
    if any(load.flags & both == both for load in elf.loads):
        yield ElfIssue("writable-code", "a segment is writable and executable")
    if any(stack.flags & SegmentFlag.EXECUTE for stack in elf.of_type(SegmentType.GNU_STACK)):
        yield ElfIssue("executable-stack", "asks for an executable stack")
    if elf.tags(DynamicTag.TEXTREL) or any(flags & _DF_TEXTREL for flags in elf.tags(DynamicTag.FLAGS)):
        yield ElfIssue("text-relocations", "has text relocations, which Android refuses")


def _check_api(elf: ElfFile, context: _Context) -> Iterator[ElfIssue]:
    if elf.of_type(SegmentType.TLS) and context.min_api < _API_ELF_TLS:
        yield ElfIssue("tls", f"uses ELF thread-local storage, which needs API {_API_ELF_TLS}")
    for tag, first in _PACKED_RELOCATIONS.items():
        if elf.tags(tag) and context.min_api < first:
            yield ElfIssue("relr", f"uses packed relocations (DT_{tag.name}), which need API {first}")
    if not elf.tags(DynamicTag.HASH) and context.min_api < _API_GNU_HASH and elf.tags(DynamicTag.GNU_HASH):
        yield ElfIssue("gnu-hash", f"has only a GNU hash table, which needs API {_API_GNU_HASH}")
    api = elf.android_api()
    if api is not None and api > context.min_api:
        yield ElfIssue("api", f"was built for API {api}, the app starts at {context.min_api}")


def _check_linking(elf: ElfFile, context: _Context) -> Iterator[ElfIssue]:
    if not elf.tags(DynamicTag.HASH) and not elf.tags(DynamicTag.GNU_HASH):
        yield ElfIssue("no-hash", "has no symbol hash table")
    for library in elf.needed:
        first = _SYSTEM_LIBRARIES.get(library)
        if library in context.packed:
            continue
        if first is None:
            yield ElfIssue("needed", f"needs {library}, which neither Android nor the app has")
        elif context.min_api < first:
            yield ElfIssue("needed", f"needs {library}, which Android has from API {first} on")
    for library, version in sorted(elf.required_versions()):
        # Android's own are named after their libraries: LIBC, LIBC_N, LIBLOG.
        first = _VERSION_API.get(version)
        if first is not None and context.min_api < first:
            yield ElfIssue(
                "symbol-version", f"needs version {version} of {library}, which is there from API {first} on"
            )
        elif library in _SYSTEM_LIBRARIES and not version.startswith("LIB"):
            yield ElfIssue(
                "symbol-version", f"needs version {version} of {library}, which Android's does not have"
            )
    for kind in sorted(elf.relocation_kinds().keys() - _RELOCATIONS.get(elf.machine, frozenset())):
        yield ElfIssue("relocation", f"holds relocations of kind {kind}")
    if elf.soname not in (None, context.file_name):
        yield ElfIssue("soname", f"its SONAME is {elf.soname}, its file name {context.file_name}")


_CHECKS: tuple[Callable[[ElfFile, _Context], Iterator[ElfIssue]], ...] = (
    _check_kind,
    _check_sections,
    _check_pages,
    _check_rights,
    _check_api,
    _check_linking,
)
