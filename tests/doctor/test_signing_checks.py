"""Signatures and certificates: what a phone refuses, and what Google Play does."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.doctor import Severity, examine
from lawow.formats.apk_set import read_folder_input
from lawow.formats.signing import debug_key, resign_apk, sign_apk
from lawow.formats.zip import read_zip, write_zip
from tests.doctor.builders import HEALTHY, findings, kinds, only, signing_key, split_of_healthy
from tests.tools import run


def test_an_unsigned_app_is_mended_by_signing_it() -> None:
    unsigned = write_zip(read_zip(HEALTHY.build()).entries, align=True)
    found = only(unsigned, "signing-not-signed")
    assert found.severity is Severity.ERROR
    assert "lawow sign" in found.mend
    assert kinds(resign_apk(unsigned, signing_key())) == set()


def test_a_change_after_signing_is_found() -> None:
    apk = bytearray(HEALTHY.build())
    place = apk.index(b"classes.dex") + len(b"classes.dex") + 40
    apk[place] ^= 1
    found = {item.kind: item for item in findings(bytes(apk))}
    assert found["signing-content-changed"].severity is Severity.ERROR
    assert "unreadable-entry" in found


def test_a_signature_of_v1_alone_is_too_little_for_new_apps(tmp_path: Path) -> None:
    """Made by jarsigner, which knows no other scheme."""
    store, path = tmp_path / "key.p12", tmp_path / "app.apk"
    key = ("-keystore", store, "-storepass", "secret")
    new = ("-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=Old", "-validity", "12000")
    run("keytool", "-genkeypair", *key, "-alias", "key", *new)
    path.write_bytes(write_zip(read_zip(HEALTHY.build()).entries, align=True))
    run("jarsigner", *key, path, "key")
    found = {item.kind: item for item in findings(path.read_bytes())}
    assert found["signing-target-needs-v2"].severity is Severity.ERROR
    assert kinds(resign_apk(path.read_bytes(), signing_key())) == set()


def test_an_app_for_old_phones_needs_a_v1_signature() -> None:
    entries = read_zip(HEALTHY.but(min_sdk=21).build()).entries
    data = sign_apk(entries, signing_key(), min_sdk=24)
    assert only(data, "signing-scheme-missing").severity is Severity.ERROR
    assert kinds(resign_apk(data, signing_key())) == set()


@pytest.mark.parametrize(
    ("key", "kind", "severity"),
    [
        (signing_key("Android Debug"), "debug-certificate", Severity.ERROR),
        (debug_key(), "debug-certificate", Severity.ERROR),
        (signing_key("Weak", bits=1024), "weak-key", Severity.WARNING),
        (signing_key("Short", until=2033), "certificate-expires", Severity.ERROR),
    ],
    ids=["debug", "lawow-debug", "weak", "short"],
)
def test_what_a_certificate_says(key: object, kind: str, severity: Severity) -> None:
    sick = HEALTHY.but(key=key).build()
    assert only(sick, kind).severity is severity
    assert kinds(resign_apk(sick, signing_key())) == set()


def test_a_set_has_one_signer() -> None:
    split = split_of_healthy()
    strangers = {"base.apk": HEALTHY.build(), "config.apk": resign_apk(split, signing_key("Another"))}
    found = examine(read_folder_input(strangers, "folder")).findings
    assert [(item.kind, item.severity) for item in found] == [("set-signers-differ", Severity.ERROR)]
    together = {**strangers, "config.apk": resign_apk(split, signing_key())}
    assert examine(read_folder_input(together, "folder")).findings == ()
