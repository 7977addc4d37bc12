"""Decide what the split does, before anything is changed: roles, modules, methods, refusals.

The plan is complete: `lawow.refactor.split` carries it out without another decision about the app's classes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from lawow.errors import FormatError, Refused, UsageError
from lawow.formats.apk import AppDex, AppPackage, require_loads_several_dex_files
from lawow.formats.bundle import BoundMethod, BundledModule
from lawow.formats.dex.search import annotated_classes
from lawow.formats.dex.views import ClassView
from lawow.formats.mapping import Mapping
from lawow.refactor.binding import ModuleBinding, ModuleChoice, bind_methods, expected_module, find_module
from lawow.refactor.classify import (
    DEFAULT_RULES,
    ClassifiedClass,
    ClassRole,
    Selection,
    classify,
)
from lawow.refactor.closure import (
    NOTHING_FOUND,
    Closure,
    close_over,
    consequences,
    require_copyable_class,
    require_movable_class,
)
from lawow.refactor.correction import NO_CORRECTIONS, Corrections
from lawow.refactor.findings import Finding, Severity
from lawow.refactor.names import PLAIN_NAMES, Names
from lawow.refactor.rules import OFFLOAD, Rule, did_you_mean, java_name, parse_rule, parse_rules
from lawow.refactor.translated import TranslatedClass

__all__ = [
    "NOTHING_MOVES",
    "ClassMove",
    "PlanOptions",
    "SplitPlan",
    "make_plan",
    "module_entries",
    "move_record",
    "move_rows",
    "residents_by_reason",
]

NOTHING_MOVES = (
    "nothing moves (--allow-empty): the slim APK is the app with another signature, the bundle is empty, and"
    " options about edge and mode have no effect"
)


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the user asks for; `lawow.refactor.classify` says what overrules what.

    `rules` and `exclude` are globs, or ``re:`` and a regular expression. `annotations` are descriptors,
    `classes` full names. With a `mapping` all names are original ones. An unbound class is refused unless
    `allow_unbound`, and a plan that moves nothing unless `allow_empty`. With
    `show_refused`, methods that must not move are in the plan for a person to see. `translated` are classes
    with modules of their own code, which must be split elastically.
    """

    rules: tuple[str, ...] = DEFAULT_RULES
    modules: tuple[ModuleChoice, ...] = ()
    allow_unbound: bool = False
    allow_old_android: bool = False
    allow_empty: bool = False
    exclude: tuple[str, ...] = ()
    annotations: tuple[str, ...] = (OFFLOAD,)
    classes: tuple[str, ...] = ()
    mapping: Mapping | None = None
    corrections: Corrections = NO_CORRECTIONS
    show_refused: bool = False
    translated: tuple[TranslatedClass, ...] = ()

    @property
    def names(self) -> Names:
        """What classes and methods are called."""
        return Names(self.mapping)


@dataclass(frozen=True, slots=True)
class ClassMove:
    """One class on its way: its module, the methods that become proxies, and what the user should know.

    `translation` says where the module comes from if it was made of the class' own code.
    """

    classified: ClassifiedClass
    view: ClassView
    binding: ModuleBinding
    methods: tuple[BoundMethod, ...]
    notes: tuple[str, ...]
    translation: TranslatedClass | None = None

    @property
    def descriptor(self) -> str:
        """The class descriptor, ``Lcom/example/FibonacciWasm;``."""
        return self.classified.descriptor


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """What moves and what stays. `classes` holds every class of the app with its final role and reason."""

    app: AppPackage
    classes: tuple[ClassifiedClass, ...]
    moves: tuple[ClassMove, ...]
    closure: Closure = NOTHING_FOUND
    corrections: Corrections = NO_CORRECTIONS
    names: Names = PLAIN_NAMES

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """What forbids the plan; empty in a plan that can be carried out."""
        return tuple(item for item in self.closure.findings if item.severity is Severity.FORBIDDEN)

    def findings_of(self, move: ClassMove) -> tuple[Finding, ...]:
        """Return the findings about the methods of one moved class."""
        prefix = self.names.of_class(move.descriptor) + "."
        labels = {f"{prefix}{self._called(move, bound)}{bound.descriptor}" for bound in move.methods}
        return tuple(item for item in self.closure.findings if item.method in labels)

    def _called(self, move: ClassMove, bound: BoundMethod) -> str:
        method = move.view.method(bound.method, bound.descriptor)
        return bound.method if method is None else self.names.of_method(method)

    def require_allowed(self) -> None:
        """Raise `Refused` with the first thing that forbids the plan."""
        if not self.refusals:
            return
        first, others = self.refusals[0], len(self.refusals) - 1
        more = f" ({others} more; --plan shows them)" if others else ""
        raise Refused(f"{self.app.name}: {first.method}: {first.sentence}{more}")

    @property
    def modules(self) -> tuple[BundledModule, ...]:
        """The modules that the bundle will hold, each once, by name."""
        by_file = {move.binding.module.file: move.binding.module for move in self.moves}
        return tuple(by_file[file] for file in sorted(by_file))

    @property
    def methods(self) -> tuple[BoundMethod, ...]:
        """All methods that become proxies."""
        return tuple(chain.from_iterable(move.methods for move in self.moves))


def make_plan(app: AppPackage, options: PlanOptions) -> SplitPlan:
    """Classify and bind every class of `app`.

    Raises `Refused` for whatever would not be sound or is not what the names promise, `UsageError` when
    an option names something that does not exist, `FormatError` for a malformed module.
    """
    definitions = [(item.name, descriptor) for item in app.dexes for descriptor in _class_names(app, item)]
    descriptors = {descriptor for _, descriptor in definitions}
    selection = _selection(app, options, descriptors)
    classes, moves = [], []
    for item in classify(definitions, selection):
        moved = _plan_class(app, item, descriptors, options) if item.role is ClassRole.OFFLOADABLE else item
        if isinstance(moved, ClassMove):
            moves.append(moved)
            classes.append(moved.classified)
        else:
            classes.append(moved)
    plan = SplitPlan(app, tuple(classes), tuple(moves), corrections=options.corrections, names=options.names)
    if not moves and options.allow_empty:
        return plan
    _require_something_moves(plan, options)
    require_loads_several_dex_files(app, allow_old_android=options.allow_old_android)
    _require_distinct_modules(plan)
    plan = _closed(plan)
    if not options.show_refused:
        plan.require_allowed()
    return plan


def _closed(plan: SplitPlan) -> SplitPlan:
    """Return the plan with what its moves reach, and notes on that at each move.

    A translated method reaches nothing: `lawow.refactor.candidates` has looked at that more strictly.
    """
    closure = close_over(
        plan.app,
        [(move.view, move.methods) for move in plan.moves if move.translation is None],
        names=plan.names,
        corrections=plan.corrections,
    )
    closed = replace(plan, closure=closure)
    moves = tuple(replace(move, notes=move.notes + _notes(closed.findings_of(move))) for move in plan.moves)
    return replace(closed, moves=moves)


def _notes(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return what is told about findings; what forbids the plan is not a note."""
    return tuple(
        f"{item.method.rpartition('(')[0].rpartition('.')[2]}: {item.sentence}"
        for item in findings
        if item.severity is not Severity.FORBIDDEN
    )


def _class_names(app: AppPackage, item: AppDex) -> list[str]:
    try:
        return item.dex.class_names()
    except FormatError as error:
        raise error.within(item.name).within(app.name) from None


def _selection(app: AppPackage, options: PlanOptions, descriptors: Collection[str]) -> Selection:
    """Return what selects classes. Raises `UsageError` for options that name no class of the app."""
    names = sorted(map(options.names.of_class, descriptors))
    for option, rule in _named_rules(options):
        if not any(map(rule.matches, names)):
            raise UsageError(f"{option}: the app has no such class{did_you_mean(rule.text, names)}")
    bound = [parse_rule(choice.class_name) for choice in options.modules]
    known = set(names)
    for name in options.classes:
        if name not in known:
            raise UsageError(f"--classes: the app has no class {name}{did_you_mean(name, names)}")
    return Selection(
        rules=parse_rules(options.rules),
        exclude=parse_rules(options.exclude, option="--exclude"),
        bound=frozenset(name for name in names if any(rule.matches(name) for rule in bound)),
        listed=frozenset(options.classes),
        translated=frozenset(item.descriptor for item in options.translated),
        annotations=options.annotations,
        annotated=_annotated(app, options.annotations),
        corrections=options.corrections,
        names=options.names,
    )


def _named_rules(options: PlanOptions) -> Iterable[tuple[str, Rule]]:
    """Yield the rules that must match something, and what they stand in: a stale one hides a mistake."""
    for choice in options.modules:
        yield f"--module {choice.class_name}={choice.file}", parse_rule(choice.class_name)
    corrections = options.corrections
    yield from ((f"{corrections.name}: offloadable {rule.text}", rule) for rule in corrections.offloadable)
    yield from ((f"{corrections.name}: resident {rule.text}", rule) for rule in corrections.resident)


def _annotated(app: AppPackage, annotations: Sequence[str]) -> dict[str, str]:
    """Return the annotated classes, by what their first definition says."""
    found: dict[str, str] = {}
    for item in app.dexes:
        try:
            marked = annotated_classes(item.dex, annotations)
        except FormatError as error:
            raise error.within(item.name).within(app.name) from None
        found = {**marked, **found}
    return found


def _plan_class(
    app: AppPackage, item: ClassifiedClass, descriptors: set[str], options: PlanOptions
) -> ClassMove | ClassifiedClass:
    """Return the move of an offloadable class, or the class as a resident when nothing is bound to it."""
    holder = next(dex for dex in app.dexes if dex.name == item.dex_files[0])
    try:
        view = _class_view(holder, item.descriptor)
        if translation := next((t for t in options.translated if t.descriptor == item.descriptor), None):
            return _translated_move(item, view, translation, holder, descriptors)
        binding = find_module(view, app.archive, options.modules, options.names)
        if binding is None:
            return _unbound(item, expected_module(view, options.names)[0], options)
        methods = tuple(_bound_methods(view, binding, options, holder))
    except Refused as error:
        raise Refused(f"{app.name}: {error}") from None
    except FormatError as error:
        raise error.within(app.name) from None
    return ClassMove(item, view, binding, methods, tuple(consequences(view, methods, descriptors)))


def _translated_move(
    item: ClassifiedClass,
    view: ClassView,
    translation: TranslatedClass,
    holder: AppDex,
    descriptors: set[str],
) -> ClassMove:
    _require_copyable(view, translation.methods, holder)
    notes = (*translation.notes, *consequences(view, translation.methods, descriptors))
    binding = ModuleBinding(translation.module, ())
    return ClassMove(item, view, binding, translation.methods, notes, translation)


def _bound_methods(
    view: ClassView, binding: ModuleBinding, options: PlanOptions, holder: AppDex
) -> list[BoundMethod]:
    require_movable_class(view)
    methods = bind_methods(view, binding.module, options.names)
    _require_copyable(view, methods, holder)
    return methods


def _require_copyable(view: ClassView, methods: Sequence[BoundMethod], holder: AppDex) -> None:
    """Refuse a class that can't be carried into another dex file, naming its own."""
    try:
        require_copyable_class(view, methods)
    except Refused as error:
        raise Refused(f"{holder.name}: {error}") from None
    except FormatError as error:
        raise error.within(holder.name) from None


def _class_view(holder: AppDex, descriptor: str) -> ClassView:
    """Return the class with its members and annotations read, so that later steps find them sound."""
    try:
        view = holder.dex.class_def(descriptor)
        _ = view.annotations, [item.annotations for item in view.fields]
        _ = [item.annotations for item in view.methods]
    except FormatError as error:
        raise error.within(holder.name) from None
    return view


def _unbound(item: ClassifiedClass, file: str, options: PlanOptions) -> ClassifiedClass:
    if not options.allow_unbound:
        raise Refused(
            f"{item.shown}: {item.reason}, but there is no assets/**/{file} in the APK;"
            f" give --module {item.original or item.name}=FILE.wasm, or --allow-unbound to leave such classes"
            " on the device"
        )
    return replace(
        item, role=ClassRole.RESIDENT, reason=f"{item.reason}, but there is no {file} (--allow-unbound)"
    )


def _require_something_moves(plan: SplitPlan, options: PlanOptions) -> None:
    if plan.moves:
        return
    unbound = [item.shown for item in plan.classes if "--allow-unbound" in item.reason]
    if unbound:
        raise Refused(
            f"{plan.app.name}: nothing to move: no module is bound to {', '.join(unbound)};"
            " with --allow-empty the app is signed as it is"
        )
    if options.rules:
        what = f"is called {' or '.join(options.rules)}"
    else:
        what = (
            f"is selected by {', '.join(f'@{java_name(item)}' for item in options.annotations) or 'a rule'}"
        )
    raise Refused(
        f"{plan.app.name}: none of its {len(plan.classes)} classes {what}; name the classes to"
        " move with --rule (a shrinker such as R8 renames classes unless a keep rule forbids it;"
        " with its --mapping rules speak of the original names); --auto finds methods in an app without"
        " WebAssembly; with --allow-empty the app is signed as it is"
    )


def _require_distinct_modules(plan: SplitPlan) -> None:
    """Refuse two modules of one name: a proxy addresses its module by name and digest."""
    owners: dict[str, ClassMove] = {}
    for move in plan.moves:
        module = move.binding.module
        other = owners.setdefault(module.file, move)
        if other.binding.module.sha256 != module.sha256:
            raise Refused(
                f"{other.classified.name} and {move.classified.name} belong to different modules that are"
                f" both called {module.file}; rename one"
            )


def module_entries(plan: SplitPlan) -> list[str]:
    """Return the paths of the entries of the APK that hold moved modules."""
    return list(dict.fromkeys(path for move in plan.moves for path in move.binding.entries))


def residents_by_reason(plan: SplitPlan) -> dict[str, list[str]]:
    """Return the classes that stay, by the reason for it."""
    reasons: dict[str, list[str]] = {}
    for item in plan.classes:
        if item.role is ClassRole.RESIDENT:
            reasons.setdefault(item.reason, []).append(item.shown)
    return reasons


def move_rows(plan: SplitPlan) -> list[tuple[str, str, str]]:
    """Return (class, methods that would call the edge, module) of each moved class."""
    return [
        (
            move.classified.shown,
            ", ".join(f"{item.method}{item.descriptor}" for item in move.methods),
            move.binding.module.file,
        )
        for move in plan.moves
    ]


def move_record(move: ClassMove) -> dict[str, object]:
    """Return a moved class as JSON data; keys are stable within a major version."""
    item = move.classified
    return {
        "class": item.name,
        **({"original": item.original} if item.original not in ("", item.name) else {}),
        "reason": item.reason,
        "dex_files": list(item.dex_files),
        "module": move.binding.module.file,
        "methods": [
            {
                "name": bound.method,
                "descriptor": bound.descriptor,
                "export": bound.export,
                "signature": bound.signature,
            }
            for bound in move.methods
        ],
        "notes": list(move.notes),
    }
