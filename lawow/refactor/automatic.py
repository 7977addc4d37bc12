"""`lawow refactor --auto` before the split: which methods pay, and the modules that are made of them.

    survey = survey_app(app, options)     every candidate with its cost and gain, the best first
    chosen = survey.chosen                those that are expected to gain, or that the user names
    translate_chosen(survey, chosen)      one module for each class, and what the translator refused

A method that only chosen methods call is not offloaded by itself: it goes along in their modules, and its
calls stay there. What is translated here is not proved yet; `lawow.proving` does that, above this layer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from lawow.dalvik import ExportedMethod, Program, Translation, Untranslatable, translate
from lawow.dalvik.graphs import shape_of
from lawow.dalvik.ir import Body, Obstacle, decode
from lawow.dalvik.rewriting import rewritten
from lawow.errors import FormatError, LimitExceeded, Refused
from lawow.formats.apk import AppPackage
from lawow.formats.bundle import BoundMethod, BundledModule, bundled_module
from lawow.formats.dex.symbols import MethodRef
from lawow.refactor.candidates import Candidate, Rejection, find_candidates
from lawow.refactor.closure import require_copyable_class, require_movable_class
from lawow.refactor.code_index import CodeIndex, use_target
from lawow.refactor.costs import call_cost
from lawow.refactor.findings import describe_method
from lawow.refactor.loop_cost import LoopCosts, Polynomial
from lawow.refactor.names import PLAIN_NAMES, Names
from lawow.refactor.profit import Basis, Conditions, Gain, expected_gain, first_gain, fitted
from lawow.refactor.rules import Rule, java_name, simple_name
from lawow.refactor.timings import MethodTime, Timings

__all__ = ["LOSES", "AutoOptions", "ClassTranslation", "Ranked", "Survey", "survey_app", "translate_chosen"]

LOSES = "a call loses time"
"""Why most candidates stay."""
_UNFIT_FOR_FILES = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True, slots=True)
class AutoOptions:
    """What the user asks for. Methods of classes that match `rules` are chosen whatever they gain; those
    of classes that match `exclude` never are. `timings` are measured times, which overrule estimates.
    """

    conditions: Conditions = field(default_factory=Conditions)
    rules: tuple[Rule, ...] = ()
    exclude: tuple[Rule, ...] = ()
    timings: Timings = field(default_factory=Timings)
    names: Names = PLAIN_NAMES


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with what it costs and gains. `stays` says why it is not chosen; empty if it is.
    `measured` is what a profile says of it.
    """

    candidate: Candidate
    label: str
    cost: Polynomial
    basis: Basis
    gain: Gain
    gains_from: int | None
    stays: str = ""
    measured: MethodTime | None = None


@dataclass(frozen=True)
class Survey:
    """Everything that was found in an app. `rejected` are static methods with the reason; `options` are those
    that the ranking was made with.
    """

    app: AppPackage
    program: Program
    ranked: tuple[Ranked, ...]
    rejected: tuple[Rejection, ...]
    others: int
    options: AutoOptions = field(default_factory=AutoOptions)

    @cached_property
    def chosen(self) -> tuple[Candidate, ...]:
        """The candidates that are to be offloaded."""
        return tuple(item.candidate for item in self.ranked if not item.stays)


@dataclass(frozen=True, slots=True)
class ClassTranslation:
    """The module of one class, and what the translator says of it."""

    descriptor: str
    module: BundledModule
    translation: Translation

    def bound(self, methods: Iterable[MethodRef]) -> tuple[BoundMethod, ...]:
        """Return the bindings of some of its methods."""
        return tuple(_binding(ref, self.translation.exports[ref], self.module.file) for ref in methods)

    def shapes(self, methods: Iterable[MethodRef]) -> dict[BoundMethod, str]:
        """Return how the graphs of some of its methods are told to the app; nothing for those without."""
        exports = self.translation.exports
        found = {_binding(ref, exports[ref], self.module.file): shape_of(exports[ref]) for ref in methods}
        return {bound: shape for bound, shape in found.items() if shape}


def survey_app(app: AppPackage, options: AutoOptions) -> Survey:
    """Find, translate, cost and rank the candidates. Raises `FormatError` for damaged dex files."""
    program = Program([item.dex for item in app.dexes])
    try:
        found = find_candidates(program)
        exports, refused = _translated(program, found.accepted)
        ranked = _Ranking(app, program, options).ranked(
            [(item, exports[item.ref]) for item in found.accepted if item.ref in exports]
        )
    except FormatError as error:
        raise error if error.file.startswith(app.name) else error.within(app.name) from None
    return Survey(app, program, tuple(ranked), (*found.rejected, *refused), found.others, options)


def _translated(
    program: Program, candidates: Iterable[Candidate]
) -> tuple[dict[MethodRef, ExportedMethod], list[Rejection]]:
    """Return how the candidates are called once they are translated, and those that can't be."""
    exports: dict[MethodRef, ExportedMethod] = {}
    rejected = []
    for refs in _by_class(candidates).values():
        try:
            translation = translate(program, refs)
        except (Refused, LimitExceeded) as error:
            rejected += [Rejection(ref, Untranslatable(ref, str(error))) for ref in refs]
            continue
        exports.update(translation.exports)
        left = [ref for ref in refs if ref not in translation.exports]
        rejected += map(Rejection, left, translation.refused)
    return exports, rejected


def _by_class(candidates: Iterable[Candidate]) -> dict[str, list[MethodRef]]:
    found: dict[str, list[MethodRef]] = {}
    for candidate in candidates:
        found.setdefault(candidate.ref.class_name, []).append(candidate.ref)
    return found


class _Ranking:
    """Costs and decides, for the candidates of one app."""

    def __init__(self, app: AppPackage, program: Program, options: AutoOptions) -> None:
        self._index = CodeIndex(app)
        self._program = program
        self._options = options
        self._bodies: dict[MethodRef, Body | None] = {}
        self._costs = LoopCosts(self._body)

    def ranked(self, found: Sequence[tuple[Candidate, ExportedMethod]]) -> list[Ranked]:
        ranked = [self._rank(candidate, export) for candidate, export in found]
        ranked.sort(key=lambda item: (-item.gain.seconds, item.label))
        idle = self._idle([item.candidate for item in ranked if not item.stays])
        return [replace(item, stays=item.stays or idle.get(item.candidate.ref, "")) for item in ranked]

    def _rank(self, candidate: Candidate, export: ExportedMethod) -> Ranked:
        names, conditions = self._options.names, self._options.conditions
        label = describe_method(candidate.method, names)
        cost, basis = self._costs.of(candidate.ref), Basis.ESTIMATED
        # A profile of an app that was shrunk has the names of the dex file.
        measured = self._options.timings.of(label, describe_method(candidate.method, PLAIN_NAMES))
        if measured is not None:
            if measured.elements is not None:
                conditions = replace(conditions, elements=measured.elements)
            cost, basis = fitted(cost, measured, conditions.elements)
        call = call_cost(_binding(candidate.ref, export, ""), names)
        gain = expected_gain(cost, call, conditions)
        stays = self._why_it_stays(candidate, gain)
        return Ranked(
            candidate, label, cost, basis, gain, first_gain(cost, call, conditions), stays, measured
        )

    def _body(self, ref: MethodRef) -> Body | None:
        if ref not in self._bodies:
            view = self._program.method(ref)
            try:
                self._bodies[ref] = None if view is None else rewritten(decode(view))
            except Obstacle:
                self._bodies[ref] = None
        return self._bodies[ref]

    def _why_it_stays(self, candidate: Candidate, gain: Gain) -> str:
        name = self._options.names.of_class(candidate.ref.class_name)
        if rule := next((rule for rule in self._options.exclude if rule.matches(name)), None):
            return f"excluded by {rule.text}"
        if self._options.rules:
            if not self._is_named(candidate):
                return "no rule names its class"
        elif gain.seconds <= 0:
            return LOSES
        view = candidate.method.owner
        if view.is_interface:
            return "it belongs to an interface, which can't keep the original beside it"
        try:
            require_movable_class(view)
            require_copyable_class(view, ())
        except Refused as error:
            return f"its class can't be changed: {error}"
        return ""

    def _is_named(self, candidate: Candidate) -> bool:
        name = self._options.names.of_class(candidate.ref.class_name)
        return any(rule.matches(name) for rule in self._options.rules)

    def _idle(self, chosen: Sequence[Candidate]) -> dict[MethodRef, str]:
        """Return the chosen methods that need no proxy, because others bring them along or nobody calls."""
        callers: dict[MethodRef, set[MethodRef]] = {item.ref: set() for item in chosen}
        for use in self._index.uses_of_methods(callers):
            target = use_target(use)
            if isinstance(target, MethodRef) and target in callers and target != use.method.ref:
                callers[target].add(use.method.ref)
        inside = {ref for item in chosen for ref in item.closure}
        called = {item.ref for item in chosen if callers[item.ref] - inside or not callers[item.ref]}
        along = {ref for item in chosen if item.ref in called for ref in item.closure[1:]}
        idle = {ref: "it goes along with methods that call it" for ref in callers if ref in along - called}
        for item in chosen:
            if not callers[item.ref] and not self._options.rules:
                idle[item.ref] = "nothing in the app calls it by name"
        return idle


def translate_chosen(survey: Survey, chosen: Iterable[Candidate]) -> list[ClassTranslation]:
    """Return a module for each class of the chosen methods, by class name."""
    by_class = _by_class(chosen)
    files = _file_names(by_class)
    made = []
    for descriptor in sorted(by_class):
        translation = translate(survey.program, sorted(by_class[descriptor]))
        module = bundled_module(files[descriptor], translation.wasm)
        made.append(ClassTranslation(descriptor, module, translation))
    return made


def _file_names(descriptors: Iterable[str]) -> dict[str, str]:
    """Return a file name for each class: its simple name, and a number where several have the same."""
    names: dict[str, str] = {}
    for descriptor in sorted(descriptors):
        stem = _UNFIT_FOR_FILES.sub("_", simple_name(java_name(descriptor)))[:60]
        taken, number, file = set(names.values()), 1, f"auto-{stem}.wasm"
        while file in taken:
            number += 1
            file = f"auto-{stem}-{number}.wasm"
        names[descriptor] = file
    return names


def _binding(ref: MethodRef, export: ExportedMethod, file: str) -> BoundMethod:
    return BoundMethod(
        java_name(ref.class_name), ref.name, ref.descriptor, file, export.export, export.signature
    )
