"""APK Signature Scheme v2, which Android knows since 7.0 (API level 24).

A signature over the whole file. Where a v3 signature follows, v2 says so in its signed data, so that nobody
can strip v3 unnoticed. Source: source.android.com, "APK Signature Scheme v2".
"""

from __future__ import annotations

from lawow.formats.signing.digest import ApkContent
from lawow.formats.signing.key import SigningKey
from lawow.formats.signing.scheme import (
    SchemeResult,
    encode_identified,
    encode_list,
    encode_prefixed,
    encode_u32,
    verify_signers,
)

__all__ = ["FIRST_SDK", "IDENTIFIER", "encode_v2", "further_schemes", "verify_v2"]

IDENTIFIER = 0x7109871A
FIRST_SDK = 24

_MAX_SIGNERS = 10
_STRIPPING_PROTECTION = 0xBEEFF00D


def encode_v2(key: SigningKey, content: ApkContent, *, further_scheme: int | None = None) -> bytes:
    """Return the value of the v2 pair; `further_scheme` is the number of a scheme that signs the APK as
    well."""
    algorithm = key.algorithm
    digest = encode_identified(algorithm.identifier, content.digest(algorithm.content_digest))
    attributes = [] if further_scheme is None else [encode_u32(_STRIPPING_PROTECTION, further_scheme)]
    parts = (encode_list([digest]), encode_list(key.certificates), encode_list(attributes))
    # apksig ends signed data with an empty list that the specification does not know; so do we, for equal
    # bytes.
    signed_data = b"".join((*parts, encode_list([])))
    signature = encode_identified(algorithm.identifier, key.sign(signed_data))
    signer = (encode_prefixed(signed_data), encode_list([signature]), encode_prefixed(key.public_key))
    return encode_list([b"".join(signer)])


def verify_v2(value: bytes, content: ApkContent) -> SchemeResult:
    """Verify the value of a v2 pair."""
    return verify_signers(value, 2, _MAX_SIGNERS, content, has_sdks=False)


def further_schemes(result: SchemeResult) -> set[int]:
    """Return the schemes that v2 signers say the APK is signed with as well."""
    return {
        int.from_bytes(value[:4], "little")
        for data in result.signed
        for identifier, value in data.attributes
        if identifier == _STRIPPING_PROTECTION
    }
