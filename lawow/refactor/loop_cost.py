"""The cost of one method as a polynomial in N, the elements of its arrays, from its loops and instructions.

How often a loop turns depends on what ends it: a comparison with a constant is taken at its word, one with
the length of an array or a string means N turns. Any other bound, in a method with arrays, is taken for a
side of a square that lies in one of them: the root of N. Without arrays N is whatever the numbers say.
Recursion counts as one more such loop. All of it is an estimate: a loop that ends early is counted in full,
and N stands for every length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lawow.dalvik.graph import Graph
from lawow.dalvik.ir import Body, Op
from lawow.formats.dex.symbols import MethodRef

__all__ = ["HIGHEST_POWER", "LoopCosts", "Polynomial"]

Polynomial = tuple[float, ...]
"""Nanoseconds by power of the root of N: ``(10.0, 0.0, 2.5)`` is 10 + 2.5 N."""

HIGHEST_POWER = 12
"""N to the sixth. Deeper nests are cut there; their cost is beyond any doubt already."""
_NANOSECONDS = (
    ("aget", 0.8),
    ("aput", 0.8),
    ("div-", 4.0),
    ("rem-", 6.0),
    ("invoke-", 3.0),
    ("new-array", 40.0),
    ("filled-new-array", 40.0),
    ("sget", 0.8),
    ("packed-switch", 1.5),
    ("sparse-switch", 3.0),
    ("const", 0.1),
    ("move", 0.1),
    ("goto", 0.2),
)
"""By the start of the mnemonic: compiled code on a phone's large core; `_OTHER` for what is not here."""
_OTHER = 0.4
_LIBRARY_CALL = 15.0
"""A function of java.lang.Math and its like."""
_MOST_TURNS = 1 << 20
_LONGEST_CHAIN = 4
"""Steps from a bound back to the length that it was computed from: ``length / 2 - 1`` has two."""


class LoopCosts:
    """Costs of methods with all that they call. A method without a body is one of the platform's."""

    def __init__(self, body_of: Callable[[MethodRef], Body | None]) -> None:
        self._body_of = body_of
        self._known: dict[MethodRef, Polynomial] = {}

    def of(self, method: MethodRef) -> Polynomial:
        """Return the cost of one method; callees come first, however deep they lie."""
        pending = [(method, False)]
        waiting: set[MethodRef] = set()
        while pending:
            ref, is_ready = pending.pop()
            body = None if ref in self._known else self._body_of(ref)
            if is_ready and body is not None:
                self._known[ref] = self._cost(body)
            elif body is not None and ref not in waiting:
                waiting.add(ref)
                pending.append((ref, True))
                pending += [(callee, False) for callee in _callees(body)]
        return self._known.get(method, (_LIBRARY_CALL,))

    def _cost(self, body: Body) -> Polynomial:
        """Return the cost of a method whose callees are known but for those that call it again."""
        total = [0.0] * (HIGHEST_POWER + 1)
        is_recursive = False
        for op, turns in _weighted(body):
            _add(total, (_nanoseconds(op),), turns)
            if not isinstance(op.symbol, MethodRef):
                continue
            if op.symbol not in self._known and self._body_of(op.symbol) is not None:
                is_recursive = True
            else:
                _add(total, self._known.get(op.symbol, (_LIBRARY_CALL,)), turns)
        return _trimmed([0.0, *total[:HIGHEST_POWER]] if is_recursive else total)


def _callees(body: Body) -> list[MethodRef]:
    return [op.symbol for op in body.ops.values() if isinstance(op.symbol, MethodRef)]


@dataclass(frozen=True, slots=True)
class _Turns:
    """How often something runs: `factor` times the root of N to a power."""

    factor: float = 1.0
    power: int = 0

    def times(self, other: _Turns) -> _Turns:
        return _Turns(self.factor * other.factor, self.power + other.power)


def _add(total: list[float], cost: Polynomial, turns: _Turns) -> None:
    for at, part in enumerate(cost):
        total[min(at + turns.power, HIGHEST_POWER)] += part * turns.factor


def _trimmed(total: Sequence[float]) -> Polynomial:
    size = max((at + 1 for at, part in enumerate(total) if part), default=1)
    return tuple(total[:size])


def _nanoseconds(op: Op) -> float:
    return next((cost for start, cost in _NANOSECONDS if op.name.startswith(start)), _OTHER)


def _weighted(body: Body) -> Iterator[tuple[Op, _Turns]]:
    """Yield each operation with how often it runs."""
    loops = [(inside, _turns(body, inside)) for inside in _loops(body)]
    for op in body.ops.values():
        turns = _Turns()
        for inside, each in loops:
            if op.at in inside:
                turns = turns.times(each)
        yield op, turns


def _loops(body: Body) -> list[set[int]]:
    """Return the addresses in each loop: all on a way from the target of a jump backwards to the jump."""
    loops = []
    for head in Graph(body).blocks:
        pending = [block for block in head.preds if block.number >= head.number]
        inside = {head}
        while pending:
            block = pending.pop()
            if block not in inside:
                inside.add(block)
                pending += block.preds
        if head.is_loop:
            loops.append({op.at for block in inside for op in block.ops})
    return loops


def _turns(body: Body, inside: set[int]) -> _Turns:
    """Return how often a loop turns, by the best of the comparisons that end it."""
    has_arrays = any(kind[0] in "[L" for kind in body.parameters)
    best = _Turns(power=1 if has_arrays else 2)
    for at in sorted(inside):
        op = body.ops[at]
        leaves = op.name.startswith("if-") and any(to not in inside for to in (*op.targets, op.next))
        if not leaves or len(op.uses) != 2:
            continue
        bounds = [_origin(body, register, at) for register in op.uses]
        if any(bound is not None and bound.name == "array-length" for bound in bounds):
            steps = [_step(body, inside, register) or 1 for register in op.uses]
            best = _Turns(1 / max(steps), power=2)
            continue
        known = [
            (bound.at, min(max(1, abs(bound.literal) // step), _MOST_TURNS))
            for counter, bound in zip(op.uses[::-1], bounds, strict=True)
            if bound is not None and bound.literal and (step := _step(body, inside, counter))
        ]
        if known:  # of two constants the counter began with the earlier one
            return _Turns(max(known)[1])
    return best


def _origin(body: Body, register: int, before: int) -> Op | None:
    """Return the constant or the length that a register was made from, last in the order of the code."""
    for _ in range(_LONGEST_CHAIN):
        writes = [op for at, op in body.ops.items() if at < before and op.dest == register]
        if not writes:
            return None
        last = writes[-1]
        if last.name in ("const", "array-length"):
            return last
        if len(last.uses) != 1 or not last.name.startswith(("add-int", "rsub-int", "sh", "div-int", "move")):
            return None
        register, before = last.uses[0], last.at
    return None


def _step(body: Body, inside: set[int], register: int) -> int | None:
    """Return by how much the loop moves its counter in each turn."""
    for at in inside:
        op = body.ops[at]
        if op.name == "add-int" and op.uses == (register,) and op.literal:
            return abs(op.literal)
    return None
