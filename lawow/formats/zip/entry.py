"""One ZIP entry: the directory's facts, the bytes as they stand in the file, and bounded reading of the
content.

The content of an encrypted entry or of an unknown method is kept and refuses to be read; names that are
unsafe as paths are kept and marked. Source: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.4; RFC
1951.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lawow.errors import FormatError, LimitExceeded
from lawow.limits import ARCHIVE

__all__ = [
    "DEFLATED",
    "ENCRYPTED",
    "HAS_DESCRIPTOR",
    "STORED",
    "ZipEntry",
    "make_entry",
    "require_total",
    "shown_name",
]

STORED = 0
DEFLATED = 8

# General purpose bit flags (APPNOTE 4.4.4).
ENCRYPTED = 1 << 0
HAS_DESCRIPTOR = 1 << 3
_UTF8_NAME = 1 << 11

_FIRST_DOS_TIME = 0x0021_0000  # 1980-01-01 00:00:00, the earliest that the format can say
_DEFLATE_LEVEL = (
    5  # for 0.6 % of a dex file's size level 6 takes a third more time; for 1 % level 9 takes thrice
)
_INPUT_PIECE_BYTES = 256 << 10
_OUTPUT_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One entry: the directory's facts and the compressed bytes as they stand in the file.

    `dos_time` is the header's date (high half) and time (low half). `data` has `compressed_bytes` bytes and
    is a view of the archive, which therefore stays alive. `header_offset` and `data_offset` are places in
    the archive that was read; 0 for an entry that was made.
    """

    name: bytes
    method: int
    flags: int
    dos_time: int
    crc32: int
    compressed_bytes: int
    uncompressed_bytes: int
    data: memoryview = field(repr=False)
    version_made_by: int = 20
    version_needed: int = 20
    internal_attributes: int = 0
    external_attributes: int = 0
    local_extra: bytes = field(default=b"", repr=False)
    central_extra: bytes = field(default=b"", repr=False)
    comment: bytes = field(default=b"", repr=False)
    header_offset: int = 0
    data_offset: int = 0

    @property
    def path(self) -> str:
        """The name as text. Not a path to write to: see `is_safe_path`."""
        return self.name.decode("utf-8", "replace")

    @property
    def is_safe_path(self) -> bool:
        """Whether the name, used as a relative path, stays below its folder on every system."""
        path = self.path
        parts = path.removesuffix("/").split("/")
        return path.isprintable() and "\\" not in path and path[1:2] != ":" and not {"", ".", ".."} & {*parts}

    @property
    def is_readable(self) -> bool:
        """Whether the method is one that Android knows and the content is not encrypted."""
        return self.method in (STORED, DEFLATED) and not self.flags & ENCRYPTED

    def read(self, limit_bytes: int = ARCHIVE.entry_bytes) -> bytes:
        """Return the content, with size and CRC-32 checked.

        Raises `FormatError` for a lying size, a wrong CRC or a method that is not readable, and
        `LimitExceeded`, before anything is inflated, if the declared size is above `limit_bytes`.
        """
        return b"".join(self.read_pieces(limit_bytes))

    def read_pieces(self, limit_bytes: int = ARCHIVE.entry_bytes) -> Iterator[bytes | memoryview]:
        """Yield the content in pieces of at most 1 MiB; the checks of `read` end with the last piece."""
        self._require_readable(limit_bytes)
        size = crc = 0
        for piece in self._stored_pieces() if self.method == STORED else self._inflated_pieces():
            size += len(piece)
            if size > self.uncompressed_bytes:
                raise self._wrong(
                    "inflates to more than its size", allowed=f"{self.uncompressed_bytes} bytes"
                )
            crc = zlib.crc32(piece, crc)
            yield piece
        if size != self.uncompressed_bytes:
            raise self._wrong("is shorter than its size", f"{size} bytes", f"{self.uncompressed_bytes} bytes")
        if crc != self.crc32:
            raise self._wrong("has another CRC-32 than declared", f"{crc:#010x}", f"{self.crc32:#010x}")

    def _require_readable(self, limit_bytes: int) -> None:
        if self.flags & ENCRYPTED:
            raise self._wrong("is encrypted, which APKs and bundles cannot be")
        if self.method not in (STORED, DEFLATED):
            raise self._wrong("has an unknown compression method", self.method, "0 (stored) or 8 (deflated)")
        if self.uncompressed_bytes > limit_bytes:
            subject = shown_name(self.name)
            raise LimitExceeded("entry_bytes", self.uncompressed_bytes, limit_bytes, subject=subject)

    def _wrong(self, message: str, found: object = None, allowed: object = None) -> FormatError:
        return FormatError(message, offset=self.data_offset, found=found, allowed=allowed).within(
            shown_name(self.name)
        )

    def _stored_pieces(self) -> Iterator[memoryview]:
        for start in range(0, len(self.data), _OUTPUT_PIECE_BYTES):
            yield self.data[start : start + _OUTPUT_PIECE_BYTES]

    def _inflated_pieces(self) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        position = 0
        try:
            while position < len(self.data) and not inflater.eof:
                piece: bytes | memoryview = self.data[position : position + _INPUT_PIECE_BYTES]
                position += len(piece)
                while piece and not inflater.eof:
                    yield inflater.decompress(piece, _OUTPUT_PIECE_BYTES)
                    piece = inflater.unconsumed_tail
            while not inflater.eof and (rest := inflater.decompress(b"", _OUTPUT_PIECE_BYTES)):
                yield rest
        except zlib.error as error:
            raise self._wrong(f"is not valid DEFLATE data ({error})") from None
        if not inflater.eof:
            raise self._wrong("has DEFLATE data that ends too early")
        if surplus := len(self.data) - position + len(inflater.unused_data):
            raise self._wrong(f"has {surplus} bytes behind its DEFLATE data")


def make_entry(
    name: str | bytes, content: bytes, *, compress: bool | None = None, like: ZipEntry | None = None
) -> ZipEntry:
    """Make an entry with this content, the same on every run: the time is 1980-01-01, or that of `like`.

    Of `like`, an entry that this one replaces, come time, attributes, comment and central extra field and,
    unless `compress` says otherwise, whether it is compressed. What DEFLATE makes no smaller is stored.
    """
    raw_name = name.encode("utf-8") if isinstance(name, str) else name
    if compress is None:
        compress = like is None or like.method != STORED
    data = _deflate(content) if compress else content
    is_deflated = compress and len(data) < len(content)
    return ZipEntry(
        name=raw_name,
        method=DEFLATED if is_deflated else STORED,
        flags=0 if raw_name.isascii() else _UTF8_NAME,
        dos_time=like.dos_time if like else _FIRST_DOS_TIME,
        crc32=zlib.crc32(content),
        compressed_bytes=len(data) if is_deflated else len(content),
        uncompressed_bytes=len(content),
        data=memoryview(data if is_deflated else content).toreadonly(),
        version_made_by=like.version_made_by if like else 20,
        version_needed=20 if is_deflated else 10,
        internal_attributes=like.internal_attributes if like else 0,
        external_attributes=like.external_attributes if like else 0,
        central_extra=like.central_extra if like else b"",
        comment=like.comment if like else b"",
    )


def require_total(
    entries: Iterable[ZipEntry], limit: str, maximum: int, *, subject: str, held_bytes: int = 0
) -> int:
    """Return the sum of what `entries` declare to inflate to, which `read` keeps them to, and `held_bytes`.

    Raises `LimitExceeded`, naming `limit` and `subject`, if that is above `maximum` bytes.
    """
    total = held_bytes + sum(entry.uncompressed_bytes for entry in entries)
    if total > maximum:
        raise LimitExceeded(limit, total, maximum, subject=subject)
    return total


def _deflate(content: bytes) -> bytes:
    deflater = zlib.compressobj(_DEFLATE_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(content) + deflater.flush()


def shown_name(name: bytes) -> str:
    """Return a name for a sentence: at most 200 characters, none of them a control character."""
    text = repr(name.decode("utf-8", "backslashreplace"))[1:-1]
    return text if len(text) <= 200 else f"{text[:98]}...{text[-98:]}"
