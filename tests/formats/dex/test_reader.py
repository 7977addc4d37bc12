"""What the views tell about a class is what its source says."""

from __future__ import annotations

import struct

import pytest

from lawow.errors import FormatError, UsageError
from lawow.formats.dex import EncodedValue, FieldRef, MethodRef, ValueType, read_dex
from lawow.formats.dex.leb128 import read_sleb128, read_uleb128, replace_uleb128
from lawow.formats.dex.symbols import float_bits, parse_method_descriptor
from tests.formats.dex.builders import reseal


def test_class_names_come_in_file_order_superclass_first(sample: bytes) -> None:
    names = read_dex(sample).class_names()
    assert sorted(names) == [f"Lsample/{name};" for name in ("Base", "Empty", "Main", "Mark", "Secret")]
    assert names.index("Lsample/Base;") < names.index("Lsample/Main;")


def test_a_class_view_tells_signature_and_source(sample: bytes) -> None:
    view = read_dex(sample).class_def("Lsample/Main;")
    assert view.superclass == "Lsample/Base;"
    assert view.interfaces == ("Ljava/lang/Runnable;", "Ljava/lang/Comparable;")
    assert view.source_file == "Main.java"
    assert view.access_flags == 0x1
    assert view.has_annotations
    empty = read_dex(sample).class_def("Lsample/Empty;")
    assert (empty.fields, empty.methods, empty.annotations, empty.source_file) == ((), (), (), None)


def test_fields_and_methods_are_symbols(sample: bytes) -> None:
    view = read_dex(sample).class_def("Lsample/Main;")
    fields = {field.name: field for field in view.fields}
    assert fields["value"].ref == FieldRef("Lsample/Main;", "value", "I")
    assert not fields["value"].is_static
    assert [item.type for item in fields["value"].annotations] == ["Ljava/lang/Deprecated;"]
    add = view.method("add", "(JD)J")
    assert add is not None
    assert add.is_native
    assert not add.has_code
    assert add.code is None
    assert add.proto == parse_method_descriptor("(JD)J")
    assert view.method("add", "()V") is None
    assert [method.name for method in view.methods if method.is_initializer] == ["<clinit>", "<init>"]


def test_constants_keep_type_sign_and_bits(sample: bytes) -> None:
    view = read_dex(sample).class_def("Lsample/Main;")
    static = [field for field in view.fields if field.is_static]
    values = {field.name: value for field, value in zip(static, view.static_values, strict=False)}
    assert values["BIG"] == EncodedValue(ValueType.LONG, -0x123456789A)
    assert values["CHAR"] == EncodedValue(ValueType.CHAR, 0x20AC)
    assert values["FLOAT"] == EncodedValue(ValueType.FLOAT, float_bits(1.0e10, ValueType.FLOAT))
    assert values["HALF"] == EncodedValue(ValueType.DOUBLE, float_bits(0.5, ValueType.DOUBLE))
    assert values["NAME"] == EncodedValue(ValueType.STRING, "café \U0001f600 \0 \ud800")
    assert values["YES"] == EncodedValue(ValueType.BOOLEAN, True)
    mark = next(item for item in view.annotations if item.type == "Lsample/Mark;")
    elements = dict(mark.annotation.elements)
    assert elements["aFloat"] == EncodedValue(ValueType.FLOAT, 0x80000000)
    assert elements["nothing"] == EncodedValue(ValueType.NULL, None)
    assert elements["anArray"].kind == ValueType.ARRAY


def test_references_hold_what_code_and_signatures_name(sample: bytes) -> None:
    dex = read_dex(sample)
    references = dex.references_of(dex.class_def("Lsample/Secret;"))
    assert MethodRef("Ljava/lang/System;", "loadLibrary", "(Ljava/lang/String;)V") in references.methods
    assert references.strings == {"secret-library"}
    assert {"Ljava/util/Map;", "[B", "I"} <= references.types
    main = dex.class_def("Lsample/Main;")
    whole = dex.references_of(main)
    assert FieldRef("Lsample/Main;", "count", "I") in whole.fields
    assert {"[[Lsample/Base;", "Ljava/lang/ClassCastException;"} <= whole.types
    run = main.method("run", "()V")
    assert run is not None
    assert dex.references_of(run).strings == frozenset()


def test_an_unknown_class_is_a_usage_error(sample: bytes) -> None:
    with pytest.raises(UsageError, match="Lno/Such;"):
        read_dex(sample).class_def("Lno/Such;")


@pytest.mark.parametrize("version", [b"036", b"041", b"042", b"13\n"])
def test_versions_that_nobody_knows_are_refused_by_name(sample: bytes, version: bytes) -> None:
    with pytest.raises(FormatError, match="version is not supported"):
        read_dex(sample[:4] + version + sample[7:])


@pytest.mark.parametrize("version", [b"035", b"037", b"038", b"039", b"040"])
def test_versions_035_to_040_are_read(sample: bytes, version: bytes) -> None:
    assert read_dex(sample[:4] + version + sample[7:]).version == version.decode()


def test_hidden_api_data_is_refused(sample: bytes) -> None:
    dex = read_dex(sample)
    row = dex.header.map_off + 4 + 12 * (len(dex.map_list) - 2)
    out = bytearray(sample)
    out[row : row + 2] = struct.pack("<H", 0xF000)
    with pytest.raises(FormatError, match="hiddenapi"):
        read_dex(reseal(out))


def test_trailing_bytes_are_refused(sample: bytes) -> None:
    with pytest.raises(FormatError, match="file_size"):
        read_dex(sample + b"\0")


def test_leb128_is_read_as_the_format_defines_it() -> None:
    assert read_uleb128(b"\xe5\x8e\x26", 0) == (624485, 3)
    assert read_uleb128(b"\xff\x80\x80\x80\x00", 0) == (0x7F, 5)
    assert read_uleb128(b"\xff\xff\xff\xff\x0f", 0) == (0xFFFFFFFF, 5)
    assert read_sleb128(b"\x80\x7f", 0) == (-128, 2)
    assert read_sleb128(b"\x7f", 0) == (-1, 1)
    out = bytearray(b"\xaa\x80\x01\xaa")
    replace_uleb128(out, 1, 5)
    assert out == b"\xaa\x85\x00\xaa"
    for overlong in (b"\x80\x80\x80\x80\x80\x00", b"\xff\xff\xff\xff\x1f", b"\x80", b""):
        with pytest.raises(FormatError):
            read_uleb128(overlong, 0)
        with pytest.raises(FormatError):
            read_sleb128(overlong.replace(b"\x1f", b"\x3f"), 0)


@pytest.mark.parametrize(
    "text", ["", "()", "(V)V", "(L;)V", "(La/)V", "(I", "I)V", "(La;", "([)V", "()La/b", "()VV"]
)
def test_malformed_method_descriptors_are_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_method_descriptor(text)
