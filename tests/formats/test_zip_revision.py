"""An archive revised: leading entries stay byte for byte, the first that has to move takes the rest along."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import pytest

from lawow.errors import LimitExceeded
from lawow.formats.zip import (
    Revision,
    ZipArchive,
    ZipEntry,
    end_of_central_directory,
    find_misaligned,
    make_entry,
    read_zip,
    revise_zip,
)
from lawow.limits import ARCHIVE
from tests.formats.builders import RawEntry, build_zip, descriptor_of


def parts() -> list[RawEntry]:
    """Deflated entries, as no other can be misaligned; with descriptors, which a layout would fold away."""
    found = [RawEntry(f"{name}.txt".encode(), name.encode() * 50, flags=8) for name in "abcd"]
    for entry in found:
        entry.descriptor = descriptor_of(entry)
    return found


def whole(revision: Revision) -> bytes:
    end = end_of_central_directory(
        revision.entries, directory_bytes=len(revision.directory), directory_offset=len(revision.body)
    )
    return revision.body + revision.directory + end


def revised(data: bytes, before: ZipArchive, entries: Sequence[ZipEntry]) -> tuple[Revision, ZipArchive]:
    """Revise, and see that the standard library and we read exactly the entries that were asked for."""
    revision = revise_zip(data, before, entries)
    again = whole(revision)
    with zipfile.ZipFile(io.BytesIO(again)) as archive:
        assert archive.testzip() is None
        assert [info.filename for info in archive.infolist()] == [entry.path for entry in entries]
        assert [archive.read(info) for info in archive.infolist()] == [entry.read() for entry in entries]
    return revision, read_zip(again)


def test_an_archive_that_keeps_all_entries_stays_as_it_is() -> None:
    data = build_zip(parts())
    archive = read_zip(data)
    revision, _ = revised(data, archive, archive.entries)
    assert revision.is_unchanged
    assert whole(revision) == data


def test_entries_stay_up_to_the_first_that_goes() -> None:
    data = build_zip(parts())
    archive = read_zip(data)
    before = archive.entries
    revision, after = revised(data, archive, [before[0], before[1], before[3]])
    assert revision.body[: before[2].header_offset] == data[: before[2].header_offset]
    assert [entry.header_offset for entry in after.entries[:2]] == [
        entry.header_offset for entry in before[:2]
    ]
    assert after.entries[2].header_offset == before[2].header_offset
    assert not revision.is_unchanged


def test_an_entry_that_android_cannot_map_moves_and_those_before_it_stay() -> None:
    data = build_zip([*parts()[:2], RawEntry(b"res.bin", bytes(99), method=0), *parts()[2:]])
    before = read_zip(data)
    assert list(find_misaligned(before))
    revision, after = revised(data, before, before.entries)
    assert list(find_misaligned(after)) == []
    assert revision.body[: before.entries[2].header_offset] == data[: before.entries[2].header_offset]
    assert not revision.is_unchanged


def test_what_is_added_leaves_no_gap() -> None:
    """Padding before a signing block would be one; a reader that walks the local headers stops there."""
    data = build_zip(parts(), gap=bytes(777))
    archive = read_zip(data)
    before = archive.entries
    _, after = revised(data, archive, [*before, make_entry("new.txt", b"new")])
    assert after.entries[-1].header_offset == (
        after.entries[-2].data_offset + after.entries[-2].compressed_bytes
    )
    assert [entry.header_offset for entry in after.entries[:3]] == [
        entry.header_offset for entry in before[:3]
    ]


def test_entries_in_another_order_than_their_data_are_laid_out_anew_when_one_goes() -> None:
    """Cutting the file where the one that goes stands would cut off one that stays."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as writer:
        for name in "abcd":
            writer.writestr(name, name * 50, zipfile.ZIP_DEFLATED)
        writer.filelist.insert(0, writer.filelist.pop())
    data = out.getvalue()
    archive = read_zip(data)
    before = archive.entries
    assert before[0].header_offset > before[1].header_offset
    for gone in range(len(before)):
        revised(data, archive, [entry for number, entry in enumerate(before) if number != gone])
    revision, _ = revised(data, archive, before)
    assert whole(revision) == data


def test_more_entries_than_an_archive_can_count_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = build_zip([RawEntry(b"%d" % number, b"") for number in range(ARCHIVE.entries)])
    archive = read_zip(data)
    with pytest.raises(LimitExceeded, match="entries"):
        revise_zip(data, archive, [*archive.entries, make_entry("one more", b"")])
