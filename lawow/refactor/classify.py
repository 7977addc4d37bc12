"""Step 1 of the split: which classes are offloadable, by the names that the developer gave them, and why.

A rule is a glob (``*Wasm``) that is compared with the simple and with the fully qualified class name. The
class `com.example.InsertionSortWasm` belongs to the module `insertion_sort.wasm`, by convention.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

__all__ = [
    "DEFAULT_RULES",
    "LIBRARY_PACKAGE",
    "ClassRole",
    "ClassifiedClass",
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
_SUFFIX = "Wasm"
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class ClassRole(Enum):
    """What becomes of a class: its methods go to the edge, or it stays on the device as it is."""

    OFFLOADABLE = "offloadable"
    RESIDENT = "resident"


@dataclass(frozen=True, slots=True)
class ClassifiedClass:
    """One class and its role. `dex_files` holds every dex file that defines it; the first one wins at run
    time.
    """

    descriptor: str
    dex_files: tuple[str, ...]
    role: ClassRole
    reason: str

    @property
    def name(self) -> str:
        """The name with dots."""
        return java_name(self.descriptor)


def java_name(descriptor: str) -> str:
    """``Lcom/example/A$B;`` -> ``com.example.A$B``."""
    return descriptor.removeprefix("L").removesuffix(";").replace("/", ".")


def descriptor_of(name: str) -> str:
    """``com.example.A$B`` -> ``Lcom/example/A$B;``."""
    return f"L{name.replace('.', '/')};"


def simple_name(name: str) -> str:
    """``com.example.A$B`` -> ``B``."""
    binary = name.rpartition(".")[2]
    return binary.rpartition("$")[2] or binary


def matches_name(name: str, asked: str) -> bool:
    """Tell whether the glob `asked` means the class: by its simple, its binary or its full name."""
    return any(fnmatchcase(form, asked) for form in (name, name.rpartition(".")[2], simple_name(name)))


def is_library(descriptor: str) -> bool:
    """Tell whether a class lies in LAWOW's own package (and not in a package below it)."""
    return java_name(descriptor).rpartition(".")[0] == LIBRARY_PACKAGE


def module_file_of(class_name: str) -> str:
    """Return the module's file name by convention: ``InsertionSortWasm`` -> ``insertion_sort.wasm``."""
    simple = simple_name(class_name)
    stem = simple.removesuffix(_SUFFIX) or simple
    return _WORD_START.sub("_", stem).lower() + ".wasm"


def classify(
    definitions: Iterable[tuple[str, str]], rules: Sequence[str], named: frozenset[str] = frozenset()
) -> list[ClassifiedClass]:
    """Give each class its role, in the order of the first definitions.

    `definitions` are pairs of dex file and descriptor in loading order; `named` are the names of classes
    that the user bound to a module by hand, which is a selection too.
    """
    where: dict[str, list[str]] = {}
    for dex_file, descriptor in definitions:
        where.setdefault(descriptor, []).append(dex_file)
    return [
        ClassifiedClass(descriptor, tuple(files), *_role(descriptor, rules, named))
        for descriptor, files in where.items()
    ]


def _role(descriptor: str, rules: Sequence[str], named: frozenset[str]) -> tuple[ClassRole, str]:
    if is_library(descriptor):
        return ClassRole.RESIDENT, "part of LAWOW's own library"
    name = java_name(descriptor)
    if name in named:
        return ClassRole.OFFLOADABLE, "named by --module"
    for rule in rules:
        if matches_name(name, rule):
            return ClassRole.OFFLOADABLE, f"its name matches {rule}"
    return ClassRole.RESIDENT, f"its name matches no rule ({', '.join(rules)})"
