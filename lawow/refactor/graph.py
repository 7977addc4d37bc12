"""The neighbourhood of the moved classes: who calls them, what they called, and how a phone will feel it.

Only classes next to a moved one are in it, so it stays small in an app of any size. Calls are counted in the
code, not at run time: a call in a loop counts once and is marked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lawow.errors import FormatError
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.search import Use, instruction_uses, loops
from lawow.formats.dex.symbols import MethodRef
from lawow.refactor.classify import is_library
from lawow.refactor.code_index import CodeIndex, use_target
from lawow.refactor.findings import describe_method
from lawow.refactor.plan import SplitPlan

__all__ = ["CallSite", "ClassEdge", "ClassGraph", "ClassNode", "build_graph"]

_CALLBACKS = """
    dispatchDraw dispatchTouchEvent doFrame draw getView handleMessage onActivityCreated onActivityResult
    onAnimationUpdate onAttach onAttachedToWindow onBackPressed onBindViewHolder onCheckedChanged onClick
    onConfigurationChanged onCreate onCreateOptionsMenu onCreateView onCreateViewHolder onDraw
    onDrawForeground onFocusChanged onInterceptTouchEvent onItemClick onItemSelected onKeyDown onKeyUp
    onLayout onLongClick onMeasure onMenuItemClick onNewIntent onOptionsItemSelected onPause onPostCreate
    onPostResume onPreDraw onProgressChanged onReceive onResume onScroll onSizeChanged onStart onStartCommand
    onStop onTextChanged onTouch onTouchEvent onViewCreated onWindowFocusChanged performClick
"""
_MAIN_THREAD = frozenset(_CALLBACKS.split())
"""Methods that Android calls on the main thread."""


@dataclass(frozen=True, slots=True)
class CallSite:
    """One call of a moved method. `offset` counts code units."""

    caller: str
    caller_class: str
    callee: MethodRef
    offset: int
    in_loop: bool
    on_main_thread: bool


@dataclass(frozen=True, slots=True)
class ClassNode:
    """A class in the picture. `role` is moved, refused, caller, callee or follower; `why` is for a person."""

    descriptor: str
    name: str
    role: str
    why: str


@dataclass(slots=True)
class ClassEdge:
    """Calls from one class to another. `is_remote`: they go over the network after the split."""

    source: str
    target: str
    calls: int = 0
    methods: set[str] = field(default_factory=set)
    is_remote: bool = False
    in_loop: bool = False
    on_main_thread: bool = False
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class ClassGraph:
    """Nodes in the order callers, moved, reached; every edge joins two nodes."""

    nodes: tuple[ClassNode, ...]
    edges: tuple[ClassEdge, ...]
    call_sites: tuple[CallSite, ...]


def build_graph(plan: SplitPlan) -> ClassGraph:
    """Return the neighbourhood of the moved classes. Raises `FormatError` for damaged code."""
    index = CodeIndex(plan.app)
    try:
        incoming = _incoming(plan, index)
        edges = _edges_in(plan, incoming)
        edges.update(_edges_out(plan, index))
    except FormatError as error:
        raise error if error.file.startswith(plan.app.name) else error.within(plan.app.name) from None
    sites = tuple(_call_site(plan, use, target) for use, target in incoming if target in _bound(plan))
    return ClassGraph(tuple(_nodes(plan, edges.values())), tuple(edges.values()), sites)


def _bound(plan: SplitPlan) -> set[MethodRef]:
    return {
        MethodRef(move.descriptor, bound.method, bound.descriptor)
        for move in plan.moves
        for bound in move.methods
    }


def _incoming(plan: SplitPlan, index: CodeIndex) -> list[tuple[Use, MethodRef]]:
    """Return every call of a method of a moved class that stays: from other classes, and from its own."""
    bound = _bound(plan)
    methods = [method.ref for move in plan.moves for method in move.view.methods]
    found = []
    for use in index.uses_of_methods(methods):
        target = use_target(use)
        owner = use.method.owner.descriptor
        if not isinstance(target, MethodRef) or is_library(owner) or use.method.ref in bound:
            continue
        if owner != target.class_name or target in bound:
            found.append((use, target))
    return found


def _edges_in(plan: SplitPlan, incoming: Iterable[tuple[Use, MethodRef]]) -> dict[tuple[str, str], ClassEdge]:
    bound = _bound(plan)
    edges: dict[tuple[str, str], ClassEdge] = {}
    for use, target in incoming:
        key = (use.method.owner.descriptor, target.class_name)
        if key[0] == key[1]:
            continue
        edge = edges.setdefault(key, ClassEdge(*key))
        edge.calls += 1
        edge.methods.add(target.name)
        if target in bound:
            edge.is_remote = True
            edge.in_loop |= _in_loop(use)
            edge.on_main_thread |= _on_main_thread(use)
    return edges


def _edges_out(plan: SplitPlan, index: CodeIndex) -> dict[tuple[str, str], ClassEdge]:
    """Return the edges from the replaced code to other classes of the app; they end with the split."""
    bound = _bound(plan)
    edges: dict[tuple[str, str], ClassEdge] = {}
    for move in plan.moves:
        for method in move.view.methods:
            for use in instruction_uses(method):
                named = use_target(use)
                if use.kind is not IndexKind.METHOD or not isinstance(named, MethodRef):
                    continue
                target = named.class_name
                if target == move.descriptor or is_library(target) or target not in index.descriptors:
                    continue
                edge = edges.setdefault((move.descriptor, target), ClassEdge(move.descriptor, target))
                edge.calls += 1
                edge.methods.add(named.name)
                edge.is_gone = edge.is_gone or method.ref in bound
                edge.is_remote |= named in bound
    return edges


def _in_loop(use: Use) -> bool:
    return any(first <= use.offset <= last for first, last in loops(use.method))


def _on_main_thread(use: Use) -> bool:
    return use.method.name in _MAIN_THREAD


def _call_site(plan: SplitPlan, use: Use, target: MethodRef) -> CallSite:
    return CallSite(
        caller=describe_method(use.method, plan.names),
        caller_class=use.method.owner.descriptor,
        callee=target,
        offset=use.offset,
        in_loop=_in_loop(use),
        on_main_thread=_on_main_thread(use),
    )


def _nodes(plan: SplitPlan, edges: Iterable[ClassEdge]) -> Iterable[ClassNode]:
    moved = {move.descriptor: move for move in plan.moves}
    reasons = {item.descriptor: item.reason for item in plan.classes}
    followers = {item.descriptor: item for item in plan.closure.followers}
    edges = list(edges)
    callers = [edge.source for edge in edges if edge.source not in moved]
    reached = [edge.target for edge in edges if edge.target not in moved]
    for name in dict.fromkeys(callers):
        yield ClassNode(name, plan.names.shown(name), "caller", reasons.get(name, ""))
    for name, move in moved.items():
        refused = any(finding in plan.refusals for finding in plan.findings_of(move))
        yield ClassNode(
            name, move.classified.shown, "refused" if refused else "moved", move.classified.reason
        )
    for name in dict.fromkeys([*reached, *followers]):
        if name in followers:
            why = f"{followers[name].kind} that only offloaded methods use"
            yield ClassNode(name, plan.names.shown(name), "follower", why)
        elif name not in callers:
            yield ClassNode(name, plan.names.shown(name), "callee", reasons.get(name, ""))
