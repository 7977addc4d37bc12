"""DER, as much as certificates, PKCS#7 and PKCS#12 need: definite lengths, one-byte tags, nothing decoded
early.

Refused: indefinite and overlong lengths, multi-byte tags, elements that end outside of their parent.
Source: X.690.
"""

from __future__ import annotations

from typing import NamedTuple

from lawow.errors import FormatError

__all__ = [
    "BIT_STRING",
    "BMP_STRING",
    "INTEGER",
    "NULL",
    "OBJECT_IDENTIFIER",
    "OCTET_STRING",
    "SEQUENCE",
    "SET",
    "Element",
    "encode",
    "encode_integer",
    "encode_oid",
    "explicit",
    "read_all",
    "read_one",
]

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
BMP_STRING = 0x1E
SEQUENCE = 0x30
SET = 0x31

_MAX_LENGTH_BYTES = 4


def explicit(number: int) -> int:
    """Return the tag of a constructed, context-specific element such as ``[0]``."""
    return 0xA0 | number


class Element(NamedTuple):
    """One element: its tag, its contents, and the whole encoding."""

    tag: int
    body: bytes
    encoding: bytes

    def children(self) -> list[Element]:
        """Return the elements in the contents."""
        return read_all(self.body)

    def expect(self, tag: int) -> Element:
        """Return the element itself; raises `FormatError` if it has another tag."""
        if self.tag != tag:
            raise FormatError(
                "has another type", structure="DER", found=f"{self.tag:#x}", allowed=f"{tag:#x}"
            )
        return self

    def child(self, index: int, tag: int) -> Element:
        """Return the child at `index`, which has to exist and to have this tag."""
        children = self.children()
        if index >= len(children):
            raise FormatError("has too few parts", structure="DER", found=len(children), allowed=index + 1)
        return children[index].expect(tag)

    def oid(self) -> str:
        """Return an object identifier in dotted form."""
        self.expect(OBJECT_IDENTIFIER)
        arcs: list[int] = []
        value = 0
        for byte in self.body[:64]:
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                arcs.append(value)
                value = 0
        if not arcs or len(self.body) > 64 or self.body[-1] >= 0x80:
            raise FormatError("is not an object identifier", structure="DER", found=self.body[:64].hex())
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def read_one(data: bytes) -> Element:
    """Read one element that fills `data`."""
    elements = read_all(data)
    if len(elements) != 1:
        raise FormatError("has to be exactly one element", structure="DER", found=len(elements))
    return elements[0]


def read_all(data: bytes) -> list[Element]:
    """Read the elements that stand one behind the other in `data`."""
    elements: list[Element] = []
    position = 0
    while position < len(data):
        start = position + 2
        if start > len(data) or data[position] & 0x1F == 0x1F:
            raise FormatError("has an unknown or cut off tag", structure="DER", offset=position)
        size = data[position + 1]
        if size >= 0x80:
            length_bytes = size & 0x7F
            if not 1 <= length_bytes <= _MAX_LENGTH_BYTES:
                raise FormatError("has a length that DER does not allow", structure="DER", offset=position)
            size = int.from_bytes(data[start : start + length_bytes], "big")
            start += length_bytes
        stop = start + size
        if stop > len(data):
            found, allowed = f"{stop:#x}", f"at most {len(data):#x}"
            raise FormatError("ends outside", structure="DER", offset=position, found=found, allowed=allowed)
        elements.append(Element(data[position], data[start:stop], data[position:stop]))
        position = stop
    return elements


def encode(tag: int, *parts: bytes) -> bytes:
    """Encode an element whose contents are these parts."""
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def encode_integer(value: int) -> bytes:
    """Encode a non-negative integer."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def encode_oid(dotted: str) -> bytes:
    """Encode an object identifier given in dotted form."""
    first, second, *others = map(int, dotted.split("."))
    body = bytearray()
    for arc in (40 * first + second, *others):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        body += bytes(reversed(septets))
    return encode(OBJECT_IDENTIFIER, bytes(body))
