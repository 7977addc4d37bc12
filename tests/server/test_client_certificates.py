"""Client certificates, from `lawow certs` to the tenant whose they are; OpenSSL judges the authority."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.tenants import Tenants
from lawow.server.client_certificates import NOBODY, read_client_certificate, tenant_uri
from lawow.server.tls import make_certificate
from tests.conftest import lawow
from tests.edge.builders import numbered
from tests.server.running import RunningEdge, issue_token, running_edge
from tests.tools import run


@dataclass(frozen=True)
class Site:
    """A folder with an authority, a certificate for the edge, and clients."""

    root: Path

    def client(self, name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.root / "ca" / "ca.crt")
        if name:
            context.load_cert_chain(self.root / name / "client.crt", self.root / name / "client.key")
        return context

    def ask(self, edge: RunningEdge, client: str, token: str = "", path: str = "/v1/modules") -> int:
        host, port = edge.address
        connection = http.client.HTTPSConnection(host, port, timeout=20, context=self.client(client))
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            return connection.getresponse().status
        finally:
            connection.close()


def certs(*arguments: object) -> dict[str, object]:
    document = json.loads(lawow("certs", *map(str, arguments), "--json").stdout)
    assert isinstance(document, dict)
    return document


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    root = tmp_path_factory.mktemp("site")
    ca = root / "ca"
    certs("init", "--ca", ca, "--host", "edge.example")
    certs("issue", "--ca", ca, "--host", "127.0.0.1", "--host", "a.edge.example", "--out", root / "edge")
    certs("issue", "--ca", ca, "--tenant", "acme", "--out", root / "acme")
    certs("issue", "--ca", ca, "--tenant", "acme", "--scope", "call", "--out", root / "acme-call")
    certs("issue", "--ca", ca, "--tenant", "nobody", "--out", root / "nobody")
    return Site(root)


def command(site: Site, data: Path, *more: str) -> list[str]:
    tls = ["--cert", str(site.root / "edge" / "edge.crt"), "--key", str(site.root / "edge" / "edge.key")]
    ca = ["--client-ca", str(site.root / "ca" / "ca.crt")]
    serve = [sys.executable, "-m", "lawow", "serve", "--port", "0", "--json", "--data", str(data)]
    return [*serve, *tls, *ca, *more]


@pytest.fixture(scope="module")
def secured(site: Site) -> Iterator[RunningEdge]:
    data = site.root / "data"
    issue_token(data, "acme")
    with running_edge(data, command=command(site, data)) as edge:
        yield edge


def test_a_certificate_is_its_tenants_with_its_scopes(site: Site, secured: RunningEdge) -> None:
    assert site.ask(secured, "acme") == 200
    assert site.ask(secured, "acme-call") == 403
    assert site.ask(secured, "nobody") == 401  # verified, but there is no such tenant
    assert site.ask(secured, "") == 401


def test_a_token_beside_a_certificate_must_be_of_the_same_tenant(site: Site, secured: RunningEdge) -> None:
    assert site.ask(secured, "acme", secured.token("acme")) == 200
    assert site.ask(secured, "", secured.token("other")) == 200
    assert site.ask(secured, "acme", secured.token("other")) in (401, 429)
    assert site.ask(secured, "nobody", secured.token("other")) in (401, 429)
    assert site.ask(secured, "acme-call", secured.token("acme")) == 403  # both must allow it


def test_a_revoked_certificate_ends_with_the_next_request(site: Site, secured: RunningEdge) -> None:
    made = certs("issue", "--ca", site.root / "ca", "--tenant", "acme", "--out", site.root / "revoked")
    assert site.ask(secured, "revoked") == 200
    certs("revoke", made["serial"], "--data", secured.data)
    assert site.ask(secured, "revoked") in (401, 429)
    assert site.ask(secured, "acme") == 200


def test_a_certificate_of_another_authority_is_refused_in_the_handshake(
    site: Site, secured: RunningEdge, tmp_path: Path
) -> None:
    certs("init", "--ca", tmp_path / "ca")
    certs("issue", "--ca", tmp_path / "ca", "--tenant", "acme", "--out", tmp_path / "acme")
    context = ssl.create_default_context(cafile=site.root / "ca" / "ca.crt")
    context.load_cert_chain(tmp_path / "acme" / "client.crt", tmp_path / "acme" / "client.key")
    connection = http.client.HTTPSConnection(*secured.address, timeout=20, context=context)
    with pytest.raises((ssl.SSLError, OSError)):
        exchange(connection)
    connection.close()


def exchange(connection: http.client.HTTPSConnection) -> None:
    """With TLS 1.3 the client learns of a refusal when it reads, not when it connects."""
    connection.request("GET", "/v1/modules")
    connection.getresponse()


def test_with_required_certificates_nobody_else_is_served(site: Site, tmp_path: Path) -> None:
    data = tmp_path / "data"
    token = issue_token(data, "acme")
    with running_edge(data, command=command(site, data, "--require-client-certificate")) as edge:
        assert site.ask(edge, "acme") == 200
        for path in ("/v1/health", "/v1/modules"):
            with pytest.raises((ssl.SSLError, OSError)):
                site.ask(edge, "", token, path)


def test_commands_show_a_certificate_where_one_is_required(site: Site, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "token").write_text(issue_token(data, "acme"))
    (tmp_path / "m.wasm").write_bytes(numbered(1).wasm)
    ca = ("--ca", site.root / "ca" / "ca.crt", "--token-file", tmp_path / "token")
    own = (
        "--client-cert",
        site.root / "acme" / "client.crt",
        "--client-key",
        site.root / "acme" / "client.key",
    )
    with running_edge(data, command=command(site, data, "--require-client-certificate")) as edge:
        upload = ("upload", tmp_path / "m.wasm", "--edge", edge.url, *ca)
        assert numbered(1).digest in lawow(*upload, *own).stdout
        bare = lawow(*upload, check=False)
        assert bare.returncode in (4, 6)
        assert "--client-cert and --client-key" in bare.stderr
        address = ("--edge", edge.url, *ca, *own)
        offloaded = json.loads(lawow("offload", tmp_path / "m.wasm", *address, "--json").stdout)
        assert offloaded["lease"] in lawow("leases", *address).stdout
        assert "leases 1" in lawow("top", "--once", *address).stdout
        assert lawow(*upload, *own[:2], check=False).returncode == 2


@pytest.mark.parametrize("options", [("--require-client-certificate",), ("--client-ca", "CA")])
def test_client_certificates_without_tls_are_a_usage_error(site: Site, options: tuple[str, ...]) -> None:
    ca = str(site.root / "ca" / "ca.crt")
    given = [ca if option == "CA" else option for option in options]
    done = lawow("serve", "--data", str(site.root / "unused"), *given, check=False)
    assert done.returncode == 2


def verified(site: Site, certificate: Path, purpose: str) -> bool:
    ca = str(site.root / "ca" / "ca.crt")
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", ca, str(certificate)],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def test_openssl_takes_each_certificate_for_its_purpose_alone(site: Site) -> None:
    edge, client = site.root / "edge" / "edge.crt", site.root / "acme" / "client.crt"
    assert verified(site, edge, "sslserver")
    assert not verified(site, edge, "sslclient")
    assert verified(site, client, "sslclient")
    assert not verified(site, client, "sslserver")


@pytest.mark.parametrize("name", ["DNS:other.example", "IP:192.0.2.1", "URI:lawow://elsewhere.example/acme"])
def test_openssl_refuses_what_the_authoritys_key_signs_beyond_its_names(
    site: Site, tmp_path: Path, name: str
) -> None:
    """Signed by openssl with the authority's key, as a thief of it could; the constraints hold even so."""
    (tmp_path / "ext").write_text(f"subjectAltName={name}\n")
    key, request, made = (str(tmp_path / part) for part in ("key", "request", "made"))
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x y")
    run("openssl", *new, "-keyout", key, "-out", request)
    ca = ("-CA", str(site.root / "ca" / "ca.crt"), "-CAkey", str(site.root / "ca" / "ca.key"))
    extensions = ("-extfile", str(tmp_path / "ext"))
    run("openssl", "x509", "-req", "-in", request, *ca, *extensions, "-out", made, "-days", "1")
    purpose = "sslclient" if name.startswith("URI") else "sslserver"
    assert not verified(site, Path(made), purpose)


def test_keys_are_private_hosts_are_bounded_and_nothing_is_overwritten(site: Site) -> None:
    ca = site.root / "ca"
    for path in [ca, *ca.rglob("*"), *(site.root / "acme").iterdir(), *(site.root / "edge").iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path
    before = (site.root / "acme" / "client.key").read_bytes()
    again = lawow("certs", "issue", "--ca", ca, "--tenant", "acme", "--out", site.root / "acme", check=False)
    assert again.returncode == 4
    assert (site.root / "acme" / "client.key").read_bytes() == before
    beyond = lawow("certs", "issue", "--ca", ca, "--host", "x.org", "--out", site.root / "x", check=False)
    assert beyond.returncode == 2
    assert "not for x.org" in beyond.stderr
    assert lawow("certs", "init", "--ca", ca, check=False).returncode == 4
    for days in ("0", "91"):
        one = ("certs", "issue", "--ca", ca, "--tenant", "acme", "--out", site.root / "long", "--days", days)
        assert lawow(*one, check=False).returncode == 2
    listed = json.loads(lawow("certs", "list", "--ca", ca, "--json").stdout)
    assert tenant_uri("acme", ("call",)) in [name for item in listed for name in item["names"]]
    assert "127.0.0.1, a.edge.example\n" in lawow("certs", "list", "--ca", ca).stdout


@pytest.mark.parametrize("serial", ["", "zz", "1" * 41, "0x12"])
def test_what_is_no_serial_number_is_not_revoked(tmp_path: Path, serial: str) -> None:
    done = lawow("certs", "revoke", serial, "--data", tmp_path / "data", check=False)
    assert done.returncode == 2


def test_bytes_that_are_no_certificate_of_a_tenant_are_nobodys() -> None:
    made = make_certificate(["edge.example"], 1)
    der = ssl.PEM_cert_to_DER_cert(made.certificate_pem.decode())
    assert read_client_certificate(der) == NOBODY
    for cut in range(0, len(der), 7):
        assert read_client_certificate(der[:cut]) == NOBODY


def test_nobody_is_not_a_tenant(tmp_path: Path) -> None:
    database = Database(DataFolder(tmp_path / "data").database)
    assert not Tenants(database).exists(NOBODY.tenant)
    database.close()
