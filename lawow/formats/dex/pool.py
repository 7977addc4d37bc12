"""Collects the symbols of classes and turns them into sorted, unique ids.

Orders as the format demands them: strings by UTF-16 code unit, types by string, protos by return type and
parameters, fields and methods by class, name, type. Source: "Dalvik executable format", sections of the ids.
"""

from __future__ import annotations

from dataclasses import dataclass

from lawow.errors import LimitExceeded
from lawow.formats.dex.mutf8 import utf16_sort_key
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.source import Body, ClassSource, MethodSource, Symbol
from lawow.formats.dex.spec import MAX_IDS, ValueType
from lawow.formats.dex.symbols import (
    Annotation,
    EncodedAnnotation,
    EncodedValue,
    FieldRef,
    MethodRef,
    Proto,
    parse_method_descriptor,
    shorty_of,
)

__all__ = ["SymbolIds", "SymbolPool"]

_VALUE_SYMBOLS = {
    ValueType.STRING: IndexKind.STRING,
    ValueType.TYPE: IndexKind.TYPE,
    ValueType.METHOD_TYPE: IndexKind.PROTO,
    ValueType.FIELD: IndexKind.FIELD,
    ValueType.ENUM: IndexKind.FIELD,
    ValueType.METHOD: IndexKind.METHOD,
}


@dataclass(frozen=True, slots=True)
class SymbolIds:
    """Sorted symbols, and the index of each by kind: `index[IndexKind.TYPE]["I"]`."""

    strings: list[str]
    types: list[str]
    protos: list[tuple[str, Proto]]  # descriptor, and the same taken apart
    fields: list[FieldRef]
    methods: list[MethodRef]
    index: tuple[dict[Symbol, int], ...]

    def string(self, text: str) -> int:
        """Return the index of a string."""
        return self.index[IndexKind.STRING][text]

    def type(self, descriptor: str) -> int:
        """Return the index of a type."""
        return self.index[IndexKind.TYPE][descriptor]

    def proto(self, descriptor: str) -> int:
        """Return the index of a method descriptor."""
        return self.index[IndexKind.PROTO][descriptor]

    def field(self, field: FieldRef) -> int:
        """Return the index of a field."""
        return self.index[IndexKind.FIELD][field]

    def method(self, method: MethodRef) -> int:
        """Return the index of a method."""
        return self.index[IndexKind.METHOD][method]


class SymbolPool:
    """A growing set of symbols; whatever a symbol is made of comes along."""

    def __init__(self) -> None:
        self._strings: set[str] = set()
        self._types: set[str] = set()
        self._protos: dict[str, Proto] = {}
        self._fields: set[FieldRef] = set()
        self._methods: set[MethodRef] = set()
        self._adders = {
            IndexKind.STRING: self.add_string,
            IndexKind.TYPE: self.add_type,
            IndexKind.PROTO: self.add_proto,
            IndexKind.FIELD: self.add_field,
            IndexKind.METHOD: self.add_method,
        }

    def add_string(self, text: str) -> None:
        """Add a string."""
        self._strings.add(text)

    def add_type(self, descriptor: str) -> None:
        """Add a type."""
        self._types.add(descriptor)
        self._strings.add(descriptor)

    def add_proto(self, descriptor: str) -> None:
        """Add a method descriptor."""
        if descriptor in self._protos:
            return
        proto = self._protos[descriptor] = parse_method_descriptor(descriptor)
        self.add_string(shorty_of(proto))
        for item in (proto.return_type, *proto.parameters):
            self.add_type(item)

    def add_field(self, field: FieldRef) -> None:
        """Add a field reference."""
        if field not in self._fields:
            self._fields.add(field)
            self.add_type(field.class_name)
            self.add_type(field.type)
            self.add_string(field.name)

    def add_method(self, method: MethodRef) -> None:
        """Add a method reference."""
        if method not in self._methods:
            self._methods.add(method)
            self.add_type(method.class_name)
            self.add_string(method.name)
            self.add_proto(method.descriptor)

    def add_symbol(self, kind: IndexKind, symbol: Symbol) -> None:
        """Add a symbol of a kind that is known at run time only."""
        self._adders[kind](symbol)  # type: ignore[operator]

    def add_class(self, source: ClassSource) -> None:
        """Add everything that a class names, except what its method bodies do."""
        self.add_type(source.descriptor)
        for descriptor in (source.superclass, *source.interfaces):
            if descriptor is not None:
                self.add_type(descriptor)
        if source.source_file is not None:
            self.add_string(source.source_file)
        self._add_annotations(source.annotations)
        for field in source.fields:
            self.add_field(FieldRef(source.descriptor, field.name, field.type))
            self._add_annotations(field.annotations)
            if field.value is not None:
                self._add_value(field.value)
        for method in source.methods:
            self._add_method_source(source, method)

    def _add_method_source(self, source: ClassSource, method: MethodSource) -> None:
        self.add_method(MethodRef(source.descriptor, method.name, method.descriptor))
        self._add_annotations(method.annotations)
        for listed in method.parameter_annotations:
            self._add_annotations(listed)

    def add_body(self, body: Body) -> None:
        """Add everything that a method body names, catch types and debug information included."""
        for fixup in body.fixups:
            self.add_symbol(fixup.kind, fixup.symbol)
        for entry in body.tries:
            for handler in entry.handlers:
                if handler.type is not None:
                    self.add_type(handler.type)
        for piece in body.debug_info:
            if isinstance(piece, tuple):
                self.add_symbol(*piece)

    def _add_annotations(self, annotations: tuple[Annotation, ...]) -> None:
        for annotation in annotations:
            self._add_annotation(annotation.annotation)

    def _add_annotation(self, annotation: EncodedAnnotation) -> None:
        self.add_type(annotation.type)
        for name, value in annotation.elements:
            self.add_string(name)
            self._add_value(value)

    def _add_value(self, value: EncodedValue) -> None:
        if value.kind in _VALUE_SYMBOLS:
            self.add_symbol(_VALUE_SYMBOLS[value.kind], value.value)  # type: ignore[arg-type]
        elif isinstance(value.value, EncodedAnnotation):
            self._add_annotation(value.value)
        elif isinstance(value.value, tuple):
            for element in value.value:
                if isinstance(element, EncodedValue):
                    self._add_value(element)

    def sort(self) -> SymbolIds:
        """Assign the ids. Raises `LimitExceeded` when a kind has more than its indexes can count."""
        # Types and protos stop one short: Android reads the last 16-bit number as "none".
        for name, count, maximum in (
            ("type_ids", len(self._types), MAX_IDS - 1),
            ("proto_ids", len(self._protos), MAX_IDS - 1),
            ("field_ids", len(self._fields), MAX_IDS),
            ("method_ids", len(self._methods), MAX_IDS),
        ):
            if count > maximum:
                raise LimitExceeded(
                    name, count, maximum, subject="dex file", hint="spread the classes over two files"
                )
        strings = sorted(self._strings, key=utf16_sort_key)
        string_ids = {text: index for index, text in enumerate(strings)}
        types = sorted(self._types, key=string_ids.__getitem__)
        type_ids = {descriptor: index for index, descriptor in enumerate(types)}

        def proto_key(item: tuple[str, Proto]) -> tuple[int, list[int]]:
            return type_ids[item[1].return_type], [type_ids[parameter] for parameter in item[1].parameters]

        protos = sorted(self._protos.items(), key=proto_key)
        proto_ids = {descriptor: index for index, (descriptor, _) in enumerate(protos)}
        fields = sorted(
            self._fields, key=lambda ref: (type_ids[ref[0]], string_ids[ref[1]], type_ids[ref[2]])
        )
        methods = sorted(
            self._methods, key=lambda ref: (type_ids[ref[0]], string_ids[ref[1]], proto_ids[ref[2]])
        )
        field_ids = {ref: index for index, ref in enumerate(fields)}
        method_ids = {ref: index for index, ref in enumerate(methods)}
        index: tuple[dict[Symbol, int], ...] = (string_ids, type_ids, proto_ids, field_ids, method_ids)  # type: ignore[assignment]
        return SymbolIds(strings, types, protos, fields, methods, index)
