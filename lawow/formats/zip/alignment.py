"""Where stored entries have to stand so that Android maps them without a copy, and those that do not.

Debian's zipalign cannot check 16 KiB pages, so this check is our own. Source: developer.android.com, "Support
16 KB page sizes"; AOSP zipalign.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lawow.formats.zip.entry import STORED, ZipEntry, shown_name
from lawow.formats.zip.reader import ZipArchive

__all__ = ["Misaligned", "find_misaligned", "required_alignment"]

_DATA_ALIGNMENT = 4  # resources.arsc and whatever else the framework maps
_LIBRARY_ALIGNMENT = 16_384  # the loader maps stored libraries by pages, of 16 KiB since Android 15


@dataclass(frozen=True, slots=True)
class Misaligned:
    """A stored entry whose data starts at an `offset` that is no multiple of `alignment`, in bytes."""

    path: str
    offset: int
    alignment: int

    @property
    def sentence(self) -> str:
        """What is wrong, for a person."""
        where = f"{self.path} starts at {self.offset:#x}"
        return f"{where}, which is no multiple of {self.alignment:,}: Android cannot map it"


def required_alignment(entry: ZipEntry) -> int:
    """Return what the data's offset has to be a multiple of for Android to map the entry without a copy."""
    if entry.method != STORED:
        return 1
    is_library = entry.name.startswith(b"lib/") and entry.name.endswith(b".so")
    return _LIBRARY_ALIGNMENT if is_library else _DATA_ALIGNMENT


def find_misaligned(archive: ZipArchive) -> Iterator[Misaligned]:
    """Yield the stored entries of an archive that do not stand where `required_alignment` wants them."""
    for entry in archive.entries:
        alignment = required_alignment(entry)
        if entry.data_offset % alignment:
            yield Misaligned(shown_name(entry.name), entry.data_offset, alignment)
