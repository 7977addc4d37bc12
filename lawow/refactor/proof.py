"""Prove a finished slim APK with readers that know nothing of how it was made, before it gets its final name.

A failure here is a defect of LAWOW, never of the input; nothing is written then. No Android tool is needed.
What was proven comes back as `Evidence`, for the report that lies beside the slim APK.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lawow.errors import LawowError
from lawow.formats.apk_proof import entry_defects, file_defects, without_signature
from lawow.formats.bundle import read_bundle
from lawow.formats.dex.issue import Issue
from lawow.formats.dex.reader import Dex, read_dex
from lawow.formats.dex.spec import ACC_DECLARED_SYNCHRONIZED, ACC_NATIVE, ACC_PRIVATE, ACC_SYNCHRONIZED
from lawow.formats.dex.symbols import Annotation
from lawow.formats.dex.verify import verify_dex
from lawow.formats.dex.views import ClassView
from lawow.formats.zip import read_zip
from lawow.refactor.classify import is_library, java_name
from lawow.refactor.plan import ClassMove
from lawow.refactor.split import Split

__all__ = ["CHECKS", "Evidence", "dex_issues", "find_defects", "require_proven"]

HIDDEN_FLAGS = ACC_PRIVATE | 0x1000
"""Private and synthetic: originals of elastic methods, for one, which no other class can name."""
CHANGEABLE_FLAGS = ACC_NATIVE | ACC_SYNCHRONIZED | ACC_DECLARED_SYNCHRONIZED


CHECKS = (
    "the signatures verify for every Android version from minSdkVersion on",
    "stored libraries stand on 16 KB, other stored entries on 4 bytes",
    "entries that nothing should have touched are the same: order, name, compressed bytes and metadata",
    "rewritten dex files are structurally sound and are the ones that were built",
    "every class is defined as often as before, moved ones in the added dex file alone",
    "moved classes look from outside as before: flags, supertypes, members, annotations",
    "the bundle reads back with all digests and methods",
)
"""What `require_proven` has checked when it returns."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was proven. `identical_sha256` is over name and compressed data of all identical entries."""

    identical_entries: int
    identical_sha256: str


def require_proven(
    split: Split,
    signed: bytes,
    companions: Mapping[str, bytes] | None = None,
    issues: Callable[[], Mapping[str, list[Issue]]] | None = None,
) -> Evidence:
    """Raise `LawowError` with the first defect, unless all signed APKs are what the split promises.

    `issues` returns what `dex_issues` says of the split's dex files, if somebody has asked already.
    """
    for defect in find_defects(split, signed, companions, issues):
        raise LawowError(f"the slim APK did not pass LAWOW's own check, so nothing was written: {defect}")
    return _evidence(split)


def _evidence(split: Split) -> Evidence:
    changed = {change.path for change in split.changes}
    sources = [entry for entry in split.plan.app.archive.entries if entry.path not in changed]
    for companion in split.companions:
        sources += companion.entries
    entries = list(without_signature(sources))
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(struct.pack("<HI", len(entry.name), len(entry.data)))
        digest.update(entry.name)
        digest.update(entry.data)
    return Evidence(len(entries), digest.hexdigest())


def dex_issues(contents: Mapping[str, bytes]) -> dict[str, list[Issue]]:
    """Return what is wrong with each of these dex files."""
    return {name: verify_dex(content) for name, content in contents.items()}


def find_defects(
    split: Split,
    signed: bytes,
    companions: Mapping[str, bytes] | None = None,
    issues: Callable[[], Mapping[str, list[Issue]]] | None = None,
) -> Iterator[str]:
    """Yield what is wrong with the signed APKs: signature, alignment, entries, dex files, classes.

    `companions` holds the set's other APKs by path; all that the split has must be there. `issues` is as in
    `require_proven`; it is asked last.
    """
    if set(read_bundle(split.bundle).methods) != set(split.plan.methods):
        yield "the bundle reads back differently"
    min_sdk = split.plan.app.manifest.min_sdk
    archive = read_zip(signed)
    changed = {change.path for change in split.changes}
    kept = (entry for entry in split.plan.app.archive.entries if entry.path not in changed)
    yield from file_defects(signed, archive, min_sdk)
    yield from entry_defects(kept, (entry for entry in archive.entries if entry.path not in changed))
    for companion in split.companions:
        other = (companions or {})[companion.app.name]
        archive_of_other = read_zip(other)
        yield from file_defects(other, archive_of_other, min_sdk)
        yield from entry_defects(companion.entries, archive_of_other.entries)
    for name, content in split.dexes.items():
        entry = archive.by_name.get(name.encode())
        if entry is None or entry.read() != content:
            yield f"{name}: content differs from what was built"
    yield from _class_defects(split)
    for name, found in (issues() if issues else dex_issues(split.dexes)).items():
        yield from (f"{name}: {issue}" for issue in found)


def _class_defects(split: Split) -> Iterator[str]:
    """Check that no class got lost or doubled, and that each moved class looks from outside as before."""
    files = {item.name: item.dex for item in split.plan.app.dexes}
    files.update({name: read_dex(content) for name, content in split.dexes.items()})
    owners: dict[str, list[str]] = {}
    for name, dex in files.items():
        for descriptor in dex.class_names():
            owners.setdefault(descriptor, []).append(name)
    moved = {move.descriptor for move in split.plan.moves}
    added = split.plan.app.next_dex_name
    for descriptor in moved:
        if owners.get(descriptor) != [added]:
            yield f"{java_name(descriptor)} is defined in {owners.get(descriptor) or 'no dex file'}"
    expected = {item.descriptor for item in split.plan.classes if not is_library(item.descriptor)}
    found = {descriptor for descriptor in owners if not is_library(descriptor)}
    for descriptor in sorted(expected ^ found):
        yield f"{java_name(descriptor)} is {'missing' if descriptor in expected else 'new'}"
    for move in split.plan.moves:
        yield from _surface_defects(move, files[added])


def _surface_defects(move: ClassMove, dex: Dex) -> Iterator[str]:
    before, after = _surface(move.view), _surface(dex.class_def(move.descriptor))
    if before != after:
        yield f"{move.classified.name}: its surface differs: {min(before ^ after)}"


def _surface(view: ClassView) -> set[str]:
    """Return everything that other classes can see of a class."""
    head = ("class", view.access_flags, view.superclass, view.interfaces, _sorted(view.annotations))
    fields = [("field", item.ref, item.access_flags, _sorted(item.annotations)) for item in view.fields]
    methods = [
        ("method", item.ref, item.access_flags & ~CHANGEABLE_FLAGS, _sorted(item.annotations))
        for item in view.methods
        if item.access_flags & HIDDEN_FLAGS != HIDDEN_FLAGS
    ]
    return {str(item) for item in (head, *fields, *methods)}


def _sorted(annotations: Iterable[Annotation]) -> list[str]:
    return sorted(map(str, annotations))  # their order in a file follows its type indexes
