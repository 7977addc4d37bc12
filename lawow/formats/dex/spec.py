"""Numbers of the Dalvik executable format: item types, sizes, alignments, flags, versions.

Source: the "Dalvik executable format" page of the Android Open Source Project; names follow it.
"""

from __future__ import annotations

import struct
from enum import IntEnum

__all__ = [
    "ACC_ABSTRACT",
    "ACC_CONSTRUCTOR",
    "ACC_DECLARED_SYNCHRONIZED",
    "ACC_FINAL",
    "ACC_INTERFACE",
    "ACC_NATIVE",
    "ACC_PRIVATE",
    "ACC_PUBLIC",
    "ACC_STATIC",
    "ACC_SYNCHRONIZED",
    "ALIGNMENT",
    "CODE_ITEM",
    "DEBUG_OPERANDS",
    "ENDIAN_CONSTANT",
    "FIRST_SPECIAL",
    "HEADER_BYTES",
    "ID_BYTES",
    "ID_SECTIONS",
    "MAX_IDS",
    "NO_INDEX",
    "SUPPORTED_VERSIONS",
    "ItemType",
    "ValueType",
    "item_name",
]

CODE_ITEM = struct.Struct("<HHHHII")
"""The head of a code_item: registers_size, ins_size, outs_size, tries_size, debug_info_off, insns_size."""

NO_INDEX = 0xFFFFFFFF
HEADER_BYTES = 0x70
ENDIAN_CONSTANT = 0x12345678
MAX_IDS = 65_536  # types, protos, fields and methods are named by 16 bits
SUPPORTED_VERSIONS = ("035", "037", "038", "039", "040")

ACC_PUBLIC = 0x1
ACC_PRIVATE = 0x2
ACC_STATIC = 0x8
ACC_FINAL = 0x10
ACC_SYNCHRONIZED = 0x20
ACC_VOLATILE = 0x40
ACC_NATIVE = 0x100
ACC_INTERFACE = 0x200
ACC_ABSTRACT = 0x400
ACC_CONSTRUCTOR = 0x10000
ACC_DECLARED_SYNCHRONIZED = 0x20000


class ItemType(IntEnum):
    """Type codes of `map_list`."""

    HEADER_ITEM = 0x0000
    STRING_ID_ITEM = 0x0001
    TYPE_ID_ITEM = 0x0002
    PROTO_ID_ITEM = 0x0003
    FIELD_ID_ITEM = 0x0004
    METHOD_ID_ITEM = 0x0005
    CLASS_DEF_ITEM = 0x0006
    CALL_SITE_ID_ITEM = 0x0007
    METHOD_HANDLE_ITEM = 0x0008
    MAP_LIST = 0x1000
    TYPE_LIST = 0x1001
    ANNOTATION_SET_REF_LIST = 0x1002
    ANNOTATION_SET_ITEM = 0x1003
    CLASS_DATA_ITEM = 0x2000
    CODE_ITEM = 0x2001
    STRING_DATA_ITEM = 0x2002
    DEBUG_INFO_ITEM = 0x2003
    ANNOTATION_ITEM = 0x2004
    ENCODED_ARRAY_ITEM = 0x2005
    ANNOTATIONS_DIRECTORY_ITEM = 0x2006
    HIDDENAPI_CLASS_DATA_ITEM = 0xF000


ID_BYTES = {
    ItemType.STRING_ID_ITEM: 4,
    ItemType.TYPE_ID_ITEM: 4,
    ItemType.PROTO_ID_ITEM: 12,
    ItemType.FIELD_ID_ITEM: 8,
    ItemType.METHOD_ID_ITEM: 8,
    ItemType.CLASS_DEF_ITEM: 32,
    ItemType.CALL_SITE_ID_ITEM: 4,
    ItemType.METHOD_HANDLE_ITEM: 8,
}

# In the order of their (size, off) pairs in the header, from 0x38 on.
ID_SECTIONS = (
    ItemType.STRING_ID_ITEM,
    ItemType.TYPE_ID_ITEM,
    ItemType.PROTO_ID_ITEM,
    ItemType.FIELD_ID_ITEM,
    ItemType.METHOD_ID_ITEM,
    ItemType.CLASS_DEF_ITEM,
)

_UNALIGNED = {
    ItemType.CLASS_DATA_ITEM,
    ItemType.STRING_DATA_ITEM,
    ItemType.DEBUG_INFO_ITEM,
    ItemType.ANNOTATION_ITEM,
    ItemType.ENCODED_ARRAY_ITEM,
}
ALIGNMENT = {item: 1 if item in _UNALIGNED else 4 for item in ItemType}

_NAMES = {
    ItemType.HEADER_ITEM: "header",
    ItemType.STRING_ID_ITEM: "string_ids",
    ItemType.TYPE_ID_ITEM: "type_ids",
    ItemType.PROTO_ID_ITEM: "proto_ids",
    ItemType.FIELD_ID_ITEM: "field_ids",
    ItemType.METHOD_ID_ITEM: "method_ids",
    ItemType.CLASS_DEF_ITEM: "class_defs",
    ItemType.CALL_SITE_ID_ITEM: "call_site_ids",
    ItemType.METHOD_HANDLE_ITEM: "method_handles",
}


def item_name(item: ItemType) -> str:
    """Return the specification's name of a section: ``string_ids``, ``code_item``."""
    return _NAMES.get(item, item.name.lower())


class ValueType(IntEnum):
    """Kinds of `encoded_value`."""

    BYTE = 0x00
    SHORT = 0x02
    CHAR = 0x03
    INT = 0x04
    LONG = 0x06
    FLOAT = 0x10
    DOUBLE = 0x11
    METHOD_TYPE = 0x15
    METHOD_HANDLE = 0x16
    STRING = 0x17
    TYPE = 0x18
    FIELD = 0x19
    METHOD = 0x1A
    ENUM = 0x1B
    ARRAY = 0x1C
    ANNOTATION = 0x1D
    NULL = 0x1E
    BOOLEAN = 0x1F


# Operands of the debug_info opcodes that have any: u = uleb128, s = sleb128, S = string index + 1,
# T = type index + 1. Opcodes from FIRST_SPECIAL on move address and line and have none.
DEBUG_OPERANDS = {
    0x01: "u",  # DBG_ADVANCE_PC
    0x02: "s",  # DBG_ADVANCE_LINE
    0x03: "uST",  # DBG_START_LOCAL
    0x04: "uSTS",  # DBG_START_LOCAL_EXTENDED
    0x05: "u",  # DBG_END_LOCAL
    0x06: "u",  # DBG_RESTART_LOCAL
    0x09: "S",  # DBG_SET_FILE
}
FIRST_SPECIAL = 0x0A
