"""APK Signature Scheme v3, which Android knows since 9 (API level 28): v2 with API levels for each signer.

Made here for one key without rotation. A rotation's lineage is noticed and not checked.
Source: source.android.com, "APK Signature Scheme v3".
"""

from __future__ import annotations

from lawow.formats.signing.digest import ApkContent
from lawow.formats.signing.key import SigningKey
from lawow.formats.signing.scheme import (
    SchemeResult,
    SdkRange,
    encode_identified,
    encode_list,
    encode_prefixed,
    encode_u32,
    verify_signers,
)
from lawow.formats.signing.verdict import Issue, IssueKind

__all__ = ["FIRST_SDK", "IDENTIFIER", "encode_v3", "has_lineage", "verify_v3"]

IDENTIFIER = 0xF05368C0
FIRST_SDK = 28

_SIGNED_FROM_SDK = 24
_LAST_SDK = 0x7FFFFFFF
_LINEAGE = 0x3BA06F8C


def encode_v3(key: SigningKey, content: ApkContent) -> bytes:
    """Return the value of the v3 pair, for all API levels from that of v2 on, as apksig does."""
    algorithm = key.algorithm
    digest = encode_identified(algorithm.identifier, content.digest(algorithm.content_digest))
    sdks = encode_u32(_SIGNED_FROM_SDK, _LAST_SDK)
    signed_data = b"".join((encode_list([digest]), encode_list(key.certificates), sdks, encode_list([])))
    signature = encode_identified(algorithm.identifier, key.sign(signed_data))
    signer = (encode_prefixed(signed_data), sdks, encode_list([signature]), encode_prefixed(key.public_key))
    return encode_list([b"".join(signer)])


def verify_v3(value: bytes, content: ApkContent, *, min_sdk: int) -> SchemeResult:
    """Verify the value of a v3 pair for the API levels from `min_sdk`, or 28, on."""
    result = verify_signers(value, 3, None, content, has_sdks=True)
    if result.issues:
        return result
    wanted = SdkRange(max(min_sdk, FIRST_SDK), _LAST_SDK)
    ranges = [data.sdks for data in result.signed if data.sdks is not None]
    issues: list[Issue] = []
    if not _covers(ranges, wanted):
        parameters = {"minimum": wanted.minimum, "maximum": wanted.maximum}
        issues.append(Issue.of(IssueKind.SDK_RANGE_GAP, 3, **parameters))
    if has_lineage(result):
        issues.append(Issue.of(IssueKind.LINEAGE_NOT_CHECKED, 3))
    return SchemeResult(result.certificates, result.signed, tuple(issues))


def has_lineage(result: SchemeResult) -> bool:
    """Whether a signer comes with the proof of a key rotation."""
    return any(identifier == _LINEAGE for data in result.signed for identifier, _ in data.attributes)


def _covers(ranges: list[SdkRange], wanted: SdkRange) -> bool:
    """Whether the ranges follow each other without gap or overlap, and reach over the wanted one."""
    ordered = sorted(ranges, key=lambda item: item.minimum)
    following = ordered[0].minimum
    for item in ordered:
        if item.minimum != following or item.maximum < item.minimum:
            return False
        following = item.maximum + 1
    return ordered[0].minimum <= wanted.minimum and following > wanted.maximum
