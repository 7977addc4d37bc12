"""ELF as Android's loader sees it: what is read, what is objected to, and what repacking keeps."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import lief
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lawow.errors import FormatError
from lawow.formats.elf import ElfFile, read_elf, repack_elf, verify_android_library
from lawow.formats.elf.constants import PAGE_16K_BYTES, DynamicTag, SegmentType
from lawow.resources import android_stub
from tests.formats.elf_samples import TARGETS, shared_library
from tests.tools import run

ABIS = tuple(TARGETS)
RELACOUNT = 0x6FFFFFF9
"""A tag that LAWOW does not look at."""


def glue(abi: str) -> bytes:
    return android_stub("prebuilt", abi, "liblawow.so").read_bytes()


def kinds(data: bytes, abi: str = "arm64-v8a", name: str = "libsample.so", **options: int) -> set[str]:
    return {issue.kind for issue in verify_android_library(data, abi, file_name=name, **options)}


def image(data: bytes) -> dict[int, bytes]:
    """Return what a loader puts into memory: the bytes of each address range, zeroes included."""
    elf = read_elf(data)
    return {
        load.address: elf.data[load.offset : load.file_end] + bytes(load.memory_bytes - load.file_bytes)
        for load in elf.loads
    }


def everything(data: bytes) -> None:
    """Use every reader on the file; only `FormatError` may come out."""
    for use in (_read_all, repack_elf, lambda item: repack_elf(item, page_bytes=PAGE_16K_BYTES)):
        with suppress(FormatError):
            use(data)
    verify_android_library(data, "arm64-v8a", file_name="libsample.so")


def _read_all(data: bytes) -> None:
    elf = read_elf(data)
    list(elf.symbols())
    elf.required_versions()
    elf.relocation_kinds()
    elf.android_api()
    elf.needed  # noqa: B018  (a property that reads)
    elf.soname  # noqa: B018


# ---- reading


@pytest.mark.parametrize("abi", ABIS)
def test_lief_reads_the_same_facts(abi: str) -> None:
    for data in (glue(abi), shared_library(abi)):
        elf, other = read_elf(data), lief.parse(list(data))
        assert isinstance(other, lief.ELF.Binary)
        assert list(elf.needed) == list(other.libraries)
        symbols = {symbol.name for symbol in other.dynamic_symbols if symbol.name}
        assert {symbol.name for symbol in elf.symbols()} == symbols
        loads = [item for item in other.segments if item.type == lief.ELF.Segment.TYPE.LOAD]
        assert [(load.offset, load.address, load.file_bytes, load.memory_bytes) for load in elf.loads] == [
            (item.file_offset, item.virtual_address, item.physical_size, item.virtual_size) for item in loads
        ]
        assert [section.name for section in elf.sections] == [section.name for section in other.sections]


def test_versions_and_soname_of_the_glue() -> None:
    elf = read_elf(glue("arm64-v8a"))
    assert elf.soname == "liblawow.so"
    assert set(elf.needed) == {"libc.so", "libdl.so"}
    assert elf.required_versions() == {("libc.so", "LIBC"), ("libdl.so", "LIBC")}
    assert {symbol.version > 1 for symbol in elf.symbols() if not symbol.defined} == {True}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", ""),
        (b"MZ\x90\x00", "4d5a9000"),
        (b"\x7fELF\x02\x02\x01", "7f454c46020201"),
    ],
    ids=["empty", "windows", "big-endian"],
)
def test_what_is_no_little_endian_elf_is_refused(data: bytes, found: str) -> None:
    with pytest.raises(FormatError, match="is not a little-endian ELF file") as caught:
        read_elf(data)
    assert caught.value.found == found


def test_a_file_cut_anywhere_gives_a_format_error_or_a_value() -> None:
    data = glue("arm64-v8a")
    for size in (*range(1024), *range(1024, len(data), 61)):
        everything(data[:size])


def test_each_byte_of_headers_and_tables_may_lie() -> None:
    data = glue("arm64-v8a")
    elf = read_elf(data)
    dynamic = elf.of_type(SegmentType.DYNAMIC)[0]
    sections = elf.header[6]
    places = (*range(64 + 56 * len(elf.segments)), *range(dynamic.offset, dynamic.file_end, 3))
    for place in (*places, *range(sections, len(data), 11)):
        for value in (0, 0xFF):
            changed = bytearray(data)
            changed[place] = value
            everything(bytes(changed))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, 15_000), st.binary(min_size=1, max_size=16)), min_size=1, max_size=6)
)
def test_whatever_is_written_into_a_library_gives_a_format_error_or_a_value(
    changes: list[tuple[int, bytes]],
) -> None:
    data = bytearray(glue("x86_64"))
    for place, patch in changes:
        start = place % (len(data) - len(patch))
        data[start : start + len(patch)] = patch
    everything(bytes(data))


def test_counts_are_compared_with_the_bytes_there_are() -> None:
    data = bytearray(glue("arm64-v8a"))
    struct.pack_into("<H", data, 56, 0xFFFF)  # e_phnum
    with pytest.raises(FormatError, match="program headers: ends too early"):
        read_elf(bytes(data))


def test_a_chain_of_version_records_that_never_ends_is_refused() -> None:
    data = bytearray(glue("arm64-v8a"))
    elf = read_elf(bytes(data))
    start = elf.offset_of(elf.tags(DynamicTag.VERNEED)[0])
    struct.pack_into("<H", data, start + 2, 0xFFFF)  # vn_cnt
    with pytest.raises(FormatError, match="too many records"):
        read_elf(bytes(data)).required_versions()


# ---- checking


@pytest.mark.parametrize("abi", ABIS)
def test_a_good_library_has_no_issue(abi: str) -> None:
    assert kinds(shared_library(abi), abi) == set()


def test_the_wrong_abi_name_and_kind_are_said() -> None:
    data = shared_library()
    assert kinds(data, "x86_64") == {"machine"}
    assert kinds(data, "armeabi-v7a") == {"machine"}
    assert kinds(data, name="sample.so") == {"file-name"}
    assert kinds(b"not a library") == {"malformed"}


def test_4_kb_pages_are_said() -> None:
    assert "page-alignment" in kinds(shared_library("x86_64", page_bytes=4096), "x86_64")


def test_what_the_linker_was_asked_for_is_found() -> None:
    assert kinds(shared_library("arm64-v8a", "-Wl,-soname,libother.so")) == {"soname"}
    assert kinds(shared_library("arm64-v8a", "-Wl,-soname,libsample.so")) == set()
    tls = "__thread int t = 3; int resolve_vmctx_memory_ptr_50_0_0(void) { return t++; }"
    native_tls = shared_library("x86_64", "-fno-emulated-tls", source=tls)
    assert "tls" in kinds(native_tls, "x86_64")
    assert "tls" not in kinds(native_tls, "x86_64", min_api=29)


def patched(edit: Callable[[ElfFile, bytearray], None]) -> bytes:
    """Return the sample with one change."""
    data = bytearray(shared_library())
    edit(read_elf(bytes(data)), data)
    return bytes(data)


def header_of(elf: ElfFile, kind: SegmentType) -> int:
    """Return the offset of the first program header of a type."""
    index = next(at for at, segment in enumerate(elf.segments) if segment.type == kind)
    return elf.header[5] + 56 * index


def set_writable_code(elf: ElfFile, data: bytearray) -> None:
    struct.pack_into("<I", data, header_of(elf, SegmentType.LOAD) + 4, 7)


def set_executable_stack(elf: ElfFile, data: bytearray) -> None:
    struct.pack_into("<I", data, header_of(elf, SegmentType.GNU_STACK) + 4, 7)


def set_executable_type(_: ElfFile, data: bytearray) -> None:
    struct.pack_into("<H", data, 16, 2)


def drop_sections(_: ElfFile, data: bytearray) -> None:
    struct.pack_into("<H", data, 60, 0)
    struct.pack_into("<H", data, 62, 0)


def drop_dynamic(elf: ElfFile, data: bytearray) -> None:
    struct.pack_into("<I", data, header_of(elf, SegmentType.DYNAMIC), 0)


def set_tag(old: int, new: int) -> Callable[[ElfFile, bytearray], None]:
    """Return an edit that gives the dynamic entry `old` another tag."""

    def edit(elf: ElfFile, data: bytearray) -> None:
        index = next(at for at, (tag, _) in enumerate(elf.dynamic) if tag == old)
        struct.pack_into("<Q", data, elf.of_type(SegmentType.DYNAMIC)[0].offset + 16 * index, new)

    return edit


def drop_hashes(elf: ElfFile, data: bytearray) -> None:
    for tag in (DynamicTag.HASH, DynamicTag.GNU_HASH):
        set_tag(tag, DynamicTag.VERSYM)(elf, data)


@pytest.mark.parametrize(
    ("edit", "kind"),
    [
        (set_writable_code, "writable-code"),
        (set_executable_stack, "executable-stack"),
        (set_executable_type, "type"),
        (drop_sections, "no-sections"),
        (drop_dynamic, "no-dynamic"),
        (drop_hashes, "no-hash"),
        (set_tag(RELACOUNT, DynamicTag.TEXTREL), "text-relocations"),
        (set_tag(RELACOUNT, DynamicTag.RELR), "relr"),
    ],
)
def test_one_change_gives_the_issue_of_its_kind(
    edit: Callable[[ElfFile, bytearray], None], kind: str
) -> None:
    assert kind in kinds(patched(edit))


def test_a_library_that_nobody_brings_along_is_said() -> None:
    needs = glue("arm64-v8a").replace(b"libdl.so\0", b"libno.so\0")
    assert kinds(needs, name="liblawow.so") == {"needed"}
    issues = verify_android_library(needs, "arm64-v8a", file_name="liblawow.so", packed={"libno.so"})
    assert issues == ()


# ---- repacking


@pytest.mark.parametrize("abi", ABIS)
@pytest.mark.parametrize("page_bytes", [None, PAGE_16K_BYTES])
def test_a_repacked_library_is_smaller_and_loads_the_same_bytes(abi: str, page_bytes: int | None) -> None:
    data = shared_library(abi)
    packed = repack_elf(data, page_bytes=page_bytes)
    assert len(packed) < len(data)
    before, after = image(data), image(packed)
    assert before.keys() == after.keys()
    for address in before:
        # The headers in the first segment hold the new offsets; all else is the same.
        assert [len(before[address]), before[address][4096:]] == [len(after[address]), after[address][4096:]]
    names = {section.name for section in read_elf(packed).sections}
    assert names & {".symtab", ".comment", ".debug_info", ".strtab"} == set()
    assert {".dynsym", ".dynamic", ".text", ".shstrtab"} <= names


@pytest.mark.parametrize("abi", ABIS)
def test_repacking_again_changes_nothing(abi: str) -> None:
    packed = repack_elf(shared_library(abi), page_bytes=PAGE_16K_BYTES)
    assert repack_elf(packed, page_bytes=PAGE_16K_BYTES) == packed


@pytest.mark.parametrize("abi", ABIS)
def test_readelf_and_lief_find_nothing_wrong_with_a_repacked_library(abi: str, tmp_path: Path) -> None:
    path = tmp_path / "libsample.so"
    path.write_bytes(repack_elf(shared_library(abi), page_bytes=PAGE_16K_BYTES))
    done = run("readelf", "--all", "--wide", path)
    assert "Warning" not in done.stderr
    assert "Error" not in done.stderr
    other = lief.parse(str(path))
    assert isinstance(other, lief.ELF.Binary)
    assert lief.ELF.check_layout(other)[0]


def aligned_to_4_kb() -> Iterator[bytes]:
    """Yield libraries whose segments are close together."""
    for abi in ABIS:
        yield shared_library(abi, page_bytes=4096)


def test_a_library_whose_code_and_data_share_a_page_is_refused_and_can_still_be_stripped() -> None:
    for data in aligned_to_4_kb():
        with pytest.raises(
            FormatError, match="cannot be realigned: segments with different rights share a page"
        ):
            repack_elf(data, page_bytes=PAGE_16K_BYTES)
        assert len(repack_elf(data)) < len(data)


def test_a_library_that_asks_for_huge_pages_is_no_bomb() -> None:
    def edit(elf: ElfFile, data: bytearray) -> None:
        for index, segment in enumerate(elf.segments):
            if segment.type == SegmentType.LOAD:
                struct.pack_into("<Q", data, elf.header[5] + 56 * index + 48, 1 << 40)

    with pytest.raises(FormatError, match="are aligned too widely"):
        repack_elf(patched(edit))
