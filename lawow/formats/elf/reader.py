"""Read the headers and the dynamic section of an ELF shared library.

Accepts little-endian files of 32 and 64 bits whose segments lie inside the file, in ascending order and
without overlap. Refuses all others with `FormatError`; nothing in the file is trusted, and no count allocates
more than the file can hold.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from lawow.errors import FormatError
from lawow.formats.bytes import ByteReader
from lawow.formats.elf.constants import DynamicTag, SectionType, SegmentType
from lawow.formats.elf.layout import ELF32, ELF64, Layout

__all__ = [
    "DynamicSymbol",
    "ElfFile",
    "Section",
    "Segment",
    "read_elf",
]

_VERNEED = struct.Struct("<HHIII")
_VERNAUX = struct.Struct("<IHHII")
_NOTE = struct.Struct("<III")

_LAYOUTS = {b"\x7fELF\x01\x01\x01": ELF32, b"\x7fELF\x02\x01\x01": ELF64}  # little-endian, version 1
_MAGIC_BYTES = 7
_ADDRESS_LIMIT = 1 << 63
_MOST_VERSION_RECORDS = 4096  # real libraries have below 20; a chain that crosses itself would never end
_MOST_NAME_BYTES = 64 << 10  # mangled C++ names reach some thousand


@dataclass(frozen=True, slots=True)
class Segment:
    """A program header. Addresses and sizes in bytes."""

    type: int
    flags: int
    offset: int
    address: int
    file_bytes: int
    memory_bytes: int
    alignment: int
    physical_address: int = 0

    @property
    def file_end(self) -> int:
        """Offset behind the last byte in the file."""
        return self.offset + self.file_bytes

    @property
    def end(self) -> int:
        """Address behind the last byte in memory."""
        return self.address + self.memory_bytes


@dataclass(frozen=True, slots=True)
class Section:
    """A section header."""

    name: str
    type: int
    flags: int
    address: int
    offset: int
    size_bytes: int
    link: int
    info: int
    alignment: int
    entry_bytes: int


@dataclass(frozen=True, slots=True)
class DynamicSymbol:
    """A symbol of `.dynsym`. `version` is its index in the version sections; 0 and 1 mean none."""

    name: str
    defined: bool
    version: int


@dataclass(frozen=True, slots=True)
class ElfFile:
    """What the headers say, and the bytes they describe."""

    data: bytes
    layout: Layout
    header: tuple[bytes, int, int, int, int, int, int, int, int, int, int, int, int, int]
    segments: tuple[Segment, ...]
    sections: tuple[Section, ...]
    section_names_index: int
    dynamic: tuple[tuple[int, int], ...]

    @property
    def type(self) -> int:
        """`e_type`."""
        return self.header[1]

    @property
    def machine(self) -> int:
        """`e_machine`."""
        return self.header[2]

    @property
    def loads(self) -> tuple[Segment, ...]:
        """The PT_LOAD segments, ascending."""
        return self.of_type(SegmentType.LOAD)

    def of_type(self, kind: SegmentType) -> tuple[Segment, ...]:
        """Return the segments of one type."""
        return tuple(segment for segment in self.segments if segment.type == kind)

    def tags(self, tag: DynamicTag) -> tuple[int, ...]:
        """Return the values of a dynamic tag."""
        return tuple(value for key, value in self.dynamic if key == tag)

    def offset_of(self, address: int) -> int:
        """Return the file offset of a loaded address. Raises `FormatError` if the file has none there."""
        for segment in self.loads:
            if segment.address <= address < segment.address + segment.file_bytes:
                return segment.offset + address - segment.address
        raise FormatError("points outside of the loaded segments", structure="address", found=f"{address:#x}")

    def dynamic_string(self, index: int) -> str:
        """Return a string of the dynamic string table."""
        table, size = self.tags(DynamicTag.STRTAB), self.tags(DynamicTag.STRSZ)
        if not table or not size:
            raise FormatError("has no string table", structure="dynamic section")
        return _string(self.data, self.offset_of(table[0]), size[0], index, "DT_STRTAB")

    @property
    def needed(self) -> tuple[str, ...]:
        """The libraries of DT_NEEDED."""
        return tuple(self.dynamic_string(value) for value in self.tags(DynamicTag.NEEDED))

    @property
    def soname(self) -> str | None:
        """The name of DT_SONAME."""
        values = self.tags(DynamicTag.SONAME)
        return self.dynamic_string(values[0]) if values else None

    def symbols(self) -> Iterator[DynamicSymbol]:
        """Yield the dynamic symbols, without the empty first one."""
        section = next((item for item in self.sections if item.type == SectionType.DYNSYM), None)
        if section is None:
            return
        versions = self._versions()
        reader = ByteReader(
            self.data, section.offset, section.offset + section.size_bytes, structure=".dynsym"
        )
        for index in range(section.size_bytes // self.layout.symbol.size):
            row = reader.read_struct(self.layout.symbol)
            version = versions.read_u16() & 0x7FFF if versions else 1
            if index:
                yield DynamicSymbol(self.dynamic_string(row[0]), self.layout.symbol_home(row) != 0, version)

    def _versions(self) -> ByteReader | None:
        found = self.tags(DynamicTag.VERSYM)
        return ByteReader(self.data, self.offset_of(found[0]), structure="DT_VERSYM") if found else None

    def required_versions(self) -> frozenset[tuple[str, str]]:
        """Return the pairs (library, symbol version) of DT_VERNEED."""
        start, count = self.tags(DynamicTag.VERNEED), self.tags(DynamicTag.VERNEEDNUM)
        if not start or not count:
            return frozenset()
        found: set[tuple[str, str]] = set()
        left = _MOST_VERSION_RECORDS
        offset = self.offset_of(start[0])
        for _ in range(min(count[0], _MOST_VERSION_RECORDS)):
            reader = ByteReader(self.data, offset, structure="DT_VERNEED")
            _, auxiliaries, file, auxiliary, step = reader.read_struct(_VERNEED)
            left -= auxiliaries + 1
            if left < 0:
                raise reader.fail("has too many records", allowed=_MOST_VERSION_RECORDS)
            library = self.dynamic_string(file)
            found.update((library, name) for name in self._version_names(offset + auxiliary, auxiliaries))
            if not step:
                break
            offset += step
        return frozenset(found)

    def _version_names(self, offset: int, count: int) -> Iterator[str]:
        for _ in range(count):
            _, _, _, name, step = ByteReader(self.data, offset, structure="vernaux").read_struct(_VERNAUX)
            yield self.dynamic_string(name)
            if not step:
                return
            offset += step

    def relocation_kinds(self) -> dict[int, int]:
        """Return how many relocations of each kind DT_REL, DT_RELA and DT_JMPREL hold; packed ones not."""
        kinds: Counter[int] = Counter()
        plt = self.layout.rel if DynamicTag.REL in self.tags(DynamicTag.PLTREL) else self.layout.rela
        tables = (
            (DynamicTag.REL, DynamicTag.RELSZ, self.layout.rel),
            (DynamicTag.RELA, DynamicTag.RELASZ, self.layout.rela),
            (DynamicTag.JMPREL, DynamicTag.PLTRELSZ, plt),
        )
        for table, size, record in tables:
            if not self.tags(table):
                continue
            bytes_ = next(iter(self.tags(size)), 0)
            start = self.offset_of(self.tags(table)[0])
            reader = ByteReader(self.data, start, structure=table.name)
            content = reader.read_bytes(bytes_ - bytes_ % record.size)
            kinds.update(row[1] & self.layout.kind_mask for row in record.iter_unpack(content))
        return dict(kinds)

    def android_api(self) -> int | None:
        """Return the API level of the note that the NDK writes, if there is one."""
        for segment in self.of_type(SegmentType.NOTE):
            reader = ByteReader(self.data, segment.offset, segment.file_end, structure="PT_NOTE")
            if reader.remaining < _NOTE.size + 12:
                continue
            name_bytes, _, kind = reader.read_struct(_NOTE)
            if name_bytes == 8 and kind == 1 and reader.read_bytes(8) == b"Android\0":
                return reader.read_u32()
        return None


def read_elf(data: bytes) -> ElfFile:
    """Read an ELF file. Raises `FormatError`, and nothing else, if it is not one that this module accepts."""
    layout = _LAYOUTS.get(bytes(data[:_MAGIC_BYTES]))
    if layout is None:
        raise FormatError(
            "is not a little-endian ELF file",
            structure="e_ident",
            found=data[:_MAGIC_BYTES].hex(),
            offset=0,
        )
    head = ByteReader(data, structure="ELF header").read_bytes(layout.file_header.size)
    header = layout.file_header.unpack(head)
    segments = _read_segments(data, layout, offset=header[5], count=header[10], entry_bytes=header[9])
    sections = _read_sections(data, layout, header[6], header[12], header[11], header[13])
    return ElfFile(
        data, layout, header, segments, sections, header[13], _read_dynamic(data, layout, segments)
    )


def _table(
    data: bytes, offset: int, count: int, entry_bytes: int, layout: struct.Struct, name: str
) -> Iterator[tuple[int, ...]]:
    if not count:
        return
    reader = ByteReader(data, min(offset, len(data)), structure=name)
    if entry_bytes != layout.size:
        raise reader.fail("has entries of another size", found=entry_bytes, allowed=layout.size)
    yield from layout.iter_unpack(reader.read_bytes(count * layout.size))


def _read_segments(
    data: bytes, layout: Layout, offset: int, count: int, entry_bytes: int
) -> tuple[Segment, ...]:
    segments = []
    below = 0
    rows = _table(data, offset, count, entry_bytes, layout.segment_header, "program headers")
    for index, row in enumerate(map(layout.segment, rows)):
        kind, flags, start, address, physical, file_bytes, memory_bytes, alignment = row
        segment = Segment(kind, flags, start, address, file_bytes, memory_bytes, alignment, physical)
        _require_segment(segment, index, len(data))
        if kind == SegmentType.LOAD:
            if address < below:
                raise _bad_segment(
                    index, "is not above the one before", found=hex(address), allowed=f"{below:#x} or more"
                )
            below = segment.end
        segments.append(segment)
    return tuple(segments)


def _require_segment(segment: Segment, index: int, size: int) -> None:
    stored = segment.type != SegmentType.GNU_STACK and segment.file_bytes
    if stored and segment.file_end > size:
        raise _bad_segment(
            index, "lies outside of the file", found=hex(segment.file_end), allowed=f"at most {size:#x}"
        )
    if segment.end > _ADDRESS_LIMIT:
        raise _bad_segment(index, "lies outside of the address space", found=hex(segment.end))
    if segment.type == SegmentType.LOAD and segment.file_bytes > segment.memory_bytes:
        raise _bad_segment(index, "is larger in the file than in memory", found=segment.file_bytes)
    if segment.alignment & (segment.alignment - 1):
        raise _bad_segment(index, "has an alignment that is no power of two", found=segment.alignment)


def _bad_segment(index: int, message: str, *, found: object, allowed: object = None) -> FormatError:
    return FormatError(message, structure="program headers", index=index, found=found, allowed=allowed)


def _read_sections(
    data: bytes, layout: Layout, offset: int, count: int, entry_bytes: int, names: int
) -> tuple[Section, ...]:
    rows = list(_table(data, offset, count, entry_bytes, layout.section_header, "section headers"))
    if not rows:
        return ()
    if names >= len(rows):
        raise FormatError("is no section", structure="e_shstrndx", found=names, allowed=f"below {len(rows)}")
    table_start, table_bytes = rows[names][4], rows[names][5]
    sections = []
    for index, (name, kind, flags, address, start, size, link, info, alignment, entry) in enumerate(rows):
        if kind not in (0, SectionType.NOBITS) and start + size > len(data):
            raise FormatError(
                "lies outside of the file", structure="section headers", index=index, found=hex(start + size),
                allowed=f"at most {len(data):#x}",
            )  # fmt: skip
        text = _string(data, table_start, table_bytes, name, "section names") if names else ""
        sections.append(Section(text, kind, flags, address, start, size, link, info, alignment, entry))
    return tuple(sections)


def _read_dynamic(data: bytes, layout: Layout, segments: tuple[Segment, ...]) -> tuple[tuple[int, int], ...]:
    segment = next((item for item in segments if item.type == SegmentType.DYNAMIC), None)
    if segment is None:
        return ()
    entries = []
    reader = ByteReader(data, segment.offset, segment.file_end, structure="dynamic section")
    while reader.remaining >= layout.dynamic.size:
        tag, value = reader.read_struct(layout.dynamic)
        if tag == 0:
            break
        entries.append((tag, value))
    return tuple(entries)


def _string(data: bytes, start: int, size: int, index: int, structure: str) -> str:
    """Return the string at `index` of a string table, which must end inside the table."""
    end = start + size
    if start > len(data) or end > len(data) or index >= size:
        raise FormatError(
            "points outside of its string table", structure=structure, found=index, allowed=f"below {size}"
        )
    stop = data.find(b"\0", start + index, min(end, start + index + _MOST_NAME_BYTES))
    if stop < 0:
        raise FormatError("is not terminated", structure=structure, offset=start + index)
    return data[start + index : stop].decode("utf-8", "backslashreplace")
