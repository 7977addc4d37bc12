"""Decide what the split does, before anything is changed: roles, modules, methods, refusals.

The plan is complete: `lawow.refactor.split` carries it out without another decision about the app's classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from lawow.errors import FormatError, Refused, UsageError
from lawow.formats.bundle import BoundMethod, BundledModule
from lawow.formats.dex.views import ClassView
from lawow.refactor.app import AppDex, AppPackage
from lawow.refactor.binding import ModuleBinding, ModuleChoice, bind_methods, expected_module, find_module
from lawow.refactor.classify import (
    DEFAULT_RULES,
    ClassifiedClass,
    ClassRole,
    classify,
    matches_name,
)
from lawow.refactor.closure import consequences, require_loads_several_dex_files, require_movable_class

__all__ = ["ClassMove", "PlanOptions", "SplitPlan", "make_plan", "module_entries"]


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the user asks for. Rules are globs; an unbound class is refused unless `allow_unbound`."""

    rules: tuple[str, ...] = DEFAULT_RULES
    modules: tuple[ModuleChoice, ...] = ()
    allow_unbound: bool = False
    allow_old_android: bool = False


@dataclass(frozen=True, slots=True)
class ClassMove:
    """One class on its way: its module, the methods that become proxies, and what the user should know."""

    classified: ClassifiedClass
    view: ClassView
    binding: ModuleBinding
    methods: tuple[BoundMethod, ...]
    notes: tuple[str, ...]

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
    require_loads_several_dex_files(app, allow_old_android=options.allow_old_android)
    definitions = [(item.name, descriptor) for item in app.dexes for descriptor in _class_names(app, item)]
    descriptors = {descriptor for _, descriptor in definitions}
    named = _classes_named(options.modules, descriptors)
    classes, moves = [], []
    for item in classify(definitions, options.rules, named):
        moved = _plan_class(app, item, descriptors, options) if item.role is ClassRole.OFFLOADABLE else item
        if isinstance(moved, ClassMove):
            moves.append(moved)
            classes.append(moved.classified)
        else:
            classes.append(moved)
    plan = SplitPlan(app, tuple(classes), tuple(moves))
    _require_something_moves(plan, options)
    _require_distinct_modules(plan)
    return plan


def _class_names(app: AppPackage, item: AppDex) -> list[str]:
    try:
        return item.dex.class_names()
    except FormatError as error:
        raise error.within(item.name).within(app.name) from None


def _classes_named(choices: Sequence[ModuleChoice], descriptors: set[str]) -> frozenset[str]:
    """Return the full names of the classes that ``--module`` names; each option must name at least one."""
    names = sorted(descriptor[1:-1].replace("/", ".") for descriptor in descriptors)
    found: set[str] = set()
    for choice in choices:
        matching = [name for name in names if matches_name(name, choice.class_name)]
        if not matching:
            raise UsageError(f"--module {choice.class_name}={choice.file}: the app has no such class")
        found.update(matching)
    return frozenset(found)


def _plan_class(
    app: AppPackage, item: ClassifiedClass, descriptors: set[str], options: PlanOptions
) -> ClassMove | ClassifiedClass:
    """Return the move of an offloadable class, or the class as a resident when nothing is bound to it."""
    holder = next(dex for dex in app.dexes if dex.name == item.dex_files[0])
    try:
        view = _class_view(holder, item.descriptor)
        binding = find_module(view, app.archive, options.modules)
        if binding is None:
            return _unbound(item, expected_module(view)[0], options)
        require_movable_class(view)
        methods = tuple(bind_methods(view, binding.module))
    except Refused as error:
        raise Refused(f"{app.name}: {error}") from None
    except FormatError as error:
        raise error.within(app.name) from None
    return ClassMove(item, view, binding, methods, tuple(consequences(view, methods, descriptors)))


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
            f"{item.name}: {item.reason}, but there is no assets/**/{file} in the APK;"
            f" give --module {item.name}=FILE.wasm, or --allow-unbound to leave such classes on the device"
        )
    return replace(
        item, role=ClassRole.RESIDENT, reason=f"{item.reason}, but there is no {file} (--allow-unbound)"
    )


def _require_something_moves(plan: SplitPlan, options: PlanOptions) -> None:
    if plan.moves:
        return
    unbound = [item.name for item in plan.classes if "--allow-unbound" in item.reason]
    if unbound:
        raise Refused(f"{plan.app.name}: nothing to move: no module is bound to {', '.join(unbound)}")
    rules = " or ".join(options.rules)
    raise Refused(
        f"{plan.app.name}: none of its {len(plan.classes)} classes is called {rules}; name the classes to"
        " move with --rule (a shrinker such as R8 renames classes unless a keep rule forbids it)"
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
