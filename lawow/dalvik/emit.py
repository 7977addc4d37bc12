"""One method as a WebAssembly function: structured control flow around the code of its operations.

The dominator tree gives the structure (Ramsey, "Beyond Relooper", 2022): a block that several others jump to
becomes the code behind a ``block``, a loop's head a ``loop``. Flow that is not reducible runs in a loop
around a table of all blocks. An exception is a value in a global; whatever can throw is followed by a branch
to its handlers, or to the end of the function, which returns to a caller that looks at the global again.

Work waits on a list and not on Python's stack: methods may nest thousands deep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from lawow.dalvik.graph import Block
from lawow.dalvik.ir import Op
from lawow.dalvik.loops import Plan, find_plans
from lawow.dalvik.methods import Analysis
from lawow.dalvik.operations import Operations
from lawow.dalvik.rewriting import is_text_access
from lawow.dalvik.runtime import ARITHMETIC, EXCEPTION, NULL
from lawow.dalvik.types import THROWABLE
from lawow.dalvik.variables import Unit
from lawow.dalvik.vectors import LANES, Vector, find_vector
from lawow.dalvik.wat import Function
from lawow.formats.bytes import encode_uleb128

__all__ = ["emit"]

_UNCAUGHT, _ZERO, _BOUNDS, _TEXT_BOUNDS = range(4)
"""The blocks around a function's code, the outermost first: where its exceptions are made and leave it."""

_BLOCK, _LOOP, _IF, _END = b"\x02\x40", b"\x03\x40", b"\x04\x40", b"\x0b"
_DENSE = 4
"""A sparse switch is a table if it has no more holes than this times its keys."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What code is nested in, the innermost first. `label` is the block that a branch to it reaches."""

    outer: _Place | None
    label: tuple[str, int]
    depth: int

    def inside(self, kind: str, number: int = -1) -> _Place:
        """Return the place one level deeper."""
        return _Place(self, (kind, number), self.depth + 1)


def emit(analysis: Analysis, unit: Unit) -> Function:
    """Return the function of an analysed method. Raises `Obstacle`."""
    return _Emitter(analysis, unit).function()


class _Emitter(Operations):
    def __init__(self, analysis: Analysis, unit: Unit) -> None:
        super().__init__(analysis, unit)
        self.blocks = analysis.graph.blocks
        self.block_at = analysis.graph.at
        self.is_structured = analysis.graph.is_reducible
        self._work: list[Callable[[], None]] = []
        self._place = _Place(None, ("function", -1), 0)
        self._caught: int | None = None
        self._plans = find_plans(analysis.graph, analysis.flow)
        self._fast: Plan | None = None

    def function(self) -> Function:
        """Emit everything."""
        self.prologue()
        place = self._place
        has_text = any(map(is_text_access, self.analysis.body.ops.values()))
        for _ in (_UNCAUGHT, _ZERO, _BOUNDS, _TEXT_BOUNDS)[: 4 if has_text else 3]:
            self.out.data += _BLOCK
            place = place.inside("fault")
        if self.is_structured:
            self._later(partial(self._tree, self.blocks[0], place))
        else:
            self._dispatch(place)
        while self._work:
            self._work.pop()()
        self.text("unreachable end")
        if has_text:
            self.text("local.get $fi local.get $fa call throw_text br 2 end")
        self.text("local.get $fi local.get $fa call throw_bounds br 1 end")
        self.text(f"i32.const {ARITHMETIC} i32.const 0 i32.const 0 call throw end")
        self.epilogue()
        return self.finished()

    def _later(self, *steps: Callable[[], None]) -> None:
        """Do these steps next, in their order."""
        self._work += reversed(steps)

    def _raw(self, data: bytes) -> Callable[[], None]:
        return partial(self.out.data.extend, data)

    # ---- structure

    def _tree(self, block: Block, place: _Place) -> None:
        if not block.is_loop:
            self._within(block, self._merges(block), place)
        elif block.number in self._plans:
            self._unchecked_first(block, self._plans[block.number], place)
        else:
            self._loop(block, place)

    def _loop(self, block: Block, place: _Place) -> None:
        self.out.data += _LOOP
        inside = place.inside("loop", block.number)
        self._later(partial(self._within, block, self._merges(block), inside), self._raw(_END))

    def _merges(self, block: Block) -> list[Block]:
        """Return the blocks that need a label around the code of this one."""
        found = [child for child in block.children if child.is_merge]
        return [child for child in found if child.number in self._fast.blocks] if self._fast else found

    def _unchecked_first(self, block: Block, plan: Plan, place: _Place) -> None:
        """A loop twice: without checks if the guard holds, and as it is."""
        self.guard(plan)
        self.out.data += _IF
        self.safe, self._fast = plan.safe, plan
        inside = place.inside("out", block.number)
        vector = find_vector(plan, self.analysis.graph, self.flow)
        if vector:
            self._several_turns(block, plan, vector, inside)
        self._later(
            partial(self._loop, block, inside),
            self._checked_again,
            self._raw(_END),
            partial(self._loop, block, place),
        )

    def _several_turns(self, block: Block, plan: Plan, vector: Vector, place: _Place) -> None:
        """Turns that have nothing to do with each other, as long as one more is left behind them."""
        self.text("i32.const 1")
        for written, other in vector.apart:
            self.load(written, "l")
            self.load(other, "l")
            self.text("i32.ne i32.and")
        self.out.data += _IF + _LOOP
        self._place = place.inside("turns").inside("turns")
        for op in block.ops[:-1]:
            self.operation(op)
        self.push_beyond(plan, LANES)
        self.text("br_if 1")
        for op in vector.ops:
            self.lanes(vector, op)
        for _ in range(LANES - 1):
            self.operation(next(op for op in vector.ops if self.flow.dest.get(op.at) is plan.counter))
        self.text("br 0 end end")

    def _checked_again(self) -> None:
        self.safe, self._fast = frozenset(), None

    def _within(self, block: Block, merges: list[Block], place: _Place) -> None:
        steps: list[Callable[[], None]] = []
        places = [place]
        for item in merges:
            self.out.data += _BLOCK
            places.append(places[-1].inside("block", item.number))
        for item, outer in zip(reversed(merges), reversed(places[:-1]), strict=True):
            steps += [self._raw(_END), partial(self._tree, item, outer)]
        self._later(partial(self._code, block, places[-1]), *steps)

    def _dispatch(self, place: _Place) -> None:
        """Every block behind one table: for flow that no nesting can say."""
        count = len(self.blocks)
        state = self.named("$state", "i32")
        self.out.data += _LOOP
        place = place.inside("top")
        places = [place]
        for number in reversed(range(count)):
            self.out.data += _BLOCK
            places.append(places[-1].inside("case", number))
        self.text(f"local.get {state}")
        self.out.data += b"\x0e" + encode_uleb128(count - 1)
        self.out.data += b"".join(encode_uleb128(number) for number in (*range(count - 1), count - 1))
        steps: list[Callable[[], None]] = []
        for block in self.blocks:
            outer = places[count - 1 - block.number]
            steps += [self._raw(_END), partial(self._code, block, outer)]
        self._later(*steps, self._raw(_END))

    def _code(self, block: Block, place: _Place) -> None:
        for op in block.ops[:-1]:
            self._place = place
            self.operation(op)
        last = block.last
        if last.handlers:
            self._guarded(block, place)
        else:
            self._last(block, place)

    def _last(self, block: Block, place: _Place) -> None:
        last = block.last
        self._place = place
        if last.name.endswith("-switch"):
            self._switch(block, place)
        elif last.name.startswith("if-"):
            self._if(block, place)
        else:
            self.operation(last)
            for target in block.follow:
                self._later(*self._branch(block, target, place))

    # ---- branches

    def _label(self, block: Block, target: Block, place: _Place) -> int | None:
        """Return how many levels out a branch to `target` goes, or None if its code follows right here."""
        if self._fast and target.number not in self._fast.blocks:
            return self._levels(("out", min(self._fast.blocks)), place)
        if target.number <= block.number:
            wanted = ("loop", target.number)
        elif target.is_merge:
            wanted = ("block", target.number)
        else:
            return None
        return self._levels(wanted, place)

    @staticmethod
    def _levels(wanted: tuple[str, int], place: _Place) -> int:
        at: _Place | None = place
        levels = 0
        while at is not None and at.label != wanted:
            at, levels = at.outer, levels + 1
        assert at is not None, wanted
        return levels

    def _branch(self, block: Block, target: Block, place: _Place) -> list[Callable[[], None]]:
        if not self.is_structured:
            state = self.named("$state", "i32")
            levels = self._levels(("top", -1), place)
            return [partial(self.text, f"i32.const {target.number} local.set {state} br {levels}")]
        label = self._label(block, target, place)
        if label is None:
            return [partial(self._tree, target, place)]
        return [partial(self.text, f"br {label}")]

    def _if(self, block: Block, place: _Place) -> None:
        last = block.last
        target, following = self.block_at[last.targets[0]], self.block_at[last.next]
        if target is following:
            self._later(*self._branch(block, target, place))
            return
        self.condition(last)
        if self.is_structured:
            label = self._label(block, target, place)
            if label is not None:
                self.text(f"br_if {label}")
                self._later(*self._branch(block, following, place))
                return
            label = self._label(block, following, place)
            if label is not None:
                self.text(f"i32.eqz br_if {label}")
                self._later(*self._branch(block, target, place))
                return
        self.out.data += _IF
        inner = self._branch(block, target, place.inside("if"))
        self._later(*inner, self._raw(_END), *self._branch(block, following, place))

    def _switch(self, block: Block, place: _Place) -> None:
        last = block.last
        following = self.block_at[last.next]
        targets = [self.block_at[address] for address in last.targets]
        if not targets:
            self._later(*self._branch(block, following, place))
            return
        span = last.keys[-1] - last.keys[0] + 1
        if self.is_structured and span <= _DENSE * len(targets) + _DENSE:
            self._table(block, dict(zip(last.keys, targets, strict=True)), following, place)
            return
        for key, target in zip(last.keys, targets, strict=True):
            self.load(self.flow.uses[last.at][0], "i")
            self.text(f"i32.const {key} i32.eq")
            if self.is_structured:
                self.text(f"br_if {self._label(block, target, place)}")
                continue
            self.out.data += _IF
            for step in self._branch(block, target, place.inside("if")):
                step()
            self.out.data += _END
        self._later(*self._branch(block, following, place))

    def _table(self, block: Block, targets: dict[int, Block], following: Block, place: _Place) -> None:
        first, final = min(targets), max(targets)
        self.load(self.flow.uses[block.last.at][0], "i")
        self.text(f"i32.const {first} i32.sub")
        labels = [self._label(block, targets.get(key, following), place) for key in range(first, final + 1)]
        labels.append(self._label(block, following, place))
        self.out.data += b"\x0e" + encode_uleb128(len(labels) - 1)
        for label in labels:
            assert label is not None  # all that a switch reaches has a label
            self.out.data += encode_uleb128(label)

    # ---- exceptions

    def _guarded(self, block: Block, place: _Place) -> None:
        """The last operation within its handlers, which follow in the order of the table."""
        self.out.data += _BLOCK
        inside = place.inside("fault")
        self._place = inside
        self._caught = inside.depth
        last = block.last
        self.operation(last)
        self._caught = None
        follow = [step for target in block.follow for step in self._branch(block, target, inside)]
        self._later(*follow, self._raw(_END), partial(self._handlers, block, place))

    def _handlers(self, block: Block, place: _Place) -> None:
        caught = self.named("$caught", "i32")
        self.text(f"global.get {EXCEPTION} local.set {caught} i32.const 0 global.set {EXCEPTION}")
        for handler in block.last.handlers:
            target = self.block_at[handler.address]
            if handler.type in (None, THROWABLE):
                self._later(*self._branch(block, target, place))
                return
            codes = self.unit.codes_of(handler.type)
            if not codes:
                continue
            self.text(" ".join(f"local.get {caught} i32.load i32.const {code} i32.eq" for code in codes))
            self.text("i32.or " * (len(codes) - 1))
            self.out.data += _IF
            for step in self._branch(block, target, place.inside("if")):
                step()
            self.out.data += _END
        self._place = place
        self.text(f"local.get {caught} global.set {EXCEPTION}")
        self.leave()

    def leave(self) -> None:
        """Branch to where an exception that is set goes."""
        self.text(f"br {self._fault_levels(_UNCAUGHT)}")

    def _fault_levels(self, kind: int) -> int:
        if self._caught is not None:
            return self._place.depth - self._caught
        return self._place.depth - 1 - kind

    def fault_if_thrown(self) -> None:
        """Leave if an exception is set."""
        self.text(f"global.get {EXCEPTION} br_if {self._fault_levels(_UNCAUGHT)}")

    def fault_bounds(
        self, index: Callable[[], None], array: Callable[[], None], *, of_text: bool = False
    ) -> None:
        """Leave with an exception about an index or null if the condition on the stack holds."""
        if self._caught is None:
            levels = self._fault_levels(_TEXT_BOUNDS if of_text else _BOUNDS)
            index_local, array_local = self.named("$fi", "i32"), self.named("$fa", "i32")
            index()
            self.text(f"local.set {index_local}")
            array()
            self.text(f"local.set {array_local} br_if {levels}")
            return
        self.out.data += _IF
        index()
        array()
        thrower = "throw_text" if of_text else "throw_bounds"
        self.text(f"call {thrower} br {self._fault_levels(_UNCAUGHT) + 1} end")

    def fault_zero(self) -> None:
        """Leave with an ArithmeticException if the condition on the stack holds."""
        if self._caught is None:
            self.text(f"br_if {self._fault_levels(_ZERO)}")
            return
        levels = self._fault_levels(_UNCAUGHT) + 1
        self.text(f"if i32.const {ARITHMETIC} i32.const 0 i32.const 0 call throw br {levels} end")

    def throw(self, op: Op) -> None:
        """Throw a reference; null becomes an exception of its own."""
        web = self.flow.uses[op.at][0]
        self.load(web, "l")
        self.text(f"i32.eqz if i32.const {NULL} i32.const 0 i32.const 0 call throw else")
        self.load(web, "l")
        self.text(f"global.set {EXCEPTION} end")
        self.leave()
