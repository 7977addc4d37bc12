"""What a method writes to, by itself and through what it calls; which methods throw.

A reference comes from a parameter if it is the parameter, was moved from it, is in it, or was returned by a
call that it went into. What is stored into an array or an object may be in every one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lawow.dalvik.methods import Analysis
from lawow.dalvik.webs import Web
from lawow.dalvik.words import STRING
from lawow.formats.dex import FieldRef, MethodRef

__all__ = ["Effects", "effects_of"]


@dataclass(frozen=True, slots=True)
class Effects:
    """`written`: parameters of which something changes; `stored`: those that are put into another array or
    object; `changed`: what changes by its type, arrays and fields of objects.
    """

    written: frozenset[int] = frozenset()
    stored: frozenset[int] = frozenset()
    changed: frozenset[str | tuple[str, FieldRef]] = frozenset()
    throws: bool = False


def effects_of(analyses: Mapping[MethodRef, Analysis]) -> dict[MethodRef, Effects]:
    """Return the effects of methods that call nothing but each other."""
    callers: dict[MethodRef, list[MethodRef]] = {ref: [] for ref in analyses}
    for ref, analysis in analyses.items():
        for callee in analysis.callees():
            callers[callee].append(ref)
    found = dict.fromkeys(analyses, Effects())
    waiting = list(analyses)
    queued = set(waiting)
    while waiting:
        ref = waiting.pop()
        queued.discard(ref)
        fresh = _Tracker(analyses[ref], found).effects()
        if fresh != found[ref]:
            found[ref] = fresh
            again = [caller for caller in callers[ref] if caller not in queued]
            waiting += again
            queued.update(again)
    return found


def _is_container(descriptor: str) -> bool:
    """Tell whether references may be in what a reference of this type is to."""
    return descriptor[:1] == "L" or descriptor[:2] in ("[[", "[L")


class _Tracker:
    def __init__(self, analysis: Analysis, known: Mapping[MethodRef, Effects]) -> None:
        self.analysis = analysis
        self.flow = analysis.flow
        self.known = known
        self.origins: dict[Web, frozenset[int]] = {}
        self.written: frozenset[int] = frozenset()
        self.stored: frozenset[int] = frozenset()
        self.is_moving = False

    def effects(self) -> Effects:
        for number, web in enumerate(self.flow.arguments):
            if web and web.ref and web.ref != STRING:
                self.origins[web] = frozenset((number,))
        self.is_moving = bool(self.origins)
        while self.is_moving:
            self.is_moving = False
            for at in self.flow.uses:
                self._step(at)
        throws = self.analysis.throws_by_itself() or any(
            self.known[callee].throws for callee in self.analysis.callees()
        )
        return Effects(self.written, self.stored, self._changed(), throws)

    def _changed(self) -> frozenset[str | tuple[str, FieldRef]]:
        """Return what changes in this method and in those that it calls."""
        analysis = self.analysis
        found: set[str | tuple[str, FieldRef]] = set()
        for at, op in analysis.body.ops.items():
            uses = self.flow.uses.get(at, ())
            call = analysis.types.calls.get(at)
            if op.name.startswith("aput"):
                found.add(uses[1].ref)
            elif op.name == "fill-array-data":
                found.add(uses[0].ref)
            elif op.name.startswith("iput") and at in analysis.types.fields:
                found.add(analysis.types.fields[at])
            elif call and call.intrinsic and call.intrinsic.writes is not None:
                found.add(uses[call.intrinsic.writes].ref)
        return frozenset(found).union(*(self.known[callee].changed for callee in analysis.callees()))

    def _of(self, web: Web) -> frozenset[int]:
        found = self.origins.get(web, frozenset())
        return found | self.stored if _is_container(web.ref) else found

    def _add(self, web: Web | None, origins: frozenset[int]) -> None:
        if web is not None and not origins <= self.origins.get(web, frozenset()):
            self.origins[web] = self.origins.get(web, frozenset()) | origins
            self.is_moving = True

    def _step(self, at: int) -> None:
        op, uses = self.analysis.body.ops[at], self.flow.uses[at]
        dest = self.flow.dest.get(at)
        if op.name in ("move-object", "check-cast", "aget-object", "iget-object"):
            self._add(dest, self._of(uses[0]))
        elif op.name.startswith("iput"):
            self._mark(written=self._of(uses[1]))
            if op.name == "iput-object":
                self._mark(stored=self._of(uses[0]))
        elif op.name.startswith("aput"):
            self._mark(written=self._of(uses[1]))
            if op.name == "aput-object":
                self._mark(stored=self._of(uses[0]))
        elif op.name == "filled-new-array":
            self._mark(stored=frozenset().union(*map(self._of, uses)))
        elif op.name == "fill-array-data":
            self._mark(written=self._of(uses[0]))
        elif op.name.startswith("invoke-"):
            self._call(at, uses, dest)

    def _mark(
        self,
        written: frozenset[int] = frozenset(),
        stored: frozenset[int] = frozenset(),
    ) -> None:
        before = (self.written, self.stored)
        self.written |= written
        self.stored |= stored
        self.is_moving = self.is_moving or before != (self.written, self.stored)

    def _call(self, at: int, uses: tuple[Web, ...], dest: Web | None) -> None:
        call = self.analysis.types.calls[at]
        everything: frozenset[int] = frozenset().union(*map(self._of, uses))
        if call.special == "clone":
            self._add(dest, everything if _is_container(uses[0].ref) else frozenset())
        elif call.intrinsic and call.intrinsic.writes is not None:
            self._mark(written=self._of(uses[call.intrinsic.writes]))
        elif call.callee:
            effects = self.known[call.callee]
            for number, web in enumerate(uses):
                origins = self._of(web)
                self._mark(
                    written=origins if number in effects.written else frozenset(),
                    stored=origins if number in effects.stored else frozenset(),
                )
            if dest is not None and dest.ref:
                self._add(dest, everything)
