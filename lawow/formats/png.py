"""PNG, as far as one has to look before a picture of a stranger's is handed to a browser.

The signature, and a header whose sizes are within limits: a file of some kilobytes may stand for gigabytes of
pixels. Whatever comes after them is for the browser to judge. Source: PNG specification (third edition), 5.2
and 11.2.1.
"""

from __future__ import annotations

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.bytes import ByteReader

__all__ = ["require_png"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_BYTES = 13


def require_png(data: bytes | memoryview, side_pixels: int) -> tuple[int, int]:
    """Return width and height of a picture.

    Raises `FormatError` for what does not begin as a PNG does, `LimitExceeded` above `side_pixels`.
    """
    reader = ByteReader(data, structure="PNG")
    if reader.remaining < len(SIGNATURE) or bytes(reader.read_bytes(len(SIGNATURE))) != SIGNATURE:
        raise FormatError("is no PNG", structure="PNG", offset=0)
    length, kind = _big_endian(reader), bytes(reader.read_bytes(4))
    if kind != b"IHDR" or length != HEADER_BYTES:
        raise FormatError("does not begin with a header", structure="PNG", offset=8, found=repr(kind))
    sides = _big_endian(reader), _big_endian(reader)
    for side in sides:
        if not side:
            raise FormatError("has no pixels", structure="PNG", offset=16)
        if side > side_pixels:
            raise LimitExceeded("view_pixels", side, side_pixels)
    return sides


def _big_endian(reader: ByteReader) -> int:
    return int.from_bytes(reader.read_bytes(4), "big")
