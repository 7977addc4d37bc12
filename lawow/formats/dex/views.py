"""Views of classes, fields and methods in an opened dex file: cheap to make, decoded on demand.

Everything is symbolic: descriptors, names, references. A view belongs to its `Dex` and lives as long as it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from lawow.errors import FormatError
from lawow.formats.dex.items import (
    AnnotationsDirectory,
    ClassData,
    EncodedMember,
    TryItem,
    read_annotation_set,
    read_annotation_set_ref_list,
    read_annotations_directory,
    read_class_data,
    read_encoded_array,
    read_tries,
)
from lawow.formats.dex.spec import (
    ACC_ABSTRACT,
    ACC_FINAL,
    ACC_INTERFACE,
    ACC_NATIVE,
    ACC_STATIC,
    NO_INDEX,
    ItemType,
)
from lawow.formats.dex.symbols import (
    Annotation,
    EncodedValue,
    FieldRef,
    MethodRef,
    Proto,
    parse_method_descriptor,
)

if TYPE_CHECKING:
    from lawow.formats.dex.reader import ClassDef, CodeItem, Dex

__all__ = ["ClassView", "FieldView", "MethodView"]

_CODE_HEAD_BYTES = 16
_TRY_ITEM_BYTES = 8


class FieldView:
    """A field that a class defines."""

    def __init__(self, owner: ClassView, member: EncodedMember) -> None:
        self.owner = owner
        self.index = member.member_idx
        self.access_flags = member.access_flags
        self.ref: FieldRef = owner.dex.field(member.member_idx)

    def __repr__(self) -> str:
        return f"<FieldView {self.ref}>"

    @property
    def name(self) -> str:
        """Simple name."""
        return self.ref.name

    @property
    def type(self) -> str:
        """Type descriptor."""
        return self.ref.type

    @property
    def is_static(self) -> bool:
        """Whether the field belongs to the class and not to its instances."""
        return bool(self.access_flags & ACC_STATIC)

    @property
    def is_final(self) -> bool:
        """Whether the field is assigned once: by the constructor or the static initialiser."""
        return bool(self.access_flags & ACC_FINAL)

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """Annotations of the field."""
        return self.owner.annotation_set(self.owner.annotated_fields.get(self.index, 0))


class MethodView:
    """A method that a class defines."""

    def __init__(self, owner: ClassView, member: EncodedMember) -> None:
        self.owner = owner
        self.index = member.member_idx
        self.access_flags = member.access_flags
        self.code_off = member.code_off
        self.ref: MethodRef = owner.dex.method(member.member_idx)

    def __repr__(self) -> str:
        return f"<MethodView {self.ref}>"

    @property
    def name(self) -> str:
        """Simple name; ``<init>`` and ``<clinit>`` for constructors and static initialisers."""
        return self.ref.name

    @property
    def descriptor(self) -> str:
        """Method descriptor: ``(I)I``."""
        return self.ref.descriptor

    @cached_property
    def proto(self) -> Proto:
        """The descriptor taken apart."""
        return parse_method_descriptor(self.ref.descriptor)

    @property
    def is_static(self) -> bool:
        """Whether the method takes no `this`."""
        return bool(self.access_flags & ACC_STATIC)

    @property
    def is_native(self) -> bool:
        """Whether a JNI library implements the method."""
        return bool(self.access_flags & ACC_NATIVE)

    @property
    def is_abstract(self) -> bool:
        """Whether the method has no implementation."""
        return bool(self.access_flags & ACC_ABSTRACT)

    @property
    def is_initializer(self) -> bool:
        """Whether this is a constructor or a static initialiser."""
        return self.ref.name.startswith("<")

    @property
    def has_code(self) -> bool:
        """Whether there is bytecode."""
        return self.code_off != 0

    @cached_property
    def code(self) -> CodeItem | None:
        """The code_item's fixed part; None for abstract and native methods."""
        if not self.code_off:
            return None
        dex = self.owner.dex
        code = dex.code_item(self.code_off)
        dex.claim(
            ItemType.CODE_ITEM, _CODE_HEAD_BYTES + 2 * code.insns_size + _TRY_ITEM_BYTES * code.tries_size
        )
        return code

    @cached_property
    def tries(self) -> tuple[TryItem, ...]:
        """Guarded ranges of the code with their handlers."""
        return read_tries(self.owner.dex, self.code) if self.code else ()

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """Annotations of the method."""
        return self.owner.annotation_set(self.owner.annotated_methods.get(self.index, 0))

    @property
    def parameter_annotations(self) -> tuple[tuple[Annotation, ...], ...]:
        """Annotations of the parameters, one tuple each; empty when no parameter has any."""
        offset = self.owner.annotated_parameters.get(self.index, 0)
        if not offset:
            return ()
        return self.owner.dex.decoded(ItemType.ANNOTATION_SET_REF_LIST, offset, read_annotation_set_ref_list)

    def signature_types(self) -> set[str]:
        """Types that the descriptor names."""
        return {*self.proto.parameters, self.proto.return_type}


class ClassView:
    """A class that the dex file defines. `index` is its place in class_defs."""

    def __init__(self, dex: Dex, index: int) -> None:
        self.dex = dex
        self.index = index
        self.definition: ClassDef = dex.class_defs[index]

    def __repr__(self) -> str:
        return f"<ClassView {self.descriptor}>"

    @property
    def descriptor(self) -> str:
        """Type descriptor: ``Lcom/example/Main;``."""
        return self.dex.type(self.definition.class_idx)

    @property
    def access_flags(self) -> int:
        """ACC_ bits."""
        return self.definition.access_flags

    @property
    def is_interface(self) -> bool:
        """Whether this is an interface (annotation types are)."""
        return bool(self.access_flags & ACC_INTERFACE)

    @property
    def superclass(self) -> str | None:
        """Descriptor of the superclass; None only for java.lang.Object."""
        index = self.definition.superclass_idx
        return None if index == NO_INDEX else self.dex.type(index)

    @cached_property
    def interface_indexes(self) -> tuple[int, ...]:
        """Type indexes of the implemented interfaces, in their order."""
        indexes = self.dex.type_list(self.definition.interfaces_off)
        self.dex.claim(ItemType.CLASS_DEF_ITEM, len(indexes))
        return indexes

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Descriptors of the implemented interfaces, in their order."""
        return tuple(map(self.dex.type, self.interface_indexes))

    @property
    def source_file(self) -> str | None:
        """Name of the source file, if the compiler told."""
        index = self.definition.source_file_idx
        return None if index == NO_INDEX else self.dex.string(index)

    @cached_property
    def class_data(self) -> ClassData:
        """Members as indexes; empty for a class without any."""
        offset = self.definition.class_data_off
        if not offset:
            return ClassData()
        self.dex.claim(ItemType.CLASS_DATA_ITEM, 0)
        class_data, end = read_class_data(self.dex, offset)
        self.dex.claim(ItemType.CLASS_DATA_ITEM, end - offset)  # no two classes share one
        return class_data

    @cached_property
    def fields(self) -> tuple[FieldView, ...]:
        """Static fields, then instance fields, each in the order of their indexes."""
        members = self.class_data.static_fields + self.class_data.instance_fields
        return tuple(FieldView(self, self._own(member, ItemType.FIELD_ID_ITEM)) for member in members)

    @cached_property
    def methods(self) -> tuple[MethodView, ...]:
        """Direct methods (static, private, constructors), then virtual ones, each in index order."""
        members = self.class_data.direct_methods + self.class_data.virtual_methods
        return tuple(MethodView(self, self._own(member, ItemType.METHOD_ID_ITEM)) for member in members)

    def _own(self, member: EncodedMember, item: ItemType) -> EncodedMember:
        row = self.dex.row_offset(item, member.member_idx)
        owner = int.from_bytes(self.dex.data[row : row + 2], "little")
        if owner != self.definition.class_idx:
            raise FormatError(
                "member belongs to another class",
                structure="class_data_item",
                index=member.member_idx,
                found=self.dex.type(owner),
                allowed=self.descriptor,
            )
        return member

    def method(self, name: str, descriptor: str) -> MethodView | None:
        """Return the method with this name and descriptor, or None."""
        return next((item for item in self.methods if item.ref[1:] == (name, descriptor)), None)

    @property
    def static_values(self) -> tuple[EncodedValue, ...]:
        """Initial values of the first static fields, in their order; the others start as zero or null."""
        offset = self.definition.static_values_off
        return self.dex.decoded(ItemType.ENCODED_ARRAY_ITEM, offset, read_encoded_array) if offset else ()

    @property
    def has_annotations(self) -> bool:
        """Whether the class or a member of it is annotated."""
        return self.definition.annotations_off != 0

    @cached_property
    def annotations_directory(self) -> AnnotationsDirectory:
        """Offsets of the annotation sets of the class and its members."""
        offset = self.definition.annotations_off
        if not offset:
            return AnnotationsDirectory()
        return self.dex.decoded(ItemType.ANNOTATIONS_DIRECTORY_ITEM, offset, read_annotations_directory)

    @cached_property
    def annotated_fields(self) -> dict[int, int]:
        """Offset of the annotation set by index of the field."""
        return dict(self.annotations_directory.fields)

    @cached_property
    def annotated_methods(self) -> dict[int, int]:
        """Offset of the annotation set by index of the method."""
        return dict(self.annotations_directory.methods)

    @cached_property
    def annotated_parameters(self) -> dict[int, int]:
        """Offset of the annotation_set_ref_list by index of the method."""
        return dict(self.annotations_directory.parameters)

    def annotation_set(self, offset: int) -> tuple[Annotation, ...]:
        """Return the annotations of the annotation_set_item at `offset`; none for offset 0."""
        return self.dex.decoded(ItemType.ANNOTATION_SET_ITEM, offset, read_annotation_set) if offset else ()

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """Annotations of the class itself, those of dalvik.annotation.* included."""
        return self.annotation_set(self.annotations_directory.class_annotations_off)

    def signature_types(self) -> set[str]:
        """Types named by superclass, interfaces, field types and method descriptors."""
        types = {self.superclass} if self.superclass else set()
        types.update(self.interfaces)
        types.update(item.type for item in self.fields)
        for method in self.methods:
            types.update(method.signature_types())
        return types
