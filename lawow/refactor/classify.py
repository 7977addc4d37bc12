"""Step 1 of the split: which classes are offloadable, and why. Every class gets a role and a reason.

What decides, the first that says something:

1. LAWOW's own library stays, whatever anybody says;
2. the correction file (``lawow.toml``), resident before offloadable;
3. ``--exclude``;
4. ``--auto``, which has translated methods of it, or ``--module``, which names a class to bind it;
5. ``--classes``, an explicit list;
6. annotations (``@dev.lawow.Offload`` unless the user says otherwise);
7. rules (``*Wasm`` unless the user says otherwise).

Names are original ones where a shrinker's mapping is given. The class `com.example.InsertionSortWasm`
belongs to the module `insertion_sort.wasm`, by convention.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from lawow.refactor.correction import NO_CORRECTIONS, Corrections
from lawow.refactor.names import PLAIN_NAMES, Names
from lawow.refactor.rules import Rule, java_name, matches_name, simple_name

__all__ = [
    "DEFAULT_RULES",
    "LIBRARY_PACKAGE",
    "ClassRole",
    "ClassifiedClass",
    "Selection",
    "classify",
    "descriptor_of",
    "is_library",
    "java_name",
    "matches_name",
    "module_file_of",
    "simple_name",
]

DEFAULT_RULES = ("*Wasm",)
LIBRARY_PACKAGE = "dev.lawow"
_LIBRARY_PREFIX = f"L{LIBRARY_PACKAGE.replace('.', '/')}/"
_SUFFIX = "Wasm"
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class ClassRole(Enum):
    """What becomes of a class: its methods go to the edge, or it stays on the device as it is."""

    OFFLOADABLE = "offloadable"
    RESIDENT = "resident"


@dataclass(frozen=True, slots=True)
class ClassifiedClass:
    """One class and its role. `dex_files` holds every dex file that defines it; the first one wins at run
    time. `original` is its name before a shrinker changed it, where a mapping is given.
    """

    descriptor: str
    dex_files: tuple[str, ...]
    role: ClassRole
    reason: str
    original: str = ""

    @property
    def name(self) -> str:
        """The name in the dex file, with dots."""
        return java_name(self.descriptor)

    @property
    def shown(self) -> str:
        """The original name, and the one in the dex file in parentheses where that differs."""
        return f"{self.original} ({self.name})" if self.original not in ("", self.name) else self.name


@dataclass(frozen=True, slots=True)
class Selection:
    """What the user selects. `bound` and `listed` are original full names, `annotated` maps the descriptors
    of classes to the annotation that they, or methods of theirs, carry; `translated` are descriptors, too.
    """

    rules: Sequence[Rule] = ()
    exclude: Sequence[Rule] = ()
    bound: frozenset[str] = frozenset()
    listed: frozenset[str] = frozenset()
    translated: frozenset[str] = frozenset()
    annotations: Sequence[str] = ()
    annotated: Mapping[str, str] = field(default_factory=dict)
    corrections: Corrections = NO_CORRECTIONS
    names: Names = PLAIN_NAMES

    @property
    def shown(self) -> str:
        """The criteria, for a sentence."""
        parts = [rule.text for rule in self.rules]
        parts += [f"@{java_name(item)}" for item in self.annotations]
        return ", ".join([*parts, "a list of classes"] if self.listed else parts)


def descriptor_of(name: str) -> str:
    """``com.example.A$B`` -> ``Lcom/example/A$B;``."""
    return f"L{name.replace('.', '/')};"


def is_library(descriptor: str) -> bool:
    """Tell whether a class lies in LAWOW's own package (and not in a package below it)."""
    return descriptor.startswith(_LIBRARY_PREFIX) and "/" not in descriptor[len(_LIBRARY_PREFIX) :]


def module_file_of(class_name: str) -> str:
    """Return the module's file name by convention: ``InsertionSortWasm`` -> ``insertion_sort.wasm``."""
    simple = simple_name(class_name)
    stem = simple.removesuffix(_SUFFIX) or simple
    return _WORD_START.sub("_", stem).lower() + ".wasm"


def classify(definitions: Iterable[tuple[str, str]], selection: Selection) -> list[ClassifiedClass]:
    """Give each class its role, in the order of the first definitions.

    `definitions` are pairs of dex file and descriptor in loading order.
    """
    where: dict[str, list[str]] = {}
    for dex_file, descriptor in definitions:
        where.setdefault(descriptor, []).append(dex_file)
    unselected = f"its name matches no rule ({', '.join(rule.text for rule in selection.rules)})"
    if selection.translated:
        unselected = "no method of it was chosen (--auto)"
    elif not selection.rules or selection.listed:
        unselected = f"nothing selects it ({selection.shown or 'no rule is given'})"
    classes = []
    for descriptor, files in where.items():
        name = selection.names.of_class(descriptor)
        decided = _decide(descriptor, name, selection) or (ClassRole.RESIDENT, unselected)
        classes.append(ClassifiedClass(descriptor, tuple(files), *decided, name))
    return classes


def _decide(descriptor: str, name: str, selection: Selection) -> tuple[ClassRole, str] | None:
    """Return role and reason, or None when nothing speaks of the class."""
    if is_library(descriptor):
        return ClassRole.RESIDENT, "part of LAWOW's own library"
    corrections = selection.corrections
    if rule := _first_match(corrections.resident, name):
        return ClassRole.RESIDENT, f"{corrections.name} keeps {rule.text} on the device"
    if rule := _first_match(corrections.offloadable, name):
        return ClassRole.OFFLOADABLE, f"{corrections.name} says that {rule.text} is offloadable"
    if rule := _first_match(selection.exclude, name):
        return ClassRole.RESIDENT, f"excluded by {rule.text}"
    if descriptor in selection.translated:
        return ClassRole.OFFLOADABLE, "methods of it were translated (--auto)"
    if name in selection.bound:
        return ClassRole.OFFLOADABLE, "named by --module"
    if name in selection.listed:
        return ClassRole.OFFLOADABLE, "it stands in the list of classes"
    if annotation := selection.annotated.get(descriptor):
        return ClassRole.OFFLOADABLE, f"annotated with @{java_name(annotation)}"
    if rule := _first_match(selection.rules, name):
        return ClassRole.OFFLOADABLE, f"its name matches {rule.text}"
    return None


def _first_match(rules: Sequence[Rule], name: str) -> Rule | None:
    return next((rule for rule in rules if rule.matches(name)), None)
