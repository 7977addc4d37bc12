"""The verdict: as Android's verifier judges, with issues as data, and never an exception."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.formats.signing import IssueKind, SigningKey, Verdict, debug_key, sign_apk, v2, v3, verify_apk
from lawow.formats.signing.block import encode_signing_block, read_signing_block
from lawow.formats.signing.digest import ApkContent
from lawow.formats.signing.scheme import encode_identified, encode_list, encode_prefixed, encode_u32
from lawow.formats.signing.v1 import sign_v1
from lawow.formats.signing.verifier import apk_content
from lawow.formats.zip import (
    ZipEntry,
    end_of_central_directory,
    make_entry,
    read_zip,
    write_zip,
)
from tests.formats.builders import aapt_apk
from tests.formats.signing.conftest import PASSWORD, Judge, Keystores
from tests.tools import run

Pairs = list[tuple[int, bytes]]
PADDING = 0x42726577


@pytest.fixture(scope="module")
def signed(entries: tuple[ZipEntry, ...], rsa_key: SigningKey) -> bytes:
    """Signed with v1, v2 and v3."""
    return sign_apk(entries, rsa_key, min_sdk=21)


def parts_of(apk: bytes) -> tuple[bytes, Pairs, bytes, bytes]:
    """Entries, pairs of the signing block, directory, end record."""
    archive = read_zip(apk)
    block = read_signing_block(memoryview(apk), archive.central_directory_offset)
    assert block is not None
    pairs = [pair for pair in block.pairs if pair[0] != PADDING]
    directory = apk[archive.central_directory_offset : archive.end_offset]
    return apk[: block.offset], pairs, directory, apk[archive.end_offset :]


def joined(entries: bytes, block: bytes, directory: bytes, end: bytes) -> bytes:
    offset = (len(entries) + len(block)).to_bytes(4, "little")
    return b"".join((entries, block, directory, end[:16], offset, end[20:]))


def with_pairs(apk: bytes, change: Callable[[Pairs], Iterable[tuple[int, bytes]]]) -> bytes:
    """The APK with other pairs in its signing block; what they sign stays the same."""
    entries, pairs, directory, end = parts_of(apk)
    return joined(entries, encode_signing_block(change(pairs)), directory, end)


def only(*identifiers: int) -> Callable[[Pairs], Pairs]:
    return lambda pairs: [pair for pair in pairs if pair[0] in identifiers]


def with_entry(apk: bytes, name: str, content: bytes) -> bytes:
    """The APK with one entry replaced or added and its signing block kept."""
    _, pairs, _, _ = parts_of(apk)
    kept = [entry for entry in read_zip(apk).entries if entry.path != name]
    plain = write_zip([*kept, make_entry(name, content)], align=True)
    archive = read_zip(plain)
    at = archive.central_directory_offset
    block = encode_signing_block(pairs)
    return joined(plain[:at], block, plain[at : archive.end_offset], plain[archive.end_offset :])


def kinds(verdict: Verdict) -> set[IssueKind]:
    return {issue.kind for issue in verdict.issues}


def content_of(apk: bytes) -> ApkContent:
    archive = read_zip(apk)
    block = read_signing_block(memoryview(apk), archive.central_directory_offset)
    assert block is not None
    return apk_content(memoryview(apk), archive, block)


def crafted_signer(
    key: SigningKey,
    content: ApkContent,
    *,
    algorithm: int = 0x0103,
    digest_algorithm: int | None = None,
    digest: bytes | None = None,
    certificates: tuple[bytes, ...] | None = None,
    public_key: bytes | None = None,
    signed_sdks: bytes = b"",
    sdks: bytes = b"",
    attributes: tuple[bytes, ...] = (),
    signature: bytes | None = None,
) -> bytes:
    """One signer of v2 or v3 in which any one part may lie; the signature is made over the lie."""
    value = content.digest("CHUNKED_SHA256") if digest is None else digest
    digests = encode_list([encode_identified(digest_algorithm or algorithm, value)])
    certificate_list = encode_list(key.certificates if certificates is None else certificates)
    data = b"".join((digests, certificate_list, signed_sdks, encode_list(attributes)))
    signed = encode_identified(algorithm, key.sign(data) if signature is None else signature)
    own_key = key.public_key if public_key is None else public_key
    return b"".join((encode_prefixed(data), sdks, encode_list([signed]), encode_prefixed(own_key)))


# ---- what is right


def test_a_signed_apk_verifies_by_all_its_schemes(signed: bytes, rsa_key: SigningKey) -> None:
    verdict = verify_apk(signed)
    assert verdict.verifies
    assert (verdict.min_sdk, verdict.schemes, verdict.required) == (21, (1, 2, 3), (1, 2, 3))
    assert verdict.certificates_sha256 == (rsa_key.certificate_sha256,)
    assert verdict.issues == ()


def test_v1_is_looked_at_only_where_android_does(signed: bytes) -> None:
    assert verify_apk(signed, min_sdk=24).schemes == (2, 3)
    assert verify_apk(signed, min_sdk=28).required == (3,)


@pytest.mark.parametrize(
    ("flags", "min_sdk"),
    [
        (("--v1-signing-enabled", "false", "--v3-signing-enabled", "false"), 24),
        (("--v1-signing-enabled", "false", "--v2-signing-enabled", "false"), 28),
        (("--v4-signing-enabled", "false"), 8),
    ],
)
def test_what_apksigner_signs_verifies(
    flags: tuple[str, ...],
    min_sdk: int,
    entries: tuple[ZipEntry, ...],
    keystores: Keystores,
    judge: Judge,
    tmp_path: Path,
) -> None:
    apk = apksigner(entries, tmp_path, min_sdk, "rsa", keystores, *flags)
    verdict, judgement = verify_apk(apk, min_sdk=min_sdk), judge(apk, min_sdk)
    assert verdict.verifies, verdict
    assert judgement.verifies
    assert verdict.schemes == judgement.schemes


def apksigner(
    entries: Iterable[ZipEntry],
    folder: Path,
    min_sdk: int,
    alias: str,
    keystores: Keystores,
    *flags: str,
) -> bytes:
    unsigned, out = folder / "unsigned.apk", folder / "signed.apk"
    unsigned.write_bytes(write_zip(entries, align=True))
    store = ("--ks", keystores.folder / "all.p12", "--ks-pass", f"pass:{PASSWORD}", "--ks-key-alias", alias)
    run("apksigner", "sign", *store, "--min-sdk-version", str(min_sdk), *flags, "--out", out, unsigned)
    return out.read_bytes()


@pytest.mark.parametrize("alias", ["ec", "dsa"])
def test_verity_digests_and_other_keys_verify(
    alias: str, entries: tuple[ZipEntry, ...], keystores: Keystores, tmp_path: Path
) -> None:
    """With --verity-enabled the content digest is a Merkle tree."""
    apk = apksigner(
        entries, tmp_path, 28, alias, keystores, "--verity-enabled", "true", "--v1-signing-enabled", "false"
    )
    verdict = verify_apk(apk, min_sdk=28)
    assert verdict.verifies, verdict
    assert verdict.schemes == (2, 3)
    changed = bytearray(apk)
    changed[100] ^= 1
    assert not verify_apk(bytes(changed), min_sdk=28).verifies


@pytest.mark.parametrize(("alias", "hash_name"), [("rsa", "SHA-512"), ("ec", "SHA-256")])
def test_what_jarsigner_signs_verifies(
    alias: str, hash_name: str, entries: tuple[ZipEntry, ...], keystores: Keystores, tmp_path: Path
) -> None:
    jar = tmp_path / "signed.jar"
    jar.write_bytes(write_zip([entry for entry in entries if b"META-INF/OLD" not in entry.name], align=True))
    store = ("-keystore", keystores.folder / "all.p12", "-storepass", PASSWORD)
    run("jarsigner", *store, "-digestalg", hash_name, jar, alias)
    verdict = verify_apk(jar.read_bytes(), min_sdk=18)
    assert verdict.schemes == (1,)
    assert kinds(verdict) == {IssueKind.TARGET_NEEDS_V2}


def test_v1_alone_is_enough_for_apps_that_target_android_10(
    rsa_key: SigningKey, judge: Judge, tmp_path: Path
) -> None:
    for target_sdk, accepted in ((29, True), (30, False)):
        entries = read_zip(aapt_apk(tmp_path, target_sdk=target_sdk)).entries
        apk = write_zip(sign_v1_alone(entries, rsa_key), align=True)
        assert verify_apk(apk).verifies is accepted
        assert judge(apk).verifies is accepted


def test_signed_attributes_in_a_v1_signature_are_understood(
    signed: bytes, entries: tuple[ZipEntry, ...], rsa_key: SigningKey, tmp_path: Path
) -> None:
    """openssl signs attributes that hold the digest, instead of the content itself."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private, certificate = tmp_path / "key.pem", tmp_path / "certificate.der"
    private.write_bytes(rsa_key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate.write_bytes(rsa_key.certificate)
    pem = tmp_path / "certificate.pem"
    run("openssl", "x509", "-inform", "DER", "-in", certificate, "-out", pem)
    archive = read_zip(signed)
    signature_file = (
        archive.by_name[b"META-INF/CERT.SF"].read().replace(b"X-Android-APK-Signed: 2, 3\r\n", b"")
    )
    source, out = tmp_path / "CERT.SF", tmp_path / "CERT.RSA"
    source.write_bytes(signature_file)
    run(
        "openssl", "cms", "-sign", "-binary", "-in", source, "-signer", pem, "-inkey", private,
        "-outform", "DER", "-md", "sha256", "-out", out,
    )  # fmt: skip
    kept = [entry for entry in archive.entries if b"META-INF/CERT" not in entry.name]
    new = [make_entry("META-INF/CERT.SF", signature_file), make_entry("META-INF/CERT.RSA", out.read_bytes())]
    assert verify_apk(write_zip([*kept, *new], align=True)).schemes == (1,)
    new[1] = make_entry(
        "META-INF/CERT.RSA", out.read_bytes().replace(signature_file[:0] or b"\0\0\0", b"\0\0\0")
    )
    changed = make_entry("META-INF/CERT.SF", signature_file + b"\r\n")
    verdict = verify_apk(write_zip([*kept, changed, new[1]], align=True))
    assert IssueKind.JAR_WRONG_SIGNATURE in kinds(verdict)


def test_a_rotated_key_is_noticed(
    entries: tuple[ZipEntry, ...], keystores: Keystores, judge: Judge, tmp_path: Path
) -> None:
    lineage = tmp_path / "lineage"
    store = (keystores.folder / "all.p12", "--ks-pass", f"pass:{PASSWORD}", "--ks-key-alias")
    run(
        "apksigner", "rotate", "--out", lineage,
        "--old-signer", "--ks", *store, "rsa", "--new-signer", "--ks", *store, "ec",
    )  # fmt: skip
    unsigned, out = tmp_path / "unsigned.apk", tmp_path / "signed.apk"
    unsigned.write_bytes(write_zip(entries, align=True))
    run(
        "apksigner", "sign", "--ks", *store, "rsa", "--next-signer", "--ks", *store, "ec",
        "--lineage", lineage, "--min-sdk-version", "24", "--out", out, unsigned,
    )  # fmt: skip
    verdict = verify_apk(out.read_bytes(), min_sdk=24)
    assert judge(out.read_bytes(), 24).verifies
    assert verdict.verifies, verdict
    assert kinds(verdict) == {IssueKind.LINEAGE_NOT_CHECKED}
    assert verdict.certificates_sha256 == (keystores.key("ec").certificate_sha256,)


def test_a_v31_signature_is_noticed(signed: bytes) -> None:
    verdict = verify_apk(with_pairs(signed, lambda pairs: [*pairs, (0x1B93AD61, b"later")]))
    assert verdict.verifies
    assert kinds(verdict) == {IssueKind.V31_NOT_CHECKED}


def test_unknown_pairs_are_none_of_our_business(signed: bytes, judge: Judge) -> None:
    apk = with_pairs(signed, lambda pairs: [(0x12345678, b"?"), *pairs, (0x504B4453, b"dependencies")])
    assert verify_apk(apk).verifies
    assert judge(apk, 21).verifies


# ---- what is wrong: (how the APK is changed, minSdkVersion, the issues that we name)


def flipped_entry(apk: bytes) -> bytes:
    changed = bytearray(apk)
    changed[read_zip(apk).by_name[b"classes.dex"].data_offset + 9] ^= 0x40
    return bytes(changed)


def changed_comment(apk: bytes) -> bytes:
    return apk[:-2] + b"\x01\x00!"


def resized_block(apk: bytes) -> bytes:
    entries, pairs, directory, end = parts_of(apk)
    block = encode_signing_block(pairs)
    return joined(entries, (len(block) - 16).to_bytes(8, "little") + block[8:], directory, end)


def oversized_block(apk: bytes) -> bytes:
    entries, pairs, directory, end = parts_of(apk)
    block = encode_signing_block(pairs)
    return joined(entries, block[:-24] + (2**63).to_bytes(8, "little") + block[-16:], directory, end)


def wrong_magic(apk: bytes) -> bytes:
    entries, pairs, directory, end = parts_of(apk)
    return joined(entries, encode_signing_block(pairs)[:-1] + b"3", directory, end)


def bad_pair(apk: bytes) -> bytes:
    entries, pairs, directory, end = parts_of(apk)
    block = encode_signing_block(pairs)
    return joined(entries, block[:8] + (2**40).to_bytes(8, "little") + block[16:], directory, end)


CHANGES = {
    "an entry": (flipped_entry, 24, {IssueKind.CONTENT_CHANGED}),
    "an entry, v1 too": (flipped_entry, 21, {IssueKind.CONTENT_CHANGED, IssueKind.JAR_ENTRY_UNREADABLE}),
    "an entry with its CRC": (
        lambda apk: with_entry(apk, "classes.dex", b"evil"),
        21,
        {IssueKind.CONTENT_CHANGED, IssueKind.JAR_ENTRY_CHANGED},
    ),
    "the archive comment": (changed_comment, 24, {IssueKind.CONTENT_CHANGED}),
    "another size before the pairs": (resized_block, 24, {IssueKind.MALFORMED_BLOCK}),
    "an impossible size": (oversized_block, 24, {IssueKind.MALFORMED_BLOCK}),
    "a pair past the end": (bad_pair, 24, {IssueKind.MALFORMED_BLOCK}),
    "no magic": (wrong_magic, 24, {IssueKind.SCHEME_STRIPPED}),
    "v3 stripped": (lambda apk: with_pairs(apk, only(v2.IDENTIFIER)), 24, {IssueKind.SCHEME_STRIPPED}),
    "v2 stripped": (lambda apk: with_pairs(apk, only(v3.IDENTIFIER)), 21, {IssueKind.SCHEME_STRIPPED}),
    "both stripped": (lambda apk: with_pairs(apk, only()), 21, {IssueKind.SCHEME_STRIPPED}),
    "an added entry": (
        lambda apk: with_entry(apk, "assets/new", b"new"),
        21,
        {IssueKind.CONTENT_CHANGED, IssueKind.JAR_ENTRY_NOT_SIGNED},
    ),
    "another manifest": (
        lambda apk: with_entry(apk, "META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\r\n\r\n"),
        21,
        {IssueKind.CONTENT_CHANGED, IssueKind.JAR_MANIFEST_CHANGED},
    ),
    "another signature file": (
        lambda apk: with_entry(apk, "META-INF/CERT.SF", b"Signature-Version: 1.0\r\n\r\n"),
        21,
        {IssueKind.CONTENT_CHANGED, IssueKind.JAR_WRONG_SIGNATURE},
    ),
    "another signature": (
        lambda apk: with_entry(apk, "META-INF/CERT.RSA", b"\x30\x03\x02\x01\x01"),
        21,
        {IssueKind.CONTENT_CHANGED, IssueKind.JAR_MALFORMED_FILE},
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_apk_is_refused_by_us_and_by_android(case: str, signed: bytes, judge: Judge) -> None:
    change, min_sdk, expected = CHANGES[case]
    apk = change(signed)
    verdict = verify_apk(apk, min_sdk=min_sdk)
    assert not verdict.verifies
    assert expected <= kinds(verdict), verdict
    assert not judge(apk, min_sdk).verifies


@pytest.mark.parametrize(
    ("value", "expected"),
    [(encode_list([]), IssueKind.NO_SIGNER), (b"\xff\xff\xff\x7frubbish", IssueKind.MALFORMED_SIGNER)],
)
def test_an_empty_or_malformed_v2_is_refused(value: bytes, expected: IssueKind, signed: bytes) -> None:
    """Beside a good v3 the apksig of 2021 overlooks it; Android 7 and 8, which know only v2, do not."""
    verdict = verify_apk(with_pairs(signed, lambda pairs: [(v2.IDENTIFIER, value), pairs[1]]), min_sdk=24)
    assert kinds(verdict) == {expected}
    assert not verdict.verifies


def crafted(apk: bytes, *signers: bytes, scheme: int = v2.IDENTIFIER) -> bytes:
    return with_pairs(apk, lambda _: [(scheme, encode_list(signers))])


FORGED = {
    "another content digest": ({"digest": bytes(32)}, IssueKind.CONTENT_CHANGED),
    "another key's certificate": ({"certificates": "other"}, IssueKind.WRONG_KEY),
    "no certificate": ({"certificates": ()}, IssueKind.NO_CERTIFICATE),
    "a certificate of rubbish": ({"certificates": (b"rubbish",)}, IssueKind.MALFORMED_SIGNER),
    "another public key": ({"public_key": "other"}, IssueKind.WRONG_SIGNATURE),
    "a public key of rubbish": ({"public_key": b"rubbish"}, IssueKind.WRONG_SIGNATURE),
    "a signature of rubbish": ({"signature": b"rubbish"}, IssueKind.WRONG_SIGNATURE),
    "an algorithm for EC keys": ({"algorithm": 0x0201}, IssueKind.WRONG_SIGNATURE),
    "an algorithm for DSA keys": ({"algorithm": 0x0301}, IssueKind.WRONG_SIGNATURE),
    "a padding not used": ({"algorithm": 0x0101}, IssueKind.WRONG_SIGNATURE),
    "an unknown algorithm": ({"algorithm": 0x0999}, IssueKind.NO_SUPPORTED_SIGNATURE),
    "digests by another algorithm": ({"digest_algorithm": 0x0201}, IssueKind.ALGORITHMS_DIFFER),
    "an attribute that is cut off": ({"attributes": (b"\x01",)}, IssueKind.MALFORMED_SIGNER),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_v2_signer_is_refused_by_us_and_by_android(
    case: str, signed: bytes, rsa_key: SigningKey, judge: Judge
) -> None:
    changes, expected = FORGED[case]
    other = debug_key()
    substitutes = {"certificates": other.certificates, "public_key": other.public_key}
    lies = {key: substitutes[key] if value == "other" else value for key, value in changes.items()}
    apk = crafted(signed, crafted_signer(rsa_key, content_of(signed), **lies))
    verdict = verify_apk(apk, min_sdk=24)
    assert not verdict.verifies
    assert expected in kinds(verdict), verdict
    assert not judge(apk, 24).verifies


@pytest.mark.parametrize(("count", "accepted"), [(1, True), (10, True), (11, False)])
def test_v2_allows_ten_signers(
    count: int, accepted: bool, signed: bytes, rsa_key: SigningKey, judge: Judge
) -> None:
    apk = crafted(signed, *[crafted_signer(rsa_key, content_of(signed))] * count)
    assert verify_apk(apk, min_sdk=24).verifies is accepted
    assert judge(apk, 24).verifies  # the apksig of 2021 does not count


@pytest.mark.parametrize(("count", "accepted"), [(10, True), (11, False)])
def test_v1_allows_ten_signers(count: int, accepted: bool, small_apk: bytes, rsa_key: SigningKey) -> None:
    """Each costs a look at all sections; newer apksig allows as many, that of 2021 does not count."""
    entries = list(read_zip(small_apk).entries)
    manifest, file, block = sign_v1(entries, rsa_key, min_sdk=21, further_schemes=())
    copies = [
        make_entry(f"META-INF/S{number}{path.path[path.path.rindex('.') :]}", path.read())
        for number in range(count)
        for path in (file, block)
    ]
    verdict = verify_apk(write_zip([*entries, manifest, *copies], align=True), min_sdk=21)
    assert kinds(verdict) - {IssueKind.TARGET_NEEDS_V2} == (
        set() if accepted else {IssueKind.TOO_MANY_SIGNERS}
    )


ANY = encode_u32(24, 2**31 - 1)
RANGES = {
    "all": ((ANY, ANY), None),
    "two that meet": ((encode_u32(24, 30), encode_u32(31, 2**31 - 1)), None),
    "other levels outside": ((encode_u32(28, 2**31 - 1) + ANY,), IssueKind.SDK_RANGES_DIFFER),
    "not the last": ((encode_u32(24, 33),), IssueKind.SDK_RANGE_GAP),
    "not the first": ((encode_u32(29, 2**31 - 1),), IssueKind.SDK_RANGE_GAP),
    "a gap": ((encode_u32(24, 29), encode_u32(31, 2**31 - 1)), IssueKind.SDK_RANGE_GAP),
    "twice": ((encode_u32(24, 31), encode_u32(31, 2**31 - 1)), IssueKind.SDK_RANGE_GAP),
    "backwards": ((encode_u32(30, 24),), IssueKind.SDK_RANGE_GAP),
}


@pytest.mark.parametrize("case", RANGES)
def test_v3_signers_have_to_cover_every_api_level_once(
    case: str, signed: bytes, rsa_key: SigningKey, judge: Judge
) -> None:
    sdks, expected = RANGES[case]
    sdks = sdks[:1] if case == "all" else sdks
    content = content_of(signed)
    signers = [crafted_signer(rsa_key, content, signed_sdks=item[:8], sdks=item[-8:]) for item in sdks]
    apk = crafted(signed, *signers, scheme=v3.IDENTIFIER)
    verdict = verify_apk(apk, min_sdk=28)
    assert kinds(verdict) == ({expected} if expected else set())
    assert verdict.verifies is (expected is None)
    assert judge(apk, 28).verifies is verdict.verifies


def test_schemes_by_different_signers_are_refused(
    entries: tuple[ZipEntry, ...], signed: bytes, judge: Judge
) -> None:
    """v1 by one key and v2 by another: Android 6 and 7 would see two owners."""
    other = sign_apk_over(signed, debug_key())
    verdict = verify_apk(other)
    assert not verdict.verifies
    assert kinds(verdict) == {IssueKind.SIGNERS_DIFFER}
    assert not judge(other, 21).verifies


def sign_apk_over(apk: bytes, key: SigningKey) -> bytes:
    """The APK with its v1 signature kept and its others made anew by another key."""
    content = content_of(apk)
    pairs = [
        (v2.IDENTIFIER, v2.encode_v2(key, content, further_scheme=3)),
        (v3.IDENTIFIER, v3.encode_v3(key, content)),
    ]
    return with_pairs(apk, lambda _: pairs)


def test_an_unsigned_apk_is_not_signed(small_apk: bytes, judge: Judge) -> None:
    verdict = verify_apk(small_apk)
    assert not verdict.verifies
    assert [issue.sentence for issue in verdict.issues] == [
        "the APK is not signed; Android does not install it"
    ]
    assert not judge(small_apk).verifies


def test_an_apk_for_old_versions_needs_v1(
    entries: tuple[ZipEntry, ...], rsa_key: SigningKey, judge: Judge
) -> None:
    apk = sign_apk(entries, rsa_key, min_sdk=24)
    verdict = verify_apk(apk)
    assert not verdict.verifies
    assert [issue.sentence for issue in verdict.issues] == [
        "minSdkVersion 21 needs a v1 signature: Android before 7.0 knows no other"
    ]
    assert not judge(apk).verifies


def test_sha256_digests_are_none_for_android_before_4_3(
    entries: tuple[ZipEntry, ...], rsa_key: SigningKey, judge: Judge
) -> None:
    apk = sign_apk(entries, rsa_key, min_sdk=18)
    assert kinds(verify_apk(apk, min_sdk=17)) == {IssueKind.JAR_NO_DIGEST}
    assert not judge(apk, 17).verifies


@pytest.mark.parametrize("data", [b"", b"PK", b"not an APK" * 10])
def test_what_is_no_archive_gets_a_verdict_too(data: bytes) -> None:
    verdict = verify_apk(data)
    assert kinds(verdict) == {IssueKind.MALFORMED_ARCHIVE}
    assert not verdict.verifies


def test_a_missing_manifest_is_an_issue(rsa_key: SigningKey) -> None:
    apk = sign_apk([make_entry("classes.dex", b"x")], rsa_key, min_sdk=21)
    assert IssueKind.MALFORMED_MANIFEST in kinds(verify_apk(apk))
    assert not verify_apk(apk).verifies
    assert verify_apk(apk, min_sdk=21).verifies


def v1_archive(signed: bytes, **changes: bytes | None) -> bytes:
    """The entries of a signed APK without its signing block, with files of META-INF replaced or left out."""
    kept = [entry for entry in read_zip(signed).entries if entry.path.rpartition("/")[2] not in changes]
    new = [make_entry(f"META-INF/{name}", data) for name, data in changes.items() if data is not None]
    return write_zip([*kept, *new], align=True)


def test_v1_names_what_is_missing_or_malformed(signed: bytes) -> None:
    cases: dict[IssueKind, dict[str, bytes | None]] = {
        IssueKind.JAR_NO_MANIFEST: {"MANIFEST.MF": None},
        IssueKind.NOT_SIGNED: {"CERT.SF": None},
        IssueKind.JAR_MALFORMED_FILE: {"MANIFEST.MF": b"no colon\r\n\r\n"},
    }
    for expected, changes in cases.items():
        assert expected in kinds(verify_apk(v1_archive(signed, **changes)))


def test_a_signed_entry_that_is_gone_is_an_issue(entries: tuple[ZipEntry, ...], rsa_key: SigningKey) -> None:
    signed = read_zip(sign_apk(entries, rsa_key, min_sdk=21)).entries
    apk = write_zip([entry for entry in signed if entry.path != "classes.dex"], align=True)
    assert IssueKind.SCHEME_STRIPPED in kinds(verify_apk(apk))
    alone = sign_v1_alone(entries, rsa_key)
    verdict = verify_apk(write_zip([entry for entry in alone if entry.path != "classes.dex"], align=True))
    assert "classes.dex is signed with v1, but is not there" in {issue.sentence for issue in verdict.issues}


def sign_v1_alone(entries: Iterable[ZipEntry], key: SigningKey) -> list[ZipEntry]:
    from lawow.formats.signing.v1 import is_signature_file, sign_v1

    kept = [entry for entry in entries if not is_signature_file(entry.name)]
    return [*kept, *sign_v1(kept, key, min_sdk=21, further_schemes=())]


def test_an_entry_that_cannot_be_read_is_an_issue(entries: tuple[ZipEntry, ...], rsa_key: SigningKey) -> None:
    alone = [
        replace(entry, crc32=entry.crc32 ^ 1) if entry.path == "classes.dex" else entry
        for entry in sign_v1_alone(entries, rsa_key)
    ]
    verdict = verify_apk(write_zip(alone, align=True))
    assert IssueKind.JAR_ENTRY_UNREADABLE in kinds(verdict)


def test_the_sections_of_a_signature_file_count_where_the_whole_manifest_was_extended(
    entries: tuple[ZipEntry, ...], rsa_key: SigningKey
) -> None:
    """A second signer may append to the main section's end: Android then compares section by section."""
    from lawow.formats.signing.pkcs7 import encode_signed_data

    files = {entry.path: entry for entry in sign_v1_alone(entries, rsa_key)}
    signature_file = files["META-INF/CERT.SF"].read()
    start = signature_file.index(b"SHA-256-Digest-Manifest")
    without = signature_file[:start] + signature_file[signature_file.index(b"\r\n", start) + 2 :]
    files["META-INF/CERT.SF"] = make_entry("META-INF/CERT.SF", without)
    signature = encode_signed_data(without, rsa_key, "sha256")
    files["META-INF/CERT.RSA"] = make_entry("META-INF/CERT.RSA", signature)
    assert verify_apk(write_zip(files.values(), align=True)).schemes == (1,)
    manifest = files["META-INF/MANIFEST.MF"].read().replace(b"Name: classes.dex", b"Name: classes.dey")
    files["META-INF/MANIFEST.MF"] = make_entry("META-INF/MANIFEST.MF", manifest)
    assert IssueKind.JAR_MANIFEST_CHANGED in kinds(verify_apk(write_zip(files.values(), align=True)))


# ---- issues as data


def test_issues_have_a_kind_a_sentence_and_parameters(signed: bytes) -> None:
    verdict = verify_apk(flipped_entry(signed), min_sdk=24)
    issue = verdict.issues[0]
    assert issue.details() == {
        "kind": "content-changed",
        "scheme": 3,
        "sentence": "the APK was changed after it was signed with v3 (CHUNKED_SHA256 differs)",
        "parameters": {"algorithm": "CHUNKED_SHA256"},
    }
    printed = json.loads(json.dumps(verdict.details()))
    assert printed["verifies"] is False
    assert printed["schemes"] == []
    assert len(printed["issues"]) == 2


def test_control_characters_of_a_name_do_not_reach_the_terminal(
    entries: tuple[ZipEntry, ...], rsa_key: SigningKey
) -> None:
    added = make_entry("a\x1b[2J", b"")
    verdict = verify_apk(write_zip([*sign_v1_alone(entries, rsa_key), added], align=True))
    assert "a\\x1b[2J is not signed with v1" in {issue.sentence for issue in verdict.issues}


def test_blocks_of_absurd_sizes_are_refused(signed: bytes) -> None:
    many = with_pairs(signed, lambda pairs: [*pairs, *[(1, b"")] * 1000])
    large = with_pairs(signed, lambda pairs: [(v2.IDENTIFIER, bytes(2 << 20)), pairs[1]])
    assert IssueKind.MALFORMED_BLOCK in kinds(verify_apk(many, min_sdk=24))
    assert kinds(verify_apk(large, min_sdk=24)) == {IssueKind.MALFORMED_SIGNER}
    lines = b"Manifest-Version: 1.0\r\n" + b"A: b\r\n" * 5000
    assert IssueKind.JAR_MALFORMED_FILE in kinds(verify_apk(v1_archive(signed, **{"MANIFEST.MF": lines})))


@pytest.mark.parametrize("kind", IssueKind)
def test_every_kind_has_a_sentence_and_a_code(kind: IssueKind) -> None:
    assert kind.code == kind.code.lower()
    assert "_" not in kind.code
    assert not kind.value.endswith(".")


# ---- hostile


def test_no_byte_outside_of_the_padding_can_change_unnoticed(signed: bytes, judge: Judge) -> None:
    """With minSdkVersion 24 both block schemes count; only the filling of the block is signed by nobody."""
    archive = read_zip(signed)
    assert archive.signing_block is not None
    start = archive.signing_block.offset
    _, pairs, _, _ = parts_of(signed)
    padding = start + 8 + sum(12 + len(value) for _, value in pairs) + 8
    stop = archive.central_directory_offset - 24
    places = [*range(0, start, 197), *range(start, padding, 23), *range(stop, len(signed), 13)]
    for place in places:
        changed = bytearray(signed)
        changed[place] ^= 1 << (place % 8)
        assert not verify_apk(bytes(changed), min_sdk=24).verifies, hex(place)
    for place in places[::9]:
        changed = bytearray(signed)
        changed[place] ^= 1 << (place % 8)
        assert not judge(bytes(changed), 24).verifies, hex(place)


def test_an_apk_cut_off_anywhere_gets_a_verdict(signed: bytes) -> None:
    for size in range(0, len(signed), 11):
        assert not verify_apk(signed[:size]).verifies


def test_every_field_of_the_signing_block_may_lie(signed: bytes) -> None:
    entries, pairs, directory, end = parts_of(signed)
    block = encode_signing_block(pairs)
    used = 8 + sum(12 + len(value) for _, value in pairs)
    fields = [0, 4, *range(8, 80, 4), *range(80, used, 60)]
    for place in fields:
        for value in (0, 1, len(block) - 1, len(block), 2**31, 2**32 - 1):
            changed = block[:place] + struct.pack("<I", value) + block[place + 4 :]
            if changed != block:
                verdict = verify_apk(joined(entries, changed, directory, end), min_sdk=24)
                assert not verdict.verifies


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(["MANIFEST.MF", "CERT.SF", "CERT.RSA"]),
    changes=st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=3)), min_size=1, max_size=4),
)
def test_random_changes_of_v1_files_get_a_verdict(
    signed: bytes, name: str, changes: list[tuple[int, bytes]]
) -> None:
    data = read_zip(signed).by_name[f"META-INF/{name}".encode()].read()
    for place, text in changes:
        data = data[: place % len(data)] + text + data[place % len(data) + 1 :]
    verdict = verify_apk(v1_archive(signed, **{name: data}))
    assert not verdict.verifies


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([v2.IDENTIFIER, v3.IDENTIFIER]))
def test_random_scheme_values_get_a_verdict(signed: bytes, value: bytes, scheme: int) -> None:
    for wrapped in (value, encode_list([value]), encode_list([encode_prefixed(value) * 3])):
        assert not verify_apk(with_pairs(signed, lambda _, it=wrapped: [(scheme, it)]), min_sdk=28).verifies


def test_an_archive_with_only_an_end_record_gets_a_verdict() -> None:
    end = end_of_central_directory(0, directory_bytes=0, directory_offset=0)
    assert not verify_apk(end).verifies


def test_a_real_app_signed_by_others_verifies(apidemos_apk: Path, judge: Judge) -> None:
    data = apidemos_apk.read_bytes()
    verdict, judgement = verify_apk(data), judge(data)
    assert verdict.verifies, verdict
    assert (judgement.verifies, judgement.schemes) == (True, verdict.schemes)
