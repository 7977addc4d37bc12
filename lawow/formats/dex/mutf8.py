"""Modified UTF-8, the text encoding of DEX: U+0000 as C0 80, supplementary characters as two surrogates.

Refuses what Android's verifier refuses: overlong forms, stray continuation bytes, four-byte forms, bare NUL.
Lone surrogates are legal and survive a round trip as lone surrogates of a Python `str`.
Source: "MUTF-8 (Modified UTF-8) Encoding" of the Dalvik executable format; DataInput of the Java platform.
"""

from __future__ import annotations

from lawow.errors import FormatError

__all__ = ["decode_mutf8", "encode_mutf8", "utf16_length", "utf16_sort_key"]

_FIRST_FOUR_BYTE_LEAD = 0xF0


def decode_mutf8(raw: bytes) -> str:
    """Decode the bytes of one string, without length and terminator. Raises `FormatError` if malformed."""
    if 0 in raw:
        raise FormatError("NUL inside of a string", structure="string_data_item", allowed="C0 80")
    if raw.isascii():
        return raw.decode("ascii")
    if max(raw) >= _FIRST_FOUR_BYTE_LEAD:
        raise FormatError("byte that MUTF-8 does not have", structure="string_data_item", found=hex(max(raw)))
    try:
        # C0 is a lead byte only, so the pair can't straddle two characters.
        text = raw.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise FormatError(f"malformed MUTF-8: {error.reason}", structure="string_data_item") from None
    # Through UTF-16, two surrogates become the one character that they stand for.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def encode_mutf8(text: str) -> bytes:
    """Encode a string, without length and terminator. Every `str` has exactly one MUTF-8 form."""
    if text.isascii() and "\0" not in text:
        return text.encode("ascii")
    utf16 = text.encode("utf-16-le", "surrogatepass")
    units = "".join(chr(utf16[i] | utf16[i + 1] << 8) for i in range(0, len(utf16), 2))
    return units.encode("utf-8", "surrogatepass").replace(b"\0", b"\xc0\x80")


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units, which is what `utf16_size` of a string_data_item counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def utf16_sort_key(text: str) -> bytes:
    """Return the key by which string_ids are sorted.

    Android sorts by UTF-16 code unit, Python by code point; they differ above U+FFFF.
    """
    return text.encode("utf-16-be", "surrogatepass")
