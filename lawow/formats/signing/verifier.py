"""Verifying the signatures of an APK: the verdict that every Android version from its minSdkVersion on
would give.

Source: source.android.com, "Application signing"; apksig ``ApkVerifier``.
"""

from __future__ import annotations

from collections.abc import Iterator

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.axml import Manifest, read_manifest
from lawow.formats.signing import v2, v3
from lawow.formats.signing.block import SigningBlock, read_signing_block
from lawow.formats.signing.digest import ApkContent
from lawow.formats.signing.scheme import SchemeResult
from lawow.formats.signing.v1_verify import has_v1, verify_v1
from lawow.formats.signing.verdict import Issue, IssueKind, Verdict
from lawow.formats.zip import ZipArchive, read_zip
from lawow.limits import ARCHIVE

__all__ = ["apk_content", "verify_apk"]

_MANIFEST_NAME = b"AndroidManifest.xml"
_V31_IDENTIFIER = 0x1B93AD61
_V2_NEEDED_FROM_TARGET_SDK = 30
_END_DIRECTORY_OFFSET = 16  # in the end record


def verify_apk(
    data: bytes | memoryview, *, min_sdk: int | None = None, archive: ZipArchive | None = None
) -> Verdict:
    """Verify all signatures that an Android version from `min_sdk` on looks at; by default the manifest's.

    Never raises for bad input. v1 is verified only where it is needed, because it inflates every entry.
    `archive` is what `read_zip` makes of `data`, if it has been asked before.
    """
    try:
        archive = archive or read_zip(data)
    except (FormatError, LimitExceeded) as error:
        issue = Issue.of(IssueKind.MALFORMED_ARCHIVE, detail=error)
        return Verdict(min_sdk or 1, (), (), (), (issue,))
    issues: list[Issue] = []
    target_sdk = 1
    try:
        manifest = _manifest(archive)
        min_sdk, target_sdk = min_sdk or manifest.min_sdk, manifest.target_sdk
    except (FormatError, LimitExceeded) as error:
        if min_sdk is None:
            issues.append(Issue.of(IssueKind.MALFORMED_MANIFEST, detail=error))
        min_sdk = min_sdk or 1
    found = _verify_block_schemes(memoryview(data), archive, min_sdk, issues)
    required = _required(set(found), min_sdk)
    if 1 in required:
        _verify_v1(archive, min_sdk, found, issues)
    issues += _further_issues(found, target_sdk)
    certificates = next((found[scheme].certificates for scheme in (3, 2, 1) if scheme in found), ())
    return Verdict(
        min_sdk=min_sdk,
        schemes=tuple(sorted(scheme for scheme, result in found.items() if _holds(scheme, result, issues))),
        required=tuple(sorted(required)),
        certificates=certificates,
        issues=tuple(issues),
    )


def _holds(scheme: int, result: SchemeResult, issues: list[Issue]) -> bool:
    wrong = (issue for issue in issues if issue.scheme == scheme and not issue.is_remark)
    return bool(result.certificates) and not any(wrong)


def _manifest(archive: ZipArchive) -> Manifest:
    entry = archive.by_name.get(_MANIFEST_NAME)
    if entry is None:
        raise FormatError("is missing")
    return read_manifest(entry.read(ARCHIVE.manifest_bytes))


def _required(found: set[int], min_sdk: int) -> set[int]:
    """Return the schemes that some Android version from `min_sdk` on looks at."""
    required = {3} & found
    if min_sdk < v3.FIRST_SDK or 3 not in found:
        required |= {2} & found
    if min_sdk < v2.FIRST_SDK or not required or (2 not in found and min_sdk < v3.FIRST_SDK):
        required.add(1)
    return required


def _verify_block_schemes(
    data: memoryview, archive: ZipArchive, min_sdk: int, issues: list[Issue]
) -> dict[int, SchemeResult]:
    """Verify v2 and v3, as far as they are there, and collect their issues."""
    try:
        block = read_signing_block(data, archive.central_directory_offset)
    except FormatError as error:
        issues.append(Issue.of(IssueKind.MALFORMED_BLOCK, detail=error))
        return {}
    if block is None:
        return {}
    content = apk_content(data, archive, block)
    found: dict[int, SchemeResult] = {}
    if (value := block.value(v3.IDENTIFIER)) is not None:
        found[3] = v3.verify_v3(value, content, min_sdk=min_sdk)
    if (value := block.value(v2.IDENTIFIER)) is not None:
        found[2] = v2.verify_v2(value, content)
    for result in found.values():
        issues += result.issues
    if block.value(_V31_IDENTIFIER) is not None:
        issues.append(Issue.of(IssueKind.V31_NOT_CHECKED, 3))
    return found


def apk_content(data: memoryview, archive: ZipArchive, block: SigningBlock) -> ApkContent:
    """Return the parts of an APK that its v2 and v3 signatures are about."""
    directory = data[archive.central_directory_offset : archive.end_offset]
    end = bytearray(data[archive.end_offset :])
    end[_END_DIRECTORY_OFFSET : _END_DIRECTORY_OFFSET + 4] = block.offset.to_bytes(4, "little")
    return ApkContent(data[: block.offset], directory, bytes(end))


def _verify_v1(
    archive: ZipArchive, min_sdk: int, found: dict[int, SchemeResult], issues: list[Issue]
) -> None:
    if not has_v1(archive):
        kind = IssueKind.SCHEME_MISSING if found else IssueKind.NOT_SIGNED
        issues.append(Issue.of(kind, 1, min_sdk=min_sdk))
        return
    found[1] = verify_v1(archive, min_sdk=min_sdk, schemes=set(found))
    issues += found[1].issues


def _further_issues(found: dict[int, SchemeResult], target_sdk: int) -> Iterator[Issue]:
    """Yield what is wrong between the schemes: one is missing or was stripped, or their signers differ."""
    if set(found) == {1} and target_sdk >= _V2_NEEDED_FROM_TARGET_SDK:
        yield Issue.of(IssueKind.TARGET_NEEDS_V2, target_sdk=target_sdk)
    if 2 in found and 3 in v2.further_schemes(found[2]) and 3 not in found:
        yield Issue.of(IssueKind.SCHEME_STRIPPED, 2, missing=3)
    rotates = 3 in found and v3.has_lineage(found[3])
    for scheme, other in ((1, 2), (2, 3)):
        if scheme not in found or other not in found or (other == 3 and rotates):
            continue
        mine, theirs = set(found[scheme].certificates), set(found[other].certificates)
        if mine and theirs and mine != theirs:
            yield Issue.of(IssueKind.SIGNERS_DIFFER, scheme, other=other)
