"""The records of ELF files in both widths, 32 and 64 bits, little-endian.

Source: System V ABI (gabi 4.2), chapters 4 and 5; the program header and the symbol have their fields in
another order in each width.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = ["ELF32", "ELF64", "Layout"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The records of one width. `rel` and `rela` are relocations without and with an addend."""

    bits: int
    file_header: struct.Struct
    segment_header: struct.Struct
    section_header: struct.Struct
    dynamic: struct.Struct
    symbol: struct.Struct
    rel: struct.Struct
    rela: struct.Struct
    kind_mask: int

    def segment(self, row: tuple[int, ...]) -> tuple[int, ...]:
        """Return a program header's fields in the order of 64 bits: the flags stand second there."""
        return row if self.bits == 64 else (row[0], row[6], *row[1:6], row[7])

    def symbol_home(self, row: tuple[int, ...]) -> int:
        """Return `st_shndx`: 0 for a symbol that the file needs from elsewhere."""
        return row[3] if self.bits == 64 else row[5]


ELF64 = Layout(
    bits=64,
    file_header=struct.Struct("<16sHHIQQQIHHHHHH"),
    segment_header=struct.Struct("<IIQQQQQQ"),
    section_header=struct.Struct("<IIQQQQIIQQ"),
    dynamic=struct.Struct("<QQ"),
    symbol=struct.Struct("<IBBHQQ"),
    rel=struct.Struct("<QQ"),
    rela=struct.Struct("<QQq"),
    kind_mask=0xFFFFFFFF,
)
ELF32 = Layout(
    bits=32,
    file_header=struct.Struct("<16sHHIIIIIHHHHHH"),
    segment_header=struct.Struct("<8I"),
    section_header=struct.Struct("<10I"),
    dynamic=struct.Struct("<II"),
    symbol=struct.Struct("<IIIBBH"),
    rel=struct.Struct("<II"),
    rela=struct.Struct("<IIi"),
    kind_mask=0xFF,
)
