"""Reading the directory and the headers of a ZIP archive as strictly as Android does, and somewhat more.

Source: PKWARE APPNOTE 6.3.10, section 4.3; AOSP libziparchive ``zip_archive.cc``; apksig ``ZipUtils``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.bytes import ByteReader
from lawow.formats.zip.entry import ENCRYPTED, HAS_DESCRIPTOR, STORED, ZipEntry, shown_name
from lawow.limits import ARCHIVE

__all__ = ["SigningBlockRange", "ZipArchive", "read_zip"]

_LOCAL_SIGNATURE = 0x04034B50
_CENTRAL_SIGNATURE = 0x02014B50
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_END_SIGNATURE = b"PK\x05\x06"
_ZIP64_LOCATOR = b"PK\x06\x07"
_SIGNING_BLOCK_MAGIC = b"APK Sig Block 42"

_LOCAL = struct.Struct("<IHHHIIIIHH")
_CENTRAL = struct.Struct("<IHHHHIIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")
_DESCRIPTOR = struct.Struct("<III")

_ZIP64_MARK = 0xFFFFFFFF
_MAX_COMMENT_BYTES = 0xFFFF


@dataclass(frozen=True, slots=True)
class SigningBlockRange:
    """Where the APK Signing Block stands, with both of its size fields and its magic."""

    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ZipArchive:
    """An archive as it was read. `entries` are in the directory's order, which need not be the data's."""

    entries: tuple[ZipEntry, ...]
    by_name: dict[bytes, ZipEntry] = field(repr=False, compare=False)
    comment: bytes
    central_directory_offset: int
    end_offset: int
    signing_block: SigningBlockRange | None


def read_zip(data: bytes | memoryview) -> ZipArchive:
    """Read the directory and all headers; nothing is inflated.

    Raises `FormatError` for whatever `lawow.formats.zip` refuses, `LimitExceeded` above
    `ARCHIVE.archive_bytes`.
    """
    view = memoryview(data)
    if len(view) > ARCHIVE.archive_bytes:
        raise LimitExceeded("archive_bytes", len(view), ARCHIVE.archive_bytes)
    end = _read_end(view)
    signing_block = _find_signing_block(view, end.directory_offset)
    data_end = signing_block.offset if signing_block else end.directory_offset
    entries, extents = _read_entries(view, end, data_end)
    by_name = _index(entries)
    _require_no_overlap(extents)
    _require_start(view, extents[0])
    _require_one_end(view, extents[-1].end, data_end)
    return ZipArchive(tuple(entries), by_name, end.comment, end.directory_offset, end.offset, signing_block)


@dataclass(frozen=True, slots=True)
class _End:
    offset: int
    entries: int
    directory_bytes: int
    directory_offset: int
    comment: bytes


class _Extent(NamedTuple):
    start: int
    end: int
    name: bytes


def _read_end(view: memoryview) -> _End:
    """Read the end record. Searches at most 65,557 bytes."""
    offset = _find_end(view)
    _, disk, directory_disk, here, entries, size, start, comment_bytes = _END.unpack_from(view, offset)
    place = "end of central directory"
    if disk or directory_disk or here != entries:
        raise FormatError("spans several disks, which no APK can", structure=place, offset=offset)
    locator = offset - 20
    if _ZIP64_MARK in (size, start) or (locator >= 0 and view[locator : locator + 4] == _ZIP64_LOCATOR):
        raise FormatError("is zip64, which Android does not read in APKs", structure=place, offset=offset)
    if not entries:
        raise FormatError("says that the archive has no entries", structure=place, offset=offset)
    if start + size != offset:
        found, allowed = f"{start:#x} + {size:#x}", f"a sum of {offset:#x}"
        message = "does not follow the central directory, whose offset and size it gives"
        raise FormatError(message, structure=place, offset=offset, found=found, allowed=allowed)
    comment = bytes(view[offset + _END.size : offset + _END.size + comment_bytes])
    return _End(offset, entries, size, start, comment)


def _find_end(view: memoryview) -> int:
    first = max(0, len(view) - _END.size - _MAX_COMMENT_BYTES)
    tail = bytes(view[first:])
    # libziparchive takes the last signature, apksig the last whose comment fits: they have to be the same.
    position = tail.rfind(_END_SIGNATURE, 0, max(0, len(tail) - _END.size + 4))
    if position < 0:
        raise FormatError("is not a ZIP archive, or is cut off: it has no end of central directory record")
    offset = first + position
    expected = offset + _END.size + int.from_bytes(tail[position + 20 : position + 22], "little")
    if expected < len(view):
        message = f"has {len(view) - expected} bytes after the end of the archive; Android refuses such files"
        raise FormatError(message, offset=expected)
    if expected > len(view):
        message = "has an archive comment that ends after the file"
        raise FormatError(message, offset=offset, found=f"{expected:#x}", allowed=f"{len(view):#x}")
    return offset


def _find_signing_block(view: memoryview, directory_offset: int) -> SigningBlockRange | None:
    footer = directory_offset - 24
    if footer < 8 or view[footer + 8 : directory_offset] != _SIGNING_BLOCK_MAGIC:
        return None
    size = int.from_bytes(view[footer : footer + 8], "little")
    offset = directory_offset - 8 - size
    if size < 24 or offset < 0 or int.from_bytes(view[offset : offset + 8], "little") != size:
        return None  # no block that Android would find; `signing.block` says what is wrong with it
    return SigningBlockRange(offset, size + 8)


def _read_entries(view: memoryview, end: _End, data_end: int) -> tuple[list[ZipEntry], list[_Extent]]:
    """Return the entries in directory order and the extents of header, data and descriptor, by offset."""
    reader = ByteReader(view, end.directory_offset, end.offset, structure="central directory")
    entries: list[ZipEntry] = []
    extents: list[_Extent] = []
    for _ in range(end.entries):
        record = _read_record(reader)
        local = _read_local(view, record, data_end)
        stop = _require_data(view, record, local, data_end)
        entries.append(_entry(view, record, local))
        extents.append(_Extent(record.header_offset, stop, record.name))
    if reader.remaining:
        raise reader.fail("goes on after its last entry", found=f"{reader.remaining} more bytes")
    extents.sort()
    return entries, extents


class _Record(NamedTuple):
    """One record of the central directory."""

    offset: int
    name: bytes
    extra: bytes
    comment: bytes
    version_made_by: int
    version_needed: int
    flags: int
    method: int
    dos_time: int
    sizes: tuple[int, int, int]  # CRC-32, compressed, uncompressed, as the three headers order them
    disk: int
    internal_attributes: int
    external_attributes: int
    header_offset: int

    def wrong(
        self, message: str, offset: int, *, found: object = None, allowed: object = None
    ) -> FormatError:
        return FormatError(message, offset=offset, found=found, allowed=allowed).within(shown_name(self.name))


def _read_record(reader: ByteReader) -> _Record:
    offset = reader.offset
    fields = reader.read_struct(_CENTRAL)
    if fields[0] != _CENTRAL_SIGNATURE:
        raise FormatError("has a record without its signature", structure=reader.structure, offset=offset)
    made_by, needed, flags, method, dos_time, crc, compressed, uncompressed = fields[1:9]
    name_bytes, extra_bytes, comment_bytes, disk, internal, external, header_offset = fields[9:]
    texts = reader.read_bytes(name_bytes + extra_bytes + comment_bytes)
    name, rest = texts[:name_bytes], texts[name_bytes:]
    extra, comment = rest[:extra_bytes], rest[extra_bytes:]
    sizes = (crc, compressed, uncompressed)
    record = _Record(
        offset, name, extra, comment, made_by, needed, flags, method, dos_time, sizes, disk,
        internal, external, header_offset,
    )  # fmt: skip
    _require_sound(record)
    return record


def _require_sound(record: _Record) -> None:
    """Refuse names and sizes that Android refuses, as far as the record alone can tell."""
    _, compressed, uncompressed = record.sizes
    if not _is_valid_name(record.name):
        message = f'has the name "{shown_name(record.name)}", which is empty, holds a NUL or is not UTF-8'
        raise FormatError(message, structure="central directory", offset=record.offset)
    if record.disk or _ZIP64_MARK in (compressed, uncompressed, record.header_offset):
        raise record.wrong("is on another disk or zip64, which no APK can be", record.offset)
    if record.method == STORED and compressed != uncompressed and not record.flags & ENCRYPTED:
        found = f"{compressed} and {uncompressed}"
        raise record.wrong("is stored, but declares two different sizes", record.offset, found=found)


def _is_valid_name(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return bool(name) and b"\0" not in name


class _Local(NamedTuple):
    extra: bytes
    data_offset: int
    has_descriptor: bool


def _read_local(view: memoryview, record: _Record, data_end: int) -> _Local:
    """Read the local header and refuse one that lets two readers understand the entry in two ways."""
    offset = record.header_offset
    if offset + _LOCAL.size > data_end:
        allowed = f"below {data_end:#x}"
        raise record.wrong("has its local header outside of the entries", offset, allowed=allowed)
    reader = ByteReader(view, offset, data_end, structure="local header")
    fields = reader.read_struct(_LOCAL)
    if fields[0] != _LOCAL_SIGNATURE:
        raise record.wrong("has no local header where one should be", offset)
    flags, method, sizes = fields[2], fields[3], fields[5:8]
    texts = reader.read_bytes(fields[8] + fields[9])
    name, extra = texts[: fields[8]], texts[fields[8] :]
    if name != record.name:
        message = f'is named "{shown_name(name)}" in its local header; Android refuses such files'
        raise record.wrong(message, offset)
    if method != record.method:
        message = "has a local header whose compression method contradicts the central directory"
        raise record.wrong(message, offset, found=method, allowed=record.method)
    has_descriptor = bool(flags & HAS_DESCRIPTOR)
    if sizes != record.sizes and not (has_descriptor and _leaves_open(sizes, record.sizes)):
        message = "has a local header whose CRC-32 and sizes contradict the central directory"
        raise record.wrong(message, offset, found=sizes, allowed=record.sizes)
    return _Local(extra, reader.offset, has_descriptor)


def _leaves_open(sizes: tuple[int, ...], declared: tuple[int, ...]) -> bool:
    return all(mine in (0, theirs) for mine, theirs in zip(sizes, declared, strict=True))


def _require_data(view: memoryview, record: _Record, local: _Local, data_end: int) -> int:
    """Return where the entry ends, its data descriptor (APPNOTE 4.3.9) included."""
    stop = local.data_offset + record.sizes[1]
    if stop > data_end:
        message = "has data that ends outside of the entries"
        raise record.wrong(message, local.data_offset, found=f"{stop:#x}", allowed=f"at most {data_end:#x}")
    if not local.has_descriptor:
        return stop
    reader = ByteReader(view, stop, data_end, structure="data descriptor")
    if view[stop : min(stop + 4, data_end)] == _DESCRIPTOR_SIGNATURE:  # it is optional
        reader.skip(4)
    found = reader.read_struct(_DESCRIPTOR)
    if found != record.sizes:
        message = "has a data descriptor that contradicts the central directory"
        raise record.wrong(message, stop, found=found, allowed=record.sizes)
    return reader.offset


def _entry(view: memoryview, record: _Record, local: _Local) -> ZipEntry:
    crc, compressed, uncompressed = record.sizes
    return ZipEntry(
        name=record.name,
        method=record.method,
        flags=record.flags,
        dos_time=record.dos_time,
        crc32=crc,
        compressed_bytes=compressed,
        uncompressed_bytes=uncompressed,
        data=view[local.data_offset : local.data_offset + compressed],
        version_made_by=record.version_made_by,
        version_needed=record.version_needed,
        internal_attributes=record.internal_attributes,
        external_attributes=record.external_attributes,
        local_extra=local.extra,
        central_extra=record.extra,
        comment=record.comment,
        header_offset=record.header_offset,
        data_offset=local.data_offset,
    )


def _index(entries: Iterable[ZipEntry]) -> dict[bytes, ZipEntry]:
    by_name: dict[bytes, ZipEntry] = {}
    for entry in entries:
        first = by_name.setdefault(entry.name, entry)
        if first is not entry:
            places = f"{first.header_offset:#x} and {entry.header_offset:#x}"
            message = f'two entries are named "{shown_name(entry.name)}" (headers at {places})'
            raise FormatError(f"{message}; Android refuses such files")
    return by_name


def _require_no_overlap(extents: Sequence[_Extent]) -> None:
    for before, after in pairwise(extents):
        if after.start < before.end:
            names = f'"{shown_name(before.name)}" and "{shown_name(after.name)}"'
            places = f"{before.start:#x} to {before.end:#x} and from {after.start:#x}"
            raise FormatError(f"the entries {names} overlap (bytes {places})", offset=after.start)


def _require_start(view: memoryview, first: _Extent) -> None:
    """Refuse prepended bytes: a dex file before the archive runs instead of the signed one (Janus).

    The one thing that may stand there is a local header without a directory entry, with which build tools
    fill the place of a deleted entry.
    """
    if first.start == 0:
        return
    if first.start >= _LOCAL.size:
        header = _LOCAL.unpack_from(view, 0)
        if header[0] == _LOCAL_SIGNATURE and _LOCAL.size + header[6] + header[8] + header[9] <= first.start:
            return
    message = f"has {first.start} bytes before its first entry; such files can hide a dex file"
    raise FormatError(message, offset=0)


def _require_one_end(view: memoryview, start: int, stop: int) -> None:
    """Refuse an end record between the last entry and the directory: readers would choose differently."""
    position = bytes(view[start:stop]).find(_END_SIGNATURE)
    if position >= 0:
        raise FormatError("has two end of central directory records", offset=start + position)
