"""The class graph as SVG: callers on the left, moved classes in the middle, what these use on the right.

Every edge is labelled with the number of calls in the code. Large neighbourhoods are cut to the busiest
classes of each column, with the number of the others said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lawow.formats.bundle import BoundMethod
from lawow.refactor.forecast import Forecast
from lawow.refactor.graph import ClassEdge, ClassNode
from lawow.refactor.page_text import number, short_name, text
from lawow.refactor.plan import ClassMove

__all__ = ["class_diagram"]

_MOST_NODES = 14
_WIDTH, _NODE_WIDTH, _GAP, _LEFT = 1080, 268, 138, 0
_HEAD, _LINE, _SPACE = 40, 17, 18
_COLUMNS = ("stays on the device", "moves to the edge", "used by the moved code")
_ROLES = {"caller": 0, "moved": 1, "refused": 1, "callee": 2, "follower": 2}


@dataclass(frozen=True, slots=True)
class _Box:
    node: ClassNode
    column: int
    top: int
    lines: tuple[str, ...]

    @property
    def left(self) -> int:
        return _LEFT + self.column * (_NODE_WIDTH + _GAP)

    @property
    def height(self) -> int:
        return _HEAD + _LINE * len(self.lines)

    @property
    def middle(self) -> int:
        return self.top + self.height // 2


def class_diagram(forecast: Forecast) -> str:
    """Return the picture as one ``svg`` element."""
    graph = forecast.graph
    busy = _busyness(graph.edges)
    columns: list[list[ClassNode]] = [[], [], []]
    for node in graph.nodes:
        columns[_ROLES[node.role]].append(node)
    shown = [sorted(nodes, key=lambda node: (-busy.get(node.descriptor, 0), node.name)) for nodes in columns]
    boxes = list(_place([nodes[:_MOST_NODES] for nodes in shown], forecast))
    by_name = {box.node.descriptor: box for box in boxes}
    height = max([box.top + box.height for box in boxes], default=80) + (
        34 if any(map(_left_out, shown)) else 8
    )
    parts = [_captions(shown, height), *_edges(graph.edges, by_name), *map(_box, boxes)]
    label = f"Class graph: {len(columns[0])} callers, {len(columns[1])} classes that move"
    return (
        f'<svg class="graph" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">{_MARKERS}'
        + "".join(parts)
        + "</svg>"
    )


_MARKERS = (
    "<defs>"
    + "".join(
        f'<marker id="tip-{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
        ' orient="auto" markerUnits="userSpaceOnUse">'
        f'<path d="M0 0 8 4 0 8Z" class="tip {kind}"/></marker>'
        for kind in ("plain", "remote", "slow", "gone")
    )
    + "</defs>"
)


def _busyness(edges: Iterable[ClassEdge]) -> dict[str, int]:
    calls: dict[str, int] = {}
    for edge in edges:
        weight = edge.calls + (1_000_000 if edge.is_remote else 0)
        for name in (edge.source, edge.target):
            calls[name] = calls.get(name, 0) + weight
    return calls


def _place(columns: Sequence[Sequence[ClassNode]], forecast: Forecast) -> Iterable[_Box]:
    """Place the boxes, columns centred against each other."""
    moves = {move.descriptor: move for move in forecast.plan.moves}
    lines = {
        node.descriptor: _node_lines(forecast, node, moves.get(node.descriptor))
        for nodes in columns
        for node in nodes
    }
    heights = [
        sum(_HEAD + _LINE * len(lines[node.descriptor]) + _SPACE for node in nodes) for nodes in columns
    ]
    for column, nodes in enumerate(columns):
        top = 34 + (max(heights) - heights[column]) // 2
        for node in nodes:
            box = _Box(node, column, top, lines[node.descriptor])
            yield box
            top += box.height + _SPACE


def _node_lines(forecast: Forecast, node: ClassNode, move: ClassMove | None) -> tuple[str, ...]:
    """Return what stands in a box below the name."""
    if move is None:
        return ()
    bound = [_method_line(item) for item in move.methods]
    more = [f"and {len(bound) - 5} more"] if len(bound) > 5 else []
    inside = [site for site in forecast.graph.call_sites if site.caller_class == node.descriptor]
    if inside:
        more.append(f"{len(inside)} calls from its own code{' ↻' if any(s.in_loop for s in inside) else ''}")
    return (*bound[:5], *more, f"◆ {move.binding.module.file}")


def _method_line(bound: BoundMethod) -> str:
    """Return the method, and its export where that is called otherwise."""
    same = bound.method == bound.export
    return f"{bound.method}{bound.descriptor}" + ("" if same else f" → {bound.export}")


def _left_out(nodes: Sequence[ClassNode]) -> int:
    return max(0, len(nodes) - _MOST_NODES)


def _captions(columns: Sequence[Sequence[ClassNode]], height: int) -> str:
    """Return what stands above each column that has boxes, and below one that has not all of them."""
    parts = []
    for column, (caption, nodes) in enumerate(zip(_COLUMNS, columns, strict=True)):
        x = _LEFT + column * (_NODE_WIDTH + _GAP)
        if nodes:
            parts.append(f'<text x="{x}" y="14" class="caption">{caption}</text>')
        if _left_out(nodes):
            more = f"and {number(_left_out(nodes))} more classes"
            parts.append(f'<text x="{x}" y="{height - 10}" class="more">{more}</text>')
    return "".join(parts)


def _box(box: _Box) -> str:
    node = box.node
    package = node.name.rpartition(".")[0] or "(no package)"
    hint = f"<title>{text(node.name)}: {text(node.why)}</title>"
    parts = [
        f'<g class="node {node.role}">{hint}',
        f'<rect x="{box.left}" y="{box.top}" width="{_NODE_WIDTH}" height="{box.height}" rx="7"/>',
        f'<text x="{box.left + 12}" y="{box.top + 17}" class="name">{text(short_name(node.name, 32))}</text>',
        f'<text x="{box.left + 12}" y="{box.top + 32}" class="package">{text(_tail(package, 40))}</text>',
    ]
    for index, line in enumerate(box.lines):
        kind = "module" if line.startswith("◆") else "method"
        y = box.top + _HEAD + 8 + _LINE * index
        parts.append(f'<text x="{box.left + 12}" y="{y}" class="{kind}">{text(line, 35)}</text>')
    return "".join([*parts, "</g>"])


def _tail(package: str, longest: int) -> str:
    return package if len(package) <= longest else "…" + package[-(longest - 1) :]


def _edges(edges: Iterable[ClassEdge], boxes: dict[str, _Box]) -> Iterable[str]:
    drawn = [edge for edge in edges if edge.source in boxes and edge.target in boxes]
    arriving: dict[str, int] = {}
    for edge in sorted(drawn, key=lambda item: boxes[item.source].top):
        source, target = boxes[edge.source], boxes[edge.target]
        place = arriving.get(edge.target, 0)
        arriving[edge.target] = place + 1
        yield _edge(edge, source, target, place)


def _edge(edge: ClassEdge, source: _Box, target: _Box, place: int) -> str:
    kind = _edge_kind(edge)
    route = _across if source.column < target.column else _back if source.column > target.column else _around
    path, label_x, label_y = route(source, target, place)
    hint = f"{edge.calls} calls: {', '.join(sorted(edge.methods)[:12])}{_why(edge)}"
    return (
        f'<g class="edge {kind}"><title>{text(hint)}</title>'
        f'<path d="{path}" marker-end="url(#tip-{kind})"/>'
        f'<text x="{label_x}" y="{label_y}">{number(edge.calls)}{"↻" if edge.in_loop else ""}</text></g>'
    )


def _across(source: _Box, target: _Box, place: int) -> tuple[str, int, int]:
    """Return the path of an edge to the right, the `place`-th that arrives, and where its label stands."""
    start_x, end_x, start_y = source.left + _NODE_WIDTH, target.left - 4, source.middle
    end_y = min(target.top + 14 + 11 * place, target.top + target.height - 8)
    half = (start_x + end_x) // 2
    path = f"M{start_x} {start_y}C{half} {start_y} {half} {end_y} {end_x} {end_y}"
    return path, start_x + 24, start_y + (end_y - start_y) // 8 - 5


def _back(source: _Box, target: _Box, place: int) -> tuple[str, int, int]:
    """Return an edge to the left: from the foot of one box to the foot of the other, label at its end."""
    start_x, end_x = source.left, target.left + _NODE_WIDTH + 4
    start_y, end_y = source.top + source.height - 6, target.top + target.height - 6
    half = (start_x + end_x) // 2
    path = f"M{start_x} {start_y}C{half} {start_y} {half} {end_y} {end_x} {end_y}"
    return path, end_x + 20, end_y + (start_y - end_y) // 8 + 12


def _around(source: _Box, target: _Box, place: int) -> tuple[str, int, int]:
    """Return an edge within a column, around its right side."""
    start_x, end_x = source.left + _NODE_WIDTH, target.left + _NODE_WIDTH + 4
    start_y, end_y, bend = source.middle, target.middle, start_x + 60
    path = f"M{start_x} {start_y}C{bend} {start_y} {bend} {end_y} {end_x} {end_y}"
    return path, bend - 12, (start_y + end_y) // 2


def _edge_kind(edge: ClassEdge) -> str:
    if edge.is_remote:
        return "slow" if edge.in_loop or edge.on_main_thread else "remote"
    return "gone" if edge.is_gone else "plain"


def _why(edge: ClassEdge) -> str:
    words = [", over the network after the split"] if edge.is_remote else []
    words += [", in a loop"] if edge.in_loop else []
    words += [", on the main thread"] if edge.on_main_thread else []
    words += [", not on the device any more"] if edge.is_gone else []
    return "".join(words)
