"""Libraries that others made, and 32-bit ones: LIEF reads the same, and judges what repacking makes."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path

import lief
import pytest

from lawow.errors import FormatError
from lawow.formats.elf import read_elf, repack_elf, verify_android_library
from lawow.formats.elf.android import PAGE_SIZE_KINDS
from lawow.formats.elf.constants import PAGE_16K_BYTES, DynamicTag, SegmentType
from tests.formats.elf_corpus import CONSCRYPT_ABIS, conscrypt
from tests.formats.elf_samples import TARGETS, TARGETS_32, shared_library
from tests.formats.test_elf import RELACOUNT, everything, image, patched, set_tag

NAME = "libconscrypt_jni.so"
KIND_BITS = 0x07FFFFFF
"""LIEF puts the machine into the upper bits of a relocation's type."""


def parsed(data: bytes) -> lief.ELF.Binary:
    other = lief.parse(list(data))
    assert isinstance(other, lief.ELF.Binary)
    return other


def relro_end(binary: lief.ELF.Binary) -> int:
    """Return the address behind the part that becomes read-only."""
    found = [item for item in binary.segments if item.type == lief.ELF.Segment.TYPE.GNU_RELRO]
    return int(found[0].virtual_address + found[0].virtual_size)


def issue_kinds(data: bytes, abi: str, min_api: int = 21) -> set[str]:
    issues = verify_android_library(data, abi, file_name=NAME, min_api=min_api)
    return {issue.kind for issue in issues}


@pytest.mark.parametrize("abi", CONSCRYPT_ABIS)
def test_lief_reads_the_same_facts_of_a_real_library(abi: str) -> None:
    data = conscrypt(abi)
    elf, other = read_elf(data), parsed(data)
    assert list(elf.needed) == list(other.libraries)
    assert {symbol.name for symbol in elf.symbols() if symbol.name} == {
        str(symbol.name) for symbol in other.dynamic_symbols if symbol.name
    }
    counted = Counter(int(item.type) & KIND_BITS for item in other.relocations)
    assert elf.relocation_kinds() == dict(counted)
    loads = [item for item in other.segments if item.type == lief.ELF.Segment.TYPE.LOAD]
    assert [(item.offset, item.address, item.alignment, item.flags) for item in elf.loads] == [
        (item.file_offset, item.virtual_address, item.alignment, int(item.flags)) for item in loads
    ]
    versions = {
        (requirement.name, auxiliary.name)
        for requirement in other.symbols_version_requirement
        for auxiliary in requirement.get_auxiliary_symbols()
    }
    assert elf.required_versions() == versions


def test_32_bit_libraries_of_that_time_are_fine_and_64_bit_ones_have_small_pages() -> None:
    found = {abi: issue_kinds(conscrypt(abi), abi) for abi in CONSCRYPT_ABIS}
    assert found["armeabi-v7a"] == found["x86"] == set()
    assert found["arm64-v8a"] == {"page-alignment", "relro-page"}
    assert found["x86_64"] == {"page-alignment", "relro-page", "shared-page"}
    assert "api" in issue_kinds(conscrypt("arm64-v8a"), "arm64-v8a", min_api=19)


def test_a_real_library_is_realigned_where_that_is_sound() -> None:
    """The segments of the arm64 library lie in pages of their own; RELRO ends where a large page does not."""
    data = conscrypt("arm64-v8a")
    packed = repack_elf(data, page_bytes=PAGE_16K_BYTES)
    assert issue_kinds(packed, "arm64-v8a") & PAGE_SIZE_KINDS == set()
    other = parsed(packed)
    assert lief.ELF.check_layout(other)[0]
    before, after = image(data), image(packed)
    assert before.keys() == after.keys()
    assert all(before[address][4096:] == after[address][4096:] for address in before)
    loads = [item for item in other.segments if item.type == lief.ELF.Segment.TYPE.LOAD]
    assert {item.alignment for item in loads} == {PAGE_16K_BYTES}
    ends = [relro_end(item) for item in (parsed(data), other)]
    assert ends[1] % PAGE_16K_BYTES == 0
    assert ends[1] < ends[0]


def test_a_real_library_is_refused_where_no_offset_helps() -> None:
    with pytest.raises(FormatError, match="segments with different rights share a page"):
        repack_elf(conscrypt("x86_64"), page_bytes=PAGE_16K_BYTES)
    assert lief.ELF.check_layout(parsed(repack_elf(conscrypt("x86_64"))))[0]


@pytest.mark.parametrize("abi", TARGETS)
def test_a_segment_never_loses_its_own_alignment(abi: str) -> None:
    """Offset and address stay congruent by p_align, also when smaller pages are asked for."""
    packed = read_elf(repack_elf(shared_library(abi), page_bytes=4096))
    assert {load.alignment for load in packed.loads} == {PAGE_16K_BYTES}
    assert all((load.offset - load.address) % load.alignment == 0 for load in packed.loads)
    mixed = bytearray(shared_library(abi))
    elf = read_elf(bytes(mixed))
    last = max(at for at, item in enumerate(elf.segments) if item.type == SegmentType.LOAD)
    struct.pack_into("<Q", mixed, elf.header[5] + 56 * last + 48, 4096)
    again = read_elf(repack_elf(bytes(mixed)))
    assert all((load.offset - load.address) % load.alignment == 0 for load in again.loads)


@pytest.mark.parametrize("abi", TARGETS_32)
def test_32_bit_libraries_are_read_checked_and_not_repacked(abi: str) -> None:
    data = shared_library(abi, page_bytes=4096)
    elf, other = read_elf(data), parsed(data)
    assert [item.name for item in elf.sections] == [item.name for item in other.sections]
    assert {item.name for item in elf.symbols()} == {str(s.name) for s in other.dynamic_symbols if s.name}
    assert verify_android_library(data, abi, file_name="libsample.so") == ()
    wrong = verify_android_library(data, "arm64-v8a", file_name="libsample.so")
    assert {issue.kind for issue in wrong} == {"machine"}
    with pytest.raises(FormatError, match="only 64-bit libraries are repacked"):
        repack_elf(data)


@pytest.mark.parametrize("abi", TARGETS_32)
def test_each_byte_of_32_bit_headers_may_lie(abi: str) -> None:
    data = shared_library(abi, page_bytes=4096)
    elf = read_elf(data)
    dynamic = elf.of_type(SegmentType.DYNAMIC)[0]
    places = (*range(52 + 32 * len(elf.segments)), *range(dynamic.offset, dynamic.file_end, 3))
    for place in (*places, *range(elf.header[6], len(data), 7)):
        for value in (0, 0xFF):
            changed = bytearray(data)
            changed[place] = value
            everything(bytes(changed))
    for size in range(0, len(data), 37):
        everything(data[:size])


@pytest.mark.parametrize(
    ("tag", "first"),
    [
        (DynamicTag.ANDROID_RELA, 23),
        (DynamicTag.ANDROID_RELR, 28),
        (DynamicTag.RELR, 30),
    ],
)
def test_each_packed_form_of_relocations_has_its_first_api_level(tag: DynamicTag, first: int) -> None:
    data = patched(set_tag(RELACOUNT, tag))
    for api, expected in ((first - 1, {"relr"}), (first, set())):
        issues = verify_android_library(data, "arm64-v8a", file_name="libsample.so", min_api=api)
        assert {issue.kind for issue in issues} - {"gnu-hash"} == expected


def test_a_library_that_android_has_from_a_later_level_on_is_told() -> None:
    """The name of another library stands where liblog's did."""
    data = bytearray(conscrypt("arm64-v8a"))
    at = data.index(b"\0liblog.so\0") + 1
    data[at : at + 9] = b"libEGL.so"
    issues = verify_android_library(bytes(data), "arm64-v8a", file_name=NAME, min_api=8)
    assert "needs libEGL.so, which Android has from API 9 on" in {issue.sentence for issue in issues}
    assert "needed" not in issue_kinds(bytes(data), "arm64-v8a", min_api=21)


@pytest.mark.parametrize(
    ("version", "min_api", "found"),
    [
        ("LIBC", 1, set()),
        ("LIBC_O", 25, {"symbol-version"}),
        ("LIBC_O", 26, set()),
        ("GLIBC_2.17", 36, {"symbol-version"}),
    ],
)
def test_a_version_of_libc_has_its_first_api_level_and_glibcs_have_none(
    version: str, min_api: int, found: set[str], tmp_path: Path
) -> None:
    """Linked by lld against a libc whose one function has this version."""
    script, libc = tmp_path / "versions", tmp_path / "libc.so"
    script.write_text(f"{version} {{ global: later; local: *; }};")
    options = ("-Wl,-soname,libc.so", f"-Wl,--version-script={script}")
    libc.write_bytes(shared_library("arm64-v8a", *options, source="int later(void) { return 1; }"))
    user = "int later(void); int now(void) { return later(); }"
    data = shared_library("arm64-v8a", str(libc), "-Wl,--hash-style=both", source=user)
    assert ("libc.so", version) in read_elf(data).required_versions()
    assert issue_kinds(data, "arm64-v8a", min_api=min_api) == found
