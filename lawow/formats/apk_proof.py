"""What a changed APK has to be as a file: signed, aligned, and the same wherever nothing should have changed.

Found by readers that know nothing of how it was made. A defect is a sentence; nothing raises for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lawow.formats.signing import is_signature_file, verify_apk
from lawow.formats.zip import ZipArchive, ZipEntry, find_misaligned
from lawow.formats.zip.entry import HAS_DESCRIPTOR
from lawow.formats.zip.writer import without_alignment

__all__ = ["entry_defects", "file_defects", "without_signature"]


def file_defects(signed: bytes, archive: ZipArchive, min_sdk: int) -> Iterator[str]:
    """Yield what is wrong with a signed APK as a file: its signatures from `min_sdk` on, its alignment."""
    verdict = verify_apk(signed, min_sdk=min_sdk, archive=archive)
    if not verdict.verifies:
        yield "; ".join(issue.sentence for issue in verdict.issues) or "the signature does not verify"
    for item in find_misaligned(archive):
        yield item.sentence


def entry_defects(kept: Iterable[ZipEntry], found: Iterable[ZipEntry]) -> Iterator[str]:
    """Yield how two lists of entries differ: order, name, compressed bytes, metadata; signatures aside."""
    before, after = list(without_signature(kept)), list(without_signature(found))
    if [entry.name for entry in before] != [entry.name for entry in after]:
        yield "entries: names or order differ"
        return
    for old, new in zip(before, after, strict=True):
        if _substance(old) != _substance(new):
            yield f"{new.path}: differs although nothing should have touched it"


def without_signature(entries: Iterable[ZipEntry]) -> Iterator[ZipEntry]:
    """Return the entries that hold no v1 signature."""
    return (entry for entry in entries if not is_signature_file(entry.name))


def _substance(entry: ZipEntry) -> tuple[object, ...]:
    """Return all of an entry but where it stands and what stands around it: alignment, data descriptor."""
    return (
        entry.name,
        entry.method,
        entry.flags & ~HAS_DESCRIPTOR,
        entry.crc32,
        entry.uncompressed_bytes,
        entry.dos_time,
        entry.version_made_by,
        entry.version_needed,
        entry.internal_attributes,
        entry.external_attributes,
        entry.central_extra,
        without_alignment(entry.local_extra),
        entry.comment,
        bytes(entry.data),
    )
