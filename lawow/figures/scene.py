"""A disaster site as a picture: rough ground, and the hazards and survivors that robots have to find.

The same seed gives the same site. Stands in for the second paper's recorded camera stream. Needs numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

__all__ = ["KINDS", "MARGIN", "VIEW", "Item", "Site", "make_site", "shape_of"]

KINDS = ("barrel", "crate", "survivor")
VIEW = (320, 240)
"""Width and height of a camera's picture, in pixels."""
MARGIN = 14
"""An item nearer than this to an edge of a picture may be cut off, and need not be found in it."""
Picture = NDArray[numpy.uint8]


@dataclass(frozen=True, slots=True)
class Item:
    """Something to be found: its kind, and its centre in pixels of the site."""

    kind: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Site:
    """Brightness of each pixel, [height, width], and what is there."""

    picture: Picture
    items: tuple[Item, ...]

    def view(self, x: int, y: int) -> bytes:
        """Return the camera's picture with its upper left corner there, row by row."""
        width, height = VIEW
        return self.picture[y : y + height, x : x + width].tobytes()


def make_site(width: int, height: int, items: int, seed: int) -> Site:
    """Make a site of that size in pixels with so many items, none of which touch."""
    dice = numpy.random.default_rng(seed)
    ground = _ground(width, height, dice)
    placed: list[Item] = []
    while len(placed) < items:
        x, y = int(dice.integers(20, width - 20)), int(dice.integers(20, height - 20))
        if all(abs(x - other.x) > 44 or abs(y - other.y) > 44 for other in placed):
            placed.append(Item(KINDS[len(placed) % len(KINDS)], x, y))
    for item in placed:
        _draw(ground, item, dice)
    noise = dice.normal(0, 6, ground.shape)
    return Site(numpy.clip(ground + noise, 0, 255).astype(numpy.uint8), tuple(placed))


def _ground(width: int, height: int, dice: numpy.random.Generator) -> NDArray[numpy.float64]:
    """Return light and dark patches of two sizes, and some rubble: bright lines that are no item."""
    ground = numpy.full((height, width), 110.0)
    for size, depth in ((48, 25.0), (12, 12.0)):
        cells = dice.uniform(-depth, depth, (height // size + 1, width // size + 1))
        ground += cells.repeat(size, 0).repeat(size, 1)[:height, :width]
    for _ in range(width * height // 6_000):
        x, y, length = dice.integers(0, width), dice.integers(0, height), dice.integers(8, 40)
        ground[y : y + 2, x : x + length] += dice.uniform(-60, 90)
    return ground


def shape_of(kind: str, radius: int) -> NDArray[numpy.bool_]:
    """Return which pixels of a square of side 2 `radius` + 1 an item covers."""
    y, x = numpy.mgrid[-radius : radius + 1, -radius : radius + 1]
    covered: NDArray[numpy.bool_]
    if kind == "barrel":
        covered = numpy.hypot(x, y) <= radius
    elif kind == "crate":
        covered = numpy.maximum(abs(x), abs(y)) >= radius - 3
    else:
        covered = (abs(x) <= radius // 3) | (abs(y) <= radius // 3)
    return covered


def _draw(ground: NDArray[numpy.float64], item: Item, dice: numpy.random.Generator) -> None:
    radius = int(dice.integers(8, 12))
    there = ground[item.y - radius : item.y + radius + 1, item.x - radius : item.x + radius + 1]
    there[shape_of(item.kind, radius)] = 110 + dice.choice([-1.0, 1.0]) * dice.uniform(70, 110)
