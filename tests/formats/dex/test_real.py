"""A real app: 5,068 classes, 7.3 MB. Whatever is cut or moved, the rest has to be the same text."""

from __future__ import annotations

import random
import re
import zipfile
from pathlib import Path

import pytest

from lawow.formats.dex import (
    DexBuilder,
    collect_garbage,
    drop_classes,
    read_dex,
    transplant_class,
    verify_dex,
)
from tests.formats.dex.builders import dexdump
from tests.tools import run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def real(apidemos_apk: Path) -> bytes:
    with zipfile.ZipFile(apidemos_apk) as archive:
        return archive.read("classes.dex")


def disassembled(folder: Path, data: bytes) -> dict[str, int]:
    """Return a hash of each class's text; 5,068 texts are 40 MB."""
    folder.mkdir(parents=True)
    (folder / "in.dex").write_bytes(data)
    run("baksmali", "disassemble", str(folder / "in.dex"), "-o", str(folder / "out"), "--ac", "false")
    hashes = {}
    for path in (folder / "out").rglob("*.smali"):
        text = path.read_text()
        name = re.search(r"^\.class .*?(\S+)$", text, re.M)
        assert name is not None
        hashes[name[1]] = hash(text)
    return hashes


def test_what_stays_after_cutting_and_moving_is_the_same_text(real: bytes, tmp_path: Path) -> None:
    """A fifth of the classes is dropped, its ids are collected, all others are transplanted."""
    dex = read_dex(real)
    names = dex.class_names()
    dropped = set(random.Random(7).sample(names, len(names) // 5))
    slim = collect_garbage(drop_classes(dex, dropped))
    assert verify_dex(slim) == []
    assert dexdump(tmp_path, slim) == ""

    rest = read_dex(slim)
    builder = DexBuilder(rest.version)
    for name in rest.class_names():
        builder.add(transplant_class(rest, name))
    moved = builder.build()
    assert dexdump(tmp_path, moved) == ""

    before = disassembled(tmp_path / "before", real)
    after = disassembled(tmp_path / "after", moved)
    assert len(before) == 5_068
    assert after == {name: text for name, text in before.items() if name not in dropped}
