"""Keys, a small APK, and Android's own verifier as a judge that keeps running."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lawow.formats.signing import SigningKey, debug_key, load_keystore
from lawow.formats.zip import ZipEntry, make_entry, read_zip
from tests.formats.builders import aapt_apk
from tests.tools import run, tool

APKSIG = Path("/usr/share/java/apksig.jar")
PASSWORD = "correct horse"


@dataclass(frozen=True)
class Judgement:
    """What apksig says: whether it installs, by which schemes, and the names of its issues."""

    verifies: bool
    schemes: tuple[int, ...]
    issues: tuple[str, ...]


class Judge:
    """apksig's ApkVerifier in one JVM, because a JVM for every file takes a second each."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder

    def __call__(self, apk: bytes, min_sdk: int = 0) -> Judgement:
        path = self._folder / "judged.apk"
        path.write_bytes(apk)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{min_sdk} {path}\n")
        self._process.stdin.flush()
        verdict, schemes, *issues = self._process.stdout.readline().split()
        found = tuple(int(digit) for digit in schemes if digit.isdigit())
        return Judgement(verdict == "verified", found, tuple(issues[0].split(",")) if issues else ())


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """Android's verifier."""
    assert APKSIG.exists(), "apksig.jar is needed by the tests: apt-get install apksigner"
    source = Path(__file__).with_name("Judge.java")
    argv = [tool("java"), "-cp", str(APKSIG), str(source)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Judge(process, tmp_path_factory.mktemp("judge"))
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="session")
def rsa_key() -> SigningKey:
    """RSA-2048, as fresh as every debug key."""
    return debug_key()


@dataclass(frozen=True)
class Keystores:
    """Where keytool put its keystores; all have `PASSWORD`."""

    folder: Path

    def key(self, alias: str) -> SigningKey:
        data = (self.folder / "all.p12").read_bytes()
        return load_keystore(data, password=PASSWORD, alias=alias, name="all.p12")

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


KEYS = {
    "rsa": ("RSA", "-keysize", "2048"),
    "ec": ("EC", "-groupname", "secp256r1"),
    "ec384": ("EC", "-groupname", "secp384r1"),
    "dsa": ("DSA", "-keysize", "2048"),
}


def generate(folder: Path, keystore: str, alias: str, kind: tuple[str, ...], *more: str) -> None:
    store = ("-keystore", keystore, "-storepass", PASSWORD, "-alias", alias)
    name = ("-dname", f"CN={alias}, O=LAWOW tests", "-validity", "9000")
    run("keytool", "-genkeypair", *store, *name, "-keyalg", *kind, *more, cwd=folder)


def make_certificate(name: str, key: object, issuer: str = "", issuer_key: object = None) -> object:
    """A certificate by `cryptography`, by default signed with its own key."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = x509.CertificateBuilder(
        issuer_name=named(issuer or name),
        subject_name=named(name),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=datetime.datetime(2020, 1, 1),
        not_valid_after=datetime.datetime(2050, 1, 1),
    )
    return builder.sign(issuer_key or key, hashes.SHA256())


def certificate_der(certificate: object) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


@pytest.fixture(scope="session")
def keystores(tmp_path_factory: pytest.TempPathFactory) -> Keystores:
    """PKCS#12 keystores by keytool: all kinds of keys in all.p12, a single one in one.p12; a JKS in
    old.jks."""
    folder = tmp_path_factory.mktemp("keystores")
    for alias, kind in KEYS.items():
        generate(folder, "all.p12", alias, kind)
    generate(folder, "old.jks", "only", KEYS["rsa"], "-storetype", "JKS", "-keypass", PASSWORD)
    return Keystores(folder)


@pytest.fixture(scope="session")
def small_apk(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An unsigned APK: a compiled manifest for minSdkVersion 21."""
    return aapt_apk(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def entries(small_apk: bytes) -> tuple[ZipEntry, ...]:
    """Its entries, some more, and signature files of former times."""
    return (
        *read_zip(small_apk).entries,
        make_entry("classes.dex", b"dex\n035\0" + b"not really one" * 500),
        make_entry("lib/arm64-v8a/libfib.so", b"\x7fELF" + bytes(5000), compress=False),
        make_entry("assets/" + "long-name-" * 20 + ".txt", b"wrapped in the manifest"),
        make_entry("assets/naïve ↗ 𝄞.txt", b"not ASCII" * 9),
        make_entry("assets/", b""),
        make_entry("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\r\n\r\n"),
        make_entry("META-INF/OLD.SF", b"old"),
        make_entry("META-INF/OLD.RSA", b"old"),
        make_entry("META-INF/services/x.Y", b"kept"),
        make_entry("META-INF/app.version", b"kept"),
        make_entry("stamp-cert-sha256", b"old"),
    )
