"""The control flow of a method: basic blocks, reverse postorder, dominators, loops.

Every operation that can throw inside of a guarded range ends its block, so that the state in which a handler
begins is the one before that operation. Dominators: Cooper, Harvey, Kennedy, "A Simple, Fast Dominance
Algorithm" (2001).
"""

from __future__ import annotations

from lawow.dalvik.ir import Body, Op

__all__ = ["Block", "Graph"]


class Block:
    """Operations that run one after the other. `number` is the place in reverse postorder; 0 is the entry.

    `follow` are the blocks that control goes on to, `handlers` those that an exception of the last operation
    goes to. `idom` is the immediate dominator's number, `children` are the blocks it is that of, last first.
    """

    __slots__ = (
        "children",
        "follow",
        "handlers",
        "idom",
        "is_loop",
        "is_merge",
        "number",
        "ops",
        "preds",
        "start",
    )

    def __init__(self, start: int) -> None:
        self.start = start
        self.ops: list[Op] = []
        self.number = -1
        self.follow: tuple[Block, ...] = ()
        self.handlers: tuple[Block, ...] = ()
        self.preds: list[Block] = []
        self.children: list[Block] = []
        self.idom = 0
        self.is_loop = False
        self.is_merge = False

    def __repr__(self) -> str:
        return f"<Block {self.number} at {self.start:#x}>"

    @property
    def last(self) -> Op:
        """The operation that ends the block."""
        return self.ops[-1]


class Graph:
    """The blocks of a body in reverse postorder. `at` finds a block by its first address."""

    def __init__(self, body: Body) -> None:
        self.at = _split(body)
        self.blocks = _ordered(self.at)
        _dominate(self.blocks)
        self.is_reducible = _mark(self.blocks)

    @property
    def has_loop(self) -> bool:
        """Whether any block can be reached from itself."""
        return any(item.number <= block.number for block in self.blocks for item in _successors(block))


def _split(body: Body) -> dict[int, Block]:
    leaders = {0}
    for op in body.ops.values():
        leaders.update(op.targets)
        leaders.update(handler.address for handler in op.handlers)
        if op.targets or op.handlers or not op.falls_through:
            leaders.add(op.next)
    blocks: dict[int, Block] = {}
    current: Block | None = None
    for at, op in body.ops.items():
        if current is None or at in leaders or current.last.next != at:
            current = blocks[at] = Block(at)
        current.ops.append(op)
    for block in blocks.values():
        last = block.last
        addresses = [*last.targets, *([last.next] if last.falls_through else ())]
        block.follow = tuple(blocks[address] for address in dict.fromkeys(addresses))
        block.handlers = tuple(dict.fromkeys(blocks[handler.address] for handler in last.handlers))
    return blocks


def _successors(block: Block) -> tuple[Block, ...]:
    return tuple(dict.fromkeys(block.follow + block.handlers))


def _ordered(at: dict[int, Block]) -> list[Block]:
    """Return the blocks in reverse postorder, numbered, with their predecessors."""
    entry = at[0]
    done: list[Block] = []
    seen = {entry}
    stack = [(entry, iter(_successors(entry)))]
    while stack:
        block, left = stack[-1]
        for item in left:
            if item not in seen:
                seen.add(item)
                stack.append((item, iter(_successors(item))))
                break
        else:
            done.append(block)
            stack.pop()
    done.reverse()
    for number, block in enumerate(done):
        block.number = number
    for block in done:
        for item in _successors(block):
            item.preds.append(block)
    return done


def _dominate(blocks: list[Block]) -> None:
    known = [False] * len(blocks)
    known[0] = True
    idom = [0] * len(blocks)
    changed = True
    while changed:
        changed = False
        for block in blocks[1:]:
            best = -1
            for pred in block.preds:
                if known[pred.number]:
                    best = pred.number if best < 0 else _meet(idom, pred.number, best)
            if not known[block.number] or idom[block.number] != best:
                known[block.number], idom[block.number], changed = True, best, True
    for block in blocks[1:]:
        block.idom = idom[block.number]
        blocks[block.idom].children.append(block)
    for block in blocks:
        block.children.reverse()


def _meet(idom: list[int], one: int, other: int) -> int:
    while one != other:
        while one > other:
            one = idom[one]
        while other > one:
            other = idom[other]
    return one


def _mark(blocks: list[Block]) -> bool:
    """Set `is_loop` and `is_merge`; tell whether every jump back goes to a block that dominates its
    origin."""
    forward = [0] * len(blocks)
    reducible = True
    for block in blocks:
        has_table = bool(block.last.keys or block.handlers)
        for item in _successors(block):
            if item.number > block.number:
                # A table of a switch or of handlers may name a block twice: all that it reaches need labels.
                forward[item.number] += 2 if has_table else 1
            else:
                item.is_loop = True
                reducible = reducible and _dominates(blocks, item.number, block.number)
    for block in blocks:
        block.is_merge = forward[block.number] > 1
    return reducible


def _dominates(blocks: list[Block], one: int, other: int) -> bool:
    while other > one:
        other = blocks[other].idom
    return other == one
