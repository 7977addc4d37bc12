"""What the assembler writes, baksmali reads back, and the JVM (through enjarify) runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from lawow.errors import UsageError
from lawow.formats.dex import (
    ACC_PUBLIC,
    ACC_STATIC,
    Assembly,
    ClassSource,
    DexBuilder,
    EncodedValue,
    FieldRef,
    FieldSource,
    Instruction,
    MethodRef,
    MethodSource,
    Try,
    ValueType,
    verify_dex,
)
from lawow.formats.dex.assembler import assemble
from lawow.formats.dex.opcodes import FIELD_LAYOUT, OPCODES
from tests.formats.dex.builders import baksmali, dexdump
from tests.tools import enjarify, run, tool

STATIC = ACC_PUBLIC | ACC_STATIC
OWNER = "Lt/T;"
REF = MethodRef(OWNER, "m", "()V")
PRINT = MethodRef("Ljava/io/PrintStream;", "println", "(Ljava/lang/String;)V")
OUT = FieldRef("Ljava/lang/System;", "out", "Ljava/io/PrintStream;")
BUILDER = "Ljava/lang/StringBuilder;"


def method(
    name: str, descriptor: str, registers: int, *code: Instruction, tries: tuple[Try, ...] = ()
) -> MethodSource:
    return MethodSource(name, descriptor, STATIC, Assembly(registers, code, tries))


def build(*methods: MethodSource, fields: tuple[FieldSource, ...] = ()) -> bytes:
    builder = DexBuilder()
    builder.add(ClassSource(OWNER, methods=methods, fields=fields, source_file="T.java"))
    return builder.build()


def example(name: str) -> tuple[object, ...]:
    """An instruction with operands that fit its format, each of them different."""
    opcode = OPCODES[name]
    symbols = {0: "text", 1: "[Lt/T;", 3: FieldRef(OWNER, "f", "I"), 4: MethodRef(OWNER, "m", "()V")}
    symbol = symbols.get(opcode.index) if opcode.index is not None else None
    if opcode.format == "35c":
        return (name, (1, 2, 3, 4, 5), symbol)
    if opcode.format == "3rc":
        return (name, (6, 7), symbol)
    values: list[object] = [number + 1 for number in range(len(FIELD_LAYOUT[opcode.format]))]
    if symbol is not None:
        values[-1] = symbol
    elif opcode.format.endswith("t"):
        values[-1] = ":end"
    elif opcode.format in ("21s", "22s", "22b", "31i", "51l", "11n", "21h"):
        values[-1] = -3
    return (name, *values)


def plain() -> list[str]:
    """Instructions that need neither a payload nor a newer version."""
    special = {"packed-switch", "sparse-switch", "fill-array-data"}
    return [name for name, item in OPCODES.items() if name not in special and item.value < 0xFA]


def test_every_opcode_is_read_back_by_baksmali_as_it_was_written(tmp_path: Path) -> None:
    names = plain()
    code: list[Instruction] = [example(name) for name in names if not name.startswith("goto")]
    code += [(name, ":end") for name in ("goto/32", "goto/16", "goto")]
    text = baksmali(tmp_path, build(method("m", "()V", 64, *code, ":end", ("return-void",))))[OWNER]
    read = re.findall(r"^    ([a-z][a-z0-9/-]+)((?: .*)?)$", text.split(".registers 64")[1], re.M)
    assert [name for name, _ in read[:-1]] == [item[0] for item in code]
    shown = dict(read)
    assert shown["add-int/lit8"] == " v1, v2, -0x3"
    assert shown["const-wide"].split()[:2] == ["v1,", "-0x3"]
    assert shown["iput-wide"] == " v1, v2, Lt/T;->f:I"
    assert shown["invoke-virtual"] == " {v1, v2, v3, v4, v5}, Lt/T;->m()V"
    assert shown["invoke-interface/range"] == " {v6 .. v12}, Lt/T;->m()V"
    assert shown["filled-new-array"] == " {v1, v2, v3, v4, v5}, [Lt/T;"
    assert shown["move-object/16"] == " v1, v2"
    assert shown["if-ltz"] == " v1, :goto_0" or shown["if-ltz"].startswith(" v1, :")


def test_the_jvm_runs_what_was_assembled(tmp_path: Path) -> None:
    """Loops, switches, array data, exceptions, long arithmetic, static values: one class.

    The long constant takes all 8 bytes: enjarify does not extend the sign of shorter ones.
    """
    count = method(
        "sum", "(J)J", 6,
        (".line", 7),
        ("const-wide/16", 0, 0),
        ":again",
        ("const-wide/16", 2, 1),
        ("add-long/2addr", 0, 4),
        (".line", 8),
        ("sub-long/2addr", 4, 2),
        ("const-wide/16", 2, 0),
        ("cmp-long", 2, 4, 2),
        ("if-gtz", 2, ":again"),
        ("return-wide", 0),
    )  # fmt: skip
    pick = method(
        "pick", "(I)I", 3,
        ("packed-switch", 2, ":packed"),
        ("sparse-switch", 2, ":sparse"),
        ("const/4", 0, -1),
        ("return", 0),
        ":seven", ("const/16", 0, 7), ("return", 0),
        ":nine", ("const", 0, 900_000), ("return", 0),
        ":packed", ("packed-switch-payload", 1, (":seven", ":nine")),
        ":sparse", ("sparse-switch-payload", ((1_000_000, ":seven"), (-5, ":nine"))),
    )  # fmt: skip
    data = method(
        "data", "(I)I", 3,
        ("const/4", 0, 3),
        ("new-array", 0, 0, "[S"),
        ("fill-array-data", 0, ":numbers"),
        ("aget-short", 0, 0, 2),
        ("return", 0),
        ":numbers", ("array-payload", 2, (5, -6, 32767)),
    )  # fmt: skip
    divide = method(
        "divide", "(II)I", 4,
        ":from",
        ("div-int", 0, 2, 3),
        ":to",
        ("return", 0),
        ":zero", ("move-exception", 1), ("const/4", 0, -2), ("return", 0),
        ":any", ("move-exception", 1), ("throw", 1),
        tries=(Try(":from", ":to", (("Ljava/lang/ArithmeticException;", ":zero"), (None, ":any"))),),
    )  # fmt: skip
    calls: list[Instruction] = [
        ("new-instance", 0, BUILDER),
        ("invoke-direct", (0,), MethodRef(BUILDER, "<init>", "()V")),
    ]

    def show(letter: str, *code: Instruction) -> None:
        move = "move-result-wide" if letter == "J" else "move-result"
        registers = (0, 1, 2) if letter == "J" else (0, 1)
        calls.extend(code)
        if code[-1][0].startswith("invoke"):
            calls.append((move, 1))
        calls.append(("invoke-virtual", registers, MethodRef(BUILDER, "append", f"({letter}){BUILDER}")))
        calls.append(("const/16", 1, ord(" ")))
        calls.append(("invoke-virtual", (0, 1), MethodRef(BUILDER, "append", f"(C){BUILDER}")))

    show("J", ("const-wide/32", 1, 100_000), ("invoke-static/range", (1, 2), MethodRef(OWNER, "sum", "(J)J")))
    for key in (1, 2, 3, 1_000_000, -5):
        show("I", ("const", 1, key), ("invoke-static", (1,), MethodRef(OWNER, "pick", "(I)I")))
    for index in (1, 2):
        show("I", ("const/4", 1, index), ("invoke-static", (1,), MethodRef(OWNER, "data", "(I)I")))
    for divisor in (0, 3):
        arguments = (("const/16", 1, 42), ("const/16", 2, divisor))
        show("I", *arguments, ("invoke-static", (1, 2), MethodRef(OWNER, "divide", "(II)I")))
    show("J", ("sget-wide", 1, FieldRef(OWNER, "BIG", "J")))
    show("I", ("sget", 1, FieldRef(OWNER, "SMALL", "I")))
    main = method(
        "main", "([Ljava/lang/String;)V", 4,
        *calls,
        ("invoke-virtual", (0,), MethodRef(BUILDER, "toString", "()Ljava/lang/String;")),
        ("move-result-object", 0),
        ("sget-object", 1, OUT),
        ("invoke-virtual", (1, 0), PRINT),
        ("return-void",),
    )  # fmt: skip
    fields = (
        FieldSource("SMALL", "I", STATIC),
        FieldSource("BIG", "J", STATIC, EncodedValue(ValueType.LONG, -(1 << 60))),
    )
    dex = build(count, pick, data, divide, main, fields=fields)
    assert verify_dex(dex) == []
    assert dexdump(tmp_path, dex) == ""
    (tmp_path / "t.dex").write_bytes(dex)
    jar = enjarify(tmp_path / "t.dex", tmp_path / "t.jar")
    done = run("java", "-Xverify:all", "-cp", str(jar), "t.T")
    expected = "5000050000 7 900000 -1 7 900000 -6 32767 -2 14 -1152921504606846976 0"
    assert done.stdout.split() == expected.split()


def test_lines_show_where_an_exception_came_from(tmp_path: Path) -> None:
    code: list[Instruction] = [(".line", 5), ("const/4", 0, 0)]
    code += [(".line", 200), *[("nop",)] * 40, (".line", 3), ("div-int", 0, 0, 0), ("return-void",)]
    (tmp_path / "in.dex").write_bytes(build(method("m", "()V", 1, *code)))
    done = subprocess.run(
        [tool("dexdump"), "-d", str(tmp_path / "in.dex")], capture_output=True, text=True, check=True
    )
    assert re.findall(r"0x(\w+) line=(\d+)", done.stdout) == [("0000", "5"), ("0001", "200"), ("0029", "3")]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ([("no-such",)], 'no instruction "no-such"'),
        ([("const/4", 16, 0)], "allowed 0 to 15"),
        ([("const/4", 0, 8)], "allowed -8 to 7"),
        ([("const/4", 0)], "wrong number of operands"),
        ([("const-class", 0, 7)], "needs a type"),
        ([("sget", 0, MethodRef("La;", "b", "()V"))], "needs a field"),
        ([("invoke-static", (0, 1, 2, 3, 4, 5), REF)], "/range"),
        ([("invoke-static", (16,), REF)], "allowed 0 to 15"),
        ([("goto", ":nowhere")], '":nowhere" is not defined'),
        ([("goto", ":far"), *[("nop",)] * 200, ":far", ("return-void",)], "allowed -128 to 127"),
        ([":a", ("nop",), ":a", ("nop",)], "defined twice"),
        ([":a", ("packed-switch-payload", 0, (":a",))], "no switch names"),
        ([("move", "v0", 1)], "neither a register nor a number"),
        ([("const-method-handle", 0, "x")], "needs a method_handle"),
    ],
)
def test_wrong_code_is_refused_by_method_and_instruction(code: list[Instruction], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        assemble(Assembly(1, code), REF, STATIC)
    assert "Lt/T;->m()V" in str(caught.value)


def test_too_few_registers_for_the_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="needs 4 registers"):
        assemble(Assembly(3, [("return-void",)]), MethodRef(OWNER, "m", "(JI)V"), ACC_PUBLIC)


def test_overlapping_tries_are_refused() -> None:
    code: list[Instruction] = [":a", ("nop",), ":b", ("nop",), ":c", ("return-void",)]
    tries = (Try(":a", ":c", ((None, ":c"),)), Try(":b", ":c", ((None, ":c"),)))
    with pytest.raises(UsageError, match="overlap"):
        assemble(Assembly(1, code, tries), REF, STATIC)
