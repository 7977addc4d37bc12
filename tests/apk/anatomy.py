"""The raw parts of an APK, found by the standard library: what a new signature may change, and what not."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass

__all__ = ["Anatomy", "anatomy"]

SIGNATURE_FILE = re.compile(r"META-INF/(MANIFEST\.MF|[^/]+\.(SF|RSA|DSA|EC))")
MAGIC = b"APK Sig Block 42"
RECORD_BYTES = 46


@dataclass(frozen=True)
class Anatomy:
    """Raw bytes. `rest` is what stands between the entries and the signing block, signature files included.

    `end` is the end record without the number of entries and the place and size of the directory.
    """

    entries: bytes
    rest: bytes
    has_block: bool
    records: bytes
    end: bytes
    signature_files: list[str]


def anatomy(apk: bytes) -> Anatomy:
    """Take an APK apart, whose signature files have to be the last of its entries."""
    with zipfile.ZipFile(io.BytesIO(apk)) as archive:
        infos, directory = archive.infolist(), archive.start_dir
    others = [info for info in infos if not SIGNATURE_FILE.fullmatch(info.filename)]
    signature_files = infos[len(others) :]
    assert infos[: len(others)] == others
    has_block = apk[directory - len(MAGIC) : directory] == MAGIC
    size = int.from_bytes(apk[directory - 24 : directory - 16], "little") + 8 if has_block else 0
    block = directory - size
    stop = min((info.header_offset for info in signature_files), default=_end_of(others[-1], apk))
    records = sum(
        RECORD_BYTES + len(info.orig_filename.encode()) + len(info.extra) + len(info.comment)
        for info in others
    )
    end = apk.rindex(b"PK\5\6")
    return Anatomy(
        entries=apk[:stop],
        rest=apk[stop:block],
        has_block=has_block,
        records=apk[directory : directory + records],
        end=apk[end : end + 8] + apk[end + 20 :],
        signature_files=[info.filename for info in signature_files],
    )


def _end_of(info: zipfile.ZipInfo, apk: bytes) -> int:
    head = info.header_offset
    names = int.from_bytes(apk[head + 26 : head + 28], "little")
    extra = int.from_bytes(apk[head + 28 : head + 30], "little")
    return head + 30 + names + extra + info.compress_size
