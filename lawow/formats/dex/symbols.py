"""Symbols of DEX files: fields, methods, values, annotations, by name instead of by index.

Descriptors are spelled as in the format: types ``Lcom/example/A;``, ``[I``; methods ``(I[J)V``.
A symbol means the same in every dex file; that is what lets a class move from one file to another.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from lawow.errors import FormatError
from lawow.formats.dex.spec import ValueType

__all__ = [
    "Annotation",
    "EncodedAnnotation",
    "EncodedValue",
    "FieldRef",
    "MethodRef",
    "Proto",
    "References",
    "ValuePayload",
    "argument_words",
    "float_bits",
    "is_type_descriptor",
    "parse_method_descriptor",
    "shorty_of",
]

_TYPE = re.compile(r"\[{0,255}(?:[ZBCSIJFD]|L[^;\[./()]+(?:/[^;\[./()]+)*;)|V")
_PARAMETER = re.compile(r"\[{0,255}(?:[ZBCSIJFD]|L[^;\[./()]+(?:/[^;\[./()]+)*;)")


# The references are tuples, not dataclasses: a builder hashes them by the hundred thousand.
class FieldRef(NamedTuple):
    """A field by class descriptor, name and type descriptor."""

    class_name: str
    name: str
    type: str

    def __str__(self) -> str:
        return f"{self.class_name}->{self.name}:{self.type}"


class MethodRef(NamedTuple):
    """A method by class descriptor, name and method descriptor."""

    class_name: str
    name: str
    descriptor: str

    def __str__(self) -> str:
        return f"{self.class_name}->{self.name}{self.descriptor}"


@dataclass(frozen=True, slots=True)
class Proto:
    """A method descriptor taken apart."""

    parameters: tuple[str, ...]
    return_type: str


ValuePayload: TypeAlias = (
    "int | bool | str | FieldRef | MethodRef | tuple[EncodedValue, ...] | EncodedAnnotation | None"
)


@dataclass(frozen=True, slots=True)
class EncodedValue:
    """An `encoded_value`: a constant in a static initialiser or in an annotation.

    `value` is an int for the integer kinds; the raw bits as an unsigned int for FLOAT and DOUBLE, so that
    every NaN survives; a str for STRING, TYPE and METHOD_TYPE (a method descriptor); a reference for
    FIELD, ENUM and METHOD; a tuple of values for ARRAY; an `EncodedAnnotation` for ANNOTATION; a bool for
    BOOLEAN; None for NULL.
    """

    kind: ValueType
    value: ValuePayload


@dataclass(frozen=True, slots=True)
class EncodedAnnotation:
    """An annotation's type and its elements (name, value), without visibility."""

    type: str
    elements: tuple[tuple[str, EncodedValue], ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """An `annotation_item`. `visibility`: 0 build, 1 runtime, 2 system."""

    visibility: int
    annotation: EncodedAnnotation

    @property
    def type(self) -> str:
        """Descriptor of the annotation's type."""
        return self.annotation.type


@dataclass(frozen=True, slots=True)
class References:
    """What code and signatures name: types (arrays too), fields, methods and string constants."""

    types: frozenset[str]
    fields: frozenset[FieldRef]
    methods: frozenset[MethodRef]
    strings: frozenset[str]


def is_type_descriptor(text: str) -> bool:
    """Tell whether `text` is shaped like a type descriptor, ``V`` included; names are not looked into."""
    return _TYPE.fullmatch(text) is not None


def parse_method_descriptor(descriptor: str) -> Proto:
    """Take a method descriptor apart: ``([JLa/B;)V``. Raises `FormatError` if it is malformed."""
    position = 1
    parameters = []
    while match := _PARAMETER.match(descriptor, position):
        parameters.append(match.group())
        position = match.end()
    return_type = descriptor[position + 1 :]
    if (
        descriptor[:1] != "("
        or descriptor[position : position + 1] != ")"
        or not is_type_descriptor(return_type)
    ):
        raise FormatError("malformed method descriptor", structure="proto_id_item", found=descriptor)
    return Proto(tuple(parameters), return_type)


def shorty_of(proto: Proto) -> str:
    """Return the short-form descriptor: return type first, every reference as ``L``."""
    return "".join("L" if item[0] in "L[" else item for item in (proto.return_type, *proto.parameters))


def argument_words(parameters: Sequence[str], *, is_static: bool) -> int:
    """Return how many registers the arguments take: two for ``J`` and ``D``, one for others and `this`."""
    return sum(2 if item in ("J", "D") else 1 for item in parameters) + (0 if is_static else 1)


def float_bits(value: float, kind: ValueType) -> int:
    """Return the IEEE 754 bits of `value` as FLOAT or DOUBLE, the form that `EncodedValue` holds."""
    layout = {ValueType.FLOAT: "<f", ValueType.DOUBLE: "<d"}[kind]
    return int.from_bytes(struct.pack(layout, value), "little")
