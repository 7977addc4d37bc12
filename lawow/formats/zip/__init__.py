"""ZIP as Android reads it; entries that nobody touches keep their compressed bytes.

The central directory is the authority, as in libziparchive and apksig. Accepted is at most what both
accept. Refused: two entries of one name; empty, NUL or non-UTF-8 names; entries that overlap; data outside
of the archive; bytes before the first local header (Janus), between directory and end record, or after the
end record; zip64; several disks; a second end record; local headers or data descriptors that contradict the
directory. An encrypted entry or one of an unknown method is kept as it is and refuses to be read. Names
that are unsafe as paths are kept and marked: they are names, never places. Source: PKWARE APPNOTE 6.3.10,
sections 4.3 to 4.5; AOSP libziparchive.
"""

from __future__ import annotations

from lawow.formats.zip.alignment import Misaligned, find_misaligned, required_alignment
from lawow.formats.zip.entry import DEFLATED, STORED, ZipEntry, make_entry, require_total
from lawow.formats.zip.reader import SigningBlockRange, ZipArchive, read_zip
from lawow.formats.zip.revision import Revision, revise_zip
from lawow.formats.zip.writer import end_of_central_directory, layout_zip, write_zip

__all__ = [
    "DEFLATED",
    "STORED",
    "Misaligned",
    "Revision",
    "SigningBlockRange",
    "ZipArchive",
    "ZipEntry",
    "end_of_central_directory",
    "find_misaligned",
    "layout_zip",
    "make_entry",
    "read_zip",
    "require_total",
    "required_alignment",
    "revise_zip",
    "write_zip",
]
