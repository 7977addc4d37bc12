"""Signatures of APKs: schemes v1, v2 and v3 made and verified, and the keys for them.

Signing gives a whole file, aligned, with its old signatures gone; with an RSA key the same file every time.
Verifying gives a `Verdict` with issues as data and never raises for bad input. Not made are v3.1 (key
rotation), v4 and source stamps. Sources: source.android.com, "Application signing"; apksig.
"""

from __future__ import annotations

from lawow.formats.signing.key import SigningKey, debug_key
from lawow.formats.signing.keystore import load_keystore
from lawow.formats.signing.signer import resign_apk, sign_apk
from lawow.formats.signing.v1 import is_signature_file
from lawow.formats.signing.verdict import Issue, IssueKind, Verdict
from lawow.formats.signing.verifier import verify_apk

__all__ = [
    "Issue",
    "IssueKind",
    "SigningKey",
    "Verdict",
    "debug_key",
    "is_signature_file",
    "load_keystore",
    "resign_apk",
    "sign_apk",
    "verify_apk",
]
