"""Header and map_list: what kind of dex file this is and where its sections lie.

Refuses everything but the plain file of versions 035 to 040: compact dex, the container of version 041,
odex, reverse byte order, hidden API data (boot class path only). Source: "Dalvik executable format".
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

from lawow.errors import FormatError
from lawow.formats.dex.spec import (
    ALIGNMENT,
    ENDIAN_CONSTANT,
    HEADER_BYTES,
    ID_BYTES,
    ID_SECTIONS,
    MAX_IDS,
    SUPPORTED_VERSIONS,
    ItemType,
    item_name,
)

__all__ = ["Header", "Section", "read_header", "read_map_list", "seal"]

_MAP_ITEM = struct.Struct("<HHII")
_HEADER = struct.Struct("<8sI20s20I")
_INDEXED_BY_16_BITS = {
    ItemType.TYPE_ID_ITEM,
    ItemType.PROTO_ID_ITEM,
    ItemType.FIELD_ID_ITEM,
    ItemType.METHOD_ID_ITEM,
    ItemType.CALL_SITE_ID_ITEM,
    ItemType.METHOD_HANDLE_ITEM,
}
# ART takes type_ids and proto_ids up to 65,535: the last number means "none" there.
_MAX_SIZE = {ItemType.TYPE_ID_ITEM: MAX_IDS - 1, ItemType.PROTO_ID_ITEM: MAX_IDS - 1}


class Header(NamedTuple):
    """The fields of header_item, in their order."""

    magic: bytes
    checksum: int
    signature: bytes
    file_size: int
    header_size: int
    endian_tag: int
    link_size: int
    link_off: int
    map_off: int
    string_ids_size: int
    string_ids_off: int
    type_ids_size: int
    type_ids_off: int
    proto_ids_size: int
    proto_ids_off: int
    field_ids_size: int
    field_ids_off: int
    method_ids_size: int
    method_ids_off: int
    class_defs_size: int
    class_defs_off: int
    data_size: int
    data_off: int

    @property
    def version(self) -> str:
        """Format version: three digits."""
        return self.magic[4:7].decode("ascii", "replace")

    def id_section(self, item: ItemType) -> tuple[int, int]:
        """Return (size, off) of an id section as the header states them."""
        name = item_name(item)
        return int(getattr(self, f"{name}_size")), int(getattr(self, f"{name}_off"))


@dataclass(frozen=True, slots=True)
class Section:
    """An entry of map_list: `size` items from `offset` on; `end` is where the next section starts."""

    item: ItemType
    size: int
    offset: int
    end: int


def read_header(data: bytes) -> Header:
    """Read the header and check it by itself. The checksum is `verify_dex`'s business."""
    if len(data) < HEADER_BYTES:
        raise _fault("shorter than a header", found=f"{len(data)} bytes", allowed=f"{HEADER_BYTES} or more")
    if data[:4] != b"dex\n" or data[7] != 0:
        raise _fault(
            "not a dex file", found=data[:8].hex(" "), allowed='"dex\\n", three digits, NUL', offset=0
        )
    header = Header._make(_HEADER.unpack_from(data))
    if header.version not in SUPPORTED_VERSIONS:
        raise _fault(
            "version is not supported", found=header.version, allowed=", ".join(SUPPORTED_VERSIONS), offset=4
        )
    if header.endian_tag != ENDIAN_CONSTANT:
        raise _fault("byte order", found=hex(header.endian_tag), allowed=hex(ENDIAN_CONSTANT), offset=0x28)
    if header.header_size != HEADER_BYTES:
        raise _fault("header_size", found=header.header_size, allowed=HEADER_BYTES, offset=0x24)
    if header.file_size != len(data):
        raise _fault("file_size", found=header.file_size, allowed=len(data), offset=0x20)
    return header


def read_map_list(data: bytes, header: Header) -> tuple[Section, ...]:
    """Read map_list; sections come in file order, disjoint, inside of the file, and agree with the header."""
    rows = _map_rows(data, header.map_off)
    bounds = [offset for _, _, offset in rows] + [len(data)]
    sections = []
    for index, (item, size, offset) in enumerate(rows):
        end = bounds[index + 1]
        if header.link_size and offset < header.link_off < end:
            end = header.link_off
        _check_row(index, item, size, offset, end)
        sections.append(Section(item, size, offset, end))
    _agree_with_header(header, {section.item: section for section in sections})
    return tuple(sections)


def _map_rows(data: bytes, map_off: int) -> list[tuple[ItemType, int, int]]:
    if map_off % 4 or not HEADER_BYTES <= map_off <= len(data) - 4:
        raise _fault("map_off does not hit a map_list", found=hex(map_off), offset=0x34)
    count = int.from_bytes(data[map_off : map_off + 4], "little")
    if count > len(ItemType) or map_off + 4 + 12 * count > len(data):
        raise FormatError("too many sections", structure="map_list", found=count, offset=map_off)
    rows = []
    for index in range(count):
        code, _, size, offset = _MAP_ITEM.unpack_from(data, map_off + 4 + 12 * index)
        if code not in ItemType.__members__.values():
            raise FormatError("unknown item type", structure="map_list", index=index, found=hex(code))
        rows.append((ItemType(code), size, offset))
    if not rows or rows[0] != (ItemType.HEADER_ITEM, 1, 0):
        raise FormatError("does not start with the header", structure="map_list", offset=map_off)
    if (ItemType.MAP_LIST, 1, map_off) not in rows:
        raise FormatError("does not name itself", structure="map_list", offset=map_off)
    return rows


def _check_row(index: int, item: ItemType, size: int, offset: int, end: int) -> None:
    if item == ItemType.HIDDENAPI_CLASS_DATA_ITEM:
        raise FormatError(
            "hiddenapi_class_data_item belongs to the boot class path", structure="map_list", index=index
        )
    if not offset < end:
        raise FormatError(
            "sections are not in ascending order", structure="map_list", index=index, found=hex(offset)
        )
    if offset % ALIGNMENT[item]:
        raise FormatError(
            f"{item_name(item)} is not aligned", structure="map_list", index=index, found=hex(offset)
        )
    room = end - offset
    smallest = ID_BYTES.get(item, HEADER_BYTES if item == ItemType.HEADER_ITEM else 1)
    if size * smallest > room:
        raise FormatError(
            f"{item_name(item)} does not fit",
            structure="map_list",
            index=index,
            found=size,
            allowed=room // smallest,
        )
    if item in _INDEXED_BY_16_BITS and size > _MAX_SIZE.get(item, MAX_IDS):
        raise FormatError(
            f"too many {item_name(item)}",
            structure="map_list",
            index=index,
            found=size,
            allowed=_MAX_SIZE.get(item, MAX_IDS),
        )


def _agree_with_header(header: Header, sections: dict[ItemType, Section]) -> None:
    if len(sections) < 2:
        raise FormatError("holds no sections", structure="map_list", offset=header.map_off)
    for item in ID_SECTIONS:
        size, offset = header.id_section(item)
        section = sections.get(item)
        mapped = (section.size, section.offset) if section else (0, 0)
        if size != mapped[0] or (size and offset != mapped[1]):
            raise _fault(
                f"{item_name(item)} and map_list disagree",
                found=f"{size} at {offset:#x}",
                allowed=f"{mapped[0]} at {mapped[1]:#x}",
            )


def seal(out: bytearray) -> None:
    """Write signature (SHA-1) and checksum (Adler-32) into the header."""
    view = memoryview(out)
    out[12:32] = hashlib.sha1(view[32:], usedforsecurity=False).digest()
    struct.pack_into("<I", out, 8, zlib.adler32(view[12:]))


def _fault(
    message: str, *, found: object = None, allowed: object = None, offset: int | None = None
) -> FormatError:
    return FormatError(message, structure="header", found=found, allowed=allowed, offset=offset)
