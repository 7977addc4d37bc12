"""What the JVM is given computes and does nothing else, whatever the app's code would like to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.dalvik import Program
from lawow.dalvik.program import PLATFORM_EXCEPTIONS
from lawow.errors import Refused
from lawow.formats.dex.reader import read_dex
from lawow.formats.dex.verify import verify_dex
from lawow.proving.excerpt import build_excerpt
from tests.refactor.builders import assemble, smali_class, smali_method


def excerpt(program: Program, *names: str) -> bytes:
    """Return the excerpt of some methods."""
    classes = program.dexes[0].classes
    methods = [method for view in classes for method in view.methods if method.name in names]
    assert len(methods) == len(names)
    return build_excerpt(methods, program.method, program.class_view, PLATFORM_EXCEPTIONS)


def test_tables_come_with_the_code_that_makes_them(program: Program) -> None:
    (view,) = read_dex(excerpt(program, "square")).classes
    assert [item.name for item in view.methods] == ["<clinit>", "square"]
    assert [item.name for item in view.fields] == ["SQUARES"]


def test_nothing_comes_along_that_is_not_called(program: Program) -> None:
    data = excerpt(program, "add")
    assert not verify_dex(data)
    (view,) = read_dex(data).classes
    assert [item.name for item in view.methods] == ["add"]
    assert not view.fields


@pytest.mark.parametrize(
    ("name", "why"),
    [("clock", "nanoTime"), ("property", "getInteger")],
)
def test_what_reaches_out_is_refused_with_the_instruction(program: Program, name: str, why: str) -> None:
    with pytest.raises(Refused, match=f"{name}.*invoke-static at 0x[0-9a-f]+ calls .*{why}"):
        excerpt(program, name)


def test_an_initialiser_that_does_more_than_compute_is_refused(tmp_path: Path) -> None:
    hostile = smali_class(
        "evil.Table",
        ".field static final TABLE:[I\n"
        + smali_method(
            "<clinit>",
            "()V",
            """    const/4 v0, 0x1
    new-array v1, v0, [I
    sput-object v1, Levil/Table;->TABLE:[I
    invoke-static {v0}, Ljava/lang/System;->exit(I)V
    return-void""",
            flags="static constructor",
        )
        + smali_method(
            "first",
            "()I",
            """    sget-object v0, Levil/Table;->TABLE:[I
    const/4 v1, 0x0
    aget v0, v0, v1
    return v0""",
        ),
    )
    program = Program([read_dex(assemble(tmp_path, [hostile]))])
    with pytest.raises(Refused, match=r"<clinit>.*calls Ljava/lang/System;->exit"):
        excerpt(program, "first")


def test_an_inherited_static_method_is_found_where_it_is(tmp_path: Path) -> None:
    child = smali_class(
        "a.Child",
        smali_method(
            "twice",
            "(I)I",
            """    invoke-static {p0}, La/Child;->once(I)I
    move-result v0
    mul-int/lit8 v0, v0, 2
    return v0""",
        ),
    ).replace(".super Ljava/lang/Object;", ".super La/Parent;")
    parent = smali_class("a.Parent", smali_method("once", "(I)I", "    return p0"))
    program = Program([read_dex(assemble(tmp_path, [child, parent]))])
    made = read_dex(excerpt(program, "twice"))
    assert {view.descriptor: view.superclass for view in made.classes} == {
        "La/Child;": "La/Parent;",
        "La/Parent;": "Ljava/lang/Object;",
    }
