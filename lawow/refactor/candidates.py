"""Finds the methods of an app that could run as WebAssembly: static ones that only compute.

A method is a candidate if its values can travel (numbers, strings, arrays of numbers), its result is no array
that its caller knows already, and the translator takes it and whatever it calls: the greatest set that is
closed under calls. Every other static method has one reason, with the instruction where there is one; a
method that fails for a callee has the callee's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lawow.dalvik import Examined, Program, Untranslatable, examine
from lawow.dalvik.ir import decode
from lawow.dalvik.words import STRING
from lawow.formats.dex.spec import ACC_DECLARED_SYNCHRONIZED, ACC_SYNCHRONIZED
from lawow.formats.dex.symbols import MethodRef
from lawow.formats.dex.views import MethodView
from lawow.refactor.binding import SCALARS
from lawow.refactor.classify import is_library
from lawow.refactor.identity import returned_parameter

__all__ = ["Candidate", "Candidates", "Rejection", "find_candidates"]

_NUMBERS = frozenset(SCALARS)
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
    """A static method that is no candidate, and why: its own obstacle, or that of a method that it calls."""

    method: MethodRef
    obstacle: Untranslatable

    @property
    def reason(self) -> str:
        """Why, as a clause."""
        own = self.obstacle.method == self.method
        return self.obstacle.reason if own else f"a callee {self.obstacle.reason}"


@dataclass(frozen=True, slots=True)
class Candidates:
    """What was found. `others` counts methods with code that are not static, or initialise a class."""

    accepted: tuple[Candidate, ...]
    rejected: tuple[Rejection, ...]
    others: int


def find_candidates(program: Program) -> Candidates:
    """Look at every method of an app. Raises `FormatError` for damaged classes, not for damaged code."""
    static, others = [], 0
    for view in _methods(program):
        if view.is_static and not view.is_initializer:
            static.append(view)
        else:
            others += 1
    obstacles = {view.ref: obstacle for view in static if (obstacle := _unfit(view)) is not None}
    search = _Search(program)
    search.look_at(view.ref for view in static if view.ref not in obstacles)
    obstacles = {**search.obstacles, **obstacles}
    obstacles.update(_shared_results(view for view in static if view.ref not in obstacles))
    accepted = tuple(
        Candidate(view, search.examined[view.ref], search.closure(view.ref))
        for view in static
        if view.ref not in obstacles
    )
    rejected = tuple(Rejection(view.ref, obstacles[view.ref]) for view in static if view.ref in obstacles)
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


def _unfit(view: MethodView) -> Untranslatable | None:
    """Return why a method can't be called from afar, whatever its code is."""
    for kind in view.proto.parameters:
        if kind not in _NUMBERS and not _is_list(kind):
            return Untranslatable(
                view.ref, "takes something other than numbers, strings and arrays of numbers"
            )
    returns = view.proto.return_type
    if returns != "V" and returns not in _NUMBERS and not _is_list(returns):
        return Untranslatable(
            view.ref, "returns something other than a number, a string or an array of numbers"
        )
    if view.access_flags & _LOCKED:
        return Untranslatable(view.ref, "is synchronized")
    return None


def _shared_results(views: Iterable[MethodView]) -> Iterator[tuple[MethodRef, Untranslatable]]:
    """Yield the methods whose result may be an array that they were given."""
    for view in views:
        if view.proto.return_type.startswith("[") and (op := returned_parameter(decode(view))) is not None:
            reason = "returns an array that it was given, and a copy would come back"
            yield view.ref, Untranslatable(view.ref, reason, op.mnemonic, op.at)


def _is_list(kind: str) -> bool:
    return kind == STRING or (kind[0] == "[" and kind[1:] in _NUMBERS)


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
