"""Loops over arrays of double whose turns have nothing to do with each other: two turns at once.

A loop that `lawow.dalvik.loops` has a plan for is taken if its body is one block of sums, differences,
products, quotients and negations of doubles, from and to places one after the other, with nothing carried
from turn to turn. Arrays that are written must be other ones than all the others that the loop touches,
which is asked before it starts. The last turn is always left to the plain loop, so that every variable holds
what it leaves behind. Each lane is what the plain instruction computes, to the last bit. Source: WebAssembly
specification 3.0, 4.3.5.
"""

from __future__ import annotations

from dataclasses import dataclass

from lawow.dalvik.graph import Graph
from lawow.dalvik.ir import Op
from lawow.dalvik.loops import Access, Plan
from lawow.dalvik.webs import Flow, Web

__all__ = ["ARITHMETIC", "LANES", "LOAD", "SPLAT", "STORE", "Vector", "find_vector"]

LANES = 2
_PREFIX = b"\xfd"
LOAD, STORE, SPLAT = _PREFIX + b"\x00\x03", _PREFIX + b"\x0b\x03", _PREFIX + b"\x14"
"""Instructions; the first two have an alignment and need an offset behind them."""
ARITHMETIC = {
    "add-double": _PREFIX + b"\xf0\x01",
    "sub-double": _PREFIX + b"\xf1\x01",
    "mul-double": _PREFIX + b"\xf2\x01",
    "div-double": _PREFIX + b"\xf3\x01",
    "neg-double": _PREFIX + b"\xed\x01",
}
_PLAIN = frozenset(("add-int", "sub-int", "mul-int", "shl-int", "const", "const-wide", "goto"))
"""What is computed as ever: indexes, and numbers that stay the same."""
_DOUBLES = "[D"


@dataclass(frozen=True, slots=True)
class Vector:
    """What two turns at once do: operations in order, those of doubles apart; pairs of arrays that must not
    be the same.
    """

    ops: tuple[Op, ...]
    lanes: frozenset[int]
    apart: tuple[tuple[Web, Web], ...]


def find_vector(plan: Plan, graph: Graph, flow: Flow) -> Vector | None:
    """Return how to run two turns at once, or None for a loop of another kind."""
    if len(plan.blocks) != 2 or plan.margin != 1:
        return None
    ops = tuple(graph.blocks[max(plan.blocks)].ops)
    lanes = frozenset(op.at for op in ops if op.name in ARITHMETIC or op.name.startswith(("aget", "aput")))
    if not lanes or not all(_is_known(op, plan, flow) for op in ops) or _carries(ops, plan, flow):
        return None
    apart = _apart([(op, plan.places[op.at]) for op in ops if op.at in plan.places])
    return None if apart is None else Vector(ops, lanes, apart)


def _is_known(op: Op, plan: Plan, flow: Flow) -> bool:
    if op.name in ARITHMETIC:
        return True
    if op.name in ("aget-wide", "aput-wide"):
        access = plan.places.get(op.at)
        return access is not None and access.array.ref == _DOUBLES and access.index.factor == 1
    return op.name in _PLAIN


def _carries(ops: tuple[Op, ...], plan: Plan, flow: Flow) -> bool:
    """Tell whether a turn looks at what an earlier one left, other than the counter."""
    made = {flow.dest[op.at] for op in ops if op.at in flow.dest}
    ready = {plan.counter}
    for op in ops:
        for web in flow.uses.get(op.at, ()):
            if web in made and web not in ready:
                return True
            if web.local not in ("f64", "i32"):
                return True
        if op.at in flow.dest:
            ready.add(flow.dest[op.at])
    return any(web.local not in ("f64", "i32") for web in made)


def _apart(accesses: list[tuple[Op, Access]]) -> tuple[tuple[Web, Web], ...] | None:
    """Return the pairs of arrays that must not be the same; None if one is written here and read there."""
    pairs: dict[tuple[Web, Web], None] = {}
    for op, written in accesses:
        if not op.name.startswith("aput"):
            continue
        for _, other in accesses:
            if other.array is not written.array:
                pairs[written.array, other.array] = None
            elif other.index != written.index:
                return None
    return tuple(pairs)
