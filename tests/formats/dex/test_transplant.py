"""A transplanted class is the same class, except for what was asked to change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lawow.errors import LimitExceeded, Refused
from lawow.formats.dex import (
    ACC_NATIVE,
    Assembly,
    ClassSource,
    DexBuilder,
    MethodRef,
    MethodSource,
    MethodView,
    copy_method,
    read_dex,
    transplant_class,
    verify_dex,
)
from tests.formats.dex.builders import baksmali, dexdump
from tests.tools import enjarify, run

SECRET = "Lsample/Secret;"


def transplanted(sample: bytes, **options: object) -> bytes:
    dex = read_dex(sample)
    builder = DexBuilder(dex.version)
    for name in reversed(dex.class_names()):
        builder.add(transplant_class(dex, name))
    return builder.build()


def test_every_class_arrives_as_it_was(sample: bytes, sample_text: dict[str, str], tmp_path: Path) -> None:
    """Annotations, constants, catch clauses, switches, lines, names of locals: the same text."""
    data = transplanted(sample)
    assert verify_dex(data) == []
    assert dexdump(tmp_path, data) == ""
    assert baksmali(tmp_path, data) == sample_text


def test_a_replaced_method_keeps_its_annotations_and_the_others_their_code(
    sample: bytes, sample_text: dict[str, str], tmp_path: Path
) -> None:
    def proxy(method: MethodView) -> MethodSource | None:
        if method.name != "compareTo":
            return None
        code = Assembly(3, [("const/4", 0, 0), ("return", 0)])
        return MethodSource(method.name, method.descriptor, method.access_flags, code)

    builder = DexBuilder()
    builder.add(transplant_class(read_dex(sample), "Lsample/Main;", proxy))
    text = baksmali(tmp_path, builder.build())["Lsample/Main;"]
    head, rest = sample_text["Lsample/Main;"].split(".method public compareTo(Ljava/lang/Object;)I")
    assert text.startswith(head)
    assert text.split(".end method", text.count(".end method"))[-1] == rest.split(".end method")[-1]
    assert "check-cast" not in text
    assert text.count("Ldalvik/annotation/Throws;") == 1
    assert "of a parameter" in text


def test_the_native_flag_can_be_dropped(sample: bytes, tmp_path: Path) -> None:
    def implement(method: MethodView) -> MethodSource | None:
        if not method.is_native:
            return None
        code = Assembly(3, [("const/4", 0, 0), ("return-object", 0)])
        return MethodSource(method.name, method.descriptor, method.access_flags & ~ACC_NATIVE, code)

    builder = DexBuilder()
    builder.add(transplant_class(read_dex(sample), SECRET, implement))
    data = builder.build()
    hidden = read_dex(data).class_def(SECRET).method("hidden", "(Ljava/lang/String;[B)Ljava/util/Map;")
    assert hidden is not None
    assert not hidden.is_native
    assert hidden.has_code
    assert verify_dex(data) == []
    assert dexdump(tmp_path, data) == ""


def test_calls_can_be_redirected(sample: bytes) -> None:
    load = MethodRef("Ljava/lang/System;", "loadLibrary", "(Ljava/lang/String;)V")
    ours = MethodRef("Ldev/lawow/Lawow;", "loadLibrary", "(Ljava/lang/String;)V")
    builder = DexBuilder()
    builder.add(transplant_class(read_dex(sample), SECRET, redirect={load: ours}))
    dex = read_dex(builder.build())
    methods = dex.references_of(dex.class_def(SECRET)).methods
    assert ours in methods
    assert load not in methods


def test_the_jvm_runs_a_transplanted_class_beside_a_new_one(sample: bytes, tmp_path: Path) -> None:
    builder = DexBuilder()
    builder.add(transplant_class(read_dex(sample), SECRET))
    code = [
        ("const/16", 0, 20),
        ("invoke-static", (0,), MethodRef(SECRET, "fib", "(I)I")),
        ("move-result", 0),
        ("invoke-static", (0,), MethodRef("Ljava/lang/System;", "exit", "(I)V")),
        ("return-void",),
    ]
    builder.add(
        ClassSource("Lm;", methods=(MethodSource("main", "([Ljava/lang/String;)V", 9, Assembly(2, code)),))
    )
    (tmp_path / "in.dex").write_bytes(builder.build())
    jar = enjarify(tmp_path / "in.dex", tmp_path / "out.jar")
    done = run("java", "-Xverify:all", "-cp", str(jar), "m", check=False)
    assert done.returncode == 6765 & 0xFF, done.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Lsample/Dynamic;", ("lambda()Ljava/lang/Object;", "invoke-custom at 0x0", "call site")),
        ("Lsample/Handle;", ("handle()Ljava/lang/Object;", "const-method-handle at 0x0", "method handle")),
    ],
)
def test_what_has_no_symbol_is_refused_by_class_method_and_instruction(
    dynamic: bytes, name: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(Refused) as caught:
        transplant_class(read_dex(dynamic), name)
    for word in (name, *words):
        assert word in str(caught.value)


def test_method_types_and_polymorphic_calls_have_symbols(dynamic: bytes, tmp_path: Path) -> None:
    dex = read_dex(dynamic)
    view = dex.class_def("Lsample/Handle;")
    kept = tuple(copy_method(method) for method in view.methods if method.name != "handle")
    builder = DexBuilder(dex.version)
    builder.add(ClassSource(view.descriptor, methods=kept))
    data = builder.build()
    assert verify_dex(data) == []
    text = baksmali(tmp_path, data)[view.descriptor]
    assert "const-method-type v0, (IJ)V" in text
    assert "invokeExact([Ljava/lang/Object;)Ljava/lang/Object;, ()V" in text


def test_a_copied_const_string_cannot_outgrow_16_bits(sample: bytes) -> None:
    builder = DexBuilder()
    source = transplant_class(read_dex(sample), SECRET)
    builder.add(source)
    many = [("const-string", 0, f"a{number:06}") for number in range(65_536)]
    builder.add(
        ClassSource("La;", methods=(MethodSource("m", "()V", 9, Assembly(1, [*many, ("return-void",)])),))
    )
    with pytest.raises(LimitExceeded, match="string_ids"):
        builder.build()


def test_sources_are_values_that_can_be_changed(sample: bytes) -> None:
    """The elastic mode keeps the original under another name."""
    source = replace(transplant_class(read_dex(sample), SECRET), descriptor="Lsample/Secret$Local;")
    builder = DexBuilder()
    builder.add(source)
    assert read_dex(builder.build()).class_names() == ["Lsample/Secret$Local;"]
