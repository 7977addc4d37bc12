"""TLS: what is served, what is made, and what is refused before anything is served."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from lawow.errors import FormatError, KeystoreError, Refused, UsageError
from lawow.server.listener import require_tls_beyond_loopback
from lawow.server.tls import make_certificate, read_leaf, server_context
from tests.server.running import RunningEdge, running_edge


def write(folder: Path, hosts: list[str], days: int = 30) -> tuple[Path, Path, str]:
    made = make_certificate(hosts, days)
    folder.mkdir(exist_ok=True)
    certificate, key = folder / "edge.crt", folder / "edge.key"
    certificate.write_bytes(made.certificate_pem)
    key.write_bytes(made.key_pem)
    return certificate, key, made.leaf.pin


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningEdge, Path]]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key, _ = write(folder, ["127.0.0.1", "localhost"])
    tls = {"handshake_seconds": 0.5}
    command = [sys.executable, "-m", "tests.server.small_edge", str(folder / "data"), json.dumps(tls)]
    with running_edge(folder / "data", command=[*command, str(certificate), str(key)]) as running:
        yield running, certificate


def handshake(edge: RunningEdge, certificate: Path, version: ssl.TLSVersion) -> str | None:
    context = ssl.create_default_context(cafile=str(certificate))
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(edge.address, timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        return connection.version()


@pytest.mark.parametrize(
    ("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")]
)
def test_tls_1_2_and_1_3_are_spoken(
    secure: tuple[RunningEdge, Path], version: ssl.TLSVersion, name: str
) -> None:
    assert handshake(*secure, version) == name


def test_the_certificate_is_accepted_by_openssl_for_its_hosts(
    secure: tuple[RunningEdge, Path], tmp_path: Path
) -> None:
    _, certificate = secure
    for host in (["-verify_ip", "127.0.0.1"], ["-verify_hostname", "localhost"]):
        subprocess.run(["openssl", "verify", "-CAfile", certificate, *host, certificate], check=True)
    wrong = ["openssl", "verify", "-CAfile", certificate, "-verify_hostname", "elsewhere", certificate]
    assert subprocess.run(wrong, check=False, capture_output=True).returncode != 0


@pytest.mark.promise("N6")
@pytest.mark.parametrize("option", ["-tls1", "-tls1_1"])
def test_older_tls_is_refused(secure: tuple[RunningEdge, Path], option: str) -> None:
    edge, _ = secure
    host, port = edge.address
    done = subprocess.run(
        ["openssl", "s_client", option, "-cipher", "ALL:@SECLEVEL=0", "-connect", f"{host}:{port}"],
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Cipher is (NONE)" in done.stdout


@pytest.mark.promise("N6")
def test_plain_http_on_the_tls_port_gets_nothing(secure: tuple[RunningEdge, Path]) -> None:
    edge, _ = secure
    with socket.create_connection(edge.address, timeout=10) as connection:
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: edge\r\n\r\n")
        assert not connection.recv(100).startswith(b"HTTP/")


def test_a_handshake_that_is_not_made_ends_the_connection(secure: tuple[RunningEdge, Path]) -> None:
    edge, _ = secure
    with socket.create_connection(edge.address, timeout=10) as connection:
        assert connection.recv(100) == b""
    assert "Traceback" not in edge.log.read_text()


@pytest.mark.promise("N6")
def test_an_expired_certificate_is_not_served(tmp_path: Path) -> None:
    certificate, _, _ = write(tmp_path, ["127.0.0.1"], days=0)
    with pytest.raises(Refused, match="expired"):
        read_leaf(certificate)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    certificate, _, _ = write(tmp_path / "one", ["127.0.0.1"])
    _, key, _ = write(tmp_path / "two", ["127.0.0.1"])
    with pytest.raises(KeystoreError, match=r"edge\.key"):
        server_context(certificate, key)


def test_an_encrypted_key_is_refused_instead_of_asking_a_terminal(tmp_path: Path) -> None:
    certificate, key, _ = write(tmp_path, ["127.0.0.1"])
    encrypted = tmp_path / "encrypted.key"
    command = ["openssl", "pkcs8", "-topk8", "-in", key, "-out", encrypted, "-passout", "pass:secret"]
    subprocess.run(command, check=True)
    with pytest.raises(KeystoreError, match="encrypted"):
        server_context(certificate, encrypted)


def test_a_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")
    with pytest.raises(FormatError, match=r"x\.pem"):
        read_leaf(tmp_path / "x.pem")


def test_a_made_certificate_names_addresses_and_hosts() -> None:
    made = make_certificate(["192.0.2.1", "2001:db8::1", "edge.example", "*.example"], 10)
    certificate = x509.load_pem_x509_certificate(made.certificate_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name) for name in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1", "2001:db8::1"]
    assert names.get_values_for_type(x509.DNSName) == ["edge.example", "*.example"]


@pytest.mark.parametrize("host", ["", "a b", "a..b", "x" * 300, "-", "http://edge", "edge:8443"])
def test_what_is_no_host_is_not_certified(host: str) -> None:
    with pytest.raises(UsageError):
        make_certificate([host], 10)


@pytest.mark.promise("N6")
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_plain_http_beyond_loopback_is_refused(host: str) -> None:
    with pytest.raises(Refused, match="in clear"):
        require_tls_beyond_loopback(host, has_tls=False)
    require_tls_beyond_loopback(host, has_tls=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_plain_http_on_loopback_is_allowed(host: str) -> None:
    require_tls_beyond_loopback(host, has_tls=False)
