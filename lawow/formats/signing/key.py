"""A signing key with its certificates, checked for being one that Android verifies.

Accepted are RSA keys of 1,024 bits and more (old apps have to keep theirs) and EC keys on P-256, P-384 and
P-521.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lawow.errors import FormatError, KeystoreError
from lawow.formats.signing.algorithms import ALGORITHMS, SignatureAlgorithm, sign
from lawow.formats.signing.certificate import Certificate, read_certificate

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["SigningKey", "debug_key", "make_signing_key"]

_MIN_RSA_BITS = 1024
_MAX_RSA_BITS = 16384  # the limit of OpenSSL and BoringSSL
_STRONG_RSA_BITS = 3072  # beyond it SHA-512, as apksig does
_CURVES = {"secp256r1": 256, "secp384r1": 384, "secp521r1": 521}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the certificates, DER encoded, the signer's own first and its issuers after it."""

    private_key: RSAPrivateKey | EllipticCurvePrivateKey = field(repr=False, compare=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    algorithm: SignatureAlgorithm

    @property
    def certificate(self) -> bytes:
        """The signer's own certificate, DER encoded."""
        return self.certificates[0]

    @property
    def certificate_sha256(self) -> str:
        """The SHA-256 of the signer's certificate in hex digits: how Android and app stores know the
        signer."""
        return hashlib.sha256(self.certificate).hexdigest()

    @property
    def is_deterministic(self) -> bool:
        """Whether signing the same data twice gives the same bytes: with RSA, not with EC."""
        return self.algorithm.key_type == "RSA"

    @property
    def public_key(self) -> bytes:
        """The public key as a DER SubjectPublicKeyInfo."""
        return read_certificate(self.certificate).public_key

    def sign(self, data: bytes, hash_name: str = "") -> bytes:
        """Sign with the key's algorithm, or with another hash. RSA gives the same bytes every time."""
        return sign(self.private_key, data, hash_name or self.algorithm.hash_name)


def make_signing_key(private_key: object, certificates: Sequence[bytes], *, name: str) -> SigningKey:
    """Pair a key with that of the certificates that is its own, and with the certificates of its issuers.

    `name` is the file's name for errors. Raises `KeystoreError` for a key that Android does not verify or
    that none of the certificates belongs to.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if not isinstance(private_key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        kind = type(private_key).__name__.removesuffix("PrivateKey")
        message = (
            f"holds a key of the type {kind}; Android verifies RSA keys and EC keys on P-256, P-384, P-521"
        )
        raise KeystoreError(message, file=name)
    algorithm = _algorithm_for(private_key, name)
    encoding = private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        read = [read_certificate(certificate) for certificate in certificates]
    except FormatError as error:
        raise KeystoreError(f"holds a certificate that cannot be read: {error}", file=name) from None
    return SigningKey(private_key, _chain(encoding, read, name), algorithm)


def debug_key() -> SigningKey:
    """Make a fresh RSA-2048 key with a certificate of its own, ``CN=LAWOW Debug``, valid from 2024 to 2054.

    An app that is signed with it cannot be updated by another build, nor replace the one from a store.
    """
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "LAWOW Debug")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2024, 1, 1))
        .not_valid_after(datetime.datetime(2054, 1, 1))
        .sign(private_key, hashes.SHA256())
    )
    encoding = certificate.public_bytes(Encoding.DER)
    return make_signing_key(private_key, [encoding], name="the debug key")


def _algorithm_for(private_key: RSAPrivateKey | EllipticCurvePrivateKey, name: str) -> SignatureAlgorithm:
    from cryptography.hazmat.primitives.asymmetric import rsa

    if isinstance(private_key, rsa.RSAPrivateKey):
        bits = private_key.key_size
        if not _MIN_RSA_BITS <= bits <= _MAX_RSA_BITS:
            message = f"holds an RSA key of {bits} bits; it has to have {_MIN_RSA_BITS} to {_MAX_RSA_BITS}"
            raise KeystoreError(message, file=name)
        return ALGORITHMS[0x0103 if bits <= _STRONG_RSA_BITS else 0x0104]
    curve = private_key.curve.name
    if curve not in _CURVES:
        message = f"holds an EC key on the curve {curve}; Android verifies {', '.join(_CURVES)}"
        raise KeystoreError(message, file=name)
    return ALGORITHMS[0x0201 if _CURVES[curve] <= 256 else 0x0202]


def _chain(public_key: bytes, certificates: Sequence[Certificate], name: str) -> tuple[bytes, ...]:
    own = next((item for item in certificates if item.public_key == public_key), None)
    if own is None:
        message = f"holds no certificate of its private key, but {len(certificates)} other certificates"
        raise KeystoreError(message, file=name)
    chain = [own]
    while chain[-1].issuer != chain[-1].subject:
        above = next((item for item in certificates if item.subject == chain[-1].issuer), None)
        if above is None or above in chain:
            break
        chain.append(above)
    return tuple(item.encoding for item in chain)
