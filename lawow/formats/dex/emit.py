"""Lays out a dex file: sections one after the other, each item behind everything that it points to."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lawow.formats.bytes import align_up, encode_uleb128
from lawow.formats.dex.encode import (
    encode_annotation_item,
    encode_code_item,
    encode_debug_info,
    encode_values,
)
from lawow.formats.dex.header import seal
from lawow.formats.dex.mutf8 import encode_mutf8, utf16_length
from lawow.formats.dex.pool import SymbolIds
from lawow.formats.dex.source import Body, ClassSource, FieldSource, MethodSource
from lawow.formats.dex.spec import (
    ACC_PRIVATE,
    ACC_STATIC,
    ALIGNMENT,
    ENDIAN_CONSTANT,
    HEADER_BYTES,
    ID_BYTES,
    ID_SECTIONS,
    NO_INDEX,
    ItemType,
    ValueType,
)
from lawow.formats.dex.symbols import Annotation, EncodedValue, FieldRef, MethodRef, shorty_of

__all__ = ["emit_dex"]

_Key = TypeVar("_Key")
_ZERO = {
    "Z": EncodedValue(ValueType.BOOLEAN, False),
    "B": EncodedValue(ValueType.BYTE, 0),
    "S": EncodedValue(ValueType.SHORT, 0),
    "C": EncodedValue(ValueType.CHAR, 0),
    "I": EncodedValue(ValueType.INT, 0),
    "J": EncodedValue(ValueType.LONG, 0),
    "F": EncodedValue(ValueType.FLOAT, 0),
    "D": EncodedValue(ValueType.DOUBLE, 0),
}
_NULL = EncodedValue(ValueType.NULL, None)


def emit_dex(
    version: str, ids: SymbolIds, classes: Sequence[ClassSource], bodies: dict[MethodRef, Body]
) -> bytes:
    """Return the file. `classes` are in the order of class_defs; `ids` hold every symbol that they name."""
    return _Emitter(version, ids, classes, bodies).run()


@dataclass(slots=True)
class _Emitter:
    version: str
    ids: SymbolIds
    classes: Sequence[ClassSource]
    bodies: dict[MethodRef, Body]
    data: bytearray = field(default_factory=bytearray)
    data_off: int = 0
    sections: dict[ItemType, tuple[int, int]] = field(default_factory=dict)  # size and offset, in file order
    # Offsets of what is written, by content or by owner
    type_lists: dict[tuple[str, ...], int] = field(default_factory=dict)
    debug_infos: dict[bytes, int] = field(default_factory=dict)
    codes: dict[MethodRef, int] = field(default_factory=dict)
    annotations: dict[bytes, int] = field(default_factory=dict)
    annotation_sets: dict[bytes, int] = field(default_factory=dict)
    ref_lists: dict[bytes, int] = field(default_factory=dict)
    directories: dict[str, int] = field(default_factory=dict)
    value_arrays: dict[bytes, int] = field(default_factory=dict)
    static_values: dict[str, int] = field(default_factory=dict)
    class_datas: dict[str, int] = field(default_factory=dict)
    strings: list[int] = field(default_factory=list)

    def run(self) -> bytes:
        self._place_ids()
        self._write_type_lists()
        self._write_code_and_debug_info()
        self._write_annotations()
        self._write_static_values()
        self._write_strings()
        self._write_class_data()
        self._write_map()
        return self._finish()

    def _place_ids(self) -> None:
        ids = self.ids
        id_counts = [len(ids.strings), len(ids.types), len(ids.protos), len(ids.fields), len(ids.methods)]
        self.sections[ItemType.HEADER_ITEM] = (1, 0)
        offset = HEADER_BYTES
        for item, count in zip(ID_SECTIONS, [*id_counts, len(self.classes)], strict=True):
            if count:
                self.sections[item] = (count, offset)
            offset += count * ID_BYTES[item]
        self.data_off = offset

    # Data items

    def _append(self, item: ItemType, content: bytes) -> int:
        """Append an item to its section and return its offset. Items of a section come in one go."""
        start = self.data_off + len(self.data)
        offset = align_up(start, ALIGNMENT[item])
        self.data += bytes(offset - start) + content
        size, first = self.sections.get(item, (0, offset))
        self.sections[item] = (size + 1, first)
        return offset

    def _append_once(self, item: ItemType, key: _Key, known: dict[_Key, int], content: bytes) -> int:
        if key not in known:
            known[key] = self._append(item, content)
        return known[key]

    def _write_type_lists(self) -> None:
        lists = [proto.parameters for _, proto in self.ids.protos] + [
            source.interfaces for source in self.classes
        ]
        for listed in filter(None, lists):
            numbers = [self.ids.type(item) for item in listed]
            content = struct.pack(f"<I{len(numbers)}H", len(numbers), *numbers)
            self._append_once(ItemType.TYPE_LIST, listed, self.type_lists, content)

    def _write_code_and_debug_info(self) -> None:
        debug_info_off = dict.fromkeys(self.bodies, 0)
        for method, body in self.bodies.items():
            if body.debug_info:
                content = encode_debug_info(body.debug_info, self.ids)
                debug_info_off[method] = self._append_once(
                    ItemType.DEBUG_INFO_ITEM, content, self.debug_infos, content
                )
        for method, body in self.bodies.items():
            content = encode_code_item(body, self.ids, debug_info_off[method])
            self.codes[method] = self._append(ItemType.CODE_ITEM, content)

    def _write_annotations(self) -> None:
        groups = [group for source in self.classes for group in _annotation_groups(source)]
        lists = [lists for source in self.classes for lists in _parameter_lists(source)]
        groups += [group for listed in lists for group in listed]
        for group in groups:
            for annotation in group:
                content = encode_annotation_item(annotation, self.ids)
                self._append_once(ItemType.ANNOTATION_ITEM, content, self.annotations, content)
        for group in filter(None, groups):
            content = self._annotation_set(group)
            self._append_once(ItemType.ANNOTATION_SET_ITEM, content, self.annotation_sets, content)
        for listed in filter(None, lists):
            content = self._ref_list(listed)
            self._append_once(ItemType.ANNOTATION_SET_REF_LIST, content, self.ref_lists, content)
        for source in self.classes:
            if any(_annotation_groups(source)) or any(_parameter_lists(source)):
                content = self._directory(source)
                self.directories[source.descriptor] = self._append(
                    ItemType.ANNOTATIONS_DIRECTORY_ITEM, content
                )

    def _annotation_set(self, annotations: tuple[Annotation, ...]) -> bytes:
        ordered = sorted(annotations, key=lambda annotation: self.ids.type(annotation.type))
        offsets = [self.annotations[encode_annotation_item(annotation, self.ids)] for annotation in ordered]
        return struct.pack(f"<{1 + len(offsets)}I", len(offsets), *offsets)

    def _set_off(self, annotations: tuple[Annotation, ...]) -> int:
        return self.annotation_sets[self._annotation_set(annotations)] if annotations else 0

    def _ref_list(self, parameters: tuple[tuple[Annotation, ...], ...]) -> bytes:
        offsets = [self._set_off(annotations) for annotations in parameters]
        return struct.pack(f"<{1 + len(offsets)}I", len(offsets), *offsets)

    def _directory(self, source: ClassSource) -> bytes:
        fields = [
            (self._field(source, item), self._set_off(item.annotations))
            for item in source.fields
            if item.annotations
        ]
        methods = [
            (self._method(source, item), self._set_off(item.annotations))
            for item in source.methods
            if item.annotations
        ]
        parameters = [
            (self._method(source, item), self.ref_lists[self._ref_list(item.parameter_annotations)])
            for item in source.methods
            if item.parameter_annotations
        ]
        sizes = (len(fields), len(methods), len(parameters))
        rows = [number for group in (fields, methods, parameters) for row in sorted(group) for number in row]
        return struct.pack(f"<4I{len(rows)}I", self._set_off(source.annotations), *sizes, *rows)

    def _write_static_values(self) -> None:
        for source in self.classes:
            static = [item for item in source.fields if item.access_flags & ACC_STATIC]
            static.sort(key=lambda item: self._field(source, item))
            while static and static[-1].value is None:
                static.pop()
            if static:
                values = [item.value or _ZERO.get(item.type, _NULL) for item in static]
                content = encode_values(values, self.ids)
                self.static_values[source.descriptor] = self._append_once(
                    ItemType.ENCODED_ARRAY_ITEM, content, self.value_arrays, content
                )

    def _write_strings(self) -> None:
        for text in self.ids.strings:
            content = encode_uleb128(utf16_length(text)) + encode_mutf8(text) + b"\0"
            self.strings.append(self._append(ItemType.STRING_DATA_ITEM, content))

    def _write_class_data(self) -> None:
        for source in self.classes:
            if source.fields or source.methods:
                content = self._class_data(source)
                self.class_datas[source.descriptor] = self._append(ItemType.CLASS_DATA_ITEM, content)

    def _class_data(self, source: ClassSource) -> bytes:
        groups: tuple[list[tuple[int, ...]], ...] = ([], [], [], [])
        static, instance, direct, virtual = groups
        for item in source.fields:
            group = static if item.access_flags & ACC_STATIC else instance
            group.append((self._field(source, item), item.access_flags))
        for method in source.methods:
            is_direct = method.access_flags & (ACC_STATIC | ACC_PRIVATE) or method.name.startswith("<")
            code_off = self.codes.get(_ref(source, method), 0)
            group = direct if is_direct else virtual
            group.append((self._method(source, method), method.access_flags, code_off))
        content = b"".join(encode_uleb128(len(group)) for group in groups)
        for group in groups:
            previous = 0
            for index, *numbers in sorted(group):
                content += encode_uleb128(index - previous) + b"".join(map(encode_uleb128, numbers))
                previous = index
        return content

    def _field(self, source: ClassSource, item: FieldSource) -> int:
        return self.ids.field(FieldRef(source.descriptor, item.name, item.type))

    def _method(self, source: ClassSource, method: MethodSource) -> int:
        return self.ids.method(_ref(source, method))

    # Map, ids, header

    def _write_map(self) -> None:
        rows = 1 + len(self.sections)
        map_off = self._append(ItemType.MAP_LIST, bytes(4 + 12 * rows))
        content = struct.pack("<I", rows) + b"".join(
            struct.pack("<HHII", item, 0, size, offset) for item, (size, offset) in self.sections.items()
        )
        self.data[map_off - self.data_off :] = content

    def _finish(self) -> bytes:
        out = bytearray(HEADER_BYTES)
        out += self._id_rows()
        out += self.data
        sizes = [number for item in ID_SECTIONS for number in self.sections.get(item, (0, 0))]
        map_off = self.sections[ItemType.MAP_LIST][1]
        struct.pack_into("<8s", out, 0, b"dex\n" + self.version.encode() + b"\0")
        header = (
            len(out),
            HEADER_BYTES,
            ENDIAN_CONSTANT,
            0,
            0,
            map_off,
            *sizes,
            len(self.data),
            self.data_off,
        )
        struct.pack_into("<20I", out, 0x20, *header)
        seal(out)
        return bytes(out)

    def _id_rows(self) -> bytes:
        ids = self.ids
        out = bytearray(struct.pack(f"<{len(self.strings)}I", *self.strings))
        out += struct.pack(f"<{len(ids.types)}I", *map(ids.string, ids.types))
        for _, proto in ids.protos:
            parameters_off = self.type_lists.get(proto.parameters, 0)
            out += struct.pack(
                "<III", ids.string(shorty_of(proto)), ids.type(proto.return_type), parameters_off
            )
        for item in ids.fields:
            out += struct.pack("<HHI", ids.type(item.class_name), ids.type(item.type), ids.string(item.name))
        for method in ids.methods:
            row = (ids.type(method.class_name), ids.proto(method.descriptor), ids.string(method.name))
            out += struct.pack("<HHI", *row)
        for source in self.classes:
            out += self._class_def(source)
        return bytes(out)

    def _class_def(self, source: ClassSource) -> bytes:
        return struct.pack(
            "<8I",
            self.ids.type(source.descriptor),
            source.access_flags,
            NO_INDEX if source.superclass is None else self.ids.type(source.superclass),
            self.type_lists.get(source.interfaces, 0),
            NO_INDEX if source.source_file is None else self.ids.string(source.source_file),
            self.directories.get(source.descriptor, 0),
            self.class_datas.get(source.descriptor, 0),
            self.static_values.get(source.descriptor, 0),
        )


def _ref(source: ClassSource, method: MethodSource) -> MethodRef:
    return MethodRef(source.descriptor, method.name, method.descriptor)


def _annotation_groups(source: ClassSource) -> list[tuple[Annotation, ...]]:
    return [
        source.annotations,
        *[item.annotations for item in source.fields],
        *[item.annotations for item in source.methods],
    ]


def _parameter_lists(source: ClassSource) -> list[tuple[tuple[Annotation, ...], ...]]:
    return [item.parameter_annotations for item in source.methods]
