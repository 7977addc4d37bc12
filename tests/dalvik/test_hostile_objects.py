"""Objects in hostile code, and graphs that are not what they say: refused, or a trap, and never a crash."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

import pytest

from lawow.dalvik import Program, Translation, examine, translate
from lawow.errors import FormatError, GuestTrap, LimitExceeded
from lawow.formats.dex import (
    ACC_PUBLIC,
    Assembly,
    ClassSource,
    DexBuilder,
    FieldRef,
    FieldSource,
    MethodRef,
    MethodSource,
    read_dex,
)
from lawow.formats.elements import Packed
from lawow.formats.signature import parse_typed_signature
from lawow.proving.graphs import Image
from lawow.proving.inputs import generate_cases
from lawow.runtime.lowering import TypedCaller
from lawow.runtime.profiles import EXEC_FUEL_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.dalvik.opcodes import STATIC

OWNER, DATA, CHILD = "Lcases/H;", "Lcases/Data;", "Lcases/Child;"
VOLATILE = 0x40
OBJECT_INIT = MethodRef("Ljava/lang/Object;", "<init>", "()V")
DAMAGES = 400


def field(name: str, kind: str = "I", owner: str = DATA) -> FieldRef:
    return FieldRef(owner, name, kind)


def program(descriptor: str, registers: int, code: Sequence[object]) -> Program:
    """Return an app with a method ``f``, a class of data, one below it, and an interface."""
    builder = DexBuilder("035")
    method = MethodSource("f", descriptor, STATIC, Assembly(registers, tuple(code)))  # type: ignore[arg-type]
    builder.add(ClassSource(OWNER, ACC_PUBLIC, methods=(method,)))
    init = MethodSource(
        "<init>",
        "()V",
        ACC_PUBLIC | 0x10000,
        Assembly(1, (("invoke-direct", (0,), OBJECT_INIT), ("return-void",))),
    )
    get = MethodSource("get", "()I", ACC_PUBLIC, Assembly(2, (("iget", 0, 1, field("x")), ("return", 0))))
    fields = (
        FieldSource("x", "I", ACC_PUBLIC),
        FieldSource("wide", "J", ACC_PUBLIC),
        FieldSource("shared", "I", ACC_PUBLIC | VOLATILE),
        FieldSource("thread", "Ljava/lang/Thread;", ACC_PUBLIC),
        FieldSource("of_class", "I", STATIC),
        FieldSource("next", DATA, ACC_PUBLIC),
    )
    builder.add(ClassSource(DATA, ACC_PUBLIC, fields=fields, methods=(init, get)))
    builder.add(ClassSource(CHILD, ACC_PUBLIC, DATA))
    builder.add(ClassSource("Lcases/Face;", ACC_PUBLIC | 0x600))
    return Program([read_dex(builder.build())])


@pytest.mark.parametrize(
    ("descriptor", "registers", "code", "wanted"),
    [
        (f"({DATA})I", 2, [("iget", 0, 1, field("none")), ("return", 0)], "is not defined in the app"),
        (f"({DATA})I", 2, [("iget", 0, 1, field("of_class")), ("return", 0)], "is not defined in the app"),
        (f"({DATA})I", 2, [("iget", 0, 1, field("shared")), ("return", 0)], "which other threads may change"),
        (f"({DATA})I", 2, [("iget-object", 0, 1, field("thread", "Ljava/lang/Thread;")), ("return", 0)],
            "uses Lcases/Data;->thread"),
        (f"({DATA})I", 2, [("iget", 0, 1, field("wide", "J")), ("return", 0)], "does not fit"),
        (f"({DATA})I", 2, [("iget-boolean", 0, 1, field("x")), ("return", 0)], "does not fit"),
        (f"({DATA})V", 1, [("iput-object", 0, 0, field("x")), ("return-void",)], "does not fit"),
        (f"({DATA}[I)V", 2, [("iput-object", 1, 0, field("next", DATA)), ("return-void",)], "and gets [I"),
        ("([I)I", 2, [("iget", 0, 1, field("x")), ("return", 0)], "needs an object and gets [I"),
        ("(Ljava/lang/String;)I", 2, [("iget", 0, 1, field("x")), ("return", 0)], "needs an object"),
        (f"({CHILD})I", 2, [("iget", 0, 1, field("x", owner="Lcases/Nobody;")), ("return", 0)],
            "is not defined in the app"),
        (f"({CHILD})I", 1, [("invoke-virtual", (0,), MethodRef(DATA, "get", "()I")), ("move-result", 0),
            ("return", 0)], "needs Lcases/Data; and gets Lcases/Child;"),
        (f"({CHILD})I", 1, [("invoke-virtual", (0,), MethodRef(CHILD, "get", "()I")), ("move-result", 0),
            ("return", 0)], "which its class inherits or does not have"),
        (f"({DATA}{CHILD}I)I", 3, [("if-eqz", 2, ":x"), ("move-object", 0, 1), ":x",
            ("iget", 0, 0, field("x")), ("return", 0)], "different types"),
        ("(Lcases/Face;)I", 1, [("const/4", 0, 1), ("return", 0)], "takes or gives Lcases/Face;"),
        ("(Ljava/util/List;)I", 1, [("const/4", 0, 1), ("return", 0)], "takes or gives Ljava/util/List;"),
        ("()V", 1, [("new-instance", 0, "Lcases/Face;"), ("return-void",)], "makes Lcases/Face;"),
        ("()V", 1, [("const/4", 0, 0), ("invoke-direct", (0,), OBJECT_INIT), ("return-void",)],
            "constructs null"),
        (f"([{DATA}[I)V", 3, [("const/4", 0, 0), ("aput-object", 2, 1, 0), ("return-void",)], "puts [I into"),
        (f"({DATA})I", 1, [("array-length", 0, 0), ("return", 0)], "needs an array and gets"),
    ],
)  # fmt: skip
def test_what_is_not_known_of_an_object_is_refused(
    descriptor: str, registers: int, code: Sequence[object], wanted: str
) -> None:
    found = examine(program(descriptor, registers, code), MethodRef(OWNER, "f", descriptor)).reason
    assert wanted in (found.reason if found else "")


def test_a_field_of_null_is_an_exception_even_where_no_class_is_known() -> None:
    code = [("const/4", 0, 0), ("iget", 0, 0, field("x")), ("return", 0)]
    method = MethodRef(OWNER, "f", "()I")
    done = translate(program("()I", 1, code), [method])
    with _instance(done) as instance, pytest.raises(GuestTrap, match="unreachable"):
        instance.call("f", ())


def _instance(done: Translation):  # type: ignore[no-untyped-def]  # the engine's own type
    return WasmtimeEngine(EXEC_FUEL_PROFILE).compile(done.wasm).instantiate(memory_bytes=1 << 26, fuel=10**6)


LIST = [
    ("const/4", 0, 0),
    ":on",
    ("if-eqz", 2, ":end"),
    ("iget", 1, 2, field("x")),
    ("add-int", 0, 0, 1),
    ("iput", 0, 2, field("x")),
    ("iget-object", 2, 2, field("next", DATA)),
    ("goto", ":on"),
    ":end",
    ("return", 0),
]


def test_a_graph_that_lies_traps_or_is_answered_soundly() -> None:
    descriptor = f"({DATA})I"
    method = MethodRef(OWNER, "f", descriptor)
    done = translate(program(descriptor, 3, LIST), [method])
    item = done.exports[method]
    assert item.graph is not None
    signature = parse_typed_signature(item.checked_signature)
    chance = random.Random(5)
    module = WasmtimeEngine(EXEC_FUEL_PROFILE).compile(done.wasm)
    outcomes = set()
    cases = generate_cases(0, (DATA,), 3, item.graph)
    for _ in range(DAMAGES):
        image = Image(item.graph, next(cases).roots)
        data = bytearray(image.data)
        for _ in range(chance.randrange(3)):
            at = 4 * chance.randrange(len(data) // 4)
            data[at : at + 4] = struct.pack(
                "<I", chance.choice((0, 1, 8, 16, 0x7FFFFFFF, 1 << 31, 0xFFFFFFFF))
            )
        data = data[: chance.choice((len(data), len(data), chance.randrange(len(data) + 1)))]
        with module.instantiate(memory_bytes=1 << 26, fuel=10**6) as instance:
            sent = [Packed(4, bytes(16)), Packed(len(data), bytes(data))]
            try:
                returned = TypedCaller(instance, result_bytes=1 << 26).call(item.checked, signature, sent)
                (answer,) = returned.results
                assert isinstance(answer, Packed)
                image.answered(answer.data)
                outcomes.add("answered")
            except (GuestTrap, LimitExceeded, FormatError) as error:
                outcomes.add(type(error).__name__)
    assert {"answered", "GuestTrap"} <= outcomes
