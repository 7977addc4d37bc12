"""Damaged apps: whatever the bytes are, the split succeeds or says why not, naming the file."""

from __future__ import annotations

import random
import struct
import zlib

import pytest

from lawow.errors import FormatError, LawowError
from lawow.refactor.pipeline import preview
from lawow.refactor.plan import PlanOptions
from lawow.refactor.split import SplitOptions
from tests.refactor.builders import CONSTRUCTOR, FIB, MAIN, REAL_FIB, make_zip, smali_class
from tests.refactor.conftest import BuildApp
from tests.refactor.test_split import RUNTIME, entries, holds_string

NOTE = '.annotation runtime La/Note;\n    value = "kept"\n.end annotation\n'
CLASSES = [
    smali_class("com.example.app.FibonacciWasm", REAL_FIB + CONSTRUCTOR, extra=NOTE),
    MAIN,
    holds_string("com.example.app.User", "wasmtime"),
]


def survives(apk: bytes, *, keep_orphan_ids: bool = False) -> None:
    """Split, or fail with an error of ours that begins with the file's name."""
    failure: LawowError | None = None
    try:
        preview(apk, "app.apk", PlanOptions(), SplitOptions(keep_orphan_ids=keep_orphan_ids))
    except LawowError as error:
        failure = error
    assert not isinstance(failure, FormatError) or str(failure).startswith("app.apk: ")


@pytest.fixture(scope="module")
def parts(build_app: BuildApp) -> dict[str, bytes]:
    return entries(build_app(CLASSES, entries={"assets/fibonacci.wasm": FIB, **RUNTIME}))


@pytest.mark.parametrize("seed", range(8))
def test_fields_of_a_dex_file_set_to_anything(parts: dict[str, bytes], seed: int) -> None:
    chance = random.Random(seed)
    size = len(parts["classes.dex"])
    for _ in range(60):
        dex = bytearray(parts["classes.dex"])
        value = chance.choice([0, 1, size - 1, size, 1 << 31, (1 << 32) - 1, chance.randrange(size)])
        struct.pack_into("<I", dex, chance.randrange(0x20, size - 4), value)
        struct.pack_into("<I", dex, 8, zlib.adler32(dex[12:]))
        survives(make_zip({**parts, "classes.dex": bytes(dex)}), keep_orphan_ids=seed % 2 == 0)


def test_a_dex_file_cut_off_anywhere(parts: dict[str, bytes]) -> None:
    dex = parts["classes.dex"]
    for length in range(0, len(dex), 7):
        survives(make_zip({**parts, "classes.dex": dex[:length]}))


def test_a_manifest_cut_off_anywhere(parts: dict[str, bytes]) -> None:
    manifest = parts["AndroidManifest.xml"]
    for length in range(0, len(manifest), 7):
        survives(make_zip({**parts, "AndroidManifest.xml": manifest[:length]}))


def test_a_module_cut_off_anywhere(parts: dict[str, bytes]) -> None:
    for length in range(len(FIB)):
        survives(make_zip({**parts, "assets/fibonacci.wasm": FIB[:length]}))


def test_an_apk_cut_off_anywhere(parts: dict[str, bytes]) -> None:
    apk = make_zip({name: data for name, data in parts.items() if not name.startswith(("lib/", "res/"))})
    for length in range(0, len(apk), 5):
        survives(apk[:length])
