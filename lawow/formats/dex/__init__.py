"""DEX files: read, cut, assemble, transplant, verify. Pure Python, bytes in and bytes out.

    dex = read_dex(data)                                   open; everything below is decoded on demand
    dex.class_names()                                      ["Lcom/example/Main;", ...]
    dex.class_def("Lcom/example/Main;").methods            views: names, descriptors, flags, annotations
    dex.references_of(view)                                what a class or method names
    drop_classes(dex, ["Lcom/example/FibWasm;"])           the file without these classes
    collect_garbage(data)                                  without the ids that nobody uses any more
    source = transplant_class(dex, name, replace_method)   symbolic copy of a class, methods exchanged
    builder = DexBuilder("035"); builder.add(source); builder.add_all(stub_dex); builder.build()
    verify_dex(data)                                       issues that Android's verifier would find, and more

Versions 035 to 040. Refused: 041 (container), compact dex, odex, hidden API data.
Source: "Dalvik executable format", "Dalvik bytecode" of the Android Open Source Project.
"""

from __future__ import annotations

from lawow.formats.dex.builder import DexBuilder
from lawow.formats.dex.gc import collect_garbage
from lawow.formats.dex.issue import Issue
from lawow.formats.dex.reader import Dex, read_dex
from lawow.formats.dex.source import Assembly, Body, ClassSource, FieldSource, Instruction, MethodSource, Try
from lawow.formats.dex.spec import (
    ACC_ABSTRACT,
    ACC_FINAL,
    ACC_INTERFACE,
    ACC_NATIVE,
    ACC_PRIVATE,
    ACC_PUBLIC,
    ACC_STATIC,
    ACC_SYNCHRONIZED,
    ValueType,
)
from lawow.formats.dex.symbols import (
    Annotation,
    EncodedAnnotation,
    EncodedValue,
    FieldRef,
    MethodRef,
    Proto,
    References,
    argument_words,
    parse_method_descriptor,
)
from lawow.formats.dex.transplant import copy_body, copy_method, transplant_class
from lawow.formats.dex.verify import verify_dex
from lawow.formats.dex.views import ClassView, FieldView, MethodView
from lawow.formats.dex.writer import drop_classes

__all__ = [
    "ACC_ABSTRACT",
    "ACC_FINAL",
    "ACC_INTERFACE",
    "ACC_NATIVE",
    "ACC_PRIVATE",
    "ACC_PUBLIC",
    "ACC_STATIC",
    "ACC_SYNCHRONIZED",
    "Annotation",
    "Assembly",
    "Body",
    "ClassSource",
    "ClassView",
    "Dex",
    "DexBuilder",
    "EncodedAnnotation",
    "EncodedValue",
    "FieldRef",
    "FieldSource",
    "FieldView",
    "Instruction",
    "Issue",
    "MethodRef",
    "MethodSource",
    "MethodView",
    "Proto",
    "References",
    "Try",
    "ValueType",
    "argument_words",
    "collect_garbage",
    "copy_body",
    "copy_method",
    "drop_classes",
    "parse_method_descriptor",
    "read_dex",
    "transplant_class",
    "verify_dex",
]
