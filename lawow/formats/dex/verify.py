"""Verifies the structure of a dex file: every item, every index, every offset.

Finds what Android's own verifier refuses (order and uniqueness of ids, offsets that miss the start of an
item, padding, names, class order, members of foreign classes) and three things that it lets pass: a stale
SHA-1, an index in an instruction past its table, unused opcodes. Types are not inferred: this is no
bytecode verifier.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lawow.errors import FormatError
from lawow.formats.dex.mutf8 import utf16_sort_key
from lawow.formats.dex.reader import ClassDef, Dex, read_dex
from lawow.formats.dex.spec import (
    ACC_ABSTRACT,
    ACC_FINAL,
    ACC_PRIVATE,
    ACC_PUBLIC,
    ACC_STATIC,
    NO_INDEX,
    ItemType,
    ValueType,
)
from lawow.formats.dex.symbols import argument_words, parse_method_descriptor, shorty_of
from lawow.formats.dex.tables import field_rows, handle_rows, method_rows, proto_rows
from lawow.formats.dex.verify_items import Items, scan_items
from lawow.formats.dex.views import ClassView

__all__ = ["Issue", "verify_dex"]

_MOST_ISSUES = 100  # a broken file has thousands; nobody reads them
_JAVA_FLAGS = 0xFFFF
_LAST_HANDLE_TYPE = 8

# SimpleName of the format; version 040 added spaces.
_LETTERS = r"A-Za-z0-9$_\-\u00a1-\u1fff\u2010-\u2027\u2030-\ud7ff\ue000-\uffef\U00010000-\U0010ffff"
_SPACES = r" \u00a0\u2000-\u200a\u202f"


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that is wrong: its `kind` in kebab-case, a sentence, and where."""

    kind: str
    message: str
    structure: str = ""
    index: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        place = self.structure if self.index is None else f"{self.structure}[{self.index}]"
        at = "" if self.offset is None else f" (at offset {self.offset:#x})"
        return f"{place}: {self.message}{at}"


def verify_dex(data: bytes | memoryview) -> list[Issue]:
    """Return what is wrong with a dex file: at most 100 issues, none for a sound file. Never raises."""
    try:
        dex = read_dex(data)
    except FormatError as error:
        return [_issue_of(error)]
    issues = list(_seal_issues(dex))
    items, faults = scan_items(dex)
    issues += map(_issue_of, faults)
    issues += _data_bounds(dex)
    for check in (_strings, _types, _protos, _fields, _methods, _classes, _call_sites):
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


def _names(dex: Dex) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return patterns of member names and of class descriptors (without arrays)."""
    letters = f"[{_LETTERS}{_SPACES if dex.version >= '040' else ''}]+"
    return re.compile(f"{letters}|<{letters}>"), re.compile(f"L{letters}(?:/{letters})*;")


def _types(dex: Dex, items: Items) -> Iterator[Issue]:
    yield from _ascending("type_ids", list(dex.type_ids))
    _, class_name = _names(dex)
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
    member_name, _ = _names(dex)
    for index, (class_idx, name_idx) in enumerate(rows):
        if dex.type(class_idx)[0] not in owners:
            yield Issue("type", f"{dex.type(class_idx)} has no members", structure, index)
        if not member_name.fullmatch(dex.string(name_idx)):
            yield Issue("name", f"{dex.string(name_idx)!r} is not a member name", structure, index)


_CLASS_OFFSETS = (
    ("interfaces_off", ItemType.TYPE_LIST),
    ("annotations_off", ItemType.ANNOTATIONS_DIRECTORY_ITEM),
    ("class_data_off", ItemType.CLASS_DATA_ITEM),
    ("static_values_off", ItemType.ENCODED_ARRAY_ITEM),
)


def _classes(dex: Dex, items: Items) -> Iterator[Issue]:
    place = {definition.class_idx: index for index, definition in enumerate(dex.class_defs)}
    class_data: set[int] = set()
    for index, definition in enumerate(dex.class_defs):
        for name, item in _CLASS_OFFSETS:
            offset = getattr(definition, name)
            if offset and offset not in items.starts(item):
                yield Issue("offset", f"{name} does not hit an item", "class_defs", index, offset)
                return
        descriptor = dex.type(definition.class_idx)
        if descriptor[0] != "L":
            yield Issue("type", f"{descriptor} is not a class", "class_defs", index)
        if place[definition.class_idx] != index:
            yield Issue("duplicate", f"{descriptor} is defined twice", "class_defs", index)
        if definition.access_flags & ~_JAVA_FLAGS:
            yield Issue(
                "flags", f"flags of {descriptor} are {definition.access_flags:#x}", "class_defs", index
            )
        if definition.class_data_off in class_data:
            yield Issue("shared", f"{descriptor} shares its class_data_item", "class_defs", index)
        if definition.class_data_off:
            class_data.add(definition.class_data_off)
        yield from _parents(dex, index, definition, place)
        yield from _owned(dex, index, definition)
        if dex.classes[index].is_interface and dex.version >= "037":
            yield from _interface(dex.classes[index])
    for offset in sorted(items.starts(ItemType.CLASS_DATA_ITEM) - class_data):
        if offset not in items.empty_class_data:
            yield Issue("orphan", "belongs to no class", "class_data_item", offset=offset)


def _parents(dex: Dex, index: int, definition: ClassDef, place: dict[int, int]) -> Iterator[Issue]:
    parents = list(dex.classes[index].interface_indexes)
    if len(set(parents)) != len(parents):
        yield Issue("duplicate", "an interface is listed twice", "class_defs", index)
    if definition.superclass_idx != NO_INDEX:
        parents.append(definition.superclass_idx)
    for parent in parents:
        if dex.type(parent)[0] != "L":
            yield Issue("type", f"{dex.type(parent)} cannot be inherited from", "class_defs", index)
        if place.get(parent, -1) >= index:
            yield Issue(
                "order", f"is not behind {dex.type(parent)}, which it inherits from", "class_defs", index
            )
    if definition.source_file_idx != NO_INDEX:
        dex.string(definition.source_file_idx)


def _owned(dex: Dex, index: int, definition: ClassDef) -> Iterator[Issue]:
    """Check that members and annotations belong to the class, and that static values have fields."""
    view = dex.classes[index]
    view.fields, view.methods  # noqa: B018  raise FormatError for a member of another class
    if len(view.static_values) > len(view.class_data.static_fields):
        yield Issue("static-values", "more static values than static fields", "class_defs", index)
    for field, value in zip(view.fields, view.static_values, strict=False):
        if value.kind not in _KINDS_OF.get(field.type[0], _REFERENCE_KINDS):
            yield Issue("static-values", f"{field.ref} starts as {value.kind.name}", "class_defs", index)
    for method in view.methods:
        words = argument_words(method.proto.parameters, is_static=method.is_static)
        if method.code and method.code.ins_size != words:
            yield Issue("arguments", f"ins_size of {method.ref} should be {words}", "class_defs", index)
        if method.is_initializer and method.is_static != (method.name == "<clinit>"):
            yield Issue(
                "flags",
                f"{method.ref} is {'static' if method.is_static else 'not static'}",
                "class_defs",
                index,
            )
    directory = view.annotations_directory
    owners = [dex.field(field).class_name for field, _ in directory.fields]
    owners += [dex.method(method).class_name for method, _ in directory.methods + directory.parameters]
    for owner in owners:
        if owner != view.descriptor:
            yield Issue(
                "owner",
                f"annotations of a member of {owner}",
                "class_defs",
                index,
                definition.annotations_off,
            )


def _interface(view: ClassView) -> Iterator[Issue]:
    """Check what Android demands of interfaces since version 037; it used to warn before."""
    constant, callable_ = ACC_PUBLIC | ACC_STATIC | ACC_FINAL, ACC_PUBLIC | ACC_ABSTRACT
    for field in view.fields:
        if field.access_flags & constant != constant:
            yield Issue("flags", f"{field.ref} is not public static final", "class_defs", view.index)
    for method in view.methods:
        if not method.has_code and method.access_flags & callable_ != callable_:
            yield Issue("flags", f"{method.ref} is not public and abstract", "class_defs", view.index)
        if not method.access_flags & (ACC_PUBLIC | ACC_PRIVATE | ACC_STATIC):
            yield Issue("flags", f"{method.ref} is neither public nor private", "class_defs", view.index)


_KINDS_OF = {
    "Z": {ValueType.BOOLEAN},
    "B": {ValueType.BYTE},
    "S": {ValueType.SHORT},
    "C": {ValueType.CHAR},
    "I": {ValueType.INT},
    "J": {ValueType.LONG},
    "F": {ValueType.FLOAT},
    "D": {ValueType.DOUBLE},
    "[": {ValueType.ARRAY, ValueType.NULL},
}
_REFERENCE_KINDS = {
    ValueType.NULL,
    ValueType.STRING,
    ValueType.TYPE,
    ValueType.METHOD_TYPE,
    ValueType.METHOD_HANDLE,
}


def _call_sites(dex: Dex, items: Items) -> Iterator[Issue]:
    for index, row in enumerate(handle_rows(dex)):
        if row.method_handle_type > _LAST_HANDLE_TYPE:
            yield Issue("type", f"unknown type {row.method_handle_type}", "method_handles", index)
        table = ItemType.FIELD_ID_ITEM if row.names_field else ItemType.METHOD_ID_ITEM
        dex.row_offset(table, row.field_or_method_id)
    for index, offset in enumerate(dex.call_site_offsets):
        if offset not in items.starts(ItemType.ENCODED_ARRAY_ITEM):
            yield Issue("offset", "does not hit an encoded_array_item", "call_site_ids", index, offset)
