"""Damaged apps: whatever the bytes are, there is a plan or a sentence that names the file."""

from __future__ import annotations

import random
import struct
import zlib

import pytest

from lawow.errors import FormatError, LawowError
from lawow.refactor.forecast import forecast_app
from lawow.refactor.picture import plan_page
from lawow.refactor.plan import PlanOptions
from lawow.refactor.plan_report import plan_lines, plan_record
from tests.refactor.builders import CONSTRUCTOR, FIB, make_zip, smali_class, smali_method
from tests.refactor.conftest import BuildApp
from tests.refactor.test_split import entries

BODY = """    :again
    sget v0, Lcom/example/app/FibonacciWasm;->count:I
    invoke-static {v0}, Lcom/example/app/Helper;->help(I)I
    move-result v0
    if-nez v0, :again
    :try_start
    invoke-static {}, Ljava/lang/System;->nanoTime()J
    :try_end
    .catchall {:try_start .. :try_end} :caught
    :caught
    return p0"""
NOTE = ".annotation build Ldev/lawow/Offload;\n.end annotation\n"
CLASSES = [
    smali_class(
        "com.example.app.FibonacciWasm",
        ".field static count:I\n" + smali_method("fib", "(I)I", BODY) + CONSTRUCTOR,
        extra=NOTE,
    ),
    smali_class("com.example.app.Helper", smali_method("help", "(I)I", "    return p0")),
    smali_class(
        "com.example.app.Main",
        smali_method(
            "onCreate",
            "()V",
            '    const-string v1, "fibonacci.wasm"\n    const/4 v0, 0x1\n'
            "    sput v0, Lcom/example/app/FibonacciWasm;->count:I\n"
            "    invoke-static {v0}, Lcom/example/app/FibonacciWasm;->fib(I)I\n    return-void",
        ),
    ),
]


def survives(apk: bytes) -> bool:
    """Plan and draw, or fail with an error of ours that begins with the file's name."""
    failure: LawowError | None = None
    try:
        found = forecast_app(apk, "app.apk", PlanOptions(show_refused=True))
    except LawowError as error:
        failure = error
    assert not isinstance(failure, FormatError) or str(failure).startswith("app.apk: ")
    if failure is not None:
        return False
    plan_record(found)
    return bool(list(plan_lines(found)) and plan_page(found))


@pytest.fixture(scope="module")
def parts(build_app: BuildApp) -> dict[str, bytes]:
    found = entries(build_app(CLASSES, entries={"assets/fibonacci.wasm": FIB}))
    assert survives(make_zip(found))
    return found


def sealed(dex: bytearray) -> bytes:
    struct.pack_into("<I", dex, 8, zlib.adler32(dex[12:]))
    return bytes(dex)


@pytest.mark.parametrize("seed", range(3))
def test_words_of_a_dex_file_set_to_anything(parts: dict[str, bytes], seed: int) -> None:
    chance = random.Random(seed)
    size = len(parts["classes.dex"])
    for _ in range(60):
        dex = bytearray(parts["classes.dex"])
        value = chance.choice([0, 1, size - 1, size, 1 << 31, (1 << 32) - 1, chance.randrange(size)])
        struct.pack_into("<I", dex, chance.randrange(0x20, size - 4), value)
        survives(make_zip({**parts, "classes.dex": sealed(dex)}))


def test_every_byte_of_a_dex_file_changed(parts: dict[str, bytes]) -> None:
    for place in range(0x70, len(parts["classes.dex"]), 7):
        dex = bytearray(parts["classes.dex"])
        dex[place] ^= 0xFF if place % 2 else 0x81
        survives(make_zip({**parts, "classes.dex": sealed(dex)}))


def test_a_manifest_with_any_word_changed(parts: dict[str, bytes]) -> None:
    for place in range(0, len(parts["AndroidManifest.xml"]) - 4, 12):
        manifest = bytearray(parts["AndroidManifest.xml"])
        struct.pack_into("<I", manifest, place, 0xFFFFFFFF if place % 8 else 0x7FFF)
        survives(make_zip({**parts, "AndroidManifest.xml": bytes(manifest)}))
