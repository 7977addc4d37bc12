"""The parts of a JAR signature: PKCS#7 and manifests, each with one thing wrong."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from lawow.errors import FormatError
from lawow.formats.signing import IssueKind, SigningKey, der, verify_apk
from lawow.formats.signing.jar_manifest import digests_of, read_jar_manifest
from lawow.formats.signing.pkcs7 import encode_signed_data, signer_of
from lawow.formats.signing.v1 import is_signature_file, sign_v1
from lawow.formats.zip import ZipEntry, make_entry, write_zip

DATA = b"signed content"
OID = der.encode_oid


def signature_with(key: SigningKey, old: bytes, new: bytes) -> bytes:
    """SignedData in which one encoding of equal length is replaced."""
    encoded = encode_signed_data(DATA, key, "sha256")
    assert len(old) == len(new)
    assert old in encoded
    return encoded.replace(old, new)


def test_the_signer_of_signed_data_is_found(rsa_key: SigningKey) -> None:
    for hash_name in ("sha1", "sha256"):
        signer = signer_of(encode_signed_data(DATA, rsa_key, hash_name), DATA)
        assert signer is not None
        assert signer.encoding == rsa_key.certificate
        assert signer_of(encode_signed_data(DATA, rsa_key, hash_name), DATA + b"!") is None


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (OID("1.2.840.113549.1.7.2"), OID("1.2.840.113549.1.7.3"), "is not SignedData"),
        (OID("2.16.840.1.101.3.4.2.1"), OID("2.16.840.1.101.3.4.2.9"), "uses an unknown digest"),
        (OID("1.2.840.113549.1.1.1"), OID("1.2.840.113548.1.1.1"), "unknown signature algorithm"),
    ],
)
def test_signed_data_of_an_unknown_kind_is_refused(
    old: bytes, new: bytes, sentence: str, rsa_key: SigningKey
) -> None:
    with pytest.raises(FormatError, match=sentence):
        signer_of(signature_with(rsa_key, old, new), DATA)


def rebuilt(key: SigningKey, keep: Iterable[int], signer_fields: Iterable[int] | None = None) -> bytes:
    """SignedData with only some of its fields, and some of its signer's."""
    content = der.read_one(encode_signed_data(DATA, key, "sha256"))
    fields = content.child(1, der.explicit(0)).child(0, der.SEQUENCE).children()
    kept = [fields[index].encoding for index in keep]
    if signer_fields is not None:
        own = fields[4].child(0, der.SEQUENCE).children()
        kept[-1] = der.encode(der.SET, der.encode(der.SEQUENCE, *(own[i].encoding for i in signer_fields)))
    data = der.encode(der.explicit(0), der.encode(der.SEQUENCE, *kept))
    return der.encode(der.SEQUENCE, content.children()[0].encoding, data)


def test_signed_data_with_parts_missing_is_refused_or_signs_nothing(rsa_key: SigningKey) -> None:
    assert signer_of(rebuilt(rsa_key, range(5)), DATA) is not None
    assert signer_of(rebuilt(rsa_key, (0, 1, 2, 4)), DATA) is None
    assert signer_of(rebuilt(rsa_key, (0, 1, 2, 3)), DATA) is None
    with pytest.raises(FormatError, match="too few fields"):
        signer_of(rebuilt(rsa_key, (0, 1)), DATA)
    with pytest.raises(FormatError, match="too few fields"):
        signer_of(rebuilt(rsa_key, range(5), (0, 1, 2, 3)), DATA)


def test_signed_attributes_without_a_digest_are_refused(rsa_key: SigningKey) -> None:
    content = der.read_one(encode_signed_data(DATA, rsa_key, "sha256"))
    fields = content.child(1, der.explicit(0)).child(0, der.SEQUENCE).children()
    own = [item.encoding for item in fields[4].child(0, der.SEQUENCE).children()]
    time = der.encode(der.SEQUENCE, OID("1.2.840.113549.1.9.5"), der.encode(der.SET))
    signer = der.encode(der.SEQUENCE, *own[:3], der.encode(der.explicit(0), time), *own[3:])
    kept = [item.encoding for item in fields[:4]]
    data = der.encode(der.SEQUENCE, *kept, der.encode(der.SET, signer))
    whole = der.encode(der.SEQUENCE, content.children()[0].encoding, der.encode(der.explicit(0), data))
    with pytest.raises(FormatError, match="without a message digest"):
        signer_of(whole, DATA)


def test_signed_data_cut_off_anywhere_is_refused(rsa_key: SigningKey) -> None:
    encoded = encode_signed_data(DATA, rsa_key, "sha256")
    for size in range(0, len(encoded), 3):
        with pytest.raises(FormatError):
            signer_of(encoded[:size], DATA)


# ---- manifests


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_lines_may_end_and_continue_in_every_way(end: bytes) -> None:
    text = end.join((b"Manifest-Version: 1.0", b"", b"", b"Name: a/very/", b" long/name", b"X-Y:z", b"", b""))
    manifest = read_jar_manifest(text)
    section = manifest.sections["a/very/long/name"]
    assert manifest.main.attributes == {"manifest-version": "1.0"}
    assert section.attributes["x-y"] == "z"
    assert section.encoding == end.join((b"Name: a/very/", b" long/name", b"X-Y:z", b"", b""))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b"Manifest-Version: 1.0\n\nX: y\n\n", "has no name"),
        (b"Manifest-Version: 1.0\n\nName: a\n\nName: a\n\n", "second of its name"),
        (b"Manifest-Version 1.0\n", "line without a colon"),
        (b" continued\n", "line without a colon"),
        (b"A: b\n" * 5000, "too many lines"),
    ],
)
def test_malformed_manifests_are_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(FormatError, match=sentence):
        read_jar_manifest(data)


def test_digests_count_only_if_the_oldest_version_reads_one() -> None:
    section = read_jar_manifest(b"SHA-256-Digest: x\nMD5-Digest: y\n").main
    assert digests_of(section, "-digest", 17) == {}
    assert digests_of(section, "-digest", 18) == {"sha256": "x"}


# ---- whole archives


def signed_with(
    entries: Iterable[ZipEntry], key: SigningKey, file: str, old: bytes, new: bytes
) -> set[IssueKind]:
    """Issues of an APK with v1 alone, after one change to a file of META-INF and a new signature over it."""
    kept = [entry for entry in entries if not is_signature_file(entry.name)]
    files = {entry.path: entry.read() for entry in sign_v1(kept, key, min_sdk=21, further_schemes=())}
    assert old in files[file]
    files[file] = files[file].replace(old, new)
    signature_file = files["META-INF/CERT.SF"]
    files["META-INF/CERT.RSA"] = encode_signed_data(signature_file, key, "sha256")
    added = [make_entry(path, data) for path, data in files.items()]
    return {issue.kind for issue in verify_apk(write_zip([*kept, *added], align=True)).issues}


SIGNATURE_FILE = "META-INF/CERT.SF"


def test_a_signature_file_that_is_malformed_is_an_issue(
    entries: tuple[ZipEntry, ...], rsa_key: SigningKey
) -> None:
    changed = signed_with(entries, rsa_key, SIGNATURE_FILE, b"Signature-Version: 1.0", b"Signature-Version")
    assert IssueKind.JAR_MALFORMED_FILE in changed


def test_a_wrong_digest_of_the_main_section_is_an_issue(
    entries: tuple[ZipEntry, ...], rsa_key: SigningKey
) -> None:
    """Where the whole manifest's digest does not fit, the main section's still has to."""
    old, new = b"SHA-256-Digest-Manifest:", b"SHA-256-Digest-Manifest-Main-Attributes:"
    assert IssueKind.JAR_MANIFEST_CHANGED in signed_with(entries, rsa_key, SIGNATURE_FILE, old, new)


def test_an_entry_without_a_known_digest_is_an_issue(
    entries: tuple[ZipEntry, ...], rsa_key: SigningKey
) -> None:
    kept = [entry for entry in entries if not is_signature_file(entry.name)]
    files = {entry.path: entry.read() for entry in sign_v1(kept, rsa_key, min_sdk=21, further_schemes=())}
    manifest = files["META-INF/MANIFEST.MF"].replace(b"SHA-256-Digest", b"MD5-Digest")
    import base64
    import hashlib

    digest = base64.b64encode(hashlib.sha256(manifest).digest())
    signature_file = b"Signature-Version: 1.0\r\nSHA-256-Digest-Manifest: " + digest + b"\r\n\r\n"
    added = [
        make_entry("META-INF/MANIFEST.MF", manifest),
        make_entry("META-INF/CERT.SF", signature_file),
        make_entry("META-INF/CERT.RSA", encode_signed_data(signature_file, rsa_key, "sha256")),
    ]
    verdict = verify_apk(write_zip([*kept, *added], align=True))
    assert IssueKind.JAR_NO_DIGEST in {issue.kind for issue in verdict.issues}


def test_a_signature_without_a_manifest_is_an_issue(
    entries: tuple[ZipEntry, ...], rsa_key: SigningKey
) -> None:
    kept = [entry for entry in entries if not is_signature_file(entry.name)]
    added = sign_v1(kept, rsa_key, min_sdk=21, further_schemes=())[1:]
    verdict = verify_apk(write_zip([*kept, *added], align=True))
    assert IssueKind.JAR_NO_MANIFEST in {issue.kind for issue in verdict.issues}
