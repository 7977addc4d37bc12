"""The few fields of an X.509 certificate that signatures need, as they are encoded. Source: RFC 5280,
section 4.1.

Nothing here judges a certificate: Android takes it as a name for a key, whoever issued it and whenever it
ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lawow.formats.signing import der

__all__ = ["Certificate", "read_certificate"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate; issuer, serial number, subject and public key in their DER encodings."""

    encoding: bytes = field(repr=False)
    issuer: bytes
    serial_number: bytes
    subject: bytes
    public_key: bytes


def read_certificate(encoding: bytes) -> Certificate:
    """Read a certificate. Raises `FormatError`."""
    body = der.read_one(encoding).expect(der.SEQUENCE).child(0, der.SEQUENCE).children()
    has_version = bool(body) and body[0].tag == der.explicit(0)
    tags = (der.INTEGER, der.SEQUENCE, der.SEQUENCE, der.SEQUENCE, der.SEQUENCE, der.SEQUENCE)
    fields = der.Element(der.SEQUENCE, b"".join(item.encoding for item in body[has_version:]), b"")
    serial, _, issuer, _, subject, key = (fields.child(i, tag).encoding for i, tag in enumerate(tags))
    return Certificate(encoding, issuer, serial, subject, key)
