"""What a moved class drags along: classes that nobody needs on the device once its methods run elsewhere.

They stay in the slim APK, because other code may still reach them by name (reflection, layouts, JNI). The
plan names them, so that a developer can exclude them by hand or know that their code stays readable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lawow.formats.dex.search import Use
from lawow.formats.dex.symbols import MethodRef
from lawow.refactor.bodies import Walk
from lawow.refactor.classify import is_library
from lawow.refactor.code_index import CodeIndex, owner_of

__all__ = ["Follower", "find_followers", "kind_of_class"]

_MAX_CANDIDATES = 256
_LAMBDA = re.compile(r"\$\$(?:ExternalSynthetic|Lambda)|\$\$Lambda|-\$\$|\$\$ExternalSyntheticLambda")
_ANONYMOUS = re.compile(r"\$\d+;$")


@dataclass(frozen=True, slots=True)
class Follower:
    """A class that only offloaded methods use. `kind` is lambda, anonymous class, nested class or helper."""

    descriptor: str
    kind: str
    users: tuple[str, ...]


def kind_of_class(descriptor: str, moved: Iterable[str]) -> str:
    """Return what a class is to the moved ones."""
    if _LAMBDA.search(descriptor):
        return "lambda"
    if any(descriptor.startswith(item.removesuffix(";") + "$") for item in moved):
        return "anonymous class" if _ANONYMOUS.search(descriptor) else "nested class"
    return "helper class"


def find_followers(
    walks: Iterable[Walk], vanishing: set[MethodRef], moved: set[str], index: CodeIndex
) -> tuple[Follower, ...]:
    """Return the classes of the app that only vanishing code and each other's code name."""
    candidates = _candidates(list(walks), moved, index)
    if not candidates:
        return ()
    users = _users_of(set(candidates), vanishing, index)
    alone = set(candidates)
    while lost := {name for name in alone if not _only_gone(users[name], alone)}:
        alone -= lost
    return tuple(
        Follower(name, kind_of_class(name, moved), tuple(sorted({owner for owner, _ in users[name]})))
        for name in sorted(alone)
        if users[name]
    )


def _users_of(
    candidates: set[str], vanishing: set[MethodRef], index: CodeIndex
) -> dict[str, set[tuple[str, bool]]]:
    """Return who uses each candidate, and whether that code goes. One user that stays is enough to know."""
    users: dict[str, set[tuple[str, bool]]] = {name: set() for name in candidates}

    def settled(use: Use) -> bool:
        target, owner = owner_of(use), use.method.owner.descriptor
        if target not in users or owner == target:
            return False
        is_gone = use.method.ref in vanishing
        users[target].add((owner, is_gone))
        return not is_gone and owner not in candidates

    index.uses_until(candidates, settled)
    return users


def _only_gone(users: set[tuple[str, bool]], alone: set[str]) -> bool:
    return all(is_gone or owner in alone for owner, is_gone in users)


def _candidates(walks: list[Walk], moved: set[str], index: CodeIndex) -> list[str]:
    """Return the classes of the app that the replaced code reaches."""
    owners = {method.owner.descriptor for walk in walks for method in walk.reached}
    owners |= {ref.class_name for walk in walks for ref in walk.statics}
    found = [name for name in sorted(owners - moved) if not is_library(name) and name in index.descriptors]
    return found if len(found) <= _MAX_CANDIDATES else []
