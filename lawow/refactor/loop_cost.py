"""The cost of one method as a polynomial in N, from its loops and the mix of its instructions.

A loop is a stretch of code that a jump backwards closes. How often it turns is known if it ends by a
comparison with a constant; otherwise it turns N times. Recursion counts as one more loop. All of it is an
estimate: a loop that ends early is counted in full, and N stands for every length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lawow.dalvik.ir import Body, Op
from lawow.formats.dex.symbols import MethodRef

__all__ = ["HIGHEST_POWER", "Polynomial", "cost_of_closure"]

Polynomial = tuple[float, ...]
"""Nanoseconds by power of N: ``(10.0, 2.5)`` is 10 + 2.5 N."""

HIGHEST_POWER = 6
"""Deeper nests are cut there; their cost is beyond any doubt already."""
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
    for op, turns, power in _weighted(body):
        callee: Polynomial = (1.0,)
        if isinstance(op.symbol, MethodRef):
            is_recursive |= known.get(op.symbol) == ()
            callee = cost_of_closure(op.symbol, body_of, known) or (0.0,)
            _add(total, (_nanoseconds(op),), turns, power)
            _add(total, callee, turns, power)
        else:
            _add(total, (_nanoseconds(op),), turns, power)
    cost = _trimmed([0.0, *total[:HIGHEST_POWER]] if is_recursive else total)
    known[method] = cost
    return cost


def _add(total: list[float], cost: Polynomial, turns: float, power: int) -> None:
    for at, part in enumerate(cost):
        total[min(at + power, HIGHEST_POWER)] += part * turns


def _trimmed(total: Sequence[float]) -> Polynomial:
    size = max((at + 1 for at, part in enumerate(total) if part), default=1)
    return tuple(total[:size])


def _nanoseconds(op: Op) -> float:
    return next((cost for start, cost in _NANOSECONDS if op.name.startswith(start)), _OTHER)


def _weighted(body: Body) -> Iterator[tuple[Op, float, int]]:
    """Yield each operation with how often it runs: a factor, and a power of N."""
    loops = _loops(body)
    turns = {loop: _turns(body, *loop) for loop in loops}
    for op in body.ops.values():
        around = [turns[loop] for loop in loops if loop[0] <= op.at <= loop[1]]
        factor = 1.0
        for known in around:
            factor *= known or 1
        yield op, factor, sum(known is None for known in around)


def _loops(body: Body) -> list[tuple[int, int]]:
    """Return the loops as stretches of addresses, one for each head."""
    ends: dict[int, int] = {}
    for op in body.ops.values():
        for target in op.targets:
            if target <= op.at:
                ends[target] = max(op.at, ends.get(target, 0))
    return sorted(ends.items())


def _turns(body: Body, head: int, end: int) -> int | None:
    """Return how often a loop turns if it ends by a comparison with a constant, else None."""
    inside = [op for at, op in body.ops.items() if head <= at <= end]
    for op in inside:
        leaves = any(not head <= target <= end for target in op.targets)
        if not op.name.startswith("if-") or len(op.uses) != 2 or not (leaves or head in op.targets):
            continue
        for counter, limit in (op.uses, op.uses[::-1]):
            number = _constant(body, limit, op.at)
            step = _step(inside, counter)
            if number and step:
                return min(max(1, abs(number) // step), _MOST_TURNS)
    return None


def _constant(body: Body, register: int, before: int) -> int | None:
    """Return the number that was last loaded into a register, in the order of the code."""
    last: Op | None = None
    for at, op in body.ops.items():
        if at >= before:
            break
        if op.dest == register:
            last = op
    return last.literal if last is not None and last.name == "const" else None


def _step(inside: Sequence[Op], register: int) -> int | None:
    """Return by how much the loop moves its counter in each turn."""
    for op in inside:
        if op.name == "add-int" and op.dest == register and op.uses == (register,) and op.literal:
            return abs(op.literal)
    return None
