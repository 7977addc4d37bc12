"""What Android's loader, its installer and Google Play object to in a native library, as data.

Sources: bionic's `linker_phdr.cpp` (segments, section headers, RELRO), its document
`android-changes-for-ndk-developers.md` (text relocations, SONAME, RELR by API level), Google Play's 16 KB
page size rule.
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

_SYSTEM_LIBRARIES = frozenset({"libandroid.so", "libc.so", "libdl.so", "liblog.so", "libm.so", "libz.so"})
_RELOCATIONS: dict[int, frozenset[int]] = {
    Machine.AARCH64: frozenset({257, 1025, 1026, 1027}),  # ABS64, GLOB_DAT, JUMP_SLOT, RELATIVE
    Machine.X86_64: frozenset({1, 6, 7, 8}),  # the same four
}
_DF_TEXTREL = 4
_API_ELF_TLS = 29
_API_RELR = 30


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

    `abi` is ``arm64-v8a`` or ``x86_64``; `packed` are names of libraries that the app brings along;
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
    relr = elf.tags(DynamicTag.RELR) or elf.tags(DynamicTag.ANDROID_RELR)
    if relr and context.min_api < _API_RELR:
        yield ElfIssue("relr", f"uses RELR relocations, which need API {_API_RELR}")
    api = elf.android_api()
    if api is not None and api > context.min_api:
        yield ElfIssue("api", f"was built for API {api}, the app starts at {context.min_api}")


def _check_linking(elf: ElfFile, context: _Context) -> Iterator[ElfIssue]:
    if not elf.tags(DynamicTag.HASH) and not elf.tags(DynamicTag.GNU_HASH):
        yield ElfIssue("no-hash", "has no symbol hash table")
    for library in elf.needed:
        if library not in _SYSTEM_LIBRARIES and library not in context.packed:
            yield ElfIssue("needed", f"needs {library}, which neither Android nor the app has")
    for library, version in sorted(elf.required_versions()):
        if not version.startswith("LIBC"):
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
