"""The head of a PNG: what is none is refused with its place, and so are sizes too large for a browser."""

from __future__ import annotations

import random

import pytest

from lawow.errors import FormatError, LawowError, LimitExceeded
from lawow.formats.png import require_png
from tests.pictures import png


def test_the_size_of_a_picture_is_found() -> None:
    assert require_png(png(3, 2), 2048) == (3, 2)
    assert require_png(memoryview(png(2048, 1)), 2048) == (2048, 1)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is no PNG"),
        (png(1, 1)[:7], "is no PNG"),
        (b"GIF89a" + bytes(40), "is no PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is no PNG"),
        (png(1, 1)[:20], "PNG"),
        (png(1, 1).replace(b"IHDR", b"IDAT"), "does not begin with a header"),
        (png(1, 1).replace(b"\0\0\0\rIHDR", b"\0\0\0\x0eIHDR"), "does not begin with a header"),
        (png(0, 1), "has no pixels"),
        (png(1, 0), "has no pixels"),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(FormatError, match=sentence):
        require_png(data, 2048)


@pytest.mark.parametrize(("width", "height"), [(2049, 1), (1, 2049)])
def test_a_side_beyond_the_limit_is_refused(width: int, height: int) -> None:
    with pytest.raises(LimitExceeded, match="view_pixels"):
        require_png(png(width, height), 2048)


def test_damaged_heads_are_refused_and_nothing_else_is_raised() -> None:
    dice, sound = random.Random(1), png(5, 4)
    for _ in range(2_000):
        data = bytearray(sound[: dice.randrange(len(sound) + 1)])
        for _ in range(dice.randrange(3)):
            if data:
                data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            width, height = require_png(bytes(data), 2048)
        except LawowError:
            continue
        assert 0 < width <= 2048
        assert 0 < height <= 2048
