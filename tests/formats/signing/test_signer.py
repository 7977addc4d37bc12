"""Signed APKs: accepted by Android's verifier on every version, equal to what Android's signer makes."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from lawow.errors import FormatError, KeystoreError
from lawow.formats.signing import SigningKey, debug_key, resign_apk, sign_apk, v2, v3, verify_apk
from lawow.formats.signing.block import encode_signing_block, read_signing_block
from lawow.formats.signing.digest import ApkContent
from lawow.formats.signing.key import make_signing_key
from lawow.formats.signing.v1 import is_signature_file
from lawow.formats.signing.verifier import apk_content
from lawow.formats.zip import ZipEntry, make_entry, read_zip, required_alignment, write_zip
from tests.formats.signing.conftest import Judge, Keystores, certificate_der, make_certificate
from tests.tools import run

Entries = tuple[ZipEntry, ...]


@pytest.mark.parametrize("min_sdk", [1, 8, 17, 18, 21, 23, 24, 27, 28, 33])
def test_every_android_version_from_min_sdk_on_accepts_the_apk(
    min_sdk: int, entries: Entries, rsa_key: SigningKey, judge: Judge
) -> None:
    apk = sign_apk(entries, rsa_key, min_sdk=min_sdk)
    for looked_at_from in {min_sdk, 24, 28}:
        if looked_at_from >= min_sdk:
            judgement = judge(apk, looked_at_from)
            assert judgement.verifies, judgement
            assert 3 in judgement.schemes
    assert (1 in judge(apk, min_sdk).schemes) == (min_sdk < 24)


def test_signing_with_rsa_gives_the_same_file_every_time(entries: Entries, rsa_key: SigningKey) -> None:
    for min_sdk in (8, 21, 24):
        assert sign_apk(entries, rsa_key, min_sdk=min_sdk) == sign_apk(entries, rsa_key, min_sdk=min_sdk)


def test_entries_keep_their_bytes_and_order_and_old_signatures_go(
    entries: Entries, rsa_key: SigningKey
) -> None:
    signed = read_zip(sign_apk(entries, rsa_key, min_sdk=21)).entries
    kept = [entry for entry in entries if not is_signature_file(entry.name)]
    assert [(entry.name, entry.data) for entry in signed[: len(kept)]] == [
        (entry.name, entry.data) for entry in kept
    ]
    added = ["META-INF/MANIFEST.MF", "META-INF/CERT.SF", "META-INF/CERT.RSA"]
    assert [entry.path for entry in signed[len(kept) :]] == added
    assert {"META-INF/services/x.Y", "META-INF/app.version"} <= {entry.path for entry in signed}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"META-INF/MANIFEST.MF", True),
        (b"META-INF/CERT.SF", True),
        (b"META-INF/cert.rsa", True),
        (b"META-INF/SIG-X", True),
        (b"stamp-cert-sha256", True),
        (b"META-INF/sub/CERT.SF", False),
        (b"META-INF/x.kotlin_module", False),
        (b"assets/META-INF/CERT.SF", False),
        (b"CERT.RSA", False),
    ],
)
def test_signature_files_are_those_in_meta_inf_itself(name: bytes, expected: bool) -> None:
    assert is_signature_file(name) is expected


def test_the_signed_apk_is_aligned(entries: Entries, rsa_key: SigningKey, tmp_path: Path) -> None:
    apk = sign_apk(entries, rsa_key, min_sdk=21)
    for entry in read_zip(apk).entries:
        assert entry.data_offset % required_alignment(entry) == 0
    path = tmp_path / "signed.apk"
    path.write_bytes(apk)
    run("zipalign", "-c", "-p", "-v", "4", path)


@pytest.mark.parametrize(("alias", "min_sdk"), [("ec", 21), ("ec", 28), ("ec384", 24), ("rsa", 8)])
def test_every_kind_of_key_is_accepted(
    alias: str, min_sdk: int, entries: Entries, keystores: Keystores, judge: Judge
) -> None:
    key = keystores.key(alias)
    apk = sign_apk(entries, key, min_sdk=min_sdk)
    judgement = judge(apk, min_sdk)
    assert judgement.verifies, judgement
    verdict = verify_apk(apk, min_sdk=min_sdk)
    assert verdict.verifies, verdict
    assert verdict.certificates_sha256 == (key.certificate_sha256,)


def test_a_large_rsa_key_signs_with_sha512(entries: Entries, judge: Judge) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    private_key = rsa.generate_private_key(public_exponent=65537, key_size=3200)
    certificate = certificate_der(make_certificate("large", private_key))
    key = make_signing_key(private_key, [certificate], name="large")
    assert key.algorithm.hash_name == "sha512"
    apk = sign_apk(entries, key, min_sdk=17)
    assert judge(apk, 17).verifies
    assert verify_apk(apk, min_sdk=17).verifies


def test_an_ec_key_is_refused_for_android_before_5(entries: Entries, keystores: Keystores) -> None:
    with pytest.raises(
        KeystoreError, match="an EC key cannot sign for minSdkVersion 20: below 21 Android needs RSA"
    ):
        sign_apk(entries, keystores.key("ec"), min_sdk=20)


def test_a_line_end_in_a_name_cannot_forge_a_manifest(rsa_key: SigningKey) -> None:
    for end in ("\r", "\n"):
        forged = make_entry(f"a{end}Name: b", b"")
        with pytest.raises(FormatError, match="line end in its name"):
            sign_apk([forged], rsa_key, min_sdk=21)
        assert sign_apk([forged], rsa_key, min_sdk=24)


def test_jarsigner_accepts_the_v1_signature(entries: Entries, rsa_key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "signed.jar"
    path.write_bytes(sign_apk(entries, rsa_key, min_sdk=18))
    assert "jar verified." in run("jarsigner", "-verify", path).stdout


def test_apksigner_names_our_certificate(entries: Entries, rsa_key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "signed.apk"
    path.write_bytes(sign_apk(entries, rsa_key, min_sdk=21))
    printed = run("apksigner", "verify", "--verbose", "--print-certs", path).stdout
    assert "Verified using v1 scheme (JAR signing): true" in printed
    assert "Verified using v2 scheme (APK Signature Scheme v2): true" in printed
    assert "Verified using v3 scheme (APK Signature Scheme v3): true" in printed
    assert f"certificate SHA-256 digest: {rsa_key.certificate_sha256}" in printed
    assert "certificate DN: CN=LAWOW Debug" in printed


def write_key(key: SigningKey, folder: Path) -> tuple[Path, Path]:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private, certificate = folder / "key.pk8", folder / "certificate.pem"
    private.write_bytes(key.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    text = "".join(
        f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(item).decode()}-----END CERTIFICATE-----\n"
        for item in key.certificates
    )
    certificate.write_text(text)
    return private, certificate


def test_our_signing_block_is_apksigner_s_byte_for_byte(
    entries: Entries, rsa_key: SigningKey, tmp_path: Path
) -> None:
    """Over the file that apksigner lays out, our v2 and v3 signatures and their block are its own."""
    unsigned, signed = tmp_path / "unsigned.apk", tmp_path / "signed.apk"
    unsigned.write_bytes(write_zip(entries, align=True))
    private, certificate = write_key(rsa_key, tmp_path)
    run("apksigner", "sign", "--key", private, "--cert", certificate, "--out", signed, unsigned)
    data = memoryview(signed.read_bytes())
    archive = read_zip(data)
    block = read_signing_block(data, archive.central_directory_offset)
    assert block is not None
    content = apk_content(data, archive, block)
    ours = encode_signing_block(
        [
            (v2.IDENTIFIER, v2.encode_v2(rsa_key, content, further_scheme=3)),
            (v3.IDENTIFIER, v3.encode_v3(rsa_key, content)),
        ]
    )
    assert ours == data[block.offset : archive.central_directory_offset]


def test_signing_what_apksigner_laid_out_gives_its_file_byte_for_byte(
    entries: Entries, rsa_key: SigningKey, tmp_path: Path
) -> None:
    """Its layout has to be there already: it writes alignment fields for entries that need none."""
    paths = [tmp_path / f"{name}.apk" for name in ("unsigned", "first", "second")]
    paths[0].write_bytes(write_zip(entries, align=True))
    for key, source, target in ((debug_key(), *paths[:2]), (rsa_key, *paths[1:])):
        private, certificate = write_key(key, tmp_path)
        options = ("--v1-signing-enabled", "false", "--min-sdk-version", "24")
        run("apksigner", "sign", *options, "--key", private, "--cert", certificate, "--out", target, source)
    first, second = (path.read_bytes() for path in paths[1:])
    assert first != second
    assert resign_apk(first, rsa_key, min_sdk=24) == second


@pytest.mark.parametrize("size", range(4000, 4100, 3))
def test_the_signing_block_fills_whole_pages(size: int) -> None:
    block = encode_signing_block([(1, bytes(size))])
    assert len(block) % 4096 == 0
    read = read_signing_block(memoryview(block), len(block))
    assert read is not None
    assert read.offset == 0
    assert read.value(1) == bytes(size)


def test_content_is_digested_in_chunks_of_a_mebibyte() -> None:
    """The chunks of each part are its own: moving a byte from one part to the next changes the digest."""
    one = ApkContent(bytes(1 << 20), b"ab", b"c").digest("CHUNKED_SHA256")
    other = ApkContent(bytes(1 << 20), b"a", b"bc").digest("CHUNKED_SHA256")
    assert one != other


def test_the_issuers_of_a_certificate_travel_with_it(entries: Entries, judge: Judge) -> None:
    key = issued_key()
    assert len(key.certificates) == 3
    apk = sign_apk(entries, key, min_sdk=18)
    assert judge(apk, 18).verifies
    assert verify_apk(apk, min_sdk=18).certificates_sha256 == (key.certificate_sha256,)


def issued_key() -> SigningKey:
    """A key whose certificate was issued by one that was issued by a root."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    root, middle = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    app = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    certificates = (
        make_certificate("root", root),
        make_certificate("middle", middle, "root", root),
        make_certificate("unrelated", root),
        make_certificate("app", app, "middle", middle),
    )
    return make_signing_key(app, [certificate_der(item) for item in certificates], name="chain")


def test_the_debug_key_is_fresh_and_valid_for_decades() -> None:
    from cryptography import x509

    first, second = debug_key(), debug_key()
    assert first.certificate_sha256 != second.certificate_sha256
    certificate = x509.load_der_x509_certificate(first.certificate)
    assert certificate.subject.rfc4514_string() == "CN=LAWOW Debug"
    assert certificate.not_valid_after_utc.year == 2054
    assert "private" not in repr(first)


def fastest(entries: Sequence[ZipEntry], key: SigningKey, min_sdk: int) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        sign_apk(entries, key, min_sdk=min_sdk)
        times.append(time.perf_counter() - start)
    return min(times)


def test_a_real_app_is_read_signed_and_verified_in_a_fraction_of_a_second(
    apidemos_apk: Path, rsa_key: SigningKey, judge: Judge
) -> None:
    data = apidemos_apk.read_bytes()
    entries = read_zip(data).entries
    for min_sdk in (17, 24):
        apk = sign_apk(entries, rsa_key, min_sdk=min_sdk)
        assert judge(apk, min_sdk).verifies
        assert verify_apk(apk, min_sdk=min_sdk).verifies
        assert fastest(entries, rsa_key, min_sdk) < 1  # about 0.1 and 0.03 s here; shared machines are slower


def test_planning_does_not_pay_for_cryptography() -> None:
    import subprocess
    import sys

    code = "import sys, lawow.formats.signing; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
