"""Verifies the structure of a dex file: every item, every index, every offset.

Finds what Android's own verifier refuses (order and uniqueness of ids, offsets that miss the start of an
item, padding, names, class order, members of foreign classes) and three things that it lets pass: a stale
SHA-1, an index in an instruction past its table, unused opcodes. Types are not inferred: this is no
bytecode verifier.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from lawow.errors import FormatError
from lawow.formats.dex.issue import Issue
from lawow.formats.dex.mutf8 import utf16_sort_key
from lawow.formats.dex.names import class_descriptor, member_name
from lawow.formats.dex.reader import Dex, read_dex
from lawow.formats.dex.sound import is_sound
from lawow.formats.dex.spec import ItemType
from lawow.formats.dex.symbols import parse_method_descriptor, shorty_of
from lawow.formats.dex.tables import field_rows, handle_rows, method_rows, proto_rows
from lawow.formats.dex.verify_classes import verify_classes
from lawow.formats.dex.verify_items import Items, scan_items

__all__ = ["verify_dex"]

_MOST_ISSUES = 100  # a broken file has thousands; nobody reads them
_LAST_HANDLE_TYPE = 8


def verify_dex(data: bytes | memoryview) -> list[Issue]:
    """Return what is wrong with a dex file: at most 100 issues, none for a sound file. Never raises."""
    try:
        dex = read_dex(data)
    except FormatError as error:
        return [_issue_of(error)]
    issues = [*_seal_issues(dex), *_data_bounds(dex)]
    if is_sound(dex):
        return issues
    items, faults = scan_items(dex)
    issues += map(_issue_of, faults)
    for check in (_strings, _types, _protos, _fields, _methods, verify_classes, _call_sites):
        issues += _guarded(check, dex, items)
        if len(issues) >= _MOST_ISSUES:
            break
    return issues[:_MOST_ISSUES]


def _guarded(check: Callable[[Dex, Items], Iterator[Issue]], dex: Dex, items: Items) -> list[Issue]:
    """Run a check to its end, or to the first thing that it cannot read."""
    found: list[Issue] = []
    try:
        for issue in check(dex, items):
            found.append(issue)
            if len(found) >= _MOST_ISSUES:
                break
    except FormatError as error:
        found.append(_issue_of(error))
    return found


def _issue_of(error: FormatError) -> Issue:
    facts = [f"found {error.found}"] if error.found is not None else []
    facts += [f"allowed {error.allowed}"] if error.allowed is not None else []
    message = f"{error.message} ({', '.join(facts)})" if facts else error.message
    return Issue("malformed", message, error.structure, error.index, error.offset)


def _seal_issues(dex: Dex) -> Iterator[Issue]:
    checksum = zlib.adler32(memoryview(dex.data)[12:])
    if checksum != dex.header.checksum:
        yield Issue(
            "checksum", f"checksum is {dex.header.checksum:#x}, should be {checksum:#x}", "header", offset=8
        )
    signature = hashlib.sha1(memoryview(dex.data)[32:], usedforsecurity=False).digest()
    if signature != dex.header.signature:
        yield Issue("signature", "SHA-1 signature does not fit the content", "header", offset=12)


def _data_bounds(dex: Dex) -> Iterator[Issue]:
    header = dex.header
    if header.data_off + header.data_size > len(dex.data) or header.data_off % 4:
        yield Issue("data", "data_off and data_size do not fit the file", "header", offset=0x68)
    if header.link_off + header.link_size > len(dex.data) or bool(header.link_off) != bool(header.link_size):
        yield Issue("link", "link_off and link_size do not fit the file", "header", offset=0x2C)
    for index, section in enumerate(dex.map_list):
        is_data = section.item >= ItemType.MAP_LIST
        if is_data and not header.data_off <= section.offset <= header.data_off + header.data_size:
            yield Issue("data", "lies outside of the data section", "map_list", index, section.offset)


def _strings(dex: Dex, items: Items) -> Iterator[Issue]:
    starts = items.starts(ItemType.STRING_DATA_ITEM)
    for index, offset in enumerate(dex.string_offsets):
        if offset not in starts:
            yield Issue("offset", "does not hit a string_data_item", "string_ids", index, offset)
            return
    keys = [utf16_sort_key(dex.string(index)) for index in range(len(dex.string_offsets))]
    yield from _ascending("string_ids", keys)


def _ascending(
    structure: str, keys: Sequence[bytes] | Sequence[int] | Sequence[tuple[int, ...]]
) -> Iterator[Issue]:
    for index, (before, after) in enumerate(pairwise(keys), start=1):
        if before >= after:  # type: ignore[operator]
            yield Issue("order", "is not behind its predecessor", structure, index)


def _types(dex: Dex, items: Items) -> Iterator[Issue]:
    yield from _ascending("type_ids", list(dex.type_ids))
    class_name = class_descriptor(dex.version)
    for index in range(len(dex.type_ids)):
        element = dex.type(index).lstrip("[")
        if element[0] == "L" and not class_name.fullmatch(element):
            yield Issue("name", f"{element} is not a class name", "type_ids", index)


def _protos(dex: Dex, items: Items) -> Iterator[Issue]:
    starts = items.starts(ItemType.TYPE_LIST)
    rows = proto_rows(dex)
    keys = []
    for index, row in enumerate(rows):
        if row.parameters_off and row.parameters_off not in starts:
            yield Issue(
                "offset", "parameters_off does not hit a type_list", "proto_ids", index, row.parameters_off
            )
            return
        shorty = shorty_of(parse_method_descriptor(dex.proto(index)))
        if dex.string(row.shorty_idx) != shorty:
            yield Issue("shorty", f"shorty of {dex.proto(index)} should be {shorty}", "proto_ids", index)
        keys.append((row.return_type_idx, *dex.type_list(row.parameters_off)))
    yield from _ascending("proto_ids", keys)


def _fields(dex: Dex, items: Items) -> Iterator[Issue]:
    rows = field_rows(dex)
    yield from _members(dex, "field_ids", [(row.class_idx, row.name_idx) for row in rows], "L")
    for index, row in enumerate(rows):
        if dex.type(row.type_idx) == "V":
            yield Issue("type", "a field of type void", "field_ids", index)
    yield from _ascending("field_ids", [(row.class_idx, row.name_idx, row.type_idx) for row in rows])


def _methods(dex: Dex, items: Items) -> Iterator[Issue]:
    rows = method_rows(dex)
    yield from _members(dex, "method_ids", [(row.class_idx, row.name_idx) for row in rows], "L[")
    for index, row in enumerate(rows):
        dex.row_offset(ItemType.PROTO_ID_ITEM, row.proto_idx)
        name = dex.string(row.name_idx)
        if name.startswith("<") and (
            name not in ("<init>", "<clinit>") or not dex.proto(row.proto_idx).endswith("V")
        ):
            yield Issue("name", f"{name}{dex.proto(row.proto_idx)} is no initialiser", "method_ids", index)
    yield from _ascending("method_ids", [(row.class_idx, row.name_idx, row.proto_idx) for row in rows])


def _members(dex: Dex, structure: str, rows: list[tuple[int, int]], owners: str) -> Iterator[Issue]:
    name_pattern = member_name(dex.version)
    for index, (class_idx, name_idx) in enumerate(rows):
        if dex.type(class_idx)[0] not in owners:
            yield Issue("type", f"{dex.type(class_idx)} has no members", structure, index)
        if not name_pattern.fullmatch(dex.string(name_idx)):
            yield Issue("name", f"{dex.string(name_idx)!r} is not a member name", structure, index)


def _call_sites(dex: Dex, items: Items) -> Iterator[Issue]:
    for index, row in enumerate(handle_rows(dex)):
        if row.method_handle_type > _LAST_HANDLE_TYPE:
            yield Issue("type", f"unknown type {row.method_handle_type}", "method_handles", index)
        table = ItemType.FIELD_ID_ITEM if row.names_field else ItemType.METHOD_ID_ITEM
        dex.row_offset(table, row.field_or_method_id)
    for index, offset in enumerate(dex.call_site_offsets):
        if offset not in items.starts(ItemType.ENCODED_ARRAY_ITEM):
            yield Issue("offset", "does not hit an encoded_array_item", "call_site_ids", index, offset)
