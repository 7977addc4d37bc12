"""ZIP as Android reads it: what is kept byte for byte, what is refused and in which words."""

from __future__ import annotations

import io
import random
import struct
import time
import tracemalloc
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.zip import (
    STORED,
    ZipArchive,
    ZipEntry,
    end_of_central_directory,
    layout_zip,
    make_entry,
    read_zip,
    required_alignment,
    write_zip,
)
from lawow.formats.zip.entry import shown_name
from lawow.limits import ARCHIVE
from tests.formats.builders import RawEntry, build_zip, descriptor_of, mutated_fields, survives
from tests.tools import run


def standard_zip(*, stream: bool = False, comment: bytes = b"") -> bytes:
    """An archive made by Python's own writer; as a stream it has data descriptors."""

    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    target = Stream() if stream else io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for index, name in enumerate(
            ("resources.arsc", "lib/arm64-v8a/libfib.so", "classes.dex", "assets/ä.txt")
        ):
            info = zipfile.ZipInfo(name, (2001, 2, 3, 4, 5, 6))
            info.compress_type = zipfile.ZIP_STORED if index < 2 else zipfile.ZIP_DEFLATED
            info.external_attr = 0o100644 << 16
            info.extra = struct.pack("<HHI", 0xCAFE, 4, index)
            archive.writestr(info, name.encode() * 100)
        archive.comment = comment
    return target.getvalue()


def everything(archive: ZipArchive) -> list[bytes]:
    return [entry.read() for entry in archive.entries]


def read_and_inflate(data: bytes) -> None:
    """The whole path that a file from outside takes: directory, every content, layout."""
    archive = read_zip(data)
    for entry in archive.entries:
        survives(lambda _, entry=entry: entry.read(1 << 20), b"")
    write_zip(archive.entries, align=True)


# ---- reading and keeping


@pytest.mark.parametrize("stream", [False, True])
def test_entries_are_read_as_the_standard_library_reads_them(stream: bool) -> None:
    data = standard_zip(stream=stream, comment=b"hello")
    archive = read_zip(data)
    with zipfile.ZipFile(io.BytesIO(data)) as expected:
        assert [entry.path for entry in archive.entries] == expected.namelist()
        assert everything(archive) == [expected.read(name) for name in expected.namelist()]
    assert archive.comment == b"hello"
    assert archive.by_name[b"classes.dex"].path == "classes.dex"
    assert archive.signing_block is None


@pytest.mark.parametrize("stream", [False, True])
def test_untouched_entries_keep_data_order_time_attributes_and_central_extra(stream: bool) -> None:
    before = read_zip(standard_zip(stream=stream)).entries
    after = read_zip(write_zip(before, align=True)).entries

    def kept(entry: ZipEntry) -> tuple[object, ...]:
        return (
            entry.name,
            bytes(entry.data),
            entry.method,
            entry.crc32,
            entry.uncompressed_bytes,
            entry.dos_time,
            entry.external_attributes,
            entry.internal_attributes,
            entry.version_made_by,
            entry.central_extra,
            entry.comment,
        )

    assert [kept(entry) for entry in after] == [kept(entry) for entry in before]


def test_local_extra_fields_are_kept_except_those_that_align() -> None:
    own = struct.pack("<HH2s", 0xCAFE, 2, b"hi")
    alignment = struct.pack("<HHH", 0xD935, 5, 4) + bytes(3)
    entry = RawEntry(b"a", method=0, local_extra=alignment + own + bytes(3))
    (kept,) = read_zip(write_zip(read_zip(build_zip([entry])).entries, align=True)).entries
    assert kept.local_extra.startswith(own)
    assert kept.local_extra.count(b"\x35\xd9") <= 1
    assert kept.data_offset % 4 == 0


def test_an_extra_field_that_cannot_be_parsed_is_kept() -> None:
    entry = RawEntry(b"abc", method=8, local_extra=b"\x01\x02\xff\xffrest")
    (kept,) = read_zip(write_zip(read_zip(build_zip([entry])).entries, align=True)).entries
    assert kept.local_extra == b"\x01\x02\xff\xffrest"


@pytest.mark.parametrize("signature", [False, True])
def test_data_descriptors_are_folded_into_the_headers(signature: bool) -> None:
    entry = RawEntry(b"a", flags=8, local={"crc": 0, "compressed": 0, "uncompressed": 0})
    entry.descriptor = descriptor_of(entry, signature=signature)
    written = write_zip(read_zip(build_zip([entry, RawEntry(b"b")])).entries, align=True)
    again = read_zip(written)
    assert everything(again) == [b"content", b"content"]
    assert not again.entries[0].flags & 8
    assert struct.unpack_from("<I", written, 18)[0] == again.entries[0].compressed_bytes


def test_a_descriptor_bit_only_in_the_directory_is_harmless() -> None:
    archive = read_zip(build_zip([RawEntry(b"a", central={"flags": 8})]))
    assert everything(archive) == [b"content"]


def test_writing_is_deterministic_and_writing_what_was_written_changes_nothing() -> None:
    first = write_zip(read_zip(standard_zip()).entries, align=True)
    assert write_zip(read_zip(standard_zip()).entries, align=True) == first
    assert write_zip(read_zip(first).entries, align=True) == first


def test_stored_entries_are_aligned_to_4_and_stored_libraries_to_16_kib(tmp_path: Path) -> None:
    data = write_zip(read_zip(standard_zip()).entries, align=True)
    entries = read_zip(data).by_name
    assert entries[b"resources.arsc"].data_offset % 4 == 0
    assert entries[b"lib/arm64-v8a/libfib.so"].data_offset % 16_384 == 0
    assert required_alignment(entries[b"classes.dex"]) == 1
    apk = tmp_path / "aligned.apk"
    apk.write_bytes(data)
    run("zipalign", "-c", "-p", "-v", "4", apk)


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans(), st.binary(max_size=30)), max_size=6))
def test_every_stored_entry_is_aligned_whatever_stands_before_it(
    shapes: list[tuple[int, bool, bytes]],
) -> None:
    entries = [
        make_entry(f"{index:x}".ljust(length, "n"), content, compress=compress)
        for index, (length, compress, content) in enumerate(shapes)
    ]
    if not entries:
        return
    for entry in read_zip(write_zip(entries, align=True)).entries:
        assert entry.data_offset % required_alignment(entry) == 0
        assert len(entry.local_extra) < 16


def test_without_alignment_nothing_is_padded() -> None:
    entries = [make_entry("lib/x/libx.so", b"12345", compress=False)]
    body, directory = layout_zip(entries, align=False)
    assert len(body) == 30 + len("lib/x/libx.so") + 5
    end = end_of_central_directory(
        1, directory_bytes=len(directory), directory_offset=len(body), comment=b"x"
    )
    assert read_zip(body + directory + end).comment == b"x"


def test_an_extra_field_without_room_for_alignment_is_refused() -> None:
    entry = RawEntry(b"a", method=0, local_extra=struct.pack("<HH", 1, 65_530) + bytes(65_530))
    with pytest.raises(FormatError, match="no room to align"):
        write_zip(read_zip(build_zip([entry])).entries, align=True)


# ---- making entries


def test_made_entries_are_the_same_every_time_and_dated_1980() -> None:
    content = b"lawow " * 1000
    data = write_zip([make_entry("a/b.txt", content), make_entry("ä", b"")], align=False)
    assert data == write_zip([make_entry("a/b.txt", content), make_entry(b"\xc3\xa4", b"")], align=False)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a/b.txt", "ä"]
        assert archive.read("a/b.txt") == content
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_content_that_deflate_makes_no_smaller_is_stored() -> None:
    noise = random.Random(1).randbytes(1000)
    assert make_entry("noise", noise).method == STORED
    assert make_entry("empty", b"").method == STORED
    assert make_entry("text", b"a" * 1000, compress=False).method == STORED


def test_a_replacement_is_stored_and_dated_like_the_entry_that_it_replaces() -> None:
    old = read_zip(standard_zip()).by_name[b"resources.arsc"]
    new = make_entry(old.name, b"n" * 1000, like=old)
    assert (new.method, new.dos_time) == (STORED, old.dos_time)
    assert (new.external_attributes, new.central_extra) == (old.external_attributes, old.central_extra)
    assert make_entry(old.name, b"n" * 1000, like=old, compress=True).method != STORED


# ---- what is refused, and in which words

PLAIN = RawEntry(b"a.txt")
OTHER = RawEntry(b"b.txt")
LYING_DESCRIPTOR = RawEntry(b"a.txt", flags=8, descriptor=b"PK\x07\x08" + bytes(12))

REFUSED = {
    "empty file": (b"", "not a ZIP archive"),
    "21 bytes": (b"PK\x05\x06" + bytes(17), "not a ZIP archive"),
    "no entries": (b"PK\x05\x06" + bytes(18), "no entries"),
    "not a ZIP": (b"\x7fELF" + bytes(100), "not a ZIP archive"),
    "trailing bytes": (build_zip([PLAIN]) + b"junk", "4 bytes after the end"),
    "prepended dex": (
        build_zip([PLAIN], prefix=b"dex\n035\0" + bytes(104)),
        "112 bytes before its first entry",
    ),
    "prepended, offsets not corrected": (b"dex\n035\0" + build_zip([PLAIN]), "does not follow"),
    "comment ends after the file": (build_zip([PLAIN], comment=5 * b"")[:-2] + b"\x09\x00", "comment"),
    "comment with an end record": (build_zip([PLAIN], comment=b"PK\x05\x06" + bytes(18)), "no entries"),
    "comment with half an end record": (
        build_zip([PLAIN], comment=b"PK\x05\x06" + bytes(40)),
        "after the end",
    ),
    "two end records": (build_zip([PLAIN], gap=b"PK\x05\x06" + bytes(18)), "two end of central directory"),
    "several disks": (build_zip([PLAIN], disk=1), "several disks"),
    "directory on another disk": (build_zip([PLAIN], start_disk=1), "several disks"),
    "entries on other disks": (build_zip([PLAIN], here=0), "several disks"),
    "entry on another disk": (build_zip([RawEntry(b"a", central={"disk": 1})]), "another disk"),
    "zip64 end": (build_zip([PLAIN], size=2**32 - 1), "zip64"),
    "zip64 entry": (build_zip([RawEntry(b"a", central={"uncompressed": 2**32 - 1})]), "zip64"),
    "zip64 offset": (build_zip([RawEntry(b"a", central={"offset": 2**32 - 1})]), "zip64"),
    "fewer entries than records": (build_zip([PLAIN, OTHER], here=1, entries=1), "goes on after its last"),
    "more entries than records": (build_zip([PLAIN], here=2, entries=2), "central directory: ends too early"),
    "directory of another size": (build_zip([PLAIN], size=50), "does not follow"),
    "directory elsewhere": (build_zip([PLAIN], offset=10), "does not follow"),
    "bad record": (build_zip([RawEntry(b"a", central={"signature": 1})]), "without its signature"),
    "bad local header": (build_zip([RawEntry(b"a", local={"signature": 1})]), "no local header"),
    "local header outside": (build_zip([RawEntry(b"a", central={"offset": 2**31})]), "local header outside"),
    "NUL in a name": (build_zip([RawEntry(b"a\0.txt")]), "holds a NUL"),
    "empty name": (build_zip([RawEntry(b"")]), "is empty"),
    "name in Latin-1": (build_zip([RawEntry(b"\xe4")]), "not UTF-8"),
    "overlong UTF-8": (build_zip([RawEntry(b"\xc0\xaf")]), "not UTF-8"),
    "another local name": (
        build_zip([RawEntry(b"a.txt", local_name=b"b.txt")]),
        'is named "b.txt" in its local',
    ),
    "another local method": (
        build_zip([RawEntry(b"a", local={"method": 0})]),
        "compression method contradicts",
    ),
    "another local size": (build_zip([RawEntry(b"a", local={"uncompressed": 8})]), "sizes contradict"),
    "another local CRC": (build_zip([RawEntry(b"a", local={"crc": 0})]), "sizes contradict"),
    "open sizes, no descriptor": (build_zip([RawEntry(b"a", local={"compressed": 0})]), "sizes contradict"),
    "stored with two sizes": (
        build_zip([RawEntry(b"a", method=0, central={"uncompressed": 9}, local={"uncompressed": 9})]),
        "two different sizes",
    ),
    "wrong descriptor": (build_zip([LYING_DESCRIPTOR]), "descriptor that contradicts"),
    "no room for a descriptor": (build_zip([RawEntry(b"a", flags=8)]), "data descriptor"),
    "data outside": (
        build_zip([RawEntry(b"a", central={"compressed": 9999}, local={"compressed": 9999})]),
        "ends outside of the entries",
    ),
    "local name outside": (
        build_zip([RawEntry(b"a", local={"name": 60_000})]),
        "local header: ends too early",
    ),
    "records cut off": (
        build_zip([RawEntry(b"a", central={"name": 60_000})]),
        "central directory: ends too early",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_two_readers_could_understand_differently_is_refused(case: str) -> None:
    data, sentence = REFUSED[case]
    with pytest.raises(FormatError, match=sentence):
        read_zip(data)


def test_duplicate_entry_names_are_refused_with_both_places() -> None:
    data = build_zip([RawEntry(b"classes.dex"), OTHER, RawEntry(b"classes.dex", b"evil")])
    second = data.index(b"PK\x03\x04", data.index(b"b.txt"))
    sentence = (
        f'two entries are named "classes.dex" (headers at 0x0 and {second:#x}); Android refuses such files'
    )
    with pytest.raises(FormatError) as caught:
        read_zip(data)
    assert str(caught.value) == sentence


def test_duplicate_names_are_not_written_either() -> None:
    with pytest.raises(FormatError, match="two entries are named"):
        write_zip([make_entry("a", b"1"), make_entry("a", b"2")], align=False)


def test_errors_about_an_entry_name_the_entry_first() -> None:
    with pytest.raises(FormatError) as caught:
        read_zip(build_zip([RawEntry(b"res/a\x1b[2J.xml", local={"method": 0})]))
    assert str(caught.value).startswith("res/a\\x1b[2J.xml: has a local header")


def test_long_names_are_shortened_in_sentences() -> None:
    assert len(shown_name(b"n" * 60_000)) < 210


def test_the_filler_of_a_deleted_first_entry_is_accepted_and_dropped() -> None:
    """Build tools fill a hole with a local header that no directory entry names."""
    filler = RawEntry(b"", b"", method=0, local_extra=bytes(100)).local_bytes()
    archive = read_zip(build_zip([PLAIN], prefix=filler))
    assert everything(archive) == [b"content"]
    assert everything(read_zip(write_zip(archive.entries, align=True))) == [b"content"]


def test_a_gap_before_the_directory_is_accepted() -> None:
    assert everything(read_zip(build_zip([PLAIN], gap=bytes(100)))) == [b"content"]


# ---- overlaps and bombs


def test_two_records_for_one_body_are_refused() -> None:
    """The full overlap bomb: one kernel of data, counted many times."""
    kernel = RawEntry(b"a", bytes(1 << 20))
    records = kernel.central_bytes(0) + RawEntry(b"a", bytes(1 << 20)).central_bytes(0)
    data = kernel.local_bytes()
    bomb = (
        data + records + end_of_central_directory(2, directory_bytes=len(records), directory_offset=len(data))
    )
    with pytest.raises(FormatError, match="two entries are named"):
        read_zip(bomb)


def test_quoted_overlap_is_refused() -> None:
    """Each entry's data holds the next local header as a stored DEFLATE block, as Fifield's bomb does."""
    inner = RawEntry(b"inner", bytes(1 << 20))
    quoted = inner.local_bytes()
    block = b"\x01" + struct.pack("<HH", len(quoted), len(quoted) ^ 0xFFFF) + quoted
    outer = RawEntry(b"outer", quoted, data=block)
    body = outer.local_bytes()
    records = outer.central_bytes(0) + inner.central_bytes(body.index(quoted))
    bomb = (
        body + records + end_of_central_directory(2, directory_bytes=len(records), directory_offset=len(body))
    )
    with pytest.raises(FormatError, match='entries "outer" and "inner" overlap'):
        read_zip(bomb)


def test_data_in_the_signing_block_is_refused() -> None:
    block = struct.pack("<Q", 24) + struct.pack("<Q", 24) + b"APK Sig Block 42"
    entry = RawEntry(b"a", block, method=0)
    with pytest.raises(FormatError, match="outside of the entries"):
        read_zip(build_zip([entry]))


def test_a_signing_block_is_found_and_not_taken_for_an_entry() -> None:
    block = struct.pack("<Q", 24) + struct.pack("<Q", 24) + b"APK Sig Block 42"
    archive = read_zip(build_zip([PLAIN], gap=block))
    assert archive.signing_block is not None
    assert archive.signing_block.size_bytes == len(block)
    assert archive.signing_block.offset + len(block) == archive.central_directory_offset


def lying(content: bytes, declared: int) -> ZipEntry:
    sizes = {"uncompressed": declared}
    return read_zip(build_zip([RawEntry(b"a", content, local=sizes, central=sizes)])).entries[0]


def test_never_more_is_inflated_than_was_declared() -> None:
    bomb = lying(bytes(16 << 20), 1000)
    tracemalloc.start()
    with pytest.raises(FormatError, match="inflates to more than its size"):
        bomb.read()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_a_declared_size_above_the_limit_is_refused_before_inflating() -> None:
    with pytest.raises(LimitExceeded, match="entry_bytes is 4000000000"):
        lying(b"small", 4_000_000_000).read()
    with pytest.raises(LimitExceeded, match="the limit is 99"):
        lying(bytes(100), 100).read(limit_bytes=99)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (RawEntry(b"a", bytes(100), data=zlib.compress(bytes(99), wbits=-15)), "shorter than its size"),
        (RawEntry(b"a", b"abc", data=b"\xff\xff\xff"), "not valid DEFLATE"),
        (RawEntry(b"a", b"abc", data=zlib.compress(b"abc", wbits=-15)[:-2]), "ends too early"),
        (RawEntry(b"a", b"abc", data=b""), "ends too early"),
        (RawEntry(b"a", b"abc", data=zlib.compress(b"abc", wbits=-15) + b"more"), "4 bytes behind"),
        (RawEntry(b"a", b"abc", data=zlib.compress(b"abd", wbits=-15)), "another CRC-32"),
        (RawEntry(b"a", b"abc", data=b"abd", method=0), "another CRC-32"),
    ],
)
def test_content_that_is_not_what_the_directory_says_is_refused(entry: RawEntry, sentence: str) -> None:
    archive = read_zip(build_zip([entry]))
    with pytest.raises(FormatError, match=sentence):
        archive.entries[0].read()


@pytest.mark.parametrize("size", [0, 1, (256 << 10) - 1, (1 << 20) + 1, 3 << 20])
@pytest.mark.parametrize("method", [0, 8])
def test_content_comes_in_pieces_of_at_most_a_mebibyte(size: int, method: int) -> None:
    content = random.Random(size).randbytes(size // 2) + bytes(size - size // 2)
    entry = read_zip(build_zip([RawEntry(b"a", content, method=method)])).entries[0]
    pieces = list(entry.read_pieces())
    assert b"".join(pieces) == content
    assert max(map(len, pieces), default=0) <= 1 << 20


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (RawEntry(b"x", flags=1), "is encrypted"),
        (
            RawEntry(b"x", method=0, flags=1, central={"uncompressed": 3}, local={"uncompressed": 3}),
            "is encrypted",
        ),
        (RawEntry(b"x", method=0x7600), "unknown compression method"),
        (RawEntry(b"x", method=99), "unknown compression method"),
    ],
)
def test_unreadable_entries_are_kept_as_they_are_and_refuse_to_be_read(
    entry: RawEntry, sentence: str
) -> None:
    archive = read_zip(write_zip(read_zip(build_zip([entry])).entries, align=True))
    kept = archive.entries[0]
    assert bytes(kept.data) == entry.stored_data
    assert (kept.method, kept.flags) == (entry.method, entry.flags)
    assert not kept.is_readable
    with pytest.raises(FormatError, match=sentence):
        kept.read()


UNSAFE = [
    "../x",
    "a/../../x",
    "/etc/passwd",
    "a\\b",
    "..\\x",
    "C:\\x",
    "C:x",
    "a//b",
    "./a",
    "a/.",
    "..",
    "/",
    "a\nb",
]


@pytest.mark.parametrize("name", UNSAFE)
def test_names_that_are_unsafe_as_paths_are_kept_and_marked(name: str) -> None:
    entry = read_zip(write_zip([make_entry(name, b"x")], align=True)).entries[0]
    assert entry.path == name
    assert not entry.is_safe_path


@pytest.mark.parametrize("name", ["a", "a/b.txt", "res/-_.xml", "META-INF/", "..a/b..", "assets/ä", "a b"])
def test_ordinary_names_are_safe_paths(name: str) -> None:
    assert make_entry(name, b"").is_safe_path


# ---- everything else that a hostile file can be


def test_a_file_cut_off_anywhere_is_refused_cleanly() -> None:
    data = standard_zip()
    assert not any(survives(read_zip, data[:size]) for size in range(len(data)))


@pytest.mark.parametrize("stream", [False, True])
def test_every_field_of_every_header_may_lie(stream: bool) -> None:
    data = standard_zip(stream=stream)
    for signature, size in (
        (b"PK\x03\x04", 30),
        (b"PK\x01\x02", 46),
        (b"PK\x05\x06", 22),
        (b"PK\x07\x08", 16),
    ):
        start = data.find(signature)
        while start >= 0:
            places = range(start, min(start + size, len(data)))
            for changed in (*mutated_fields(data, places, 2), *mutated_fields(data, places, 4)):
                survives(read_and_inflate, changed)
            start = data.find(signature, start + 1)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=8), st.booleans())
def test_random_changes_raise_nothing_but_format_errors(changes: list[tuple[int, int]], stream: bool) -> None:
    data = bytearray(standard_zip(stream=stream, comment=b"c"))
    for place, value in changes:
        data[-1 - place % len(data)] = value
    survives(read_and_inflate, bytes(data))


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_format_errors(data: bytes) -> None:
    survives(read_and_inflate, data)
    survives(read_and_inflate, data + b"PK\x05\x06" + data[:18])


def test_reading_takes_time_in_proportion_to_the_entries() -> None:
    """65,535 entries of one prefix are the most that the format allows."""

    def seconds(count: int) -> float:
        data = write_zip((make_entry(b"p" * 30 + b"%05d" % i, b"") for i in range(count)), align=False)
        start = time.perf_counter()
        archive = read_zip(data)
        assert len(archive.by_name) == count
        return time.perf_counter() - start

    small, large = min(seconds(4_096) for _ in range(3)), seconds(65_535)
    assert large < small * 16 * 3


def test_more_entries_than_the_format_holds_are_refused() -> None:
    empty = make_entry(b"x", b"")
    entries = (ZipEntry(b"%05d" % i, 0, 0, 0, 0, 0, 0, empty.data) for i in range(65_536))
    with pytest.raises(LimitExceeded, match="entries is 65536"):
        layout_zip(entries)


@pytest.mark.parametrize("case", ["no entries", "trailing bytes", "another local name", "data outside"])
def test_apksigner_refuses_what_we_refuse(case: str, tmp_path: Path) -> None:
    apk = tmp_path / "refused.apk"
    apk.write_bytes(REFUSED[case][0])
    assert run("apksigner", "verify", "--min-sdk-version", "24", apk, check=False).returncode != 0


def test_a_real_app_comes_back_entry_by_entry(apidemos_apk: Path, tmp_path: Path) -> None:
    before = read_zip(apidemos_apk.read_bytes())
    data = write_zip(before.entries, align=True)
    after = read_zip(data)
    assert [(entry.name, entry.data) for entry in after.entries] == [
        (entry.name, entry.data) for entry in before.entries
    ]
    assert all(entry.read() is not None for entry in after.entries)
    written = tmp_path / "again.apk"
    written.write_bytes(data)
    run("zipalign", "-c", "-p", "-v", "4", written)
    for what in ("badging", "permissions"):
        assert run("aapt", "dump", what, written).stdout == run("aapt", "dump", what, apidemos_apk).stdout


def test_archives_above_the_limit_are_neither_read_nor_written(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(ARCHIVE, archive_bytes=100)
    data = build_zip([PLAIN])
    monkeypatch.setattr("lawow.formats.zip.reader.ARCHIVE", small)
    with pytest.raises(LimitExceeded, match="archive_bytes is"):
        read_zip(data)
    monkeypatch.setattr("lawow.formats.zip.writer.ARCHIVE", small)
    with pytest.raises(LimitExceeded, match="the limit is 100"):
        write_zip([make_entry("a", bytes(200), compress=False)], align=False)
