"""Loading the owner's signing key: PKCS#12 keystores, and PEM files that hold a private key and its
certificates.

Every refusal says what to do: which aliases there are, how a JKS keystore becomes PKCS#12, whether it is
the password or the file. The bytes come from the caller, who owns the file and the way to ask for a
password.
"""

from __future__ import annotations

import base64
import binascii
import re
import shlex
from collections.abc import Callable, Sequence

from lawow.errors import FormatError, KeystoreError
from lawow.formats.signing import der
from lawow.formats.signing.key import SigningKey, make_signing_key
from lawow.formats.signing.pkcs12 import StoredKey, WrongPassword, open_store
from lawow.formats.zip.entry import shown_name

__all__ = ["load_keystore"]

_JAVA_FORMATS = {b"\xfe\xed\xfe\xed": "JKS", b"\xce\xce\xce\xce": "JCEKS"}
_MAX_KEYSTORE_BYTES = 4 << 20  # a keystore with a hundred keys has 300 KiB

_PEM_KEY = re.compile(rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)
_PEM_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


def load_keystore(
    data: bytes,
    *,
    password: str | None,
    key_password: str | None = None,
    alias: str | None = None,
    name: str,
) -> SigningKey:
    """Load the signing key of a PKCS#12 or PEM file.

    `password` opens the keystore and, unless there is a `key_password`, the key in it. `alias` chooses
    between several keys; upper and lower case are the same, as in `keytool`. `name` is the file's name for
    errors. Raises `KeystoreError` for everything that can be wrong.
    """
    if len(data) > _MAX_KEYSTORE_BYTES:
        message = "is too large for a keystore"
        raise KeystoreError(message, file=name, found=len(data), allowed=f"{_MAX_KEYSTORE_BYTES} bytes")
    if java_format := _JAVA_FORMATS.get(data[:4]):
        source, target = shlex.quote(name), shlex.quote(f"{name}.p12")
        raise KeystoreError(
            f"is a {java_format} keystore, which only Java reads; convert it with: keytool -importkeystore "
            f"-srckeystore {source} -destkeystore {target} -deststoretype pkcs12",
            file=name,
        )
    if b"-----BEGIN " in data:
        return _load_pem(data, key_password or password, alias, name)
    return _load_pkcs12(data, password, key_password, alias, name)


def _load_pkcs12(
    data: bytes, password: str | None, key_password: str | None, alias: str | None, name: str
) -> SigningKey:
    try:
        store = open_store(data, password)
    except WrongPassword:
        message = "cannot be opened: the password is wrong" if password else "needs a password"
        raise KeystoreError(message, file=name) from None
    except FormatError as error:
        message = f"is damaged, or neither a PKCS#12 keystore nor a PEM file ({error})"
        raise KeystoreError(message, file=name) from None
    chosen = _choose(store.keys, alias, name)
    secret = (password if key_password is None else key_password) if chosen.is_encrypted else None
    private_key = _decrypt(_load_der, chosen.encoding, secret, name)
    return make_signing_key(private_key, store.certificates, name=name)


def _choose(keys: Sequence[StoredKey], alias: str | None, name: str) -> StoredKey:
    listed = ", ".join(f'"{shown_name(key.alias.encode("utf-8", "replace"))}"' for key in keys)
    if not keys:
        raise KeystoreError("holds no private key that can be read, only certificates or secrets", file=name)
    if alias is None:
        if len(keys) > 1:
            raise KeystoreError(f"holds several keys; choose one of the aliases {listed}", file=name)
        return keys[0]
    for key in keys:
        if key.alias.casefold() == alias.casefold():
            return key
    raise KeystoreError(f'holds no key with the alias "{alias}"; it holds {listed}', file=name)


def _load_pem(data: bytes, password: str | None, alias: str | None, name: str) -> SigningKey:
    if alias is not None:
        raise KeystoreError("is a PEM file, which has no aliases; leave the alias out", file=name)
    keys = list(_PEM_KEY.finditer(data))
    if len(keys) != 1:
        message = "has to hold exactly one private key, beside its certificates"
        raise KeystoreError(message, file=name, found=f"{len(keys)} private keys")
    try:
        certificates = [_decode(match[1]) for match in _PEM_CERTIFICATE.finditer(data)]
    except FormatError as error:
        raise KeystoreError(f"holds a certificate that is damaged ({error})", file=name) from None
    if not certificates:
        message = "holds a private key without a certificate; append the certificate to the file"
        raise KeystoreError(message, file=name)
    _require_whole(keys[0], name)
    is_encrypted = b"ENCRYPTED" in keys[0][0]
    private_key = _decrypt(_load_pem_key, keys[0][0], password if is_encrypted else None, name)
    return make_signing_key(private_key, certificates, name=name)


def _require_whole(match: re.Match[bytes], name: str) -> None:
    """Tell a damaged file from a wrong password, as far as what is not encrypted allows."""
    if b":" in match[2] or match[1].startswith(b"OPENSSH"):
        return  # with headers, or of OpenSSH: `cryptography` has to judge
    try:
        _decode(match[2])
    except FormatError as error:
        raise KeystoreError(f"holds a private key that is damaged ({error})", file=name) from None


def _decode(text: bytes) -> bytes:
    """Return the one DER element of a PEM block's text."""
    try:
        encoding = base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error as error:
        raise FormatError(f"its base64 is not valid: {error}") from None
    return der.read_one(encoding).encoding


def _load_der(encoding: bytes, password: bytes | None) -> object:
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return load_der_private_key(encoding, password)


def _load_pem_key(encoding: bytes, password: bytes | None) -> object:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(encoding, password)


def _decrypt(
    load: Callable[[bytes, bytes | None], object], encoding: bytes, password: str | None, name: str
) -> object:
    from cryptography.exceptions import UnsupportedAlgorithm

    secret = None if password is None else password.encode("utf-8", "surrogateescape")
    try:
        return load(encoding, secret)
    except TypeError:
        raise KeystoreError("holds a private key that needs a password", file=name) from None
    except UnsupportedAlgorithm as error:
        raise KeystoreError(f"holds a private key that is not supported ({error})", file=name) from None
    except ValueError as error:
        if secret is None:
            message = f"holds a private key that is damaged or not supported ({error})"
        else:
            message = (
                "holds a private key that cannot be decrypted: the key's password is wrong, or it is damaged"
            )
        raise KeystoreError(message, file=name) from None
