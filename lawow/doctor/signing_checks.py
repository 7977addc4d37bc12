"""What speaks against the app's signatures and certificates.

The verdict is that of `lawow.formats.signing`. Android takes a certificate as a name for a key and looks at
neither its issuer nor its end; Google Play does. Sources: source.android.com, "Application signing";
developer.android.com, "Sign your app" (validity beyond 22 October 2033, no debug certificates).
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from lawow.doctor.app import Apk, App
from lawow.doctor.findings import Finding, Kind, Severity
from lawow.formats.signing import IssueKind, Verdict, verify_apk

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["check_signing"]

_PLAY_VALID_UNTIL = datetime.datetime(2033, 10, 22, tzinfo=datetime.UTC)
_STRONG_RSA_BITS = 2048
_DEBUG_NAMES = {"Android Debug", "LAWOW Debug"}
_PUBLIC_KEYS = {"a40da80a59d170caa950cf15c18c454d47a39b26989d8b640ecd745ba71bf5dc"}
"""Certificates whose private keys are published: the test key of the Android Open Source Project."""

_SIGN = "sign it: lawow sign app.apk --keystore release.p12"
_WHY = "Android does not install it on the phones that look at this signature"
_MENDS = {
    IssueKind.NOT_SIGNED: _SIGN,
    IssueKind.SCHEME_MISSING: "sign it again with v1 too (lawow sign does where minSdkVersion asks for"
    " it), or raise minSdk to 24",
    IssueKind.TARGET_NEEDS_V2: "sign it again with v2 and v3 (lawow sign does), not with jarsigner",
    IssueKind.CONTENT_CHANGED: "sign it after the last change: align first, then sign; unpack and pack"
    " nothing afterwards",
    IssueKind.V31_NOT_CHECKED: "ask apksigner verify of a recent SDK about it",
    IssueKind.LINEAGE_NOT_CHECKED: "ask apksigner verify of a recent SDK about it",
}
DEBUG_CERTIFICATE = Kind(
    "debug-certificate",
    Severity.ERROR,
    "Google Play does not take it; the key is this machine's or everybody's, so later builds cannot update"
    " the app, or anybody's can",
    "sign it with a key of your own that you keep: lawow sign app.apk --keystore release.p12",
)
WEAK_KEY = Kind(
    "weak-key",
    Severity.WARNING,
    "such keys can be broken; Google Play asks for RSA with 2,048 bits or more for new apps",
    "rotate to a stronger key (apksigner rotate; Google Play: request a key upgrade); a new app: make a new"
    " key",
)
EXPIRES = Kind(
    "certificate-expires",
    Severity.ERROR,
    "Google Play takes only certificates that are valid beyond 22 October 2033; phones do not look",
    "for a new app, make a key with a longer validity (keytool -validity 10000); an app in the store keeps"
    " its key, and Google Play App Signing has its own",
)
UNREADABLE_CERTIFICATE = Kind(
    "certificate-unreadable",
    Severity.WARNING,
    "name, key and validity could not be judged",
    "look at it with keytool -printcert -jarfile app.apk",
)
SIGNERS_DIFFER = Kind(
    "set-signers-differ",
    Severity.ERROR,
    "Android installs the APKs of a set under one certificate only",
    "sign all of them with the same key",
)


def check_signing(app: App) -> Iterator[Finding]:
    """Yield what is wrong with the signature of each APK, and with the base's certificates."""
    verdicts = [verify_apk(apk.data, min_sdk=app.min_sdk, archive=apk.archive) for apk in app.apks]
    for apk, verdict in zip(app.apks, verdicts, strict=True):
        yield from _issues(apk, verdict)
    for encoding in verdicts[0].certificates:
        yield from _certificate(app.base.place(), encoding)
    signers = {verdict.certificates_sha256 for verdict in verdicts}
    if len(signers) > 1:
        yield SIGNERS_DIFFER.at(app.name, f"the APKs have {len(signers)} different signers")


def _issues(apk: Apk, verdict: Verdict) -> Iterator[Finding]:
    """Yield one finding for each kind of issue: a changed JAR has an issue for every entry."""
    decisive = {0, *verdict.required}
    ordered = sorted(verdict.issues, key=lambda issue: issue.kind.code)
    for kind, group in groupby(ordered, key=lambda issue: issue.kind):
        issues = list(group)
        found = issues[0].sentence + (f" (and {len(issues) - 1} more)" if len(issues) > 1 else "")
        severity = Severity.ERROR if {item.scheme for item in issues} & decisive else Severity.WARNING
        why, mend = _WHY, _MENDS.get(kind, f"{_SIGN} again")
        if issues[0].is_remark:
            severity, why = Severity.NOTE, "newer phones use it, and LAWOW does not judge it"
        yield Finding(f"signing-{kind.code}", severity, apk.place(), found, why, mend)


def _certificate(place: str, encoding: bytes) -> Iterator[Finding]:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what old tools wrote, and cryptography will refuse one day
            yield from _judge(place, x509.load_der_x509_certificate(encoding))
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        yield UNREADABLE_CERTIFICATE.at(place, str(error)[:200])


def _judge(place: str, certificate: x509.Certificate) -> list[Finding]:
    found = [*_identity(place, certificate), *_key(place, certificate)]
    ends = certificate.not_valid_after_utc
    if ends <= _PLAY_VALID_UNTIL:
        found.append(EXPIRES.at(place, f"the certificate ends on {ends:%Y-%m-%d}"))
    return found


def _identity(place: str, certificate: x509.Certificate) -> Iterator[Finding]:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import NameOID

    names = {str(item.value) for item in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    if certificate.fingerprint(SHA256()).hex() in _PUBLIC_KEYS:
        yield DEBUG_CERTIFICATE.at(place, "is signed with the published test key of Android")
    elif known := sorted(names & _DEBUG_NAMES):
        yield DEBUG_CERTIFICATE.at(place, f"is signed by {_shown(known)}")


def _shown(names: Iterable[str]) -> str:
    return " and ".join(f"CN={name}" for name in names)


def _key(place: str, certificate: x509.Certificate) -> Iterator[Finding]:
    from cryptography.hazmat.primitives.asymmetric import dsa, rsa

    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _STRONG_RSA_BITS:
        yield WEAK_KEY.at(place, f"the key is RSA with {key.key_size:,} bits")
    elif isinstance(key, dsa.DSAPublicKey):
        yield WEAK_KEY.at(place, f"the key is DSA with {key.key_size:,} bits")
