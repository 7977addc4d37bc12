"""Damaged and hostile code: refused with a reason, or a module that validates, and never a crash."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import wasmtime

from lawow.dalvik import Program, examine, translate
from lawow.errors import FormatError, LimitExceeded, Refused
from lawow.formats.dex import (
    ACC_PUBLIC,
    Assembly,
    Body,
    ClassSource,
    Dex,
    DexBuilder,
    MethodRef,
    MethodSource,
    Try,
    read_dex,
)
from lawow.formats.dex.items import CatchHandler, TryItem
from tests.dalvik.opcodes import STATIC, build

DAMAGES = 32
OWNER = "Lcases/H;"
TEXT = "Ljava/lang/String;"
LENGTH = MethodRef(TEXT, "length", "()I")
EQUALS = MethodRef(TEXT, "equals", "(Ljava/lang/Object;)Z")
MAKE = MethodRef(TEXT, "<init>", "([C)V")
ARITHMETIC = "Ljava/lang/ArithmeticException;"


def dex_with(descriptor: str, code: Assembly | Body) -> Dex:
    """Return a dex file with one method ``f``."""
    builder = DexBuilder("035")
    methods = (MethodSource("f", descriptor, STATIC, code),)
    builder.add(ClassSource(OWNER, ACC_PUBLIC, methods=methods))
    return read_dex(builder.build())


def reason(descriptor: str, registers: int, code: Sequence[object], tries: Sequence[Try] = ()) -> str:
    """Return why a method is refused, or nothing."""
    dex = dex_with(descriptor, Assembly(registers, tuple(code), tries))  # type: ignore[arg-type]
    found = examine(Program([dex]), MethodRef(OWNER, "f", descriptor)).reason
    return found.reason if found else ""


@pytest.mark.parametrize(
    ("descriptor", "registers", "code", "wanted"),
    [
        ("()I", 1, [("return", 0)], "v0 is read before it is set"),
        ("(I)I", 2, [("if-eqz", 1, ":x"), ("const/4", 0, 1),
            ":x", ("return", 0)], "v0 is read before it is set"),
        ("(I)I", 1, [("array-length", 0, 0), ("return", 0)], "holds a number where a reference is needed"),
        ("([I)I", 1, [("add-int", 0, 0, 0), ("return", 0)], "holds a reference where a number is needed"),
        ("(J)I", 3, [("move", 0, 1), ("return", 0)], "holds half of a wide value"),
        ("(J)I", 3, [("move", 0, 2), ("return", 0)], "v2 is read before it is set"),
        ("(JI)J", 4, [("move", 2, 3), ("return-wide", 1)], "holds half of a wide value"),
        ("(I)J", 1, [("return-void",)], "does not fit a method that returns J"),
        ("(I)J", 1, [("return", 0)], "does not fit a method that returns J"),
        ("([I[J)I", 3, [("if-eqz", 1, ":x"), ("move-object", 1, 2), ":x", ("array-length", 0, 1),
            ("return", 0)], "different types"),
        ("([II)I", 3, [("const/4", 0, 0), ("aget-byte", 0, 1, 2), ("return", 0)], "moves no elements of [I"),
        ("([II)V", 3, [("aput-object", 0, 1, 2), ("return-void",)], "is read before it is set"),
        ("(I)I", 1, [("nop",)], "control leaves the code"),
        ("(I)I", 1, [("move-exception", 0), ("return", 0)], "is reached without an exception"),
        ("(I)I", 1, [("move-result", 0), ("return", 0)], "does not follow what it moves"),
        ("(I)V", 1, [("packed-switch", 0, ":t"), ("return-void",),
            ":t", ("array-payload", 1, (1,))], "its payload"),
        (f"({TEXT})I", 2, [("array-length", 0, 1), ("return", 0)], "needs an array and gets Ljava/lang/"),
        (f"({TEXT}I)C", 3, [("aget-char", 0, 1, 2), ("return", 0)], "needs an array and gets Ljava/lang/"),
        ("([C)I", 2, [("invoke-virtual", (1,), LENGTH), ("move-result", 0), ("return", 0)],
            "needs Ljava/lang/String;"),
        (f"({TEXT})[C", 1, [("return-object", 0)], "needs [C and gets"),
        (f"({TEXT}{TEXT})I", 2, [("if-eq", 0, 1, ":x"), ":x", ("return-void",)],
            "asks whether two objects are one"),
        ("()I", 2, [("new-instance", 1, TEXT), ("invoke-virtual", (1,), LENGTH), ("move-result", 0),
            ("return", 0)], "uses a string before it is made"),
        (f"([C){TEXT}", 3, [("new-instance", 0, TEXT), ("move-object", 1, 0), ("invoke-direct", (0, 2), MAKE),
            ("return-object", 1)], "uses a string before it is made"),
        (f"({TEXT}){TEXT}", 1, [("invoke-virtual", (0,), MethodRef(TEXT, "toLowerCase", f"(){TEXT}")),
            ("move-result-object", 0), ("return-object", 0)], "calls Ljava/lang/String;->toLowerCase"),
        ("([I)Z", 2, [("const-string", 0, "a"), ("invoke-virtual", (0, 1), EQUALS),
            ("move-result", 0), ("return", 0)], "needs Ljava/lang/String; and gets [I"),
        ("(I)V", 1, [":t", ("array-payload", 1, (1,)), ("return-void",)], "control runs into a payload"),
    ],
)  # fmt: skip
def test_code_that_a_verifier_refuses_is_refused(
    descriptor: str, registers: int, code: Sequence[object], wanted: str
) -> None:
    assert wanted in reason(descriptor, registers, code)


def test_guarded_ranges_that_overlap_are_refused() -> None:
    code = [("div-int", 0, 1, 2), ("div-int", 0, 0, 2), ("return", 0), ":h", ("return", 1)]
    sound = dex_with(
        "(II)I", Assembly(3, (":s", *code[:1], ":e", *code[1:]), (Try(":s", ":e", ((None, ":h"),)),))
    )
    method = MethodRef(OWNER, "f", "(II)I")
    assert examine(Program([sound]), method).reason is None
    view = sound.class_def(OWNER).methods[0]
    assert view.code is not None
    caught = (CatchHandler(None, 5),)
    tries = (TryItem(0, 4, caught), TryItem(2, 2, caught))
    body = Body(3, 2, 0, sound.code_units(view.code), tries=tries)
    found = examine(Program([dex_with("(II)I", body)]), method).reason
    assert found is not None
    assert found.reason == "guarded ranges overlap"


def test_flow_that_no_nesting_can_say_runs_by_a_table() -> None:
    # Two blocks jump into the middle of each other's loop.
    code = [
        ("const/4", 0, 0), ("if-eqz", 2, ":b"), ":a", ("add-int/lit8", 0, 0, 1), ("add-int/lit8", 3, 3, -1),
        ("if-lez", 3, ":end"), ":b", ("mul-int/lit8", 0, 0, 3), ("add-int/lit8", 3, 3, -2),
        ("if-gtz", 3, ":a"),
        ":end", ("return", 0),
    ]  # fmt: skip
    dex = dex_with("(II)I", Assembly(4, tuple(code)))
    method = MethodRef(OWNER, "f", "(II)I")
    done = translate(Program([dex]), [method])
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    function = wasmtime.Instance(store, wasmtime.Module(engine, done.wasm), []).exports(store)["f"]
    assert isinstance(function, wasmtime.Func)

    def by_hand(start: int, left: int) -> int:
        value, at_a = 0, start != 0
        while True:
            if at_a:
                value, left = value + 1, left - 1
                if left <= 0:
                    return value
            value, left = value * 3, left - 2
            if left <= 0:
                return value
            at_a = True

    for start in (0, 1):
        for left in range(12):
            assert function(store, start, left) == by_hand(start, left)


def test_nesting_of_thousands_needs_no_stack() -> None:
    code: list[object] = []
    for number in range(3000):
        code += [("add-int/lit8", 0, 0, 1), ("if-eqz", 0, ":end" if number % 2 else f":next{number}")]
        code += [f":next{number}"] if not number % 2 else []
    code += [("return", 0), ":end", ("const/4", 0, 7), ("return", 0)]
    dex = dex_with("(I)I", Assembly(1, tuple(code)))  # type: ignore[arg-type]
    done = translate(Program([dex]), [MethodRef(OWNER, "f", "(I)I")])
    wasmtime.Module.validate(wasmtime.Engine(), done.wasm)


def feed(data: bytes, engine: wasmtime.Engine) -> None:
    """Examine and translate all that there is; whatever is translated validates."""
    try:
        dex = read_dex(data)
        methods = [item.ref for view in dex.classes for item in view.methods]
    except FormatError:
        return
    program = Program([dex])
    for method in methods:
        examine(program, method)
    try:
        done = translate(program, methods)
    except (Refused, LimitExceeded):
        return
    wasmtime.Module.validate(engine, done.wasm)


@pytest.mark.parametrize("part", range(4))
def test_damaged_code_is_refused_or_translated_to_a_module_that_validates(part: int) -> None:
    seed = build()
    dex = read_dex(seed)
    codes = [item.code for view in dex.classes for item in view.methods if item.code]
    engine = wasmtime.Engine()
    chance = random.Random(f"dalvik {part}")
    for _ in range(DAMAGES // 4):
        data = bytearray(seed)
        for _ in range(chance.choice((1, 4, 16, 40))):
            code = chance.choice(codes)
            place = chance.randrange(code.insns_off, code.insns_end)
            if chance.random() < 0.5:
                data[place] = chance.randrange(256)
            else:
                other = chance.choice(codes).insns_off
                data[place & ~1 : (place & ~1) + 2] = data[other : other + 2]
        feed(bytes(data), engine)
