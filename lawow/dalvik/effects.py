"""Which parameters' arrays a method writes to, by itself and through what it calls; which methods throw.

A reference comes from a parameter if it is the parameter, was moved from it, is a row of it, or was returned
by a call that it went into. Where rows are stored into other arrays, every array of arrays may hold them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lawow.dalvik.methods import Analysis
from lawow.dalvik.webs import Web
from lawow.formats.dex import MethodRef

__all__ = ["Effects", "effects_of"]


@dataclass(frozen=True, slots=True)
class Effects:
    """`written`: parameters whose elements change; `rows`: those into which rows are put; `stored`: those
    that are put into another array.
    """

    written: frozenset[int] = frozenset()
    rows: frozenset[int] = frozenset()
    stored: frozenset[int] = frozenset()
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


class _Tracker:
    def __init__(self, analysis: Analysis, known: Mapping[MethodRef, Effects]) -> None:
        self.analysis = analysis
        self.flow = analysis.flow
        self.known = known
        self.origins: dict[Web, frozenset[int]] = {}
        self.written: frozenset[int] = frozenset()
        self.rows: frozenset[int] = frozenset()
        self.stored: frozenset[int] = frozenset()
        self.changed = False

    def effects(self) -> Effects:
        for number, web in enumerate(self.flow.arguments):
            if web and web.ref[:1] == "[":
                self.origins[web] = frozenset((number,))
        self.changed = bool(self.origins)
        while self.changed:
            self.changed = False
            for at in self.flow.uses:
                self._step(at)
        throws = self.analysis.throws_by_itself() or any(
            self.known[callee].throws for callee in self.analysis.callees()
        )
        return Effects(self.written, self.rows, self.stored, throws)

    def _of(self, web: Web) -> frozenset[int]:
        found = self.origins.get(web, frozenset())
        return found | self.stored if web.ref[:2] == "[[" else found

    def _add(self, web: Web | None, origins: frozenset[int]) -> None:
        if web is not None and not origins <= self.origins.get(web, frozenset()):
            self.origins[web] = self.origins.get(web, frozenset()) | origins
            self.changed = True

    def _step(self, at: int) -> None:
        op, uses = self.analysis.body.ops[at], self.flow.uses[at]
        dest = self.flow.dest.get(at)
        if op.name in ("move-object", "check-cast", "aget-object"):
            self._add(dest, self._of(uses[0]))
        elif op.name.startswith("aput"):
            self._mark(written=self._of(uses[1]))
            if op.name == "aput-object":
                self._mark(rows=self._of(uses[1]), stored=self._of(uses[0]))
        elif op.name == "filled-new-array":
            self._mark(stored=frozenset().union(*map(self._of, uses)))
        elif op.name == "fill-array-data":
            self._mark(written=self._of(uses[0]))
        elif op.name.startswith("invoke-"):
            self._call(at, uses, dest)

    def _mark(
        self,
        written: frozenset[int] = frozenset(),
        rows: frozenset[int] = frozenset(),
        stored: frozenset[int] = frozenset(),
    ) -> None:
        before = (self.written, self.rows, self.stored)
        self.written |= written
        self.rows |= rows
        self.stored |= stored
        self.changed = self.changed or before != (self.written, self.rows, self.stored)

    def _call(self, at: int, uses: tuple[Web, ...], dest: Web | None) -> None:
        call = self.analysis.types.calls[at]
        everything: frozenset[int] = frozenset().union(*map(self._of, uses))
        if call.special == "clone":
            self._add(dest, everything if uses[0].ref[:2] == "[[" else frozenset())
        elif call.intrinsic and call.intrinsic.writes is not None:
            self._mark(written=self._of(uses[call.intrinsic.writes]))
        elif call.callee:
            effects = self.known[call.callee]
            for number, web in enumerate(uses):
                origins = self._of(web)
                self._mark(
                    written=origins if number in effects.written else frozenset(),
                    rows=origins if number in effects.rows else frozenset(),
                    stored=origins if number in effects.stored else frozenset(),
                )
            if dest is not None and dest.ref:
                self._add(dest, everything)
