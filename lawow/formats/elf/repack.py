"""Make a shared library smaller and loadable with large pages, without changing one address in it.

Only what is loaded stays: `.symtab`, `.comment` and debug sections go. Each segment gets a new file offset
that is congruent to its address modulo the page size, which is all that a loader asks for (System V ABI,
chapter 5, "Program Header"). Segments that share a page of the new size are merged, if their rights are the
same; RELRO is cut back to whole pages. Refuses, with `FormatError`, 32-bit files, and a library whose code
and data share a page: no file offset helps there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lawow.errors import FormatError
from lawow.formats.bytes import align_up
from lawow.formats.elf.constants import SHF_ALLOC, SHF_INFO_LINK, SectionType, SegmentFlag, SegmentType
from lawow.formats.elf.layout import ELF64
from lawow.formats.elf.reader import ElfFile, Section, Segment, read_elf

__all__ = ["repack_elf"]

_LARGEST_PAGE_BYTES = 0x10000  # the largest page of arm64; padding to more would be a bomb
_RIGHTS = SegmentFlag.WRITE | SegmentFlag.EXECUTE


@dataclass(frozen=True, slots=True)
class _Moved:
    """A segment of the input and where its bytes stand in the output."""

    segment: Segment
    offset: int


def repack_elf(data: bytes, *, page_bytes: int | None = None) -> bytes:
    """Return the library stripped and aligned to `page_bytes` (a power of two; by default as it was).

    Raises `FormatError` if the file is malformed or cannot be aligned so.
    """
    elf = read_elf(data)
    if elf.layout is not ELF64:
        raise FormatError("is of 32 bits; only 64-bit libraries are repacked", structure="e_ident")
    if not elf.loads or elf.loads[0].offset or not elf.sections or not elf.section_names_index:
        raise FormatError("has no headers to repack by", structure="ELF header")
    page = page_bytes or min(max(segment.alignment, 1) for segment in elf.loads)
    widest = max(page, *(segment.alignment for segment in elf.loads))
    if widest > _LARGEST_PAGE_BYTES:
        raise FormatError(
            "are aligned too widely", structure="program headers", found=widest, allowed=_LARGEST_PAGE_BYTES
        )
    groups = _group_by_page(elf.loads, page)
    out, moved = _lay_out(elf, groups, page)
    segments = _move_segments(elf, groups, moved, page)
    _append_sections(out, elf, moved)
    _write_segments(out, elf, segments)
    return bytes(out)


def _group_by_page(loads: tuple[Segment, ...], page: int) -> list[list[Segment]]:
    """Put loads that share a page into one group, which becomes one load."""
    groups: list[list[Segment]] = []
    for segment in loads:
        last = groups[-1][-1] if groups else None
        if last is None or not last.memory_bytes or (last.end - 1) // page != segment.address // page:
            groups.append([segment])
            continue
        if (last.flags ^ segment.flags) & _RIGHTS:
            raise FormatError(
                "cannot be realigned: segments with different rights share a page",
                structure="program headers",
                found=f"page of {page} bytes at {segment.address // page * page:#x}",
            )
        groups[-1].append(segment)
    return groups


def _lay_out(elf: ElfFile, groups: list[list[Segment]], page: int) -> tuple[bytearray, list[_Moved]]:
    """Copy the loaded bytes, each group at an offset congruent to its address."""
    out = bytearray()
    moved = []
    size_limit = 2 * len(elf.data) + page * (len(groups) + 1)
    for group in groups:
        first = group[0]
        start = len(out) + (first.address - len(out)) % _alignment(group, page)
        for segment in group:
            offset = start + segment.address - first.address
            if offset > size_limit:
                raise FormatError(
                    "cannot be realigned: a gap is too large", structure="program headers", found=offset
                )
            out += bytes(offset - len(out))
            moved.append(_Moved(segment, offset))
            out += elf.data[segment.offset : segment.file_end]
    return out, moved


def _alignment(group: list[Segment], page: int) -> int:
    """Return by what a group's offset and address have to be congruent: never less than its own `p_align`."""
    return max(page, *(segment.alignment for segment in group))


def _new_offset(moved: list[_Moved], address: int, what: str) -> int:
    """Return where the byte of an address stands now; the end of a segment belongs to it."""
    for item in moved:
        if item.segment.address <= address <= item.segment.end:
            return item.offset + min(address - item.segment.address, item.segment.file_bytes)
    raise FormatError("is not part of any loaded segment", structure=what, found=f"{address:#x}")


def _move_segments(
    elf: ElfFile, groups: list[list[Segment]], moved: list[_Moved], page: int
) -> list[Segment]:
    """Return the new program headers, in the old order; merged loads become PT_NULL."""
    heads = {id(group[0]): group for group in groups}
    segments = []
    for segment in elf.segments:
        if segment.type == SegmentType.LOAD:
            group = heads.get(id(segment))
            segments.append(
                _merge(group, moved, page) if group else Segment(SegmentType.NULL, 0, 0, 0, 0, 0, 0)
            )
        elif not segment.memory_bytes or segment.type == SegmentType.NULL:
            segments.append(segment)
        else:
            shifted = replace(segment, offset=_new_offset(moved, segment.address, "program headers"))
            segments.append(
                _cut_relro(shifted, elf.loads, page) if segment.type == SegmentType.GNU_RELRO else shifted
            )
    return segments


def _merge(group: list[Segment], moved: list[_Moved], page: int) -> Segment:
    first, last = group[0], group[-1]
    return replace(
        first,
        offset=next(item.offset for item in moved if item.segment is first),
        file_bytes=last.address + last.file_bytes - first.address,
        memory_bytes=last.end - first.address,
        alignment=_alignment(group, page),
        flags=first.flags | last.flags,
    )


def _cut_relro(relro: Segment, loads: tuple[Segment, ...], page: int) -> Segment:
    """Shorten RELRO to whole pages where the loader's rounding up would make writable data read-only."""
    rounded = align_up(relro.end, page)
    covered = any(
        load.flags & SegmentFlag.WRITE and load.address < rounded and load.end > relro.end for load in loads
    )
    if not covered:
        return relro
    size = max(relro.end // page * page - relro.address, 0)
    return replace(relro, memory_bytes=size, file_bytes=min(relro.file_bytes, size))


def _append_sections(out: bytearray, elf: ElfFile, moved: list[_Moved]) -> None:
    """Append the names and headers of the sections that are loaded; Android's loader wants them."""
    kept = [index for index, section in enumerate(elf.sections) if index == 0 or section.flags & SHF_ALLOC]
    new_index = {old: new for new, old in enumerate(kept)}
    names = bytearray(b"\0")
    rows = []
    for index in kept:
        section = elf.sections[index]
        rows.append(_section_row(section, len(names) if index else 0, new_index, moved))
        if index:
            names += section.name.encode() + b"\0"
    rows.append(
        (len(names), SectionType.STRTAB, 0, 0, len(out), len(names) + len(b".shstrtab\0"), 0, 0, 1, 0)
    )
    out += names + b".shstrtab\0"
    out += bytes(-len(out) % 8)
    header = list(elf.header)
    header[6], header[12], header[13] = len(out), len(rows), len(rows) - 1
    for row in rows:
        out += ELF64.section_header.pack(*row)
    ELF64.file_header.pack_into(out, 0, *header)


def _section_row(
    section: Section, name: int, new_index: dict[int, int], moved: list[_Moved]
) -> tuple[int, ...]:
    if not section.flags & SHF_ALLOC:
        return (0,) * 10  # the empty first entry
    offset = _new_offset(moved, section.address, f"section {section.name}")
    info = new_index.get(section.info, 0) if section.flags & SHF_INFO_LINK else section.info
    return (
        name, section.type, section.flags, section.address, offset, section.size_bytes,
        new_index.get(section.link, 0), info, section.alignment, section.entry_bytes,
    )  # fmt: skip


def _write_segments(out: bytearray, elf: ElfFile, segments: list[Segment]) -> None:
    """Write the program headers where they were: the first load, which holds them, has kept offset 0."""
    start = elf.header[5]
    if start + len(segments) * ELF64.segment_header.size > elf.loads[0].file_end:
        raise FormatError("are not loaded", structure="program headers", offset=start)
    for index, item in enumerate(segments):
        ELF64.segment_header.pack_into(
            out, start + index * ELF64.segment_header.size, item.type, item.flags, item.offset, item.address,
            item.physical_address, item.file_bytes, item.memory_bytes, item.alignment,
        )  # fmt: skip
