"""The instruction set of Dalvik, as a table: opcode, mnemonic, format, kind of the index it holds.

Source: "Dalvik bytecode" and "Dalvik executable instruction formats" of the Android Open Source Project.
Opcodes that are not listed are unused; code that holds one is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = [
    "FIELD_LAYOUT",
    "FILL_ARRAY_PAYLOAD",
    "INDEX_AND_UNITS",
    "JUMBO",
    "OPCODES",
    "PACKED_SWITCH_PAYLOAD",
    "SPARSE_SWITCH_PAYLOAD",
    "UNUSED",
    "BitField",
    "IndexKind",
    "Opcode",
]


PACKED_SWITCH_PAYLOAD = 0x0100
SPARSE_SWITCH_PAYLOAD = 0x0200
FILL_ARRAY_PAYLOAD = 0x0300


class IndexKind(IntEnum):
    """What an index inside of an instruction counts in."""

    STRING = 0
    TYPE = 1
    PROTO = 2
    FIELD = 3
    METHOD = 4
    CALL_SITE = 5
    METHOD_HANDLE = 6


@dataclass(frozen=True, slots=True)
class Opcode:
    """One row of the table. `units` is the length in 16-bit code units; `index` is None without an index."""

    value: int
    name: str
    format: str
    index: IndexKind | None

    @property
    def units(self) -> int:
        """Length of the instruction; the first digit of every format's name."""
        return int(self.format[0])


@dataclass(frozen=True, slots=True)
class BitField:
    """Place of an operand in an instruction that is seen as one little-endian integer."""

    shift: int
    bits: int
    signed: bool = False


_A4 = BitField(8, 4)
_A8 = BitField(8, 8)
_B4 = BitField(12, 4)
_B16 = BitField(16, 16)
_SIGNED_B16 = BitField(16, 16, signed=True)
_SIGNED_B32 = BitField(16, 32, signed=True)
_REGISTERS = tuple(BitField(shift, 4) for shift in (32, 36, 40, 44, 8))  # C D E F G

# Operands in the order of their mnemonic syntax. 35c: count, index, five registers; 3rc: count, index, first.
FIELD_LAYOUT = {
    "10x": (),
    "12x": (_A4, _B4),
    "11n": (_A4, BitField(12, 4, signed=True)),
    "11x": (_A8,),
    "10t": (BitField(8, 8, signed=True),),
    "20t": (_SIGNED_B16,),
    "22x": (_A8, _B16),
    "21t": (_A8, _SIGNED_B16),
    "21s": (_A8, _SIGNED_B16),
    "21h": (_A8, _SIGNED_B16),
    "21c": (_A8, _B16),
    "23x": (_A8, BitField(16, 8), BitField(24, 8)),
    "22b": (_A8, BitField(16, 8), BitField(24, 8, signed=True)),
    "22t": (_A4, _B4, _SIGNED_B16),
    "22s": (_A4, _B4, _SIGNED_B16),
    "22c": (_A4, _B4, _B16),
    "30t": (_SIGNED_B32,),
    "32x": (_B16, BitField(32, 16)),
    "31i": (_A8, _SIGNED_B32),
    "31t": (_A8, _SIGNED_B32),
    "31c": (_A8, BitField(16, 32)),
    "35c": (_B4, _B16, *_REGISTERS),
    "3rc": (_A8, _B16, BitField(32, 16)),
    "45cc": (_B4, _B16, *_REGISTERS, BitField(48, 16)),
    "4rcc": (_A8, _B16, BitField(32, 16), BitField(48, 16)),
    "51l": (_A8, BitField(16, 64, signed=True)),
}

_TABLE = """
00 nop                      10x
01 move                     12x
02 move/from16              22x
03 move/16                  32x
04 move-wide                12x
05 move-wide/from16         22x
06 move-wide/16             32x
07 move-object              12x
08 move-object/from16       22x
09 move-object/16           32x
0a move-result              11x
0b move-result-wide         11x
0c move-result-object       11x
0d move-exception           11x
0e return-void              10x
0f return                   11x
10 return-wide              11x
11 return-object            11x
12 const/4                  11n
13 const/16                 21s
14 const                    31i
15 const/high16             21h
16 const-wide/16            21s
17 const-wide/32            31i
18 const-wide               51l
19 const-wide/high16        21h
1a const-string             21c  string
1b const-string/jumbo       31c  string
1c const-class              21c  type
1d monitor-enter            11x
1e monitor-exit             11x
1f check-cast               21c  type
20 instance-of              22c  type
21 array-length             12x
22 new-instance             21c  type
23 new-array                22c  type
24 filled-new-array         35c  type
25 filled-new-array/range   3rc  type
26 fill-array-data          31t
27 throw                    11x
28 goto                     10t
29 goto/16                  20t
2a goto/32                  30t
2b packed-switch            31t
2c sparse-switch            31t
2d cmpl-float               23x
2e cmpg-float               23x
2f cmpl-double              23x
30 cmpg-double              23x
31 cmp-long                 23x
32 if-eq                    22t
33 if-ne                    22t
34 if-lt                    22t
35 if-ge                    22t
36 if-gt                    22t
37 if-le                    22t
38 if-eqz                   21t
39 if-nez                   21t
3a if-ltz                   21t
3b if-gez                   21t
3c if-gtz                   21t
3d if-lez                   21t
44 aget                     23x
45 aget-wide                23x
46 aget-object              23x
47 aget-boolean             23x
48 aget-byte                23x
49 aget-char                23x
4a aget-short               23x
4b aput                     23x
4c aput-wide                23x
4d aput-object              23x
4e aput-boolean             23x
4f aput-byte                23x
50 aput-char                23x
51 aput-short               23x
52 iget                     22c  field
53 iget-wide                22c  field
54 iget-object              22c  field
55 iget-boolean             22c  field
56 iget-byte                22c  field
57 iget-char                22c  field
58 iget-short               22c  field
59 iput                     22c  field
5a iput-wide                22c  field
5b iput-object              22c  field
5c iput-boolean             22c  field
5d iput-byte                22c  field
5e iput-char                22c  field
5f iput-short               22c  field
60 sget                     21c  field
61 sget-wide                21c  field
62 sget-object              21c  field
63 sget-boolean             21c  field
64 sget-byte                21c  field
65 sget-char                21c  field
66 sget-short               21c  field
67 sput                     21c  field
68 sput-wide                21c  field
69 sput-object              21c  field
6a sput-boolean             21c  field
6b sput-byte                21c  field
6c sput-char                21c  field
6d sput-short               21c  field
6e invoke-virtual           35c  method
6f invoke-super             35c  method
70 invoke-direct            35c  method
71 invoke-static            35c  method
72 invoke-interface         35c  method
74 invoke-virtual/range     3rc  method
75 invoke-super/range       3rc  method
76 invoke-direct/range      3rc  method
77 invoke-static/range      3rc  method
78 invoke-interface/range   3rc  method
7b neg-int                  12x
7c not-int                  12x
7d neg-long                 12x
7e not-long                 12x
7f neg-float                12x
80 neg-double               12x
81 int-to-long              12x
82 int-to-float             12x
83 int-to-double            12x
84 long-to-int              12x
85 long-to-float            12x
86 long-to-double           12x
87 float-to-int             12x
88 float-to-long            12x
89 float-to-double          12x
8a double-to-int            12x
8b double-to-long           12x
8c double-to-float          12x
8d int-to-byte              12x
8e int-to-char              12x
8f int-to-short             12x
90 add-int                  23x
91 sub-int                  23x
92 mul-int                  23x
93 div-int                  23x
94 rem-int                  23x
95 and-int                  23x
96 or-int                   23x
97 xor-int                  23x
98 shl-int                  23x
99 shr-int                  23x
9a ushr-int                 23x
9b add-long                 23x
9c sub-long                 23x
9d mul-long                 23x
9e div-long                 23x
9f rem-long                 23x
a0 and-long                 23x
a1 or-long                  23x
a2 xor-long                 23x
a3 shl-long                 23x
a4 shr-long                 23x
a5 ushr-long                23x
a6 add-float                23x
a7 sub-float                23x
a8 mul-float                23x
a9 div-float                23x
aa rem-float                23x
ab add-double               23x
ac sub-double               23x
ad mul-double               23x
ae div-double               23x
af rem-double               23x
b0 add-int/2addr            12x
b1 sub-int/2addr            12x
b2 mul-int/2addr            12x
b3 div-int/2addr            12x
b4 rem-int/2addr            12x
b5 and-int/2addr            12x
b6 or-int/2addr             12x
b7 xor-int/2addr            12x
b8 shl-int/2addr            12x
b9 shr-int/2addr            12x
ba ushr-int/2addr           12x
bb add-long/2addr           12x
bc sub-long/2addr           12x
bd mul-long/2addr           12x
be div-long/2addr           12x
bf rem-long/2addr           12x
c0 and-long/2addr           12x
c1 or-long/2addr            12x
c2 xor-long/2addr           12x
c3 shl-long/2addr           12x
c4 shr-long/2addr           12x
c5 ushr-long/2addr          12x
c6 add-float/2addr          12x
c7 sub-float/2addr          12x
c8 mul-float/2addr          12x
c9 div-float/2addr          12x
ca rem-float/2addr          12x
cb add-double/2addr         12x
cc sub-double/2addr         12x
cd mul-double/2addr         12x
ce div-double/2addr         12x
cf rem-double/2addr         12x
d0 add-int/lit16            22s
d1 rsub-int                 22s
d2 mul-int/lit16            22s
d3 div-int/lit16            22s
d4 rem-int/lit16            22s
d5 and-int/lit16            22s
d6 or-int/lit16             22s
d7 xor-int/lit16            22s
d8 add-int/lit8             22b
d9 rsub-int/lit8            22b
da mul-int/lit8             22b
db div-int/lit8             22b
dc rem-int/lit8             22b
dd and-int/lit8             22b
de or-int/lit8              22b
df xor-int/lit8             22b
e0 shl-int/lit8             22b
e1 shr-int/lit8             22b
e2 ushr-int/lit8            22b
fa invoke-polymorphic       45cc method
fb invoke-polymorphic/range 4rcc method
fc invoke-custom            35c  call_site
fd invoke-custom/range      3rc  call_site
fe const-method-handle      21c  method_handle
ff const-method-type        21c  proto
"""


def _parse(line: str) -> Opcode:
    value, name, layout, *index = line.split()
    return Opcode(int(value, 16), name, layout, IndexKind[index[0].upper()] if index else None)


OPCODES = {opcode.name: opcode for opcode in map(_parse, _TABLE.strip().splitlines())}

# One byte per opcode for the scanning loop: units in the low 3 bits, IndexKind + 1 in the next 4.
# JUMBO marks the one instruction with a 32-bit index, UNUSED what no program may hold.
JUMBO = 0x80
UNUSED = 0xFF


def _scan_table() -> bytes:
    table = bytearray([UNUSED] * 256)
    for opcode in OPCODES.values():
        index = 0 if opcode.index is None else opcode.index + 1
        table[opcode.value] = opcode.units | index << 3
    table[OPCODES["const-string/jumbo"].value] |= JUMBO
    return bytes(table)


INDEX_AND_UNITS = _scan_table()
