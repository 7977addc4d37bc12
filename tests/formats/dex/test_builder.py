"""The builder sorts, shares and limits as the format demands; dexdump and our verifier agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.errors import LimitExceeded, UsageError
from lawow.formats.dex import (
    Assembly,
    ClassSource,
    DexBuilder,
    FieldSource,
    MethodSource,
    read_dex,
    verify_dex,
)
from lawow.formats.dex.opcodes import OPCODES
from lawow.formats.dex.spec import ItemType
from tests.formats.dex.builders import dexdump, smali


def built(*classes: ClassSource) -> bytes:
    builder = DexBuilder()
    for source in classes:
        builder.add(source)
    return builder.build()


def test_class_defs_come_superclass_first(tmp_path: Path) -> None:
    data = built(
        ClassSource("La;", superclass="Lb;", interfaces=("Ld;",)),
        ClassSource("Lb;", superclass="Lc;"),
        ClassSource("Lc;"),
        ClassSource("Ld;", access_flags=0x601),
    )
    names = read_dex(data).class_names()
    assert names.index("Lc;") < names.index("Lb;") < names.index("La;") > names.index("Ld;")
    assert verify_dex(data) == []
    assert dexdump(tmp_path, data) == ""


def test_a_long_chain_of_superclasses_is_ordered_without_recursion() -> None:
    chain = [ClassSource(f"Lc{n};", superclass=f"Lc{n + 1};") for n in range(5_000)]
    assert read_dex(built(*chain)).class_names()[0] == "Lc4999;"


def test_strings_are_sorted_by_utf16_code_unit(tmp_path: Path) -> None:
    """U+1F600 starts with D83D and comes before U+FFxx, although its code point is greater."""
    data = built(
        ClassSource(
            "La;",
            methods=(
                MethodSource(
                    "m",
                    "()V",
                    9,
                    Assembly(
                        1,
                        [("const-string", 0, "\uff5e"), ("const-string", 0, "\U0001f600"), ("return-void",)],
                    ),
                ),
            ),
        )
    )
    dex = read_dex(data)
    strings = [dex.string(index) for index in range(dex.size_of(ItemType.STRING_ID_ITEM))]
    assert strings.index("\U0001f600") < strings.index("\uff5e")
    assert verify_dex(data) == []
    assert dexdump(tmp_path, data) == ""


def test_const_string_becomes_jumbo_where_its_index_outgrows_16_bits(tmp_path: Path) -> None:
    many = [("const-string", 0, f"s{number:06}") for number in range(65_540)]
    methods = tuple(
        MethodSource(
            f"m{part}", "()V", 9, Assembly(1, [*many[part::4], ("goto", ":end"), ":end", ("return-void",)])
        )
        for part in range(4)
    )
    data = built(ClassSource("La;", methods=methods))
    assert verify_dex(data) == []
    assert dexdump(tmp_path, data) == ""
    dex = read_dex(data)
    strings = dex.references_of(dex.class_def("La;")).strings
    assert len(strings) == 65_540
    opcodes = {
        unit & 0xFF
        for view in dex.class_def("La;").methods
        if view.code
        for unit in dex.code_units(view.code)
    }
    assert OPCODES["const-string/jumbo"].value in opcodes


@pytest.mark.parametrize(
    ("table", "source"),
    [
        (
            "type_ids",
            ClassSource("La;", fields=tuple(FieldSource(f"f{n}", f"Lt{n};", 1) for n in range(65_534))),
        ),
        ("field_ids", ClassSource("La;", fields=tuple(FieldSource(f"f{n}", "I", 1) for n in range(65_537)))),
        (
            "method_ids",
            ClassSource("La;", methods=tuple(MethodSource(f"m{n}", "()V", 0x101) for n in range(65_537))),
        ),
    ],
)
def test_one_id_too_many_is_a_limit_with_a_name(table: str, source: ClassSource) -> None:
    with pytest.raises(LimitExceeded) as caught:
        built(source)
    assert caught.value.limit == table


def test_exactly_65536_fields_fit(tmp_path: Path) -> None:
    data = built(ClassSource("La;", fields=tuple(FieldSource(f"f{n}", "I", 1) for n in range(65_536))))
    assert verify_dex(data) == []
    assert dexdump(tmp_path, data) == ""


def test_a_class_or_method_added_twice_is_refused() -> None:
    builder = DexBuilder()
    builder.add(ClassSource("La;"))
    assert "La;" in builder
    assert len(builder) == 1
    with pytest.raises(UsageError, match="La; is added twice"):
        builder.add(ClassSource("La;"))
    twice = MethodSource("m", "()V", 0x101)
    with pytest.raises(UsageError, match="defined twice"):
        builder.add(ClassSource("Lb;", methods=(twice, twice)))


def test_unknown_versions_are_refused() -> None:
    with pytest.raises(UsageError, match="041"):
        DexBuilder("041")


def test_a_whole_file_can_be_merged_in(sample: bytes, tmp_path: Path) -> None:
    """This is how the stub library gets into the dex of the proxies."""
    stub = smali(
        tmp_path / "stub",
        ".class Lstub/A;\n.super Lstub/B;\n",
        ".class Lstub/B;\n.super Ljava/lang/Object;\n",
        api=28,
    )
    builder = DexBuilder("035")
    builder.add_all(read_dex(stub))
    builder.add_all(read_dex(sample))
    data = builder.build()
    dex = read_dex(data)
    assert dex.version == "039"
    assert set(dex.class_names()) == {*read_dex(stub).class_names(), *read_dex(sample).class_names()}
    assert verify_dex(data) == []
    assert dexdump(tmp_path, data) == ""


def test_the_same_classes_give_the_same_bytes(sample: bytes) -> None:
    results = set()
    for _ in range(2):
        builder = DexBuilder()
        builder.add_all(read_dex(sample))
        results.add(builder.build())
    assert len(results) == 1


@pytest.mark.parametrize("version", ["035", "037", "038", "039", "040"])
def test_every_version_is_accepted_by_dexdump(version: str, tmp_path: Path) -> None:
    builder = DexBuilder(version)
    builder.add(ClassSource("La;", methods=(MethodSource("m", "()V", 9, Assembly(0, [("return-void",)])),)))
    data = builder.build()
    assert read_dex(data).version == version
    assert dexdump(tmp_path, data) == ""
    assert verify_dex(data) == []


def test_an_empty_builder_makes_an_empty_file(tmp_path: Path) -> None:
    data = DexBuilder().build()
    assert read_dex(data).class_names() == []
    assert verify_dex(data) == []
    assert dexdump(tmp_path, data) == ""
