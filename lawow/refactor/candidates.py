"""Finds the methods of an app that could run as WebAssembly: those that only compute.

A method is a candidate if its values can travel (numbers, strings, arrays, objects of data), its result is no
array that its caller knows already (but where a graph says which), and the translator takes it and whatever
it calls: the greatest set that is closed under calls. Every other method has one reason, with the instruction
where there is one; a method that fails for a callee has the callee's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lawow.dalvik import Examined, Program, Untranslatable, examine
from lawow.dalvik.graphs import crosses_alone
from lawow.dalvik.ir import decode
from lawow.dalvik.objects import is_value
from lawow.formats.dex.spec import ACC_DECLARED_SYNCHRONIZED, ACC_SYNCHRONIZED
from lawow.formats.dex.symbols import MethodRef
from lawow.formats.dex.views import MethodView
from lawow.refactor.classify import is_library
from lawow.refactor.identity import returned_parameter

__all__ = ["Candidate", "Candidates", "Rejection", "find_candidates"]

_LOCKED = ACC_SYNCHRONIZED | ACC_DECLARED_SYNCHRONIZED


@dataclass(frozen=True, slots=True)
class Candidate:
    """A method that could be offloaded, and all methods that its module holds, itself first."""

    method: MethodView
    examined: Examined
    closure: tuple[MethodRef, ...]

    @property
    def ref(self) -> MethodRef:
        """The method's name."""
        return self.method.ref


@dataclass(frozen=True, slots=True)
class Rejection:
    """A method that is no candidate, and why: its own obstacle, or that of a method that it calls."""

    method: MethodRef
    obstacle: Untranslatable

    @property
    def is_own(self) -> bool:
        """Whether the method itself has the obstacle, and not one that it calls, directly or not."""
        return self.obstacle.method == self.method

    @property
    def reason(self) -> str:
        """Why, as a clause."""
        return (
            self.obstacle.reason if self.is_own else f"reaches {self.obstacle.method}: {self.obstacle.reason}"
        )


@dataclass(frozen=True, slots=True)
class Candidates:
    """What was found. `others` counts what initialises an object or a class."""

    accepted: tuple[Candidate, ...]
    rejected: tuple[Rejection, ...]
    others: int


def find_candidates(program: Program) -> Candidates:
    """Look at every method of an app. Raises `FormatError` for damaged classes, not for damaged code."""
    methods, others = [], 0
    for view in _methods(program):
        if view.is_initializer:
            others += 1
        else:
            methods.append(view)
    obstacles = {view.ref: obstacle for view in methods if (obstacle := _unfit(program, view)) is not None}
    search = _Search(program)
    search.look_at(view.ref for view in methods if view.ref not in obstacles)
    obstacles = {**search.obstacles, **obstacles}
    obstacles.update(_shared_results(view for view in methods if view.ref not in obstacles))
    obstacles.update(_too_short(search, (view for view in methods if view.ref not in obstacles)))
    accepted = tuple(
        Candidate(view, search.examined[view.ref], search.closure(view.ref))
        for view in methods
        if view.ref not in obstacles
    )
    rejected = tuple(Rejection(view.ref, obstacles[view.ref]) for view in methods if view.ref in obstacles)
    return Candidates(accepted, rejected, others)


def _methods(program: Program) -> Iterator[MethodView]:
    """Yield every method with code that Android would find, and that is not LAWOW's."""
    seen: set[str] = set()
    for dex in program.dexes:
        for name in dex.class_names():
            if name in seen or is_library(name):
                continue
            seen.add(name)
            yield from (view for view in dex.class_def(name).methods if view.has_code)


def _unfit(program: Program, view: MethodView) -> Untranslatable | None:
    """Return why a method can't be called from afar, whatever its code is."""
    if not view.is_static and not program.is_object(view.ref.class_name):
        return Untranslatable(view.ref, "belongs to a class whose objects are not plain data")
    for kind in view.proto.parameters:
        if not is_value(program, kind):
            return Untranslatable(view.ref, "takes something other than numbers, strings, arrays and data")
    returns = view.proto.return_type
    if returns != "V" and not is_value(program, returns):
        return Untranslatable(view.ref, "returns something other than numbers, strings, arrays and data")
    if view.access_flags & _LOCKED:
        return Untranslatable(view.ref, "is synchronized")
    return None


def _shared_results(views: Iterable[MethodView]) -> Iterator[tuple[MethodRef, Untranslatable]]:
    """Yield the methods whose result may be an array that they were given."""
    for view in views:
        if _is_copied(view) and (op := returned_parameter(decode(view))) is not None:
            reason = "returns an array that it was given, and a copy would come back"
            yield view.ref, Untranslatable(view.ref, reason, op.mnemonic, op.at)


def _too_short(search: _Search, views: Iterable[MethodView]) -> Iterator[tuple[MethodRef, Untranslatable]]:
    """Yield the methods whose objects would cost more than all that they compute."""
    for view in views:
        if not _crosses_alone(view) and not search.has_loop(view.ref):
            yield view.ref, Untranslatable(view.ref, "has no loop, so its objects are not worth sending")


def _crosses_alone(view: MethodView) -> bool:
    """Tell whether a method's values travel without a graph."""
    return view.is_static and all(map(crosses_alone, (*view.proto.parameters, view.proto.return_type)))


def _is_copied(view: MethodView) -> bool:
    """Tell whether a method's result is an array that comes back without a graph."""
    return view.proto.return_type[0] == "[" and _crosses_alone(view)


class _Search:
    """Examines methods and what they call, then takes away whatever calls what can't be had."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.examined: dict[MethodRef, Examined] = {}
        self.obstacles: dict[MethodRef, Untranslatable] = {}

    def look_at(self, methods: Iterable[MethodRef]) -> None:
        pending = list(methods)
        callers: dict[MethodRef, list[MethodRef]] = defaultdict(list)
        while pending:
            ref = pending.pop()
            if ref in self.examined:
                continue
            found = self.examined[ref] = examine(self._program, ref)
            if found.reason is not None:
                self.obstacles[ref] = found.reason
                continue
            for callee in found.callees:
                callers[callee].append(ref)
                pending.append(callee)
        self._spread(callers)

    def _spread(self, callers: dict[MethodRef, list[MethodRef]]) -> None:
        """Refuse the callers of what is refused, up to the end of every chain."""
        pending = list(self.obstacles)
        while pending:
            callee = pending.pop()
            for caller in callers[callee]:
                if caller not in self.obstacles:
                    self.obstacles[caller] = self.obstacles[callee]
                    pending.append(caller)

    def has_loop(self, ref: MethodRef) -> bool:
        """Tell whether a method, or one that it calls, runs anything again; itself may be that."""
        found = [self.examined[item] for item in self.closure(ref)]
        return any(item.has_loop or item.method in item.callees for item in found)

    def closure(self, ref: MethodRef) -> tuple[MethodRef, ...]:
        """Return a method and all that it calls, itself first."""
        found = {ref: None}
        pending = [ref]
        while pending:
            for callee in self.examined[pending.pop()].callees:
                if callee not in found:
                    found[callee] = None
                    pending.append(callee)
        return tuple(found)
