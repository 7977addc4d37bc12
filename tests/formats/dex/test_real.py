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


@pytest.fixture(scope="module")
def before(real: bytes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    return disassembled(tmp_path_factory.mktemp("real") / "before", real)


def test_a_fifth_of_the_classes_goes_and_the_rest_is_untouched(
    real: bytes, before: dict[str, int], tmp_path: Path
) -> None:
    dex = read_dex(real)
    names = dex.class_names()
    dropped = set(random.Random(7).sample(names, len(names) // 5))
    slim = collect_garbage(drop_classes(dex, dropped))
    assert verify_dex(slim) == []
    assert dexdump(tmp_path, slim) == ""
    assert disassembled(tmp_path / "after", slim) == {k: v for k, v in before.items() if k not in dropped}


def test_every_class_can_be_transplanted_without_a_difference(
    real: bytes, before: dict[str, int], tmp_path: Path
) -> None:
    dex = read_dex(real)
    builder = DexBuilder(dex.version)
    for name in dex.class_names():
        builder.add(transplant_class(dex, name))
    moved = builder.build()
    assert dexdump(tmp_path, moved) == ""
    assert disassembled(tmp_path / "after", moved) == before
