"""The signature algorithms of APK Signature Scheme v2 and v3, and the one place that signs and verifies
with keys.

Source: source.android.com, "APK Signature Scheme v2", "Signature Algorithm IDs"; apksig
``SignatureAlgorithm``. `cryptography` is imported inside the functions: planning a split or packing an app
must not pay for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

__all__ = [
    "ALGORITHMS",
    "SHA256",
    "SHA512",
    "VERITY_SHA256",
    "SignatureAlgorithm",
    "sign",
    "verify_signature",
]

# Kinds of content digest, from the weakest to the strongest that a verifier prefers.
SHA256 = "CHUNKED_SHA256"
VERITY_SHA256 = "VERITY_CHUNKED_SHA256"
SHA512 = "CHUNKED_SHA512"


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """How signed data is signed and, by `content_digest`, how the APK's content is digested for it."""

    identifier: int
    name: str
    key_type: str
    hash_name: str
    content_digest: str
    is_pss: bool = False


ALGORITHMS = {
    row.identifier: row
    for row in (
        SignatureAlgorithm(0x0101, "RSA_PSS_WITH_SHA256", "RSA", "sha256", SHA256, is_pss=True),
        SignatureAlgorithm(0x0102, "RSA_PSS_WITH_SHA512", "RSA", "sha512", SHA512, is_pss=True),
        SignatureAlgorithm(0x0103, "RSA_PKCS1_V1_5_WITH_SHA256", "RSA", "sha256", SHA256),
        SignatureAlgorithm(0x0104, "RSA_PKCS1_V1_5_WITH_SHA512", "RSA", "sha512", SHA512),
        SignatureAlgorithm(0x0201, "ECDSA_WITH_SHA256", "EC", "sha256", SHA256),
        SignatureAlgorithm(0x0202, "ECDSA_WITH_SHA512", "EC", "sha512", SHA512),
        SignatureAlgorithm(0x0301, "DSA_WITH_SHA256", "DSA", "sha256", SHA256),
        SignatureAlgorithm(0x0421, "VERITY_RSA_PKCS1_V1_5_WITH_SHA256", "RSA", "sha256", VERITY_SHA256),
        SignatureAlgorithm(0x0423, "VERITY_ECDSA_WITH_SHA256", "EC", "sha256", VERITY_SHA256),
        SignatureAlgorithm(0x0425, "VERITY_DSA_WITH_SHA256", "DSA", "sha256", VERITY_SHA256),
    )
}


def sign(private_key: RSAPrivateKey | EllipticCurvePrivateKey, data: bytes, hash_name: str) -> bytes:
    """Sign with RSA PKCS#1 v1.5 (the same bytes every time) or ECDSA (other bytes every time)."""
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    if isinstance(private_key, rsa.RSAPrivateKey):
        return private_key.sign(data, padding.PKCS1v15(), _hash(hash_name))
    return private_key.sign(data, ec.ECDSA(_hash(hash_name)))


def verify_signature(
    public_key: bytes, key_type: str, signature: bytes, data: bytes, hash_name: str, *, is_pss: bool = False
) -> bool:
    """Whether a signature is that of `data` by this key, a DER SubjectPublicKeyInfo that has to be of
    `key_type`."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    algorithm = _hash(hash_name)
    try:
        key = load_der_public_key(public_key)
        if isinstance(key, rsa.RSAPublicKey) and key_type == "RSA":
            pss = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
            key.verify(signature, data, pss if is_pss else padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and key_type == "EC":
            key.verify(signature, data, ec.ECDSA(algorithm))
        elif isinstance(key, dsa.DSAPublicKey) and key_type == "DSA":
            key.verify(signature, data, algorithm)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _hash(name: str) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    table: dict[str, type[HashAlgorithm]] = {
        "sha1": hashes.SHA1,
        "sha224": hashes.SHA224,
        "sha256": hashes.SHA256,
        "sha384": hashes.SHA384,
        "sha512": hashes.SHA512,
    }
    return table[name]()
