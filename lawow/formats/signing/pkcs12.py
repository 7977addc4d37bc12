"""PKCS#12 keystores with any number of keys, as `keytool` writes them.

`cryptography` checks the password and decrypts, but knows only one key of a keystore; so the key bags are
found here, with their aliases, and decrypted one by one. Source: RFC 7292, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lawow.errors import FormatError, KeystoreError
from lawow.formats.signing import der

__all__ = ["StoredKey", "read_certificates", "read_key_bags"]

_DATA = "1.2.840.113549.1.7.1"
_KEY_BAG = "1.2.840.113549.1.12.10.1.1"
_SHROUDED_KEY_BAG = "1.2.840.113549.1.12.10.1.2"
_FRIENDLY_NAME = "1.2.840.113549.1.9.20"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A private key as it stands in the keystore: a PrivateKeyInfo, or an EncryptedPrivateKeyInfo."""

    alias: str
    encoding: bytes = field(repr=False)
    is_encrypted: bool


def read_key_bags(data: bytes) -> list[StoredKey]:
    """Return the keys that do not stand in an encrypted part. Raises `FormatError` for what is not
    PKCS#12."""
    keys: list[StoredKey] = []
    for content in _contents(data):
        if content.child(0, der.OBJECT_IDENTIFIER).oid() != _DATA:
            continue
        for bag in der.read_one(_octets(content)).expect(der.SEQUENCE).children():
            kind = bag.child(0, der.OBJECT_IDENTIFIER).oid()
            if kind in (_KEY_BAG, _SHROUDED_KEY_BAG):
                value = bag.child(1, der.explicit(0)).child(0, der.SEQUENCE)
                keys.append(StoredKey(_alias(bag), value.encoding, kind == _SHROUDED_KEY_BAG))
    return keys


def read_certificates(
    data: bytes, password: str | None, *, has_other_key_password: bool, name: str
) -> list[bytes]:
    """Return the DER encodings of all certificates, after checking the password.

    With `has_other_key_password` the keystore's checksum is not looked at, because the keys have to be cut
    out of what is given to `cryptography`. Raises `KeystoreError` with `name`, the file's.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

    source = _without_keys(data) if has_other_key_password else data
    secret = None if password is None else password.encode("utf-8")
    try:
        store = pkcs12.load_pkcs12(source, secret)
    except ValueError:
        message = "cannot be opened: the password is wrong, or the file was changed (its checksum differs)"
        if not password:
            message = "cannot be opened without its password"
        raise KeystoreError(message, file=name) from None
    found = ([store.cert] if store.cert else []) + list(store.additional_certs)
    return [item.certificate.public_bytes(Encoding.DER) for item in found]


def _contents(data: bytes) -> list[der.Element]:
    store = der.read_one(data).expect(der.SEQUENCE)
    if store.child(0, der.INTEGER).body != b"\x03":
        raise FormatError("is not of version 3", structure="PKCS#12")
    safe = store.child(1, der.SEQUENCE)
    if safe.child(0, der.OBJECT_IDENTIFIER).oid() != _DATA:
        raise FormatError("is protected by public keys instead of a password", structure="PKCS#12")
    return der.read_one(_octets(safe)).expect(der.SEQUENCE).children()


def _octets(content: der.Element) -> bytes:
    return content.child(1, der.explicit(0)).child(0, der.OCTET_STRING).body


def _alias(bag: der.Element) -> str:
    attributes = bag.children()[2:]
    for attribute in attributes[0].expect(der.SET).children() if attributes else ():
        if attribute.child(0, der.OBJECT_IDENTIFIER).oid() == _FRIENDLY_NAME:
            return attribute.child(1, der.SET).child(0, der.BMP_STRING).body.decode("utf-16-be", "replace")
    return ""


def _without_keys(data: bytes) -> bytes:
    """Return the keystore without its readable parts, which hold the keys, and without its checksum."""
    kept = (item for item in _contents(data) if item.child(0, der.OBJECT_IDENTIFIER).oid() != _DATA)
    safe = der.encode(der.SEQUENCE, *(item.encoding for item in kept))
    content = der.encode(der.explicit(0), der.encode(der.OCTET_STRING, safe))
    return der.encode(
        der.SEQUENCE,
        der.encode_integer(3),
        der.encode(der.SEQUENCE, der.encode_oid(_DATA), content),
    )
