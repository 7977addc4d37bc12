"""From registers to typed variables.

A register holds many values after each other. What belongs together, all definitions that can reach a common
use, is a *web*; webs that are moved into each other make a *group*. A group's operations tell its kind, and
so the type of its WebAssembly local. Where they disagree (a constant 0 that serves as int and as float) the
local is i32 or i64, which hold any value's bits; every access converts, so results never depend on a guess.

References have Java types: arrays of primitives, exceptions, strings. A register that holds a number where a
reference is needed, half of a wide value, or values of two types is refused, as Android's verifier does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lawow.dalvik.graph import Block, Graph
from lawow.dalvik.ir import Body, Obstacle, Op
from lawow.dalvik.kinds import dest_kind, is_wide, kind_of_type, use_kinds
from lawow.formats.dex import MethodRef
from lawow.limits import DALVIK

__all__ = ["Flow", "Web", "operands"]

_LOCAL_TYPES = {"f": "f32", "d": "f64", "j": "i64", "8": "i64"}


class Web:
    """One variable. `defined` and `used` are the kinds of its definitions and uses; `ref` is the Java type of
    references.

    `ref` is empty where nothing but null was seen. `local` is the type of its WebAssembly local.
    """

    __slots__ = ("defined", "local", "ref", "register", "used")

    def __init__(self, register: int) -> None:
        self.register = register
        self.defined: set[str] = set()
        self.used: set[str] = set()
        self.ref = ""
        self.local = "i32"

    @property
    def is_ref(self) -> bool:
        """Whether a reference other than null is ever put into it."""
        return "l" in self.defined


class _Sets:
    """Union-find over numbers."""

    def __init__(self) -> None:
        self.parent: list[int] = []

    def make(self) -> int:
        self.parent.append(len(self.parent))
        return len(self.parent) - 1

    def find(self, item: int) -> int:
        parent = self.parent
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def unite(self, one: int, other: int) -> None:
        self.parent[self.find(one)] = self.find(other)


class Flow:
    """The webs of a method.

    `dest` and `uses` give those of an operation by its address, `arguments` those of the parameters (None for
    one that is never read). Raises `Obstacle`.
    """

    def __init__(self, body: Body, graph: Graph) -> None:
        self.body = body
        self.graph = graph
        self.dest: dict[int, Web] = {}
        self.uses: dict[int, tuple[Web, ...]] = {}
        self.arguments: list[Web | None] = []
        self._sets = _Sets()
        self._register_of: list[int] = []
        self._entries: dict[tuple[int, int], int] = {}
        self._dest_nodes: dict[int, int] = {}
        self._use_nodes: dict[int, tuple[int, ...]] = {}
        self._live = _liveness(graph.blocks)
        if sum(bits.bit_count() for bits in self._live) > DALVIK.live_values:
            raise Obstacle(f"keeps more than {DALVIK.live_values:,} values over its blocks")
        self._connect()
        self._make_webs()

    def webs(self) -> list[Web]:
        """Return every web once."""
        found = [*self.dest.values(), *(web for webs in self.uses.values() for web in webs)]
        return list(dict.fromkeys([*found, *(web for web in self.arguments if web)]))

    # ---- nodes: one for each definition, and one for each register that is live where a block begins

    def _node(self, register: int) -> int:
        self._register_of.append(register)
        return self._sets.make()

    def _entry(self, block: Block, register: int) -> int:
        key = (block.number, register)
        node = self._entries.get(key)
        if node is None:
            node = self._entries[key] = self._node(register)
        return node

    def _connect(self) -> None:
        known = dict(self.body.arguments())
        for register in _registers(self._live[0]):
            if register not in known:
                first = self.body.ops[0]
                raise first.obstacle(f"v{register} is read before it is set")
        for block in self.graph.blocks:
            self._walk(block)

    def _walk(self, block: Block) -> None:
        current: dict[int, int] = {}
        broken: set[int] = set()

        def at(register: int) -> int:
            return current[register] if register in current else self._entry(block, register)

        for op in block.ops:
            kinds = use_kinds(op)
            registers = operands(op, kinds)
            for register, kind in zip(registers, kinds, strict=True):
                if register in broken and is_wide(kind):
                    raise op.obstacle(f"v{register} holds half of a wide value")
            self._use_nodes[op.at] = tuple(map(at, registers))
            if op is block.last:
                self._flow(block.handlers, at)
            if op.dest is not None:
                broken.discard(op.dest)
                broken.add(op.dest - 1)
                current[op.dest] = self._dest_nodes[op.at] = self._node(op.dest)
                if is_wide(dest_kind(op)):
                    current[op.dest + 1] = self._node(-1)
        self._flow(block.follow, at)

    def _flow(self, blocks: Iterable[Block], at: Callable[[int], int]) -> None:
        for block in blocks:
            for register in _registers(self._live[block.number]):
                self._sets.unite(at(register), self._entry(block, register))

    # ---- webs

    def _make_webs(self) -> None:
        webs: dict[int, Web] = {}

        def web_of(node: int) -> Web:
            root = self._sets.find(node)
            if root not in webs:
                webs[root] = Web(self._register_of[root])
            return webs[root]

        halves = {self._sets.find(node) for node, owner in enumerate(self._register_of) if owner < 0}
        for register, descriptor in self.body.arguments():
            node = self._entries.get((0, register))
            web = None if node is None else web_of(node)
            if web:
                web.defined.add(kind_of_type(descriptor))
            self.arguments.append(web)
        for op in self.body.ops.values():
            if op.at not in self._use_nodes:
                continue
            nodes = self._use_nodes[op.at]
            if any(self._sets.find(node) in halves for node in nodes):
                raise op.obstacle("reads half of a wide value")
            self.uses[op.at] = tuple(map(web_of, nodes))
            for web, kind in zip(self.uses[op.at], use_kinds(op), strict=True):
                web.used.add(kind)
            if op.dest is not None:
                web = self.dest[op.at] = web_of(self._dest_nodes[op.at])
                web.defined.add(dest_kind(op))

    # ---- kinds and locals; after the references' types are known

    def choose_locals(self) -> None:
        """Set every web's `local`. The kinds ``4`` and ``8`` of array elements must have been resolved."""
        groups = _Sets()
        webs = self.webs()
        index = {web: groups.make() for web in webs}
        for at, dest in self.dest.items():
            if self.body.ops[at].name in ("move", "move-wide"):
                groups.unite(index[dest], index[self.uses[at][0]])
        wanted: dict[int, set[str]] = {}
        for web in webs:
            wanted.setdefault(groups.find(index[web]), set()).update(web.defined | web.used)
        for web in webs:
            web.local = _local_type(wanted[groups.find(index[web])])

    def check(self) -> None:
        """Raise `Obstacle` where numbers serve as references, references as numbers, or widths differ."""
        for at, op in self.body.ops.items():
            for web, kind in zip(self.uses.get(at, ()), use_kinds(op), strict=False):
                widths = {is_wide(item) for item in web.defined}
                if widths != {is_wide(kind)}:
                    raise op.obstacle(f"v{web.register} holds half of a wide value")
                numbers = web.defined - {"l", "z"}
                if kind == "l" and numbers:
                    raise op.obstacle(f"v{web.register} holds a number where a reference is needed")
                if kind != "l" and web.is_ref and not op.name.startswith("if-"):
                    raise op.obstacle(f"v{web.register} holds a reference where a number is needed")
                if web.is_ref and numbers:
                    raise op.obstacle(f"v{web.register} holds a number or a reference")


def operands(op: Op, kinds: str) -> tuple[int, ...]:
    """Return the register of each value that is read: of a wide value of an invoke, the first."""
    if not isinstance(op.symbol, MethodRef):
        if len(op.uses) != len(kinds):
            raise op.obstacle("has the wrong number of operands")
        return op.uses
    registers = []
    place = 0
    for kind in kinds:
        if place >= len(op.uses):
            raise op.obstacle("has too few registers for its arguments")
        registers.append(op.uses[place])
        if is_wide(kind):
            if op.uses[place + 1 : place + 2] != (op.uses[place] + 1,):
                raise op.obstacle("names the halves of a wide value apart")
            place += 1
        place += 1
    if place != len(op.uses):
        raise op.obstacle("has more registers than arguments")
    return tuple(registers)


def _local_type(kinds: set[str]) -> str:
    definite = kinds - {"4", "8", "z", "="}
    if len(definite) == 1:
        return _LOCAL_TYPES.get(next(iter(definite)), "i32")
    return "i64" if any(map(is_wide, kinds)) else "i32"


# ---- liveness, as sets of bits


def _registers(bits: int) -> list[int]:
    found = []
    while bits:
        low = bits & -bits
        found.append(low.bit_length() - 1)
        bits ^= low
    return found


def _effect(ops: list[Op]) -> tuple[int, int]:
    """Return the registers that are read before they are written, and those that are written."""
    reads = writes = 0
    for op in reversed(ops):
        kills = _writes(op)
        kinds = use_kinds(op)
        uses = sum(1 << register for register in set(operands(op, kinds)))
        reads = reads & ~kills | uses
        writes |= kills
    return reads, writes


def _writes(op: Op) -> int:
    if op.dest is None:
        return 0
    return (3 if is_wide(dest_kind(op)) else 1) << op.dest


def _liveness(blocks: list[Block]) -> list[int]:
    """Return for each block the registers whose value is read later, as it begins."""
    heads = [_effect(block.ops[:-1]) for block in blocks]
    lasts = [_effect(block.ops[-1:]) for block in blocks]
    live = [0] * len(blocks)
    waiting = list(range(len(blocks)))
    queued = set(waiting)
    while waiting:
        number = waiting.pop()
        queued.discard(number)
        block = blocks[number]
        after = _union(live, block.follow)
        reads, writes = lasts[number]
        # A handler begins with what was there before the last operation wrote anything.
        before = after & ~writes | reads | _union(live, block.handlers)
        reads, writes = heads[number]
        result = before & ~writes | reads
        if result != live[number]:
            live[number] = result
            fresh = [pred.number for pred in block.preds if pred.number not in queued]
            waiting += fresh
            queued.update(fresh)
    return live


def _union(live: list[int], blocks: Iterable[Block]) -> int:
    bits = 0
    for block in blocks:
        bits |= live[block.number]
    return bits
