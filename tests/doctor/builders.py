"""A healthy app, and everything that a test makes wrong with it. Manifests by aapt, code by smali, keys by
`cryptography`, libraries by zig; the signature is LAWOW's, whose judges are elsewhere.
"""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from lawow.doctor import Finding, examine
from lawow.formats.apk_set import read_input
from lawow.formats.signing import SigningKey, sign_apk
from lawow.formats.signing.key import make_signing_key
from lawow.formats.zip import make_entry
from tests.refactor.builders import CONSTRUCTOR, assemble, binary_manifest, smali_class

__all__ = [
    "HEALTHY",
    "MAIN",
    "MANIFEST",
    "Sample",
    "dex_of",
    "findings",
    "kinds",
    "only",
    "signing_key",
    "split_of_healthy",
]

MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="{package}" {root}
    android:versionCode="1" android:versionName="1.0">
    <uses-sdk android:minSdkVersion="{min_sdk}" android:targetSdkVersion="{target_sdk}" />
    {before}
    <application android:label="healthy" {application}>{inside}</application>
</manifest>
"""
MAIN = smali_class("org.healthy.Main", CONSTRUCTOR)


@cache
def signing_key(name: str = "Healthy", *, bits: int = 2048, until: int = 2054) -> SigningKey:
    """Return a key with a certificate of this name that ends in this year."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = x509.CertificateBuilder(
        issuer_name=subject,
        subject_name=subject,
        public_key=private.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=datetime.datetime(2024, 1, 1),
        not_valid_after=datetime.datetime(until, 1, 1),
    ).sign(private, hashes.SHA256())
    return make_signing_key(private, [certificate.public_bytes(Encoding.DER)], name=name)


@cache
def dex_of(classes: tuple[str, ...], api: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return assemble(Path(folder), classes, api=api)


@cache
def manifest_of(text: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return binary_manifest(Path(folder), text=text.replace("{", "{{").replace("}", "}}"))


@dataclass(frozen=True)
class Sample:
    """An app to be built. `stored` are names of entries; dex files come as one list of classes each."""

    package: str = "org.healthy"
    root: str = ""
    min_sdk: int = 24
    target_sdk: int = 36
    before: str = ""
    application: str = ""
    inside: str = ""
    dexes: tuple[tuple[str, ...], ...] = ((MAIN,),)
    api: int = 21
    entries: Mapping[str, bytes] = field(default_factory=dict)
    compressed: frozenset[str] = frozenset()
    key: SigningKey | None = None

    def but(self, **changes: object) -> Sample:
        """Return another app that differs in these."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def plus(self, entries: Mapping[str, bytes]) -> Sample:
        """Return the app with more entries."""
        return replace(self, entries={**self.entries, **entries})

    def contents(self) -> dict[str, bytes]:
        """Return what is in the APK, by name."""
        text = MANIFEST.format(
            package=self.package,
            root=self.root,
            min_sdk=self.min_sdk,
            target_sdk=self.target_sdk,
            before=self.before,
            application=self.application,
            inside=self.inside,
        )
        dexes = {
            "classes.dex" if number == 1 else f"classes{number}.dex": dex_of(classes, self.api)
            for number, classes in enumerate(self.dexes, start=1)
        }
        return {"AndroidManifest.xml": manifest_of(text), **dexes, **self.entries}

    def build(self) -> bytes:
        """Return the APK, signed and aligned; libraries and resources are stored unless `compressed`."""
        entries = [
            make_entry(
                name,
                data,
                compress=name in self.compressed or not name.endswith((".so", ".arsc")),
            )
            for name, data in self.contents().items()
        ]
        return sign_apk(entries, self.key or signing_key(), min_sdk=self.min_sdk)


HEALTHY = Sample()


def split_of_healthy(**changes: object) -> bytes:
    """Return a split of the healthy app, without code."""
    split = HEALTHY.but(root='split="config.one"', application='android:hasCode="false"', dexes=())
    return split.but(**changes).build()


def findings(apk: Sample | bytes) -> tuple[Finding, ...]:
    """Return what the doctor finds."""
    data = apk.build() if isinstance(apk, Sample) else apk
    return examine(read_input(data, "app.apk")).findings


def kinds(apk: Sample | bytes) -> set[str]:
    """Return the kinds of what the doctor finds."""
    return {item.kind for item in findings(apk)}


def only(apk: Sample | bytes, kind: str) -> Finding:
    """Return the one finding that there is, which is of this kind."""
    found = findings(apk)
    assert [item.kind for item in found] == [kind], found
    return found[0]
