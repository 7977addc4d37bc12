"""Reading the directory and the headers of a ZIP archive as strictly as Android does, and somewhat more.

Source: PKWARE APPNOTE 6.3.10, section 4.3; AOSP libziparchive ``zip_archive.cc``; apksig ``ZipUtils``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.bytes import ByteReader
from lawow.formats.zip.entry import ENCRYPTED, HAS_DESCRIPTOR, STORED, ZipEntry, shown_name
from lawow.limits import ARCHIVE

__all__ = ["SigningBlockRange", "ZipArchive", "read_zip"]

_LOCAL_SIGNATURE = 0x04034B50
_CENTRAL_SIGNATURE = 0x02014B50
_DESCRIPTOR_SIGNATURE = 0x08074B50
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


@dataclass(frozen=True, slots=True, order=True)
class _Extent:
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
        entry, extent = _read_entry(view, reader, data_end)
        entries.append(entry)
        extents.append(extent)
    if reader.remaining:
        raise reader.fail("goes on after its last entry", found=f"{reader.remaining} more bytes")
    extents.sort()
    return entries, extents


def _read_entry(view: memoryview, reader: ByteReader, data_end: int) -> tuple[ZipEntry, _Extent]:
    at = reader.offset
    record = reader.read_struct(_CENTRAL)
    signature, made_by, needed, flags, method, dos_time, crc, compressed, uncompressed = record[:9]
    name_bytes, extra_bytes, comment_bytes, disk, internal, external, header_offset = record[9:]
    if signature != _CENTRAL_SIGNATURE:
        raise FormatError("has a record without its signature", structure=reader.structure, offset=at)
    name = reader.read_bytes(name_bytes)
    central_extra = reader.read_bytes(extra_bytes)
    comment = reader.read_bytes(comment_bytes)
    _require_name(name, at)
    if disk or _ZIP64_MARK in (compressed, uncompressed, header_offset):
        raise FormatError("is on another disk or zip64, which no APK can be", offset=at).within(
            shown_name(name)
        )
    if method == STORED and compressed != uncompressed and not flags & ENCRYPTED:
        message = "is stored, but declares two different sizes"
        raise FormatError(message, offset=at, found=f"{compressed} and {uncompressed}").within(
            shown_name(name)
        )
    local = _read_local(view, name, header_offset, data_end)
    local.require_agreement(method, crc, compressed, uncompressed)
    data_stop = local.data_offset + compressed
    if data_stop > data_end:
        message = "has data that ends outside of the archive's entries"
        found, allowed = f"{data_stop:#x}", f"at most {data_end:#x}"
        raise FormatError(message, offset=at, found=found, allowed=allowed).within(shown_name(name))
    stop = data_stop
    if local.flags & HAS_DESCRIPTOR:
        stop += _descriptor_bytes(view, name, data_stop, data_end, (crc, compressed, uncompressed))
    entry = ZipEntry(
        name,
        method,
        flags,
        dos_time,
        crc,
        compressed,
        uncompressed,
        view[local.data_offset : data_stop],
        made_by,
        needed,
        internal,
        external,
        local.extra,
        central_extra,
        comment,
        header_offset,
        local.data_offset,
    )
    return entry, _Extent(header_offset, stop, name)


def _require_name(name: bytes, offset: int) -> None:
    try:
        valid = bool(name.decode("utf-8")) and b"\0" not in name
    except UnicodeDecodeError:
        valid = False
    if not valid:
        message = f"has the name {shown_name(name)!s}, which is empty, holds a NUL or is not UTF-8"
        raise FormatError(message, structure="central directory", offset=offset)


@dataclass(frozen=True, slots=True)
class _Local:
    name: bytes
    offset: int
    flags: int
    method: int
    crc32: int
    compressed_bytes: int
    uncompressed_bytes: int
    extra: bytes
    data_offset: int

    def require_agreement(self, method: int, crc: int, compressed: int, uncompressed: int) -> None:
        """Refuse a header that two readers could understand in two ways."""
        own = (self.crc32, self.compressed_bytes, self.uncompressed_bytes)
        declared = (crc, compressed, uncompressed)
        if self.method != method:
            raise self._contradicts("compression method", self.method, method)
        # With a descriptor the header may leave the values open as 0, each for itself.
        open_values = bool(self.flags & HAS_DESCRIPTOR)
        if any(
            mine != theirs and (mine or not open_values) for mine, theirs in zip(own, declared, strict=True)
        ):
            raise self._contradicts("CRC-32 and sizes", own, declared)

    def _contradicts(self, what: str, found: object, allowed: object) -> FormatError:
        message = f"has a local header whose {what} contradicts the central directory"
        return FormatError(message, offset=self.offset, found=found, allowed=allowed).within(
            shown_name(self.name)
        )


def _read_local(view: memoryview, name: bytes, offset: int, data_end: int) -> _Local:
    if offset + _LOCAL.size > data_end:
        message = "has its local header outside of the archive's entries"
        raise FormatError(message, found=f"{offset:#x}", allowed=f"below {data_end:#x}").within(
            shown_name(name)
        )
    reader = ByteReader(view, offset, data_end, structure="local header")
    signature, _, flags, method, _, crc, compressed, uncompressed, name_bytes, extra_bytes = (
        reader.read_struct(_LOCAL)
    )
    if signature != _LOCAL_SIGNATURE:
        raise FormatError("has no local header where one should be", offset=offset).within(shown_name(name))
    local_name = reader.read_bytes(name_bytes)
    if local_name != name:
        message = f"is named {shown_name(local_name)} in its local header; Android refuses such files"
        raise FormatError(message, offset=offset).within(shown_name(name))
    extra = reader.read_bytes(extra_bytes)
    return _Local(name, offset, flags, method, crc, compressed, uncompressed, extra, reader.offset)


def _descriptor_bytes(
    view: memoryview, name: bytes, offset: int, data_end: int, declared: tuple[int, int, int]
) -> int:
    """Return the size of the data descriptor at `offset`; its signature is optional (APPNOTE 4.3.9)."""
    reader = ByteReader(view, offset, data_end, structure="data descriptor")
    if int.from_bytes(view[offset : min(offset + 4, data_end)], "little") == _DESCRIPTOR_SIGNATURE:
        reader.skip(4)
    found = reader.read_struct(_DESCRIPTOR)
    if found != declared:
        message = "has a data descriptor that contradicts the central directory"
        raise FormatError(message, offset=offset, found=found, allowed=declared).within(shown_name(name))
    return reader.offset - offset


def _index(entries: Iterable[ZipEntry]) -> dict[bytes, ZipEntry]:
    by_name: dict[bytes, ZipEntry] = {}
    for entry in entries:
        first = by_name.setdefault(entry.name, entry)
        if first is not entry:
            places = f"{first.header_offset:#x} and {entry.header_offset:#x}"
            message = f"two entries are named {shown_name(entry.name)} (headers at {places})"
            raise FormatError(f"{message}; Android refuses such files")
    return by_name


def _require_no_overlap(extents: Sequence[_Extent]) -> None:
    for before, after in pairwise(extents):
        if after.start < before.end:
            names = f"{shown_name(before.name)} and {shown_name(after.name)}"
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
