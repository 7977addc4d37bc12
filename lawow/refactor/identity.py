"""Whether a method may return an array that it was given: the caller could tell it from a copy.

What comes back from the edge is a new array. So a method whose result may be a parameter is no candidate.
References are followed along all paths, register by register; what a call gives that was handed one may be
it, and so may what is read from an array or an object, as it may have been put there.
"""

from __future__ import annotations

from collections import deque

from lawow.dalvik.ir import Body, Op

__all__ = ["returned_parameter"]


def returned_parameter(body: Body) -> Op | None:
    """Return the instruction that may return an array that came in as a parameter, or None."""
    if not body.returns.startswith("["):
        return None
    given = sum(1 << register for register, kind in body.arguments() if kind.startswith("["))
    holds = {0: given}
    waiting = deque([0])
    while waiting and given:
        op = body.ops[waiting.popleft()]
        held = holds[op.at]
        if op.name == "return-object" and held >> op.uses[0] & 1:
            return op
        follow = [(target, _after(op, held)) for target in _successors(op)]
        follow += [(handler.address, held) for handler in op.handlers]
        for target, registers in follow:
            if target not in holds or registers | holds[target] != holds[target]:
                holds[target] = holds.get(target, 0) | registers
                waiting.append(target)
    return None


def _successors(op: Op) -> tuple[int, ...]:
    return (*op.targets, op.next) if op.falls_through else op.targets


def _after(op: Op, held: int) -> int:
    """Return the registers that may hold a parameter's array behind an operation."""
    if op.dest is None:
        return held
    if op.name in ("aget-object", "iget-object"):
        return held | 1 << op.dest
    passes = op.name in ("move-object", "check-cast") or op.name.startswith("invoke-")
    is_held = passes and any(held >> register & 1 for register in op.uses)
    return held | 1 << op.dest if is_held else held & ~(1 << op.dest)
