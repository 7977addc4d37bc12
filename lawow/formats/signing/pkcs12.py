"""PKCS#12 keystores with any number of keys, as `keytool` and `openssl` write them.

`cryptography` knows one key of a keystore and refuses the whole of it for one odd certificate; so the bags
are read here. Parts that are encrypted with PBES2 and AES, the default of both tools for years, are
decrypted here; for older ciphers `cryptography` reads the certificates. A keystore that decrypts well but
does not fit its checksum is refused: a certificate with one changed bit would make another signer of its
owner. Sources: RFC 7292, section 4 and appendix B; RFC 8018, section 6.2.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field

from lawow.errors import FormatError, KeystoreError
from lawow.formats.bytes import align_up
from lawow.formats.signing import der

__all__ = ["Store", "StoredKey", "WrongPassword", "open_store"]

_DATA = "1.2.840.113549.1.7.1"
_ENCRYPTED_DATA = "1.2.840.113549.1.7.6"
_KEY_BAG = "1.2.840.113549.1.12.10.1.1"
_SHROUDED_KEY_BAG = "1.2.840.113549.1.12.10.1.2"
_CERTIFICATE_BAG = "1.2.840.113549.1.12.10.1.3"
_X509_CERTIFICATE = "1.2.840.113549.1.9.22.1"
_FRIENDLY_NAME = "1.2.840.113549.1.9.20"
_PBES2 = "1.2.840.113549.1.5.13"
_PBKDF2 = "1.2.840.113549.1.5.12"
_HASHES = {
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.8": "sha224",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
}
_DIGESTS = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_AES_KEY_BYTES = {
    "2.16.840.1.101.3.4.1.2": 16,
    "2.16.840.1.101.3.4.1.22": 24,
    "2.16.840.1.101.3.4.1.42": 32,
}
_AES_BLOCK_BYTES = 16
_IMPLICIT_OCTETS = 0x80  # [0] IMPLICIT OCTET STRING
_MAX_ITERATIONS = 10_000_000  # keytool: 10,000; some seconds of hashing at most


class WrongPassword(KeystoreError):
    """What was decrypted is not what an encrypted part has to hold."""

    def __init__(self) -> None:
        super().__init__("cannot be decrypted with this password")


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A private key as it stands in the keystore: a PrivateKeyInfo, or an EncryptedPrivateKeyInfo."""

    alias: str
    encoding: bytes = field(repr=False)
    is_encrypted: bool


@dataclass(frozen=True, slots=True)
class Store:
    """The private keys and the DER encodings of all certificates of a keystore."""

    keys: tuple[StoredKey, ...]
    certificates: tuple[bytes, ...] = field(repr=False)


def open_store(data: bytes, password: str | None) -> Store:
    """Open a keystore. Raises `FormatError` for what is not PKCS#12, and `WrongPassword`."""
    safe_contents, checksum = _read(data)
    secret = (password or "").encode("utf-8", "surrogateescape")
    keys: list[StoredKey] = []
    certificates: list[bytes] = []
    contents = der.read_one(safe_contents).expect(der.SEQUENCE).children()
    for content in contents:
        safe = _safe(content, secret)
        if safe is None:
            certificates += _certificates_by_library(content, secret)
            continue
        for bag in safe.expect(der.SEQUENCE).children():
            keys += _keys_in(bag)
            certificates += _certificates_in(bag)
    if checksum is not None and not _fits(checksum, safe_contents, password or ""):
        if not any(_is_encrypted(content) for content in contents):
            raise WrongPassword()  # nothing but the checksum has seen it
        raise FormatError("does not fit its checksum: the file was changed", structure="PKCS#12")
    return Store(tuple(keys), tuple(certificates))


def _read(data: bytes) -> tuple[bytes, der.Element | None]:
    """Return the encoding of the contents, and their checksum if there is one."""
    store = der.read_one(data).expect(der.SEQUENCE)
    if store.child(0, der.INTEGER).body != b"\x03":
        raise FormatError("is not of version 3", structure="PKCS#12")
    safe = store.child(1, der.SEQUENCE)
    if safe.child(0, der.OBJECT_IDENTIFIER).oid() != _DATA:
        raise FormatError("is protected by public keys instead of a password", structure="PKCS#12")
    fields = store.children()
    return _octets(safe), fields[2].expect(der.SEQUENCE) if len(fields) > 2 else None


def _fits(checksum: der.Element, contents: bytes, password: str) -> bool:
    """Whether the HMAC is that of the contents; one of an unknown algorithm is let pass."""
    info = checksum.child(0, der.SEQUENCE)
    hash_name = _DIGESTS.get(info.child(0, der.SEQUENCE).child(0, der.OBJECT_IDENTIFIER).oid())
    if hash_name is None:
        return True
    fields = checksum.children()
    iterations = _iterations(fields[2]) if len(fields) > 2 else 1
    salt = checksum.child(1, der.OCTET_STRING).body
    # No password is the empty one to some writers, and no text at all, not even its terminator, to others.
    texts = [password.encode("utf-16-be", "surrogatepass") + b"\0\0"] + ([] if password else [b""])
    keys = (_checksum_key(hash_name, text, salt, iterations) for text in texts)
    expected = info.child(1, der.OCTET_STRING).body
    return any(hmac.digest(key, contents, hash_name) == expected for key in keys)


def _checksum_key(hash_name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
    """Derive the key of the HMAC (RFC 7292, appendix B.2), which is as long as one digest."""
    block_bytes = hashlib.new(hash_name).block_size

    def filled(text: bytes) -> bytes:
        size = align_up(len(text), block_bytes)
        return (text * (size // len(text) + 1))[:size] if text else b""

    digest = hashlib.new(hash_name, b"\x03" * block_bytes + filled(salt) + filled(password)).digest()
    for _ in range(iterations - 1):
        digest = hashlib.new(hash_name, digest).digest()
    return digest


def _iterations(element: der.Element) -> int:
    count = int.from_bytes(element.expect(der.INTEGER).body[:8], "big")
    if not 1 <= count <= _MAX_ITERATIONS:
        message = "asks for an impossible number of iterations"
        raise FormatError(message, structure="PKCS#12", found=count, allowed=f"1 to {_MAX_ITERATIONS}")
    return count


def _octets(content: der.Element) -> bytes:
    return content.child(1, der.explicit(0)).child(0, der.OCTET_STRING).body


def _is_encrypted(content: der.Element) -> bool:
    return content.child(0, der.OBJECT_IDENTIFIER).oid() == _ENCRYPTED_DATA


def _safe(content: der.Element, password: bytes) -> der.Element | None:
    """Return the list of bags of one part, or `None` for a cipher that only `cryptography` knows."""
    kind = content.child(0, der.OBJECT_IDENTIFIER).oid()
    if kind == _DATA:
        return der.read_one(_octets(content))
    if not _is_encrypted(content):
        raise FormatError("has a part of an unknown kind", structure="PKCS#12", found=kind)
    info = content.child(1, der.explicit(0)).child(0, der.SEQUENCE).child(1, der.SEQUENCE)
    algorithm = info.child(1, der.SEQUENCE)
    if algorithm.child(0, der.OBJECT_IDENTIFIER).oid() != _PBES2:
        return None
    plain = _decrypt_pbes2(algorithm.child(1, der.SEQUENCE), info.child(2, _IMPLICIT_OCTETS).body, password)
    if plain is None:
        return None
    try:
        return der.read_one(plain)
    except FormatError:
        raise WrongPassword() from None


def _decrypt_pbes2(parameters: der.Element, encrypted: bytes, password: bytes) -> bytes | None:
    """Decrypt with AES-CBC and PBKDF2; `None` for other ciphers. Raises `WrongPassword` for bad padding."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    derivation, cipher = parameters.child(0, der.SEQUENCE), parameters.child(1, der.SEQUENCE)
    key_bytes = _AES_KEY_BYTES.get(cipher.child(0, der.OBJECT_IDENTIFIER).oid())
    if key_bytes is None or derivation.child(0, der.OBJECT_IDENTIFIER).oid() != _PBKDF2:
        return None
    initial = cipher.child(1, der.OCTET_STRING).body
    if len(initial) != _AES_BLOCK_BYTES or not encrypted or len(encrypted) % _AES_BLOCK_BYTES:
        raise FormatError("has an encrypted part that AES cannot have made", structure="PKCS#12")
    key = _derive(derivation.child(1, der.SEQUENCE), password, key_bytes)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(initial)).decryptor()
    padded = decryptor.update(encrypted) + decryptor.finalize()
    padding = padded[-1]
    if not 1 <= padding <= _AES_BLOCK_BYTES or padded[-padding:] != bytes((padding,)) * padding:
        raise WrongPassword()
    return padded[:-padding]


def _derive(parameters: der.Element, password: bytes, key_bytes: int) -> bytes:
    iterations = _iterations(parameters.child(1, der.INTEGER))
    last = parameters.children()[-1]
    oid = last.child(0, der.OBJECT_IDENTIFIER).oid() if last.tag == der.SEQUENCE else "1.2.840.113549.2.7"
    if oid not in _HASHES:
        raise FormatError("uses an unknown hash", structure="PBKDF2", found=oid)
    salt = parameters.child(0, der.OCTET_STRING).body
    return hashlib.pbkdf2_hmac(_HASHES[oid], password, salt, iterations, key_bytes)


def _keys_in(bag: der.Element) -> Iterator[StoredKey]:
    kind = bag.child(0, der.OBJECT_IDENTIFIER).oid()
    if kind in (_KEY_BAG, _SHROUDED_KEY_BAG):
        value = bag.child(1, der.explicit(0)).child(0, der.SEQUENCE)
        yield StoredKey(_alias(bag), value.encoding, kind == _SHROUDED_KEY_BAG)


def _certificates_in(bag: der.Element) -> Iterator[bytes]:
    if bag.child(0, der.OBJECT_IDENTIFIER).oid() == _CERTIFICATE_BAG:
        value = bag.child(1, der.explicit(0)).child(0, der.SEQUENCE)
        if value.child(0, der.OBJECT_IDENTIFIER).oid() == _X509_CERTIFICATE:
            yield _octets(value)


def _alias(bag: der.Element) -> str:
    attributes = bag.children()[2:]
    for attribute in attributes[0].expect(der.SET).children() if attributes else ():
        if attribute.child(0, der.OBJECT_IDENTIFIER).oid() == _FRIENDLY_NAME:
            return attribute.child(1, der.SET).child(0, der.BMP_STRING).body.decode("utf-16-be", "replace")
    return ""


def _certificates_by_library(content: der.Element, password: bytes) -> Iterator[bytes]:
    """Let `cryptography` decrypt one part, as a keystore of its own without a checksum."""
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

    safe = der.encode(der.SEQUENCE, content.encoding)
    octets = der.encode(der.explicit(0), der.encode(der.OCTET_STRING, safe))
    data = der.encode(der.SEQUENCE, der.encode_oid(_DATA), octets)
    try:
        store = pkcs12.load_pkcs12(der.encode(der.SEQUENCE, der.encode_integer(3), data), password)
    except ValueError:
        raise WrongPassword() from None
    found = ([store.cert] if store.cert else []) + list(store.additional_certs)
    yield from (item.certificate.public_bytes(Encoding.DER) for item in found)
