"""Another version of an archive in which whatever can stay where it is stays, byte for byte.

Leading entries stay with all that stands around them: alignment, data descriptors, the filler of deleted
entries, their records in the directory. From the first entry on that goes, is new, or does not stand where
Android can map it, entries are laid out as `layout_zip` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lawow.errors import LimitExceeded
from lawow.formats.zip.alignment import required_alignment
from lawow.formats.zip.entry import ZipEntry
from lawow.formats.zip.reader import ZipArchive
from lawow.formats.zip.writer import layout_zip
from lawow.limits import ARCHIVE

__all__ = ["Revision", "revise_zip"]

_RECORD_BYTES = 46  # of the directory, before name, extra field and comment


@dataclass(frozen=True, slots=True)
class Revision:
    """The new body, up to where a signing block may stand, and its directory of `entries` records.

    `is_unchanged` says that both are those of the archive.
    """

    body: bytes = field(repr=False)
    directory: bytes = field(repr=False)
    entries: int
    is_unchanged: bool


def revise_zip(data: bytes | memoryview, archive: ZipArchive, entries: Sequence[ZipEntry]) -> Revision:
    """Return the archive, which was read from `data`, with these entries instead of its own.

    Entries that stay must be the objects in `archive.entries`. Raises what `layout_zip` raises.
    """
    view, whole = memoryview(data), len(archive.entries)
    staying = _count_staying(archive, entries)
    stop = _end_of(archive, staying)
    body, directory = layout_zip(entries[staying:], start=stop)
    if len(entries) > ARCHIVE.entries:
        raise LimitExceeded("entries", len(entries), ARCHIVE.entries)
    start = archive.central_directory_offset
    records = view[start : start + sum(map(_record_bytes, entries[:staying]))]
    return Revision(
        b"".join((view[:stop], body)),
        b"".join((records, directory)),
        len(entries),
        is_unchanged=staying == whole == len(entries),
    )


def _count_staying(archive: ZipArchive, entries: Sequence[ZipEntry]) -> int:
    """Return how many leading entries stay where they are."""
    count = 0
    for old, new in zip(archive.entries, entries, strict=False):
        if new is not old or old.data_offset % required_alignment(old):
            break
        count += 1
    whole = len(archive.entries)
    if count == whole < len(entries):
        count -= 1  # padding may follow the last one, and would be a gap before what is added
    if count == whole:
        return count
    # What stands behind the cut goes, so nothing that stays may stand there.
    offsets = [entry.header_offset for entry in archive.entries]
    return count if max(offsets[:count], default=0) < min(offsets[count:]) == offsets[count] else 0


def _end_of(archive: ZipArchive, staying: int) -> int:
    """Return where the entries that stay end, with what stands between them and whatever follows."""
    if staying < len(archive.entries):
        return archive.entries[staying].header_offset if staying else 0
    block = archive.signing_block
    return block.offset if block else archive.central_directory_offset


def _record_bytes(entry: ZipEntry) -> int:
    return _RECORD_BYTES + len(entry.name) + len(entry.central_extra) + len(entry.comment)
