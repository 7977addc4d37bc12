"""Loops whose array accesses can be checked before they start.

An innermost loop that counts upwards to a limit is emitted twice: first without the checks of those accesses
whose index is linear in the counter, if a guard finds all of them within their arrays for every turn; then as
it is. The first copy ends where the limit is reached, and the second one finds that and is left at once; with
a guard that fails, the second does everything, so exceptions come at the same place as ever.

Sums are taken in 64 bits: a value that is within an array there is what 32 bits, which wrap, hold, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from lawow.dalvik.graph import Block, Graph
from lawow.dalvik.ir import Op
from lawow.dalvik.webs import Flow, Web

__all__ = ["Access", "Limit", "Linear", "Plan", "find_plans"]

_MOST_ACCESSES = 8
_MOST_BLOCKS = 24
_LARGEST_FACTOR = 1 << 16
_HEAD_OPS = frozenset(("array-length", "const"))
# The test that leaves the loop by jumping, or by not jumping -> what to add to the limit for the last turn.
_LEAVES_BY_JUMP = {"if-ge": -1, "if-gt": 0}
_LEAVES_BY_FALLING = {"if-lt": -1, "if-le": 0}


@dataclass(frozen=True, slots=True)
class Linear:
    """``factor * counter + constant`` and products of webs that stay the same, each times a number."""

    factor: int = 0
    constant: int = 0
    terms: tuple[tuple[int, tuple[Web, ...]], ...] = ()

    def plus(self, other: Linear, sign: int = 1) -> Linear:
        """Return the sum, or the difference."""
        moved = other.times(sign)
        return Linear(self.factor + moved.factor, self.constant + moved.constant, self.terms + moved.terms)

    def times(self, number: int) -> Linear:
        """Return the multiple."""
        terms = tuple((number * factor, webs) for factor, webs in self.terms)
        return Linear(number * self.factor, number * self.constant, terms)


@dataclass(frozen=True, slots=True)
class Limit:
    """The counter's last value: a web's, an array's length (`array`), or nothing, plus a number."""

    web: Web | None
    array: Web | None
    constant: int


@dataclass(frozen=True, slots=True)
class Access:
    """An array and an index into it."""

    array: Web
    index: Linear


@dataclass(frozen=True, slots=True)
class Plan:
    """A loop: its blocks, the counter, its last value, the accesses to check, and where they are made.

    `margin` is what the last value must be below the largest int, so that the counter does not wrap.
    """

    blocks: frozenset[int]
    counter: Web
    last: Limit
    margin: int
    accesses: tuple[Access, ...]
    places: Mapping[int, Access]

    @property
    def safe(self) -> frozenset[int]:
        """The operations that need no check."""
        return frozenset(self.places)


def find_plans(graph: Graph, flow: Flow) -> dict[int, Plan]:
    """Return the plans by the number of the loop's first block."""
    if not graph.is_reducible:
        return {}
    found = {}
    counts = Counter(flow.dest.values())
    for head in graph.blocks:
        if head.is_loop:
            plan = _Loop(graph, flow, counts, head).plan()
            if plan:
                found[head.number] = plan
    return found


@dataclass
class _Loop:
    graph: Graph
    flow: Flow
    counts: Counter[Web]
    head: Block
    blocks: dict[int, Block] = field(default_factory=dict)
    definitions: dict[Web, list[Op]] = field(default_factory=dict)
    counter: Web | None = None
    step: int = 0

    def plan(self) -> Plan | None:
        """Return the plan, or None for a loop of another kind."""
        latches = [pred for pred in self.head.preds if pred.number >= self.head.number]
        if len(latches) != 1 or not self._collect(latches[0]) or not self._is_simple():
            return None
        last = self._last()
        if last is None or not self._counts_up(latches[0]):
            return None
        accesses: dict[Access, None] = {}
        places = {}
        for block in self.blocks.values():
            for op in block.ops:
                access = self._access(op)
                if access and (access in accesses or len(accesses) < _MOST_ACCESSES):
                    accesses[access] = None
                    places[op.at] = access
        if not places or self.counter is None:
            return None
        return Plan(frozenset(self.blocks), self.counter, last, self.step, tuple(accesses), places)

    def _collect(self, latch: Block) -> bool:
        """Find the blocks from which the latch is reached without the head, and what they define."""
        self.blocks = {self.head.number: self.head}
        waiting = [latch]
        while waiting:
            block = waiting.pop()
            if block.number in self.blocks:
                continue
            if len(self.blocks) >= _MOST_BLOCKS:
                return False
            self.blocks[block.number] = block
            waiting += block.preds
        for block in self.blocks.values():
            for op in block.ops:
                if op.at in self.flow.dest:
                    self.definitions.setdefault(self.flow.dest[op.at], []).append(op)
        return True

    def _is_simple(self) -> bool:
        """Innermost, without handlers and switches, and left by its head alone, which may run twice."""
        for block in self.blocks.values():
            if block.handlers or block.last.keys or (block.is_loop and block is not self.head):
                return False
            leaves = any(item.number not in self.blocks for item in block.follow)
            if leaves != (block is self.head) or (block is not self.head and not block.follow):
                return False
        *before, test = self.head.ops
        return test.name.startswith("if-") and all(op.name in _HEAD_OPS for op in before)

    def _last(self) -> Limit | None:
        """Find the counter and its last value in the head's test."""
        test = self.head.last
        jumps_out = self.graph.at[test.targets[0]].number not in self.blocks
        table = _LEAVES_BY_JUMP if jumps_out else _LEAVES_BY_FALLING
        if test.name not in table:
            return None
        self.counter, limit = self.flow.uses[test.at]
        made = self.definitions.get(limit, [])
        if not made:
            return Limit(limit, None, table[test.name])
        if len(made) != 1 or made[0] not in self.head.ops:
            return None
        if made[0].name == "const":
            return Limit(None, None, (made[0].literal or 0) + table[test.name])
        array = self.flow.uses[made[0].at][0]
        return None if array in self.definitions else Limit(None, array, table[test.name])

    def _counts_up(self, latch: Block) -> bool:
        """Tell whether the counter only ever grows, as the last thing of a turn that looks at it."""
        made = self.definitions.get(self.counter, []) if self.counter else []
        if len(made) != 1 or made[0] not in latch.ops or latch is self.head:
            return False
        step = made[0]
        if (
            step.name != "add-int"
            or not step.literal
            or step.literal < 0
            or self.flow.uses[step.at] != (self.counter,)
        ):
            return False
        self.step = step.literal
        behind = latch.ops[latch.ops.index(step) + 1 :]
        return not any(self.counter in self.flow.uses[op.at] for op in behind)

    # ---- what is linear

    def _access(self, op: Op) -> Access | None:
        if not op.name.startswith(("aget", "aput")):
            return None
        array, index = self.flow.uses[op.at][-2:]
        if array in self.definitions or not array.ref:
            return None
        linear = self._linear(index, 0)
        if linear is None or not 0 <= linear.factor <= _LARGEST_FACTOR:
            return None
        return Access(array, linear)

    def _linear(self, web: Web, depth: int) -> Linear | None:
        if web is self.counter:
            return Linear(factor=1)
        made = self.definitions.get(web)
        if not made:
            return Linear(terms=((1, (web,)),)) if web.local == "i32" else None
        if len(made) != 1 or depth > 6 or self._is_defined_outside(web):
            return None
        return self._combined(made[0], depth + 1)

    def _is_defined_outside(self, web: Web) -> bool:
        return self.counts[web] != len(self.definitions[web]) or web in self.flow.arguments

    def _combined(self, op: Op, depth: int) -> Linear | None:
        if op.name == "const":
            return Linear(constant=op.literal or 0)
        if op.name not in ("add-int", "sub-int", "mul-int", "shl-int", "move"):
            return None
        parts = [self._linear(web, depth) for web in self.flow.uses[op.at]]
        if op.literal is not None:
            parts.append(Linear(constant=op.literal))
        one = parts[0]
        other = parts[1] if len(parts) > 1 else None
        if one is None or op.name == "move":
            return one
        if other is None:
            return None
        if op.name in ("add-int", "sub-int"):
            return one.plus(other, 1 if op.name == "add-int" else -1)
        return _shifted(one, other) if op.name == "shl-int" else _product(one, other)


def _number(linear: Linear) -> int | None:
    return None if linear.factor or linear.terms else linear.constant


def _shifted(one: Linear, other: Linear) -> Linear | None:
    count = _number(other)
    return None if count is None or not 0 <= count <= 16 else one.times(1 << count)


def _product(one: Linear, other: Linear) -> Linear | None:
    for left, right in ((one, other), (other, one)):
        number = _number(right)
        if number is not None:
            return left.times(number) if abs(number) <= _LARGEST_FACTOR else None
    # Two sums that stay the same: a product if each is one term
    if (
        one.factor
        or other.factor
        or one.constant
        or other.constant
        or len(one.terms) != 1
        or len(other.terms) != 1
    ):
        return None
    (left_factor, left_webs), (right_factor, right_webs) = one.terms[0], other.terms[0]
    webs = left_webs + right_webs
    return Linear(terms=((left_factor * right_factor, webs),)) if len(webs) <= 2 else None
