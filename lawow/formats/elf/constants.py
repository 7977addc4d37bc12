"""Names of the numbers in ELF files that LAWOW looks at, spelled as in the specification."""

from __future__ import annotations

from enum import IntEnum, IntFlag

__all__ = [
    "ET_DYN",
    "MACHINE_OF_ABI",
    "PAGE_16K_BYTES",
    "SHF_ALLOC",
    "SHF_INFO_LINK",
    "DynamicTag",
    "Machine",
    "SectionType",
    "SegmentFlag",
    "SegmentType",
]

ET_DYN = 3
SHF_ALLOC = 0x2
SHF_INFO_LINK = 0x40
PAGE_16K_BYTES = 0x4000
"""Google Play asks for it in 64-bit libraries of apps that target Android 15 and later."""


class Machine(IntEnum):
    """`e_machine` of Android's ABIs."""

    X86 = 3
    ARM = 40
    X86_64 = 62
    AARCH64 = 183
    RISCV = 243


MACHINE_OF_ABI = {
    "arm64-v8a": Machine.AARCH64,
    "armeabi": Machine.ARM,
    "armeabi-v7a": Machine.ARM,
    "riscv64": Machine.RISCV,
    "x86": Machine.X86,
    "x86_64": Machine.X86_64,
}


class SegmentType(IntEnum):
    """`p_type`."""

    NULL = 0
    LOAD = 1
    DYNAMIC = 2
    NOTE = 4
    TLS = 7
    GNU_STACK = 0x6474E551
    GNU_RELRO = 0x6474E552


class SegmentFlag(IntFlag):
    """`p_flags`."""

    EXECUTE = 1
    WRITE = 2
    READ = 4


class SectionType(IntEnum):
    """`sh_type`."""

    STRTAB = 3
    DYNAMIC = 6
    NOBITS = 8
    DYNSYM = 11


class DynamicTag(IntEnum):
    """`d_tag`."""

    NEEDED = 1
    PLTRELSZ = 2
    HASH = 4
    STRTAB = 5
    RELA = 7
    RELASZ = 8
    STRSZ = 10
    SONAME = 14
    REL = 17
    RELSZ = 18
    PLTREL = 20
    TEXTREL = 22
    JMPREL = 23
    FLAGS = 30
    RELR = 36
    ANDROID_REL = 0x6000000F
    ANDROID_RELA = 0x60000011
    ANDROID_RELR = 0x6FFFE000
    GNU_HASH = 0x6FFFFEF5
    VERSYM = 0x6FFFFFF0
    VERNEED = 0x6FFFFFFE
    VERNEEDNUM = 0x6FFFFFFF
