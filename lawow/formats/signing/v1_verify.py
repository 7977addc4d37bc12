"""Verifying a JAR signature (v1) as Android before 7.0 does: signature, signature file, manifest, every
entry.

Source: JAR File Specification, "Signature Validation"; apksig ``V1SchemeVerifier``.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.signing.jar_manifest import JarManifest, Section, digests_of, matches, read_jar_manifest
from lawow.formats.signing.pkcs7 import signer_of
from lawow.formats.signing.scheme import SchemeResult
from lawow.formats.signing.v1 import MANIFEST_NAME, STRIPPING_HEADER, is_signature_file
from lawow.formats.signing.verdict import Issue, IssueKind
from lawow.formats.zip import ZipArchive, ZipEntry, require_total
from lawow.limits import ARCHIVE

__all__ = ["has_v1", "verify_v1"]

_BLOCK_SUFFIXES = (b".RSA", b".DSA", b".EC")
_SCHEMES = {"2", "3"}
_MAX_SIGNERS = 10  # as newer apksig allows; each costs a look at all sections
_MAX_BLOCK_BYTES = 1 << 20  # of a PKCS#7 file; a chain of ten certificates has 20 KiB


def has_v1(archive: ZipArchive) -> bool:
    """Whether there is a signature file with a signature block beside it."""
    return any(True for _ in _signers(archive))


def verify_v1(archive: ZipArchive, *, min_sdk: int, schemes: set[int]) -> SchemeResult:
    """Verify all JAR signatures. `schemes` are the numbers of the other schemes that the APK has."""
    manifest_entry = archive.by_name.get(MANIFEST_NAME)
    if manifest_entry is None:
        return _failed(IssueKind.JAR_NO_MANIFEST)
    signers = list(_signers(archive))
    if not signers:
        return _failed(IssueKind.JAR_NO_SIGNATURE)
    if len(signers) > _MAX_SIGNERS:
        return _failed(IssueKind.TOO_MANY_SIGNERS, count=len(signers), maximum=_MAX_SIGNERS)
    try:
        manifest = read_jar_manifest(manifest_entry.read(ARCHIVE.manifest_bytes))
    except (FormatError, LimitExceeded) as error:
        return _failed(IssueKind.JAR_MALFORMED_FILE, file=manifest_entry.path, detail=error)
    results = [_verify_signer(file, block, manifest, min_sdk, schemes) for file, block in signers]
    certificates = tuple(certificate for result in results for certificate in result.certificates)
    issues = tuple(issue for result in results for issue in result.issues)
    if not issues:
        issues = tuple(_verify_all_entries(archive, manifest, min_sdk))
    return SchemeResult(certificates, (), issues)


def _failed(kind: IssueKind, **parameters: object) -> SchemeResult:
    return SchemeResult(issues=(Issue.of(kind, 1, **parameters),))


def _signers(archive: ZipArchive) -> Iterator[tuple[ZipEntry, ZipEntry]]:
    for entry in archive.entries:
        if entry.name.endswith(b".SF") and is_signature_file(entry.name):
            for suffix in _BLOCK_SUFFIXES:
                block = archive.by_name.get(entry.name.removesuffix(b".SF") + suffix)
                if block is not None:
                    yield entry, block
                    break


def _verify_signer(
    file: ZipEntry, block: ZipEntry, manifest: JarManifest, min_sdk: int, schemes: set[int]
) -> SchemeResult:
    try:
        signed = file.read(ARCHIVE.manifest_bytes)
        certificate = signer_of(block.read(_MAX_BLOCK_BYTES), signed)
        if certificate is None:
            return _failed(IssueKind.JAR_WRONG_SIGNATURE, file=block.path, signed=file.path)
    except (FormatError, LimitExceeded) as error:
        return _failed(IssueKind.JAR_MALFORMED_FILE, file=block.path, detail=error)
    try:
        signature_file = read_jar_manifest(signed)
    except FormatError as error:
        return _failed(IssueKind.JAR_MALFORMED_FILE, file=file.path, detail=error)
    if missing := _stripped(signature_file.main, schemes):
        return _failed(IssueKind.SCHEME_STRIPPED, missing=missing)
    if not _has_digest(signature_file, min_sdk):
        return _failed(IssueKind.JAR_NO_DIGEST, file=file.path, entry=MANIFEST_NAME.decode("ascii"))
    if not _signs(signature_file, manifest, min_sdk):
        return _failed(IssueKind.JAR_MANIFEST_CHANGED, file=file.path)
    return SchemeResult((certificate.encoding,))


def _stripped(main: Section, schemes: set[int]) -> int:
    """Return the number of a scheme that the signature file promises and the APK does not have, or 0."""
    promised = {item.strip() for item in main.attributes.get(STRIPPING_HEADER.lower(), "").split(",")}
    return next((int(item) for item in sorted(promised & _SCHEMES) if int(item) not in schemes), 0)


def _has_digest(signature_file: JarManifest, min_sdk: int) -> bool:
    """Whether a verifier of `min_sdk` finds any digest that it knows."""
    return bool(digests_of(signature_file.main, "-digest-manifest", min_sdk)) or any(
        digests_of(section, "-digest", min_sdk) for section in signature_file.sections.values()
    )


def _signs(signature_file: JarManifest, manifest: JarManifest, min_sdk: int) -> bool:
    """Whether the signature file is about this manifest: by the whole, or else by every section."""
    whole = digests_of(signature_file.main, "-digest-manifest", min_sdk)
    if whole and matches(whole, manifest.encoding):
        return True
    main = digests_of(signature_file.main, "-digest-manifest-main-attributes", min_sdk)
    if main and not matches(main, manifest.main.encoding):
        return False
    sections = manifest.sections.items()
    signed = signature_file.sections
    return bool(sections) and all(_signs_section(signed.get(name), item, min_sdk) for name, item in sections)


def _signs_section(signed: Section | None, section: Section, min_sdk: int) -> bool:
    digests = digests_of(signed, "-digest", min_sdk) if signed else {}
    return bool(digests) and matches(digests, section.encoding)


def _verify_all_entries(archive: ZipArchive, manifest: JarManifest, min_sdk: int) -> Iterator[Issue]:
    try:
        require_total(archive.entries, "inflated_bytes", ARCHIVE.inflated_bytes, subject="all together")
    except LimitExceeded as error:
        yield Issue.of(IssueKind.JAR_ENTRIES_TOO_LARGE, 1, detail=error)
        return
    yield from _verify_entries(archive, manifest, min_sdk)


def _verify_entries(archive: ZipArchive, manifest: JarManifest, min_sdk: int) -> Iterator[Issue]:
    entries = {
        entry.path: entry
        for entry in archive.entries
        if not entry.name.endswith(b"/") and not _is_left_out(entry.name)
    }
    for path, entry in entries.items():
        section = manifest.sections.get(path)
        if section is None:
            yield Issue.of(IssueKind.JAR_ENTRY_NOT_SIGNED, 1, entry=path)
        else:
            yield from _verify_entry(entry, section, min_sdk)
    for path in manifest.sections.keys() - entries.keys():
        if not path.endswith("/"):
            yield Issue.of(IssueKind.JAR_ENTRY_MISSING, 1, entry=path)


def _is_left_out(name: bytes) -> bool:
    return is_signature_file(name) and name.startswith(b"META-INF/")


def _verify_entry(entry: ZipEntry, section: Section, min_sdk: int) -> Iterator[Issue]:
    expected = digests_of(section, "-digest", min_sdk)
    if not expected:
        file = MANIFEST_NAME.decode("ascii")
        yield Issue.of(IssueKind.JAR_NO_DIGEST, 1, file=file, entry=entry.path)
        return
    digests = {name: hashlib.new(name) for name in expected}
    try:
        for piece in entry.read_pieces():
            for digest in digests.values():
                digest.update(piece)
    except (FormatError, LimitExceeded) as error:
        yield Issue.of(IssueKind.JAR_ENTRY_UNREADABLE, 1, entry=entry.path, detail=error)
        return
    found = {name: base64.b64encode(digest.digest()).decode("ascii") for name, digest in digests.items()}
    if found != expected:
        yield Issue.of(IssueKind.JAR_ENTRY_CHANGED, 1, entry=entry.path)
