"""Laying out ZIP entries: aligned for Android, without data descriptors, the same bytes on every run.

Source: PKWARE APPNOTE 6.3.10, section 4.3; the alignment extra field 0xD935 is that of AOSP's zipalign and
apksig.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.zip.alignment import required_alignment
from lawow.formats.zip.entry import HAS_DESCRIPTOR, ZipEntry, shown_name
from lawow.limits import ARCHIVE

__all__ = ["end_of_central_directory", "layout_zip", "without_alignment", "write_zip"]

_LOCAL_SIGNATURE = 0x04034B50
_CENTRAL_SIGNATURE = 0x02014B50
_END_SIGNATURE = 0x06054B50

_LOCAL = struct.Struct("<IHHHIIIIHH")
_CENTRAL = struct.Struct("<IHHHHIIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")

_MAX_EXTRA_BYTES = 0xFFFF
_ALIGNMENT_FIELD = 0xD935  # u16 alignment, then padding


def layout_zip(entries: Iterable[ZipEntry], *, align: bool = True, start: int = 0) -> tuple[bytes, bytes]:
    """Return the entries laid out one behind the other from offset `start` on, and their central directory.

    Data descriptors are folded into the local headers. With `align`, old alignment fields go and new ones are
    put where `required_alignment` needs them. Raises `FormatError` for two entries of one name and
    `LimitExceeded` for an archive that would be above `ARCHIVE`.
    """
    body: list[bytes | memoryview] = []
    directory: list[bytes] = []
    names: set[bytes] = set()
    position = start
    for entry in entries:
        if entry.name in names:
            raise FormatError(f'two entries are named "{shown_name(entry.name)}"; Android refuses such files')
        names.add(entry.name)
        extra = _aligned_extra(entry, position) if align else entry.local_extra
        header = _local_header(entry, extra)
        body += (header, entry.data)
        directory.append(_central_record(entry, position))
        position += len(header) + len(entry.data)
        if position > ARCHIVE.archive_bytes:
            raise LimitExceeded("archive_bytes", position, ARCHIVE.archive_bytes)
    if len(directory) > ARCHIVE.entries:
        raise LimitExceeded("entries", len(directory), ARCHIVE.entries)
    return b"".join(body), b"".join(directory)


def end_of_central_directory(
    entries: int, *, directory_bytes: int, directory_offset: int, comment: bytes = b""
) -> bytes:
    """Return the end record of an archive whose directory has this many entries, size and offset."""
    record = _END.pack(
        _END_SIGNATURE, 0, 0, entries, entries, directory_bytes, directory_offset, len(comment)
    )
    return record + comment


def write_zip(entries: Iterable[ZipEntry], *, align: bool) -> bytes:
    """Return a whole archive, such as a JAR: the same bytes for the same entries. Limits as in
    `layout_zip`."""
    kept = tuple(entries)
    body, directory = layout_zip(kept, align=align)
    end = end_of_central_directory(len(kept), directory_bytes=len(directory), directory_offset=len(body))
    return b"".join((body, directory, end))


def _local_header(entry: ZipEntry, extra: bytes) -> bytes:
    if len(extra) > _MAX_EXTRA_BYTES:
        raise FormatError("has a local extra field that leaves no room to align its data").within(
            shown_name(entry.name)
        )
    record = _LOCAL.pack(
        _LOCAL_SIGNATURE,
        entry.version_needed,
        entry.flags & ~HAS_DESCRIPTOR,
        entry.method,
        entry.dos_time,
        entry.crc32,
        entry.compressed_bytes,
        entry.uncompressed_bytes,
        len(entry.name),
        len(extra),
    )
    return record + entry.name + extra


def _central_record(entry: ZipEntry, header_offset: int) -> bytes:
    record = _CENTRAL.pack(
        _CENTRAL_SIGNATURE,
        entry.version_made_by,
        entry.version_needed,
        entry.flags & ~HAS_DESCRIPTOR,
        entry.method,
        entry.dos_time,
        entry.crc32,
        entry.compressed_bytes,
        entry.uncompressed_bytes,
        len(entry.name),
        len(entry.central_extra),
        len(entry.comment),
        0,
        entry.internal_attributes,
        entry.external_attributes,
        header_offset,
    )
    return b"".join((record, entry.name, entry.central_extra, entry.comment))


def _aligned_extra(entry: ZipEntry, position: int) -> bytes:
    """Return the local extra field that puts the data of an entry at `position` where it has to be."""
    extra = without_alignment(entry.local_extra)
    alignment = required_alignment(entry)
    start = position + _LOCAL.size + len(entry.name) + len(extra)
    if start % alignment == 0:
        return extra
    padding = -(start + 6) % alignment
    return extra + struct.pack("<HHH", _ALIGNMENT_FIELD, 2 + padding, alignment) + bytes(padding)


def without_alignment(extra: bytes) -> bytes:
    """Return an extra field without alignment fields and without the zero bytes that zipalign pads with."""
    kept: list[bytes] = []
    position = 0
    while position + 4 <= len(extra):
        identifier, size = struct.unpack_from("<HH", extra, position)
        stop = position + 4 + size
        if (identifier == 0 and size == 0) or stop > len(extra):
            break
        if identifier != _ALIGNMENT_FIELD:
            kept.append(extra[position:stop])
        position = stop
    rest = extra[position:]
    return b"".join(kept) + (rest if rest.strip(b"\0") else b"")
