"""Keystores: which key is taken, and what is said when none can be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.errors import KeystoreError
from lawow.formats.signing import SigningKey, debug_key, load_keystore
from lawow.formats.signing.key import make_signing_key
from lawow.formats.signing.pkcs12 import open_store
from tests.formats.signing.conftest import PASSWORD, Keystores, certificate_der, make_certificate
from tests.tools import run


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keys and certificates by openssl."""
    folder = tmp_path_factory.mktemp("pem")
    new = ("openssl", "req", "-x509", "-days", "3", "-subj", "/CN=PEM")
    run(
        *new,
        "-newkey",
        "rsa:2048",
        "-passout",
        f"pass:{PASSWORD}",
        "-keyout",
        "key.pem",
        "-out",
        "c.pem",
        cwd=folder,
    )
    (folder / "encrypted.pem").write_bytes(
        (folder / "key.pem").read_bytes() + (folder / "c.pem").read_bytes()
    )
    run("openssl", "rsa", "-in", "key.pem", "-passin", f"pass:{PASSWORD}", "-out", "bare.pem", cwd=folder)
    (folder / "plain.pem").write_bytes((folder / "c.pem").read_bytes() + (folder / "bare.pem").read_bytes())
    return folder


def load(data: bytes, password: str | None = PASSWORD, **more: str) -> SigningKey:
    return load_keystore(data, password=password, name="app.p12", **more)


def refused(sentence: str | None, data: bytes, password: str | None = PASSWORD, **more: str) -> None:
    with pytest.raises(KeystoreError, match=sentence) as caught:
        load(data, password, **more)
    assert str(caught.value).startswith("app.p12: ")
    assert caught.value.exit_code == 3


# ---- which key


@pytest.mark.parametrize(
    ("alias", "algorithm"),
    [
        ("rsa", "RSA_PKCS1_V1_5_WITH_SHA256"),
        ("ec", "ECDSA_WITH_SHA256"),
        ("ec384", "ECDSA_WITH_SHA512"),
        ("RSA", "RSA_PKCS1_V1_5_WITH_SHA256"),
    ],
)
def test_the_alias_chooses_the_key_and_its_certificate(
    alias: str, algorithm: str, keystores: Keystores
) -> None:
    key = load(keystores.read("all.p12"), alias=alias)
    assert key.algorithm.name == algorithm
    assert f"CN={alias.lower()}" in subject(key)


def subject(key: SigningKey) -> str:
    from cryptography import x509

    return x509.load_der_x509_certificate(key.certificate).subject.rfc4514_string()


def test_keytool_names_the_same_certificate(keystores: Keystores) -> None:
    printed = run(
        "keytool",
        "-list",
        "-v",
        "-keystore",
        keystores.folder / "all.p12",
        "-storepass",
        PASSWORD,
        "-alias",
        "rsa",
    ).stdout
    digest = load(keystores.read("all.p12"), alias="rsa").certificate_sha256.upper()
    assert ":".join(digest[i : i + 2] for i in range(0, 64, 2)) in printed


@pytest.mark.parametrize("flags", [(), ("-legacy",), ("-aes128", "-macalg", "sha512"), ("-certpbe", "NONE")])
def test_keystores_by_openssl_are_read_whatever_their_ciphers(flags: tuple[str, ...], pem: Path) -> None:
    cipher = ("-keypbe", "AES-128-CBC", "-certpbe", "AES-192-CBC") if flags[:1] == ("-aes128",) else ()
    more = flags[1:] if cipher else flags
    data = export(pem, *cipher, *more)
    assert "CN=PEM" in subject(load(data))
    assert "CN=PEM" in subject(load(data, alias="my key"))
    refused("the password is wrong", data, "wrong")


def export(pem: Path, *flags: str, password: str = PASSWORD) -> bytes:
    run(
        "openssl", "pkcs12", "-export", *flags, "-inkey", "bare.pem", "-in", "c.pem", "-name", "My Key",
        "-passout", f"pass:{password}", "-out", "out.p12", cwd=pem,
    )  # fmt: skip
    return (pem / "out.p12").read_bytes()


@pytest.mark.parametrize("flags", [("-nomac", "-keypbe", "NONE", "-certpbe", "NONE"), ("-keypbe", "NONE")])
def test_a_keystore_without_a_password_is_read(flags: tuple[str, ...], pem: Path) -> None:
    data = export(pem, *flags, password="")
    assert load(data, "").certificate == load(data, None).certificate


def test_a_key_may_have_a_password_of_its_own(pem: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    store = open_store(export(pem), PASSWORD)
    private_key = serialization.load_der_private_key(store.keys[0].encoding, PASSWORD.encode())
    other = private_key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"other"),
    )
    data = repacked(export(pem, "-certpbe", "AES-256-CBC"), other)
    assert load(data, key_password="other").certificate == store.certificates[0]
    refused("the key's password is wrong", data)
    refused("cannot be opened: the password is wrong", data, "wrong", key_password="other")


def repacked(data: bytes, new_key: bytes) -> bytes:
    """A keystore with another EncryptedPrivateKeyInfo, without checksum."""
    from lawow.formats.signing import der

    old = next(bag for bag in bags(data) if bag.child(0, der.OBJECT_IDENTIFIER).oid().endswith("10.1.2"))
    bag = der.encode(
        der.SEQUENCE,
        old.children()[0].encoding,
        der.encode(der.explicit(0), new_key),
        old.children()[2].encoding,
    )
    safe = der.read_one(data).child(1, der.SEQUENCE).child(1, der.explicit(0)).child(0, der.OCTET_STRING).body
    parts = [part.encoding for part in der.read_one(safe).children() if b"\x01\x07\x06" in part.encoding[:24]]
    data_oid = der.encode_oid("1.2.840.113549.1.7.1")

    def part(content: bytes) -> bytes:
        octets = der.encode(der.explicit(0), der.encode(der.OCTET_STRING, content))
        return der.encode(der.SEQUENCE, data_oid, octets)

    contents = der.encode(der.SEQUENCE, *parts, part(der.encode(der.SEQUENCE, bag)))
    return der.encode(der.SEQUENCE, der.encode_integer(3), part(contents))


def bags(data: bytes) -> list:
    from lawow.formats.signing import der

    safe = der.read_one(data).child(1, der.SEQUENCE).child(1, der.explicit(0)).child(0, der.OCTET_STRING).body
    found = []
    for part in der.read_one(safe).children():
        if part.child(0, der.OBJECT_IDENTIFIER).oid() == "1.2.840.113549.1.7.1":
            octets = part.child(1, der.explicit(0)).child(0, der.OCTET_STRING).body
            found += der.read_one(octets).children()
    return found


def test_a_pem_file_holds_key_and_certificate_in_any_order(pem: Path) -> None:
    plain, encrypted = (pem / "plain.pem").read_bytes(), (pem / "encrypted.pem").read_bytes()
    assert load(plain).certificate == load(plain, None).certificate == load(encrypted).certificate
    assert load(encrypted, None, key_password=PASSWORD).certificate == load(plain).certificate


def test_a_pem_file_in_the_old_encryption_is_read(pem: Path) -> None:
    run(
        "openssl", "rsa", "-aes128", "-traditional", "-in", "bare.pem", "-passout", f"pass:{PASSWORD}",
        "-out", "old.pem", cwd=pem,
    )  # fmt: skip
    data = (pem / "old.pem").read_bytes() + (pem / "c.pem").read_bytes()
    assert load(data).certificate == load((pem / "plain.pem").read_bytes()).certificate
    refused("password is wrong", data, "wrong")
    refused("needs a password", data, None)


# ---- what is said


def test_several_keys_want_an_alias(keystores: Keystores) -> None:
    refused(
        'holds several keys; choose one of the aliases "rsa", "ec", "ec384", "dsa"', keystores.read("all.p12")
    )


def test_an_unknown_alias_is_answered_with_those_there(keystores: Keystores) -> None:
    data = keystores.read("all.p12")
    refused(
        'holds no key with the alias "release"; it holds "rsa", "ec", "ec384", "dsa"', data, alias="release"
    )


def test_a_wrong_password_is_told_from_a_damaged_file(keystores: Keystores) -> None:
    data = keystores.read("all.p12")
    refused("cannot be opened: the password is wrong", data, "wrong", alias="rsa")
    refused("needs a password", data, None, alias="rsa")
    refused("is damaged", data[:-1], alias="rsa")
    refused("is damaged", data[:1000], alias="rsa")


def test_a_changed_byte_of_a_keystore_is_always_found(keystores: Keystores) -> None:
    data, sentences = keystores.read("all.p12"), set()
    for offset in range(len(data) // 6, len(data) - 200, 151):
        changed = bytearray(data)
        changed[offset] ^= 1
        with pytest.raises(KeystoreError) as caught:
            load_keystore(bytes(changed), password=PASSWORD, alias="rsa", name="app.p12")
        sentences.add(str(caught.value))
    assert any("does not fit its checksum: the file was changed" in sentence for sentence in sentences)


def test_a_java_keystore_is_answered_with_the_way_to_convert_it(keystores: Keystores) -> None:
    sentence = (
        "JKS keystore, which only Java reads; convert it with: keytool -importkeystore -srckeystore app.p12 "
    )
    refused(sentence, keystores.read("old.jks"))
    refused("is a JCEKS keystore", b"\xce\xce\xce\xce" + bytes(50))


def test_the_converted_keystore_is_read(keystores: Keystores, tmp_path: Path) -> None:
    out = tmp_path / "new.p12"
    run(
        "keytool", "-importkeystore", "-srckeystore", keystores.folder / "old.jks", "-destkeystore", out,
        "-deststoretype", "pkcs12", "-srcstorepass", PASSWORD, "-deststorepass", PASSWORD,
    )  # fmt: skip
    assert "CN=only" in subject(load(out.read_bytes()))


def test_keys_that_android_does_not_verify_are_refused(keystores: Keystores) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    refused(
        "a key of the type DSA; Android verifies RSA keys and EC keys on P-256",
        keystores.read("all.p12"),
        alias="dsa",
    )
    with pytest.raises(KeystoreError, match="key of the type Ed25519"):
        make_signing_key(ed25519.Ed25519PrivateKey.generate(), [], name="k")
    with pytest.raises(KeystoreError, match="on the curve secp256k1; Android verifies secp256r1"):
        make_signing_key(ec.generate_private_key(ec.SECP256K1()), [], name="k")


def test_small_rsa_keys_are_refused_and_the_old_1024_bits_are_not(pem: Path) -> None:
    for bits, accepted in ((512, False), (1024, True)):
        new = ("openssl", "req", "-x509", "-newkey", f"rsa:{bits}", "-nodes", "-subj", "/CN=S")
        run(*new, "-keyout", "small.pem", "-out", "small-c.pem", cwd=pem)
        data = (pem / "small.pem").read_bytes() + (pem / "small-c.pem").read_bytes()
        if accepted:
            assert load(data).algorithm.key_type == "RSA"
        else:
            refused(None, data)


def test_a_certificate_of_another_key_is_not_taken() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    one, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(KeystoreError, match="k: holds no certificate of its private key, but 1 other"):
        make_signing_key(one, [certificate_der(make_certificate("x", other))], name="k")
    with pytest.raises(KeystoreError, match="holds a certificate that cannot be read"):
        make_signing_key(one, [b"rubbish"], name="k")


def test_pem_files_say_what_they_lack(pem: Path) -> None:
    key, certificate = (pem / "bare.pem").read_bytes(), (pem / "c.pem").read_bytes()
    refused("private key without a certificate; append the certificate", key)
    refused("has to hold exactly one private key", certificate)
    refused("has to hold exactly one private key", key + key + certificate)
    refused("which has no aliases; leave the alias out", key + certificate, alias="x")
    encrypted = (pem / "encrypted.pem").read_bytes()
    refused("cannot be decrypted: the key's password is wrong", encrypted, "wrong")
    refused("needs a password", encrypted, None)
    broken = encrypted.replace(encrypted.splitlines()[5], encrypted.splitlines()[5][:-8])
    refused("holds a private key that is damaged", broken)
    refused("holds a certificate that is damaged", key + certificate.replace(b"MII", b"MIX", 1))
    refused(
        "holds a private key that is damaged",
        b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----" + certificate,
    )


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"0\x03\x02\x01\x01", b"\x30\x80\0\0", b"garbage garbage"]
)
def test_what_is_no_keystore_is_refused(data: bytes) -> None:
    refused("is damaged, or neither a PKCS#12 keystore nor a PEM file", data)


def test_a_file_too_large_for_a_keystore_is_refused() -> None:
    refused("too large for a keystore", bytes((4 << 20) + 1))


def test_a_keystore_of_certificates_only_is_refused(pem: Path) -> None:
    run(
        "openssl", "pkcs12", "-export", "-nokeys", "-in", "c.pem", "-passout", f"pass:{PASSWORD}",
        "-out", "certs.p12", cwd=pem,
    )  # fmt: skip
    refused("holds no private key that can be read", (pem / "certs.p12").read_bytes())


# ---- hostile


@pytest.fixture(scope="module")
def quick_store(pem: Path) -> bytes:
    """A keystore that costs one iteration for each try."""
    return export(pem, "-iter", "1", "-maciter")


def test_a_keystore_cut_off_anywhere_is_refused_cleanly(quick_store: bytes) -> None:
    for size in range(0, len(quick_store), 5):
        refused(None, quick_store[:size])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=3))
def test_random_changes_raise_nothing_but_keystore_errors(
    quick_store: bytes, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(quick_store)
    for place, value in changes:
        data[place % len(data)] = value
    try:
        key = load(bytes(data))
    except KeystoreError:
        return
    assert key.certificate == load(quick_store).certificate


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 4000), st.binary(max_size=4))
def test_random_changes_of_pem_raise_nothing_but_keystore_errors(pem: Path, place: int, text: bytes) -> None:
    data = (pem / "plain.pem").read_bytes()
    at = place % len(data)
    try:
        load(data[:at] + text + data[at + 1 :])
    except KeystoreError:
        return


def test_iterations_beyond_reason_are_refused(quick_store: bytes) -> None:
    """2^31 iterations would hash for an hour."""
    from lawow.formats.signing import der

    version, safe, checksum = der.read_one(quick_store).children()
    digest, salt, *_ = (item.encoding for item in checksum.children())
    forged = der.encode(der.SEQUENCE, digest, salt, der.encode_integer(2**31 - 1))
    refused(
        "impossible number of iterations", der.encode(der.SEQUENCE, version.encoding, safe.encoding, forged)
    )


def test_the_debug_key_is_no_secret_in_logs() -> None:
    key = debug_key()
    assert repr(key).count("b'") == 0
