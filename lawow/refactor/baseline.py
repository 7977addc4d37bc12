"""The app's baseline profile, which tells Android what to compile ahead: kept alive where that is sound.

``assets/dexopt/baseline.prof`` names each dex file by its CRC-32 and methods and classes by their ids, and
Android ignores what does not fit. A rewritten dex file has another CRC. Where its ids are the same, the CRC
in the profile is patched; where ids were collected, or the profile is of a version that is not read here,
the profile and its companion ``baseline.profm`` go, because a stale one is dead weight.

Read is version ``010`` (Android P), the only one that build tools put into APKs. Source: androidx
profileinstaller, ``ProfileTranscoder``: "pro\\0", version, u8 dex files, u32 sizes, zlib; in it for each dex
file u16 name bytes, u16 classes, u32 method region bytes, u32 CRC-32, u32 method ids, name; then for each the
method region, u16 for each class, and two bits for each method.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lawow.errors import FormatError
from lawow.formats.bytes import ByteReader

__all__ = ["METADATA", "PROFILE", "ProfileDex", "patch_profile", "read_profile"]

PROFILE = "assets/dexopt/baseline.prof"
METADATA = "assets/dexopt/baseline.profm"

_MAGIC = b"pro\0"
_VERSION = b"010\0"
_HEAD = struct.Struct("<4s4sBII")
_LINE = struct.Struct("<HHIII")
_CRC_OFFSET = 8  # in a line
_MAX_BODY_BYTES = 64 << 20  # profiles of large apps have 200 KiB
_LEVEL = 9


@dataclass(frozen=True, slots=True)
class ProfileDex:
    """What a profile says of one dex file. `crc_offset` is where the CRC-32 stands in the unpacked body."""

    name: str
    crc32: int
    crc_offset: int


@dataclass(frozen=True, slots=True)
class _Profile:
    body: bytes
    dexes: tuple[ProfileDex, ...]


def read_profile(data: bytes) -> tuple[ProfileDex, ...]:
    """Return the dex files that a profile is about. Raises `FormatError` for all but a whole 010 file."""
    return _read(data).dexes


def patch_profile(data: bytes, crcs: Mapping[int, int], renumbered: Collection[int]) -> bytes | None:
    """Return the profile with old CRC-32s of dex files replaced by new ones, or None if it is about none.

    `renumbered` holds the old CRC-32s of rewritten dex files whose ids changed. Raises `FormatError` where
    the profile cannot stay: it is about one of those, or cannot be read.
    """
    profile = _read(data)
    body = bytearray(profile.body)
    stale = [item.name for item in profile.dexes if item.crc32 in renumbered]
    if stale:
        raise FormatError(
            f"names methods by ids that were collected ({', '.join(stale)}; --no-gc keeps them)"
        )
    touched = [item for item in profile.dexes if item.crc32 in crcs]
    for item in touched:
        struct.pack_into("<I", body, item.crc_offset, crcs[item.crc32])
    if not touched:
        return None
    packed = zlib.compress(bytes(body), _LEVEL)
    return _HEAD.pack(_MAGIC, _VERSION, len(profile.dexes), len(body), len(packed)) + packed


def _read(data: bytes) -> _Profile:
    reader = ByteReader(data, structure="baseline profile")
    magic, version = reader.read_bytes(4), reader.read_bytes(4)
    if magic != _MAGIC or version != _VERSION:
        found = f"{magic!r} {version!r}"
        raise FormatError("is of another format", found=found, allowed=f"{_MAGIC!r} {_VERSION!r}")
    count, size, packed_size = reader.read_u8(), reader.read_u32(), reader.read_u32()
    packed = reader.read_bytes(packed_size)
    if reader.remaining:
        raise reader.fail("goes on after its end", found=f"{reader.remaining} bytes")
    body = _unpack(packed, size)
    return _Profile(body, _read_body(body, count))


def _unpack(packed: bytes, size: int) -> bytes:
    if size > _MAX_BODY_BYTES:
        raise FormatError("is too large", found=size, allowed=_MAX_BODY_BYTES)
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(packed, size + 1)
    except zlib.error as error:
        raise FormatError(f"has a body that is not valid zlib data ({error})") from None
    if len(body) != size or not inflater.eof or inflater.unused_data:
        raise FormatError("has a body of another size than declared", found=len(body), allowed=size)
    return body


def _read_body(body: bytes, count: int) -> tuple[ProfileDex, ...]:
    """Read the lines, and walk over the regions behind them to be sure that the lines were understood."""
    reader = ByteReader(body, structure="baseline profile body")
    dexes = []
    regions = 0
    for _ in range(count):
        start = reader.offset
        name_bytes, classes, region_bytes, crc, methods = reader.read_struct(_LINE)
        name = reader.read_bytes(name_bytes).decode("utf-8", "replace")
        dexes.append(ProfileDex(name, crc, start + _CRC_OFFSET))
        regions += region_bytes + 2 * classes + (2 * methods + 7) // 8
    if reader.remaining != regions:
        raise reader.fail(
            "has regions of another size than declared", found=reader.remaining, allowed=regions
        )
    return tuple(dexes)
