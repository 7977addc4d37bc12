"""PKCS#7 SignedData around a JAR's signature file: made by `v1`, verified here. Source: RFC 2315, section
9."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from lawow.errors import FormatError
from lawow.formats.signing import der
from lawow.formats.signing.algorithms import verify_signature
from lawow.formats.signing.certificate import Certificate, read_certificate
from lawow.formats.signing.key import SigningKey

__all__ = ["encode_signed_data", "signer_of"]

_SIGNED_DATA = "1.2.840.113549.1.7.2"
_DATA = "1.2.840.113549.1.7.1"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_DIGESTS = {
    "sha1": "1.3.14.3.2.26",
    "sha224": "2.16.840.1.101.3.4.2.4",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
_HASH_NAMES = {oid: name for name, oid in _DIGESTS.items()}
_RSA = "1.2.840.113549.1.1.1"
_ECDSA_WITH = {"sha1": "1.2.840.10045.4.1", "sha256": "1.2.840.10045.4.3.2"}
# What a signature algorithm's identifier starts with: the algorithm alone, or together with a digest.
_KEY_TYPES = (("1.2.840.113549.1.1.", "RSA"), ("1.2.840.10045.", "EC"), ("1.2.840.10040.4.", "DSA"))
_DSA_WITH_SHA2 = "2.16.840.1.101.3.4.3."


def encode_signed_data(data: bytes, key: SigningKey, hash_name: str) -> bytes:
    """Return SignedData over `data`, detached, with one signer and without signed attributes.

    The oldest Android versions read nothing more elaborate. `hash_name` is ``sha1`` or ``sha256``.
    """
    own = read_certificate(key.certificate)
    digest_algorithm = der.encode(der.SEQUENCE, der.encode_oid(_DIGESTS[hash_name]), der.encode(der.NULL))
    if key.algorithm.key_type == "RSA":
        signature_algorithm = der.encode(der.SEQUENCE, der.encode_oid(_RSA), der.encode(der.NULL))
    else:
        signature_algorithm = der.encode(der.SEQUENCE, der.encode_oid(_ECDSA_WITH[hash_name]))
    signer = der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        der.encode(der.SEQUENCE, own.issuer, own.serial_number),
        digest_algorithm,
        signature_algorithm,
        der.encode(der.OCTET_STRING, key.sign(data, hash_name)),
    )
    signed_data = der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        der.encode(der.SET, digest_algorithm),
        der.encode(der.SEQUENCE, der.encode_oid(_DATA)),
        der.encode(der.explicit(0), *key.certificates),
        der.encode(der.SET, signer),
    )
    return der.encode(der.SEQUENCE, der.encode_oid(_SIGNED_DATA), der.encode(der.explicit(0), signed_data))


class _SignerInfo(NamedTuple):
    issuer: bytes
    serial_number: bytes
    hash_name: str
    key_type: str
    signed_attributes: der.Element | None
    signature: bytes


def signer_of(signed_data: bytes, data: bytes) -> Certificate | None:
    """Return the certificate of the first signer whose signature over `data` holds, or `None`.

    Raises `FormatError` for SignedData that is malformed or uses algorithms that no Android version knows.
    """
    fields = _fields(signed_data)
    certificates: list[Certificate] = []
    infos: list[_SignerInfo] = []
    for field in fields[3:]:
        if field.tag == der.explicit(0):
            certificates = [read_certificate(item.encoding) for item in field.children()]
        elif field.tag == der.SET:
            infos = [_read_signer_info(item) for item in field.children()]
    for info in infos:
        for certificate in certificates:
            names_it = (certificate.issuer, certificate.serial_number) == (info.issuer, info.serial_number)
            if names_it and _holds(info, certificate, data):
                return certificate
    return None


def _fields(signed_data: bytes) -> list[der.Element]:
    content = der.read_one(signed_data).expect(der.SEQUENCE)
    if content.child(0, der.OBJECT_IDENTIFIER).oid() != _SIGNED_DATA:
        raise FormatError("is not SignedData", structure="PKCS#7")
    fields = content.child(1, der.explicit(0)).child(0, der.SEQUENCE).children()
    if len(fields) < 4:
        raise FormatError("has too few fields", structure="PKCS#7 SignedData", found=len(fields), allowed=4)
    return fields


def _read_signer_info(element: der.Element) -> _SignerInfo:
    fields = element.expect(der.SEQUENCE).children()
    attributes = next((field for field in fields[3:4] if field.tag == der.explicit(0)), None)
    rest = fields[4:] if attributes else fields[3:]
    if len(rest) < 2:
        raise FormatError("has too few fields", structure="PKCS#7 SignerInfo", found=len(fields))
    issuer = fields[1].child(0, der.SEQUENCE).encoding
    serial_number = fields[1].child(1, der.INTEGER).encoding
    hash_oid = fields[2].child(0, der.OBJECT_IDENTIFIER).oid()
    if hash_oid not in _HASH_NAMES:
        raise FormatError("uses an unknown digest", structure="PKCS#7 SignerInfo", found=hash_oid)
    key_type = _key_type(rest[0].child(0, der.OBJECT_IDENTIFIER).oid())
    signature = rest[1].expect(der.OCTET_STRING).body
    return _SignerInfo(issuer, serial_number, _HASH_NAMES[hash_oid], key_type, attributes, signature)


def _key_type(oid: str) -> str:
    for prefix, key_type in (*_KEY_TYPES, (_DSA_WITH_SHA2, "DSA")):
        if oid.startswith(prefix):
            return key_type
    raise FormatError("uses an unknown signature algorithm", structure="PKCS#7 SignerInfo", found=oid)


def _holds(info: _SignerInfo, certificate: Certificate, data: bytes) -> bool:
    signed = data
    if info.signed_attributes is not None:
        if _message_digest(info.signed_attributes) != hashlib.new(info.hash_name, data).digest():
            return False
        # What is signed is the attributes as a SET, not with the tag that they have in the SignerInfo.
        signed = der.encode(der.SET, info.signed_attributes.body)
    return verify_signature(certificate.public_key, info.key_type, info.signature, signed, info.hash_name)


def _message_digest(attributes: der.Element) -> bytes:
    for attribute in attributes.children():
        if attribute.child(0, der.OBJECT_IDENTIFIER).oid() == _MESSAGE_DIGEST:
            return attribute.child(1, der.SET).child(0, der.OCTET_STRING).body
    raise FormatError("has signed attributes without a message digest", structure="PKCS#7 SignerInfo")
