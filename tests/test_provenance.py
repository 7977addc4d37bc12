"""Every binary file of the repository is listed with its digest, and is what its source builds."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

from fixtures import icon
from tests.conftest import ROOT
from tests.tools import run


def test_the_page_lists_every_binary_with_its_digest() -> None:
    run(sys.executable, ROOT / "fixtures" / "provenance.py", "--check")


def test_the_modules_are_what_their_sources_build() -> None:
    run(sys.executable, ROOT / "fixtures" / "build.py", "wasm", "--check")


def test_the_icon_is_what_its_program_draws() -> None:
    # Compressed bytes may differ between versions of zlib; pixels may not.
    path = ROOT / "fixtures" / "app" / "src" / "main" / "res" / "drawable" / "icon.png"
    assert pixels(path.read_bytes()) == pixels(icon.icon())


def pixels(png: bytes) -> bytes:
    """Return the inflated image data of a PNG that has one IDAT chunk."""
    start = png.index(b"IDAT") + 4
    return zlib.decompress(png[start : start + int.from_bytes(png[start - 8 : start - 4], "big")])


def test_the_unsigned_demo_apk_is_the_same_when_it_is_built_again(demo: Path, tmp_path: Path) -> None:
    run(sys.executable, ROOT / "fixtures" / "build.py", "apk", "--out", tmp_path)
    assert (tmp_path / "app-unsigned.apk").read_bytes() == (demo / "app-unsigned.apk").read_bytes()
