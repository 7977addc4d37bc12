"""Verifies classes as wholes: their order, what they own, and whether declarations fit what they declare."""

from __future__ import annotations

from collections.abc import Iterator

from lawow.formats.dex.issue import Issue
from lawow.formats.dex.items import ClassData, EncodedMember
from lawow.formats.dex.reader import ClassDef, Dex
from lawow.formats.dex.spec import (
    ACC_ABSTRACT,
    ACC_FINAL,
    ACC_INTERFACE,
    ACC_PRIVATE,
    ACC_PUBLIC,
    ACC_STATIC,
    NO_INDEX,
    ItemType,
    ValueType,
)
from lawow.formats.dex.symbols import argument_words, parse_method_descriptor
from lawow.formats.dex.tables import FieldId, MethodId, field_rows, method_rows
from lawow.formats.dex.verify_items import Items
from lawow.formats.dex.views import ClassView

__all__ = ["JAVA_FLAGS", "KINDS_OF", "REFERENCE_KINDS", "verify_classes"]

JAVA_FLAGS = 0xFFFF
_CLASS_OFFSETS = (
    ("interfaces_off", ItemType.TYPE_LIST),
    ("annotations_off", ItemType.ANNOTATIONS_DIRECTORY_ITEM),
    ("class_data_off", ItemType.CLASS_DATA_ITEM),
    ("static_values_off", ItemType.ENCODED_ARRAY_ITEM),
)
KINDS_OF = {
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
REFERENCE_KINDS = {
    ValueType.NULL,
    ValueType.STRING,
    ValueType.TYPE,
    ValueType.METHOD_TYPE,
    ValueType.METHOD_HANDLE,
}


def verify_classes(dex: Dex, items: Items) -> Iterator[Issue]:
    """Yield what is wrong with class_defs. Raises `FormatError` where a class can't be read at all."""
    place = {definition.class_idx: index for index, definition in enumerate(dex.class_defs)}
    class_data: set[int] = set()
    members = _Members(dex)
    for index, definition in enumerate(dex.class_defs):
        missed = _missed_offset(index, definition, items)
        if missed:
            yield missed
            return
        yield from _declaration(dex, index, definition)
        if place[definition.class_idx] != index:
            yield _issue("duplicate", f"{dex.type(definition.class_idx)} is defined twice", index)
        if definition.class_data_off in class_data:
            yield _issue("shared", f"{dex.type(definition.class_idx)} shares its class_data_item", index)
        if definition.class_data_off:
            class_data.add(definition.class_data_off)
        yield from _parents(dex, index, definition, place)
        yield from members.verify(dex.classes[index])
    for offset in sorted(items.starts(ItemType.CLASS_DATA_ITEM) - class_data - items.empty_class_data):
        yield Issue("orphan", "belongs to no class", "class_data_item", offset=offset)


def _issue(kind: str, message: str, index: int) -> Issue:
    return Issue(kind, message, "class_defs", index)


def _missed_offset(index: int, definition: ClassDef, items: Items) -> Issue | None:
    for name, item in _CLASS_OFFSETS:
        offset = getattr(definition, name)
        if offset and offset not in items.starts(item):
            return Issue("offset", f"{name} does not hit an item", "class_defs", index, offset)
    return None


def _declaration(dex: Dex, index: int, definition: ClassDef) -> Iterator[Issue]:
    descriptor = dex.type(definition.class_idx)
    if descriptor[0] != "L":
        yield _issue("type", f"{descriptor} is not a class", index)
    if definition.access_flags & ~JAVA_FLAGS:
        yield _issue("flags", f"flags of {descriptor} are {definition.access_flags:#x}", index)
    if definition.source_file_idx != NO_INDEX:
        dex.string(definition.source_file_idx)


def _parents(dex: Dex, index: int, definition: ClassDef, place: dict[int, int]) -> Iterator[Issue]:
    parents = list(dex.classes[index].interface_indexes)
    if len(set(parents)) != len(parents):
        yield _issue("duplicate", "an interface is listed twice", index)
    if definition.superclass_idx != NO_INDEX:
        parents.append(definition.superclass_idx)
    for parent in parents:
        if dex.type(parent)[0] != "L":
            yield _issue("type", f"{dex.type(parent)} cannot be inherited from", index)
        if place.get(parent, -1) >= index:
            yield _issue("order", f"is not behind {dex.type(parent)}, which it inherits from", index)


class _Members:
    """Verifies the members of one class after the other; works on numbers, as there are very many."""

    def __init__(self, dex: Dex) -> None:
        self.dex = dex
        self.fields: list[FieldId] = field_rows(dex)
        self.methods: list[MethodId] = method_rows(dex)
        self.words: dict[int, int] = {}  # argument words by proto, without `this`

    def verify(self, view: ClassView) -> Iterator[Issue]:
        data = view.class_data
        class_idx = view.definition.class_idx
        methods = data.direct_methods + data.virtual_methods
        directory = view.annotations_directory
        field_indexes = [member.member_idx for member in data.static_fields + data.instance_fields]
        field_indexes += [index for index, _ in directory.fields]
        method_indexes = [member.member_idx for member in methods]
        method_indexes += [index for index, _ in directory.methods + directory.parameters]
        owners = [self.fields[index].class_idx for index in field_indexes]
        owners += [self.methods[index].class_idx for index in method_indexes]
        if owners.count(class_idx) != len(owners):
            yield _issue("owner", "holds members, or annotations of members, of another class", view.index)
        yield from self._static_values(view, data)
        for method in methods:
            yield from self._method(view, method)
        if view.access_flags & ACC_INTERFACE and self.dex.version >= "037":
            yield from self._interface(view, data)

    def _static_values(self, view: ClassView, data: ClassData) -> Iterator[Issue]:
        values = view.static_values
        if len(values) > len(data.static_fields):
            yield _issue("static-values", "more static values than static fields", view.index)
        for member, value in zip(data.static_fields, values, strict=False):
            field_type = self.dex.type(self.fields[member.member_idx].type_idx)
            if value.kind not in KINDS_OF.get(field_type[0], REFERENCE_KINDS):
                text = f"{self.dex.field(member.member_idx)} starts as {value.kind.name}"
                yield _issue("static-values", text, view.index)

    def _method(self, view: ClassView, member: EncodedMember) -> Iterator[Issue]:
        row = self.methods[member.member_idx]
        is_static = bool(member.access_flags & ACC_STATIC)
        name = self.dex.string(row.name_idx)
        if name[:1] == "<" and is_static != (name == "<clinit>"):
            yield _issue("flags", f"{self.dex.method(member.member_idx)}: static or not is wrong", view.index)
        if member.code_off:
            words = self._argument_words(row.proto_idx) + (not is_static)
            if self.dex.code_item(member.code_off).ins_size != words:
                text = f"ins_size of {self.dex.method(member.member_idx)} should be {words}"
                yield _issue("arguments", text, view.index)

    def _argument_words(self, proto_idx: int) -> int:
        if proto_idx not in self.words:
            parameters = parse_method_descriptor(self.dex.proto(proto_idx)).parameters
            self.words[proto_idx] = argument_words(parameters, is_static=True)
        return self.words[proto_idx]

    def _interface(self, view: ClassView, data: ClassData) -> Iterator[Issue]:
        """Check what Android demands of interfaces since version 037; it used to warn before."""
        constant, declared = ACC_PUBLIC | ACC_STATIC | ACC_FINAL, ACC_PUBLIC | ACC_ABSTRACT
        for member in data.static_fields + data.instance_fields:
            if member.access_flags & constant != constant:
                text = f"{self.dex.field(member.member_idx)} is not public static final"
                yield _issue("flags", text, view.index)
        for member in data.direct_methods + data.virtual_methods:
            method = self.dex.method(member.member_idx)
            if not member.code_off and member.access_flags & declared != declared:
                yield _issue("flags", f"{method} is not public and abstract", view.index)
            if not member.access_flags & (ACC_PUBLIC | ACC_PRIVATE | ACC_STATIC):
                yield _issue("flags", f"{method} is neither public nor private", view.index)
