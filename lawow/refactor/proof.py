"""Prove a finished slim APK with readers that know nothing of how it was made, before it gets its final name.

A failure here is a defect of LAWOW, never of the input; nothing is written then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lawow.errors import LawowError
from lawow.formats.bundle import read_bundle
from lawow.formats.dex.reader import Dex, read_dex
from lawow.formats.dex.spec import ACC_DECLARED_SYNCHRONIZED, ACC_NATIVE, ACC_SYNCHRONIZED
from lawow.formats.dex.symbols import Annotation
from lawow.formats.dex.verify import verify_dex
from lawow.formats.dex.views import ClassView
from lawow.formats.signing import verify_apk
from lawow.formats.signing.v1 import is_signature_file
from lawow.formats.zip import ZipArchive, ZipEntry, read_zip
from lawow.refactor.classify import is_library, java_name
from lawow.refactor.plan import ClassMove
from lawow.refactor.split import Split

__all__ = ["find_defects", "require_proven"]

CHANGEABLE_FLAGS = ACC_NATIVE | ACC_SYNCHRONIZED | ACC_DECLARED_SYNCHRONIZED


def require_proven(split: Split, signed: bytes) -> None:
    """Raise `LawowError` with the first defect, unless the signed APK is what the split promises."""
    for defect in find_defects(split, signed):
        raise LawowError(f"the slim APK did not pass LAWOW's own check, so nothing was written: {defect}")


def find_defects(split: Split, signed: bytes) -> Iterator[str]:
    """Yield what is wrong with the signed APK: signature, entries, dex files, classes."""
    verdict = verify_apk(signed)
    if not verdict.verifies:
        yield "; ".join(issue.sentence for issue in verdict.issues) or "the signature does not verify"
    if set(read_bundle(split.bundle).methods) != set(split.plan.methods):
        yield "the bundle reads back differently"
    archive = read_zip(signed)
    yield from _entry_defects(split, archive)
    for name, content in split.dexes.items():
        entry = archive.by_name.get(name.encode())
        if entry is None or entry.read() != content:
            yield f"{name}: content differs from what was built"
        for problem in verify_dex(content):
            yield f"{name}: {problem}"
    yield from _class_defects(split)


def _entry_defects(split: Split, archive: ZipArchive) -> Iterator[str]:
    """Compare every entry that the split does not concern: order, name, method, CRC, compressed bytes."""
    changed = {change.path for change in split.changes}
    before = [entry for entry in split.plan.app.archive.entries if entry.path not in changed]
    after = [entry for entry in archive.entries if entry.path not in changed]
    before, after = list(_without_signature(before)), list(_without_signature(after))
    if [entry.name for entry in before] != [entry.name for entry in after]:
        yield "entries: names or order differ"
        return
    for old, new in zip(before, after, strict=True):
        if _substance(old) != _substance(new):
            yield f"{new.path}: differs although nothing should have touched it"


def _without_signature(entries: Iterable[ZipEntry]) -> Iterator[ZipEntry]:
    return (entry for entry in entries if not is_signature_file(entry.name))


def _substance(entry: ZipEntry) -> tuple[object, ...]:
    return entry.name, entry.method, entry.crc32, entry.uncompressed_bytes, bytes(entry.data)


def _class_defects(split: Split) -> Iterator[str]:
    """Check that no class got lost or doubled, and that each moved class looks from outside as before."""
    files = {item.name: item.dex for item in split.plan.app.dexes}
    files.update({name: read_dex(content) for name, content in split.dexes.items()})
    owners: dict[str, list[str]] = {}
    for name, dex in files.items():
        for descriptor in dex.class_names():
            owners.setdefault(descriptor, []).append(name)
    moved = {move.descriptor for move in split.plan.moves}
    (added,) = (name for name in split.dexes if name not in {item.name for item in split.plan.app.dexes})
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
    ]
    return {str(item) for item in (head, *fields, *methods)}


def _sorted(annotations: Iterable[Annotation]) -> list[str]:
    return sorted(map(str, annotations))  # their order in a file follows its type indexes
