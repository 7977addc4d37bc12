"""The verdict on an APK's signatures: which schemes verify, by whom, and every issue as data.

Verification never raises for bad input: what is wrong becomes an `Issue` of a named kind with its
parameters, and the sentences are one table. The kinds follow those of apksig ``ApkVerifier.Issue``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum

__all__ = ["Issue", "IssueKind", "Verdict"]


class IssueKind(Enum):
    """What can be wrong, or remain unchecked; the value is the sentence, with its parameters in braces."""

    MALFORMED_ARCHIVE = "the file is not an APK that Android reads: {detail}"
    MALFORMED_MANIFEST = "AndroidManifest.xml cannot be read: {detail}"
    NOT_SIGNED = "the APK is not signed; Android does not install it"
    SCHEME_MISSING = "minSdkVersion {min_sdk} needs a v1 signature: Android before 7.0 knows no other"
    TARGET_NEEDS_V2 = "targetSdkVersion {target_sdk} needs a v2 signature: Android 11 wants one from 30 on"
    SCHEME_STRIPPED = "the v{scheme} signature says that there is a v{missing} signature too; it was stripped"
    SIGNERS_DIFFER = "the v{scheme} signature is by other certificates than the v{other} signature"

    MALFORMED_BLOCK = "the APK Signing Block is malformed: {detail}"
    MALFORMED_SIGNER = "the v{scheme} signature is malformed: {detail}"
    NO_SIGNER = "the v{scheme} signature has no signer"
    TOO_MANY_SIGNERS = "the v{scheme} signature has {count} signers; Android allows {maximum}"
    NO_SUPPORTED_SIGNATURE = "the v{scheme} signature uses only unknown algorithms: {algorithms}"
    WRONG_SIGNATURE = "the v{scheme} signature does not fit its data and key ({algorithm})"
    ALGORITHMS_DIFFER = "the v{scheme} signature signs with other algorithms than it digests with"
    NO_CERTIFICATE = "the v{scheme} signature has no certificate"
    WRONG_KEY = "the v{scheme} signature was made by another key than that of its certificate"
    CONTENT_CHANGED = "the APK was changed after it was signed with v{scheme} ({algorithm} differs)"
    SDK_RANGES_DIFFER = "the v{scheme} signer is for API levels {signed}, but says {unsigned} outside"
    SDK_RANGE_GAP = "the v{scheme} signers do not cover the API levels {minimum} to {maximum} exactly once"
    LINEAGE_NOT_CHECKED = "the v{scheme} signer comes with a key rotation, whose proof is not checked"
    V31_NOT_CHECKED = "the APK has a v3.1 signature, which is not checked; Android 13 and later use it"

    JAR_NO_MANIFEST = "META-INF/MANIFEST.MF is missing"
    JAR_NO_SIGNATURE = "there is no v1 signature: META-INF has no .SF file with a .RSA, .DSA or .EC file"
    JAR_MALFORMED_FILE = "{file} is malformed: {detail}"
    JAR_WRONG_SIGNATURE = "{file} is not a signature of {signed}"
    JAR_MANIFEST_CHANGED = "META-INF/MANIFEST.MF is not the one that {file} signs"
    JAR_NO_DIGEST = "{file} has no digest of a known algorithm for {entry}"
    JAR_ENTRY_CHANGED = "{entry} was changed after it was signed with v1"
    JAR_ENTRY_UNREADABLE = "{entry} cannot be read: {detail}"
    JAR_ENTRIES_TOO_LARGE = "the entries are too large to be read for v1: {detail}"
    JAR_ENTRY_NOT_SIGNED = "{entry} is not signed with v1"
    JAR_ENTRY_MISSING = "{entry} is signed with v1, but is not there"

    @property
    def code(self) -> str:
        """The kind in kebab-case, for machines."""
        return self.name.lower().replace("_", "-")


_REMARKS = {IssueKind.LINEAGE_NOT_CHECKED, IssueKind.V31_NOT_CHECKED}


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue. `scheme` is 1, 2 or 3, or 0 for the APK as a whole."""

    kind: IssueKind
    scheme: int = 0
    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, kind: IssueKind, scheme: int = 0, **parameters: object) -> Issue:
        """Make an issue with these parameters of its kind's sentence."""
        return cls(kind, scheme, tuple((key, str(value)) for key, value in parameters.items()))

    @property
    def is_remark(self) -> bool:
        """Whether this only says what was not checked."""
        return self.kind in _REMARKS

    @property
    def sentence(self) -> str:
        """The issue for a person; names of entries come without control characters."""
        shown = {key: value if value.isprintable() else repr(value)[1:-1] for key, value in self.parameters}
        return self.kind.value.format(scheme=self.scheme, **shown)

    def details(self) -> dict[str, object]:
        """Return the issue for ``--json``: kind, scheme, sentence and parameters."""
        return {
            "kind": self.kind.code,
            "scheme": self.scheme,
            "sentence": self.sentence,
            "parameters": dict(self.parameters),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verification found.

    `schemes` are those that verify, whether or not this APK needs them; `required` are those that some
    Android version from `min_sdk` on looks at. `certificates` are the signers', DER encoded.
    """

    min_sdk: int
    schemes: tuple[int, ...]
    required: tuple[int, ...]
    certificates: tuple[bytes, ...]
    issues: tuple[Issue, ...]

    @property
    def certificates_sha256(self) -> tuple[str, ...]:
        """The SHA-256 of each certificate in hex digits, by which apksigner and app stores name a signer."""
        return tuple(hashlib.sha256(item).hexdigest() for item in self.certificates)

    @property
    def verifies(self) -> bool:
        """Whether every Android version from `min_sdk` on accepts the signatures."""
        decisive = {0, *self.required}
        failed = any(issue.scheme in decisive and not issue.is_remark for issue in self.issues)
        return not failed and bool(self.required) and set(self.required) <= set(self.schemes)

    def details(self) -> dict[str, object]:
        """Return the verdict for ``--json``."""
        return {
            "verifies": self.verifies,
            "min_sdk": self.min_sdk,
            "schemes": list(self.schemes),
            "certificates_sha256": list(self.certificates_sha256),
            "issues": [issue.details() for issue in self.issues],
        }
