"""The APK Signing Block: pairs of id and value between the entries and the central directory.

Source: source.android.com, "APK Signature Scheme v2", "APK Signing Block".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lawow.errors import FormatError
from lawow.formats.bytes import ByteReader, ByteWriter, align_up

__all__ = ["BLOCK_ALIGNMENT_BYTES", "SigningBlock", "encode_signing_block", "read_signing_block"]

BLOCK_ALIGNMENT_BYTES = 4096  # the block starts on and fills whole pages, as fs-verity wants

_MAGIC = b"APK Sig Block 42"
_FOOTER_BYTES = 8 + len(_MAGIC)
_MAX_PAIRS = 1_000  # real blocks have two to six
_VERITY_PADDING = 0x42726577


@dataclass(frozen=True, slots=True)
class SigningBlock:
    """A block as it was read. Of two pairs of one id the first counts, as on the device."""

    offset: int
    pairs: tuple[tuple[int, bytes], ...] = field(repr=False)

    def value(self, identifier: int) -> bytes | None:
        """Return the value of the first pair of this id."""
        return next((value for found, value in self.pairs if found == identifier), None)


def read_signing_block(data: memoryview, directory_offset: int) -> SigningBlock | None:
    """Read the block that ends where the central directory starts; `None` if there is no magic.

    Raises `FormatError` for size fields that differ or pairs that do not fill the block.
    """
    footer = directory_offset - _FOOTER_BYTES
    if footer < 8 or data[footer + 8 : directory_offset] != _MAGIC:
        return None
    size = ByteReader(data, footer, structure="APK Signing Block").read_u64()
    start = directory_offset - 8 - size
    if start < 0 or size < _FOOTER_BYTES:
        message = "has an impossible size"
        raise FormatError(message, structure="APK Signing Block", offset=footer, found=size)
    reader = ByteReader(data, start, footer, structure="APK Signing Block")
    if (size_before := reader.read_u64()) != size:
        message = "has two different sizes, before and after its pairs"
        raise reader.fail(message, found=f"{size_before} and {size}")
    return SigningBlock(start, tuple(_read_pairs(reader)))


def _read_pairs(reader: ByteReader) -> Iterable[tuple[int, bytes]]:
    for _ in range(_MAX_PAIRS):
        if not reader.remaining:
            return
        size = reader.read_u64()
        if not 4 <= size <= reader.remaining:
            raise reader.fail(
                "has a pair of an impossible size", found=size, allowed=f"4 to {reader.remaining}"
            )
        yield reader.read_u32(), reader.read_bytes(size - 4)
    if reader.remaining:
        raise reader.fail("has too many pairs", allowed=_MAX_PAIRS)


def encode_signing_block(pairs: Iterable[tuple[int, bytes]]) -> bytes:
    """Return a block of whole pages with these pairs, filled up with a pair of padding."""
    body = ByteWriter()
    for identifier, value in pairs:
        _write_pair(body, identifier, value)
    frame = 8 + _FOOTER_BYTES
    missing = align_up(len(body) + frame, BLOCK_ALIGNMENT_BYTES) - len(body) - frame
    if missing:
        # A pair has 12 bytes before its value; where less is missing, a whole page more is filled.
        filled = missing if missing >= 12 else missing + BLOCK_ALIGNMENT_BYTES
        _write_pair(body, _VERITY_PADDING, bytes(filled - 12))
    size = (len(body) + _FOOTER_BYTES).to_bytes(8, "little")
    return b"".join((size, bytes(body.data), size, _MAGIC))


def _write_pair(writer: ByteWriter, identifier: int, value: bytes) -> None:
    writer.write_u64(4 + len(value))
    writer.write_u32(identifier)
    writer.write_bytes(value)
