"""Object graphs in the stub: written as the translator's side reads them, taken back whole or not at all."""

from __future__ import annotations

from lawow.dalvik import Graph, GraphField, GraphType
from lawow.proving.graphs import Image, Node
from tests.android.builders import Jvm

OWNER = "Ldev/lawow/Graphs$Node;"
WRITTEN = 1 << 15
ROW = GraphType("[I", 5 << 16 | 2 | WRITTEN, ())
ROWS = GraphType("[[I", 20 << 16 | 0xFFF << 2 | 2 | WRITTEN, ())
NODE = GraphType(
    OWNER,
    21 << 16 | 2 << 2 | 1 << 14 | 3 | WRITTEN,
    (
        GraphField(OWNER, "next", OWNER, True),
        GraphField(OWNER, "row", "[I", True),
        GraphField(OWNER, "count", "I", True),
        GraphField(OWNER, "fixed", "J", False),
    ),
)


def sample() -> Image:
    """The arguments of `Graphs.roundTrip`."""
    row = Node(ROW, [7, 8])
    second = Node(NODE, [None, None, 4, -4])
    second.items[0] = second
    first = Node(NODE, [second, row, 3, -3])
    rows = Node(ROWS, [Node(ROW, [1]), row, None, row])
    return Image(Graph((0, 2), (NODE, ROWS, ROW)), [first, rows])


def test_a_graph_goes_and_comes_back_with_all_that_is_shared_or_is_refused(jvm: Jvm) -> None:
    sent, after, rows, *strangers, lies = jvm.run("dev.lawow.Graphs").splitlines()
    assert sent == f"2 6 {sample().data.hex()}"
    assert after == "9/-3[-1, -2]+4/-4null@ true true true"
    assert rows == "[[1], [7, 8], [-1, -2], [1]] true"
    assert strangers == ["refused"] * 7
    assert lies == "true"
