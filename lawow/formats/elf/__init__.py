"""ELF shared libraries as Android's loader sees them: read, check, strip and realign.

Little-endian files of 32 and 64 bits; only the latter, which is all that LAWOW packs, are repacked. Sources:
the System V ABI (gabi 4.2, chapters 4 and 5), the GNU symbol version sections (LSB 5.0, 10.7), bionic's
`linker.cpp` and `linker_phdr.cpp`.
"""

from lawow.formats.elf.android import ElfIssue, verify_android_library
from lawow.formats.elf.reader import DynamicSymbol, ElfFile, Section, Segment, read_elf
from lawow.formats.elf.repack import repack_elf

__all__ = [
    "DynamicSymbol",
    "ElfFile",
    "ElfIssue",
    "Section",
    "Segment",
    "read_elf",
    "repack_elf",
    "verify_android_library",
]
