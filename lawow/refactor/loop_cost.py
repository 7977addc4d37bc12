"""The cost of one method as a polynomial in N, the elements of its arrays, from its loops and instructions.

How often a loop turns depends on what ends it: a comparison with a constant is taken at its word, one with
the length of an array means N turns. Any other bound, in a method with arrays, is taken for a side of a
square that lies in one of them: the root of N. Without arrays N is whatever the numbers say. Recursion counts
as one more loop. All of it is an estimate: a loop that ends early is counted in full, and N stands for every
length.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lawow.dalvik.ir import Body, Op
from lawow.formats.dex.symbols import MethodRef

__all__ = ["HIGHEST_POWER", "Polynomial", "cost_of_closure"]

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


def cost_of_closure(
    method: MethodRef, body_of: Callable[[MethodRef], Body | None], known: dict[MethodRef, Polynomial]
) -> Polynomial:
    """Return the cost of a method with all that it calls; `known` keeps what has been worked out.

    A method of which `body_of` knows nothing is one of the platform's.
    """
    if method in known:
        return known[method]
    body = body_of(method)
    if body is None:
        return (_LIBRARY_CALL,)
    known[method] = ()  # while it is being worked out: a call of it is recursion, seen by its absence
    total = [0.0] * (HIGHEST_POWER + 1)
    is_recursive = False
    for op, turns in _weighted(body):
        _add(total, (_nanoseconds(op),), turns)
        if isinstance(op.symbol, MethodRef):
            is_recursive |= known.get(op.symbol) == ()
            _add(total, cost_of_closure(op.symbol, body_of, known), turns)
    cost = _trimmed([0.0, 0.0, *total[: HIGHEST_POWER - 1]] if is_recursive else total)
    known[method] = cost
    return cost


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
    """Return the addresses in each loop: what lies on a way from the target of a jump backwards to the jump."""
    after = {op.at: (*op.targets, *([op.next] if op.falls_through else ())) for op in body.ops.values()}
    before: dict[int, list[int]] = defaultdict(list)
    jumps: dict[int, list[int]] = defaultdict(list)
    for at, targets in after.items():
        for target in targets:
            before[target].append(at)
            if target <= at:
                jumps[target].append(at)
    loops = []
    for head, ends in jumps.items():
        within = _reached([head], after, set()) & _reached(ends, before, {head})
        if len(within) > 1 or head in after[head]:
            loops.append(within)
    return loops


def _reached(first: Iterable[int], edges: Mapping[int, Iterable[int]], known: set[int]) -> set[int]:
    """Return all addresses that edges lead to, without going beyond the known ones."""
    found = set(known)
    pending = list(first)
    while pending:
        at = pending.pop()
        if at not in found:
            found.add(at)
            pending += edges.get(at, ())
    return found


def _turns(body: Body, inside: set[int]) -> _Turns:
    """Return how often a loop turns, by the best of the comparisons that end it."""
    has_arrays = any(kind.startswith("[") for kind in body.parameters)
    best = _Turns(power=1 if has_arrays else 2)
    for at in inside:
        op = body.ops[at]
        leaves = op.name.startswith("if-") and any(to not in inside for to in (*op.targets, op.next))
        if not leaves or len(op.uses) != 2:
            continue
        for counter, limit in (op.uses, op.uses[::-1]):
            bound = _origin(body, limit, at)
            if bound is None:
                continue
            if bound.name == "array-length":
                best = _Turns(power=2)
            elif bound.literal and (step := _step(body, inside, counter)):
                return _Turns(min(max(1, abs(bound.literal) // step), _MOST_TURNS))
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
        if op.name == "add-int" and op.dest == register and op.uses == (register,) and op.literal:
            return abs(op.literal)
    return None
