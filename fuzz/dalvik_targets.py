"""The translator of Dalvik code under fire: what it makes validates, or it says why it makes nothing."""

from __future__ import annotations

import functools
import struct
from contextlib import suppress

import wasmtime

from lawow.dalvik import Program, examine, translate
from lawow.errors import FormatError, LimitExceeded, Refused
from lawow.formats.dex import (
    ACC_FINAL,
    ACC_PUBLIC,
    ACC_STATIC,
    Assembly,
    ClassSource,
    DexBuilder,
    FieldRef,
    FieldSource,
    MethodRef,
    MethodSource,
    Try,
    read_dex,
)
from lawow.formats.dex.header import seal
from lawow.formats.dex.spec import HEADER_BYTES

__all__ = ["codes", "translate_all"]

OWNER = "Lfuzz/Code;"
STATIC = ACC_PUBLIC | ACC_STATIC
TABLE = FieldRef(OWNER, "table", "[I")
FAULT = "Ljava/lang/IllegalStateException;"
INIT = MethodRef(FAULT, "<init>", "(Ljava/lang/String;)V")


def codes() -> list[bytes]:
    """A dex file with loops, a switch, arrays of arrays, exceptions that are caught and made, and a table."""
    sums = Assembly(
        5,
        (
            ("const/4", 0, 0), ("const/4", 1, 0), ":loop", ("array-length", 2, 3), ("if-ge", 1, 2, ":end"),
            ("aget", 2, 3, 1), ("div-int/2addr", 2, 4), ("add-int/2addr", 0, 2), ("aput", 0, 3, 1),
            ("add-int/lit8", 1, 1, 1), ("goto", ":loop"), ":end", ("return", 0),
        ),
    )  # fmt: skip
    caught = Assembly(
        4,
        (
            ":s", ("invoke-static", (2, 3), MethodRef(OWNER, "sums", "([II)I")), ("move-result", 0), ":e",
            ("return", 0), ":h", ("move-exception", 0), ("new-instance", 0, FAULT),
            ("const-string", 1, "text"),
            ("invoke-direct", (0, 1), INIT), ("throw", 0),
        ),
        (Try(":s", ":e", (("Ljava/lang/ArithmeticException;", ":h"),)),),
    )  # fmt: skip
    switch = Assembly(
        4,
        (
            ("packed-switch", 2, ":t"), ("sget-object", 0, TABLE), ("aget", 0, 0, 2), ("return", 0),
            ":a", ("int-to-double", 0, 3), ("mul-double/2addr", 0, 0), ("double-to-int", 0, 0), ("return", 0),
            ":t", ("packed-switch-payload", -1, (":a", ":a")),
        ),
    )  # fmt: skip
    rows = Assembly(
        4,
        (("const-wide/16", 0, 3), ("aget-object", 2, 2, 3), ("aput-wide", 0, 2, 3), ("return-wide", 0)),
    )
    table = Assembly(
        2,
        (
            ("const/4", 0, 3), ("new-array", 0, 0, "[I"), ("fill-array-data", 0, ":d"),
            ("sput-object", 0, TABLE),
            ("return-void",), ":d", ("array-payload", 4, (5, -6, 7)),
        ),
    )  # fmt: skip
    methods = (
        MethodSource("sums", "([II)I", STATIC, sums),
        MethodSource("caught", "([II)I", STATIC, caught),
        MethodSource("choose", "(II)I", STATIC, switch),
        MethodSource("rows", "([[JI)J", STATIC, rows),
        MethodSource("<clinit>", "()V", ACC_STATIC | 0x10000, table),
    )
    field = FieldSource("table", "[I", STATIC | ACC_FINAL)
    builder = DexBuilder("035")
    builder.add(ClassSource(OWNER, ACC_PUBLIC, fields=(field,), methods=methods))
    return [builder.build()]


@functools.cache
def _engine() -> wasmtime.Engine:
    return wasmtime.Engine()


def translate_all(data: bytes) -> None:
    """Translate all methods of a dex file, each by itself and all together; modules must validate."""
    if len(data) >= HEADER_BYTES:
        out = bytearray(data)
        struct.pack_into("<I", out, 0x20, len(out))
        seal(out)
        data = bytes(out)
    dex = read_dex(data)
    methods = []
    for view in dex.classes:
        with suppress(FormatError):
            methods += [item.ref for item in view.methods]
    program = Program([dex])
    for chosen in (*([item] for item in methods), methods):
        for method in chosen:
            examine(program, method)
        with suppress(Refused, LimitExceeded):
            wasmtime.Module.validate(_engine(), translate(program, chosen).wasm)
