"""What is wrong with native libraries: the weight and the mend of each kind, and that no kind lacks them."""

from __future__ import annotations

import ast
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from lawow.doctor import Severity
from lawow.doctor.elf_checks import _RULES
from lawow.formats.elf import ElfFile, android, repack_elf
from lawow.formats.elf.constants import PAGE_16K_BYTES, DynamicTag, SectionType, SegmentType
from tests.doctor.builders import HEALTHY, Sample, findings, kinds, only
from tests.formats.elf_corpus import conscrypt
from tests.formats.elf_samples import TARGETS, shared_library
from tests.formats.test_elf import (
    RELACOUNT,
    drop_dynamic,
    drop_hashes,
    drop_sections,
    patched,
    set_executable_stack,
    set_executable_type,
    set_tag,
    set_writable_code,
)

CONSCRYPT = "lib/arm64-v8a/libconscrypt_jni.so"


def with_library(
    data: bytes, *, abi: str = "arm64-v8a", name: str = "libsample.so", **options: int
) -> Sample:
    """Return the healthy app with one library."""
    return HEALTHY.plus({f"lib/{abi}/{name}": data}).but(**options)


def test_every_objection_to_a_library_has_weight_reason_and_mend() -> None:
    """The kinds are read from the source of the checks: a new one cannot be forgotten here."""
    tree = ast.parse(Path(android.__file__).read_text())
    made = {
        ast.literal_eval(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ElfIssue"
    }
    assert made == _RULES.keys()


def drop_loads(elf: ElfFile, data: bytearray) -> None:
    """Leave nothing that is loaded, and no dynamic section, which would have to be."""
    drop_dynamic(elf, data)
    for index, segment in enumerate(elf.segments):
        if segment.type == SegmentType.LOAD:
            struct.pack_into("<I", data, elf.header[5] + 56 * index, SegmentType.NULL)


def copy_relocation(elf: ElfFile, data: bytearray) -> None:
    """Make the first relocation one that only programs may have: R_AARCH64_COPY."""
    struct.pack_into("<I", data, elf.offset_of(elf.tags(DynamicTag.RELA)[0]) + 8, 1024)


def in_dynamic_section(place: int) -> Callable[[ElfFile, bytearray], None]:
    """Return an edit that sets a 32-bit field of the header of section .dynamic to 0."""

    def edit(elf: ElfFile, data: bytearray) -> None:
        index = next(at for at, item in enumerate(elf.sections) if item.type == SectionType.DYNAMIC)
        struct.pack_into("<I", data, elf.header[6] + 64 * index + place, 0)

    return edit


@pytest.mark.parametrize("abi", TARGETS)
def test_a_good_library_has_no_finding(abi: str) -> None:
    assert kinds(with_library(shared_library(abi), abi=abi)) == set()


@pytest.mark.parametrize(
    ("edit", "kind", "severity"),
    [
        (set_writable_code, "elf-writable-code", Severity.ERROR),
        (set_executable_stack, "elf-executable-stack", Severity.NOTE),
        (set_executable_type, "elf-type", Severity.NOTE),
        (drop_sections, "elf-no-sections", Severity.ERROR),
        (drop_dynamic, "elf-no-dynamic", Severity.ERROR),
        (drop_hashes, "elf-no-hash", Severity.ERROR),
        (drop_loads, "elf-no-load", Severity.ERROR),
        (copy_relocation, "elf-relocation", Severity.ERROR),
        (in_dynamic_section(24), "elf-dynamic-mismatch", Severity.ERROR),
        (in_dynamic_section(40), "elf-dynamic-strings", Severity.ERROR),
        (set_tag(RELACOUNT, DynamicTag.TEXTREL), "elf-text-relocations", Severity.ERROR),
        (set_tag(RELACOUNT, DynamicTag.RELR), "elf-relr", Severity.ERROR),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_fault_of_a_library_is_weighed(
    edit: Callable[[ElfFile, bytearray], None], kind: str, severity: Severity
) -> None:
    found = {item.kind: item for item in findings(with_library(patched(edit)))}
    assert found[kind].severity is severity
    assert found[kind].place == "lib/arm64-v8a/libsample.so"


def test_what_the_oldest_phone_does_not_understand_is_mended_by_a_higher_min_sdk() -> None:
    relr = patched(set_tag(RELACOUNT, DynamicTag.RELR))
    assert only(with_library(relr, min_sdk=29), "elf-relr").severity is Severity.ERROR
    assert kinds(with_library(relr, min_sdk=30)) == set()


def test_a_library_for_another_abi_a_strange_name_and_no_library_at_all() -> None:
    assert only(with_library(shared_library("x86_64")), "elf-machine").severity is Severity.ERROR
    named = with_library(shared_library("arm64-v8a"), name="sample.so")
    assert only(named, "elf-file-name").severity is Severity.WARNING
    assert only(with_library(b"a picture"), "elf-malformed").severity is Severity.WARNING


@pytest.mark.parametrize(("target_sdk", "severity"), [(34, Severity.WARNING), (36, Severity.ERROR)])
def test_small_pages_weigh_by_target(target_sdk: int, severity: Severity) -> None:
    small = shared_library("x86_64", page_bytes=4096)
    found = [
        item
        for item in findings(with_library(small, abi="x86_64", target_sdk=target_sdk))
        if item.kind.startswith("elf-")
    ]
    assert [(item.kind, item.severity) for item in found] == [("elf-page-alignment", severity)]
    assert "repack_elf" not in found[0].mend


def test_a_real_library_with_small_pages_is_mended_as_the_finding_says() -> None:
    sample = HEALTHY.plus({CONSCRYPT: conscrypt("arm64-v8a")})
    assert "repack_elf(data, page_bytes=16384)" in only(sample, "elf-page-alignment").mend
    mended = repack_elf(conscrypt("arm64-v8a"), page_bytes=PAGE_16K_BYTES)
    assert kinds(HEALTHY.plus({CONSCRYPT: mended})) == set()


def test_a_library_that_the_app_does_not_bring_along() -> None:
    needs = conscrypt("arm64-v8a").replace(b"\0liblog.so\0", b"\0libown.so\0")
    needs = repack_elf(needs, page_bytes=PAGE_16K_BYTES)
    found = only(HEALTHY.plus({CONSCRYPT: needs}), "elf-needed")
    assert "libown.so" in found.found
    brought = {"lib/arm64-v8a/libown.so": shared_library("arm64-v8a")}
    assert kinds(HEALTHY.plus({CONSCRYPT: needs, **brought})) == set()
