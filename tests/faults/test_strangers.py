"""N4, N5, N9: guesses, replays and names that nobody has tell nothing, do nothing and leave nothing."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from lawow.device.edge_client import EdgeClient
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.tenants import Tenants, TokenTerms
from lawow.server.tls import make_certificate
from tests.edge.builders import numbered
from tests.faults.cutting import CuttingProxy
from tests.server.running import JSON, RunningEdge, issue_token, running_edge, until
from tests.work import calls_in

MODULE = numbered(7)


@pytest.mark.promise("N4")
def test_every_token_that_is_not_in_force_gets_the_same_answer(tmp_path: Path) -> None:
    """Unknown, revoked, expired, of a removed tenant, malformed: not one byte differs."""
    data = tmp_path / "data"
    database = Database(DataFolder(data).database)
    tenants = Tenants(database)
    revoked = tenants.issue("acme")
    tenants.revoke(revoked.id)
    removed = tenants.issue("gone").token
    tenants.remove("gone")
    expired = tenants.issue("acme", TokenTerms(expires_unix=1)).token
    database.close()
    with running_edge(data) as edge:
        answers = set()
        for token in ("lawow_" + "A" * 43, revoked.token, removed, expired, "x"):
            reply = edge.ask("GET", "/v1/modules", headers={"Authorization": f"Bearer {token}"})
            assert reply.refused_with(401, "unauthorized")
            names = sorted(set(reply.headers.keys()) - {"lawow-request-id"})
            answers.add((reply.body, tuple(names)))
        assert len(answers) == 1


@pytest.mark.promise("N4")
def test_a_guess_costs_the_same_work_however_near_it_is(tmp_path: Path) -> None:
    """Counted in calls of functions, which no load disturbs; tokens are looked up by their hash alone."""
    tenants = Tenants(Database(DataFolder(tmp_path / "data").database))
    token = tenants.issue("acme").token
    guesses = [token[:length] + "A" * (len(token) - length) for length in range(6, len(token) - 1)]
    tenants.identify(guesses[0])
    work = {calls_in(lambda guess=guess: tenants.identify(guess)) for guess in guesses}  # type: ignore[misc]
    assert len(work) == 1


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[RunningEdge, str]]:
    """An edge with TLS, and the pin of its certificate."""
    made = make_certificate(["127.0.0.1"], 10)
    files = {"edge.crt": made.certificate_pem, "edge.key": made.key_pem}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-m", "tests.server.small_edge", str(tmp_path / "data"), "{}"]
    command += [str(tmp_path / name) for name in files]
    with running_edge(tmp_path / "data", command=command) as edge:
        yield edge, made.leaf.pin


@pytest.mark.promise("N5")
def test_a_recorded_connection_sent_again_does_nothing(secure: tuple[RunningEdge, str]) -> None:
    """Every byte that a client sent, in one piece, on new connections; the edge answers no request of it."""
    edge, pin = secure
    with CuttingProxy(edge.address) as proxy:
        url = f"https://127.0.0.1:{proxy.port}"
        with EdgeClient(url, edge.token("acme"), certificate_sha256=pin) as client:
            client.upload_module(MODULE.wasm)
            assert client.call(MODULE.digest, "number", ">i", ()).results == (7,)
        recorded = bytes(proxy.recorded)
    requests = 2
    until(lambda: edge.log.read_text().count(" request ") == requests)  # each is noted behind its answer
    for _ in range(3):
        with socket.create_connection(edge.address, timeout=5) as again:
            again.sendall(recorded)
            again.shutdown(socket.SHUT_WR)
            while again.recv(65536):
                continue
    assert edge.log.read_text().count(" request ") == requests


@pytest.mark.promise("N5")
def test_no_data_is_taken_before_the_handshake_is_done(
    secure: tuple[RunningEdge, str], tmp_path: Path
) -> None:
    """0-RTT data could be sent again by anybody who saw it. Judged by OpenSSL's client."""
    edge, _ = secure
    host, port = edge.address
    early = tmp_path / "early"
    early.write_bytes(b"GET /v1/health HTTP/1.1\r\nHost: edge\r\n\r\n")
    connect = ["openssl", "s_client", "-connect", f"{host}:{port}", "-tls1_3", "-ign_eof"]
    asked = "GET /v1/health HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n"
    first = subprocess.run(
        [*connect, "-sess_out", tmp_path / "session"],
        input=asked,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Max Early Data: 0" in first.stdout
    again = [*connect, "-sess_in", tmp_path / "session", "-early_data", early]
    second = subprocess.run(again, input=asked, capture_output=True, text=True, check=False)
    assert "Early data was accepted" not in second.stdout
    assert second.stdout.count("HTTP/1.1 200") == 1


@pytest.mark.promise("N5")
def test_a_request_with_its_key_has_its_effect_once_also_after_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    issue_token(data, "acme")
    asked = json.dumps({"module": f"sha256:{MODULE.digest}", "choice": "provider"}).encode()
    headers, leases = {**JSON, "Idempotency-Key": "key-0123456789abcdef"}, set()
    for _ in range(2):
        with running_edge(data) as edge:
            for _ in range(3):
                reply = edge.ask("POST", "/v1/offload-requests", "acme", asked, headers)
                leases.add(str(reply.json["lease"]))
            listed = edge.ask("GET", "/v1/leases", "acme").json["leases"]
            assert isinstance(listed, list)
            assert len(listed) == 1
    assert len(leases) == 1


NAMES = (
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "..\\..\\x",
    "C:\\x",
    "a\0b",
    "a\nb",
    "%2e%2e%2f",
    "\u202egpj",
    "ａ",
    "a" * 300,
    ".",
    "",
    "-rf",
    "'; DROP TABLE leases; --",
    "$(reboot)",
    "sha256:" + "0" * 64,
)
PATHS = (
    ("GET", "/v1/modules/{}"),
    ("PUT", "/v1/modules/{}"),
    ("PUT", "/v1/modules/sha256:{}"),
    ("POST", "/v1/modules/{}/sessions"),
    ("POST", f"/v1/modules/sha256:{MODULE.digest}/exports/{{}}/calls"),
    ("DELETE", "/v1/sessions/{}"),
    ("GET", "/v1/sessions/{}/state"),
    ("GET", "/v1/leases/{}"),
    ("PATCH", "/v1/leases/{}/module"),
    ("PUT", "/v1/leases/{}/instance"),
    ("GET", "/v1/offload-requests/{}"),
    ("PUT", "/v1/shared-modules/{}"),
    ("DELETE", "/v1/shared-modules/{}"),
)
OURS = re.compile(
    r"lock|key|edge\.sqlite(-wal|-shm)?|blobs(/[0-9a-f]{2}(/[0-9a-f]{64})?)?|compiled(/[0-9a-f]{32}(/[0-9a-f]{64})?)?"
    r"|incoming|partial(/[0-9a-f]{32})?|damaged"
)


@pytest.mark.promise("N9")
def test_no_name_leads_out_of_the_data_folder_or_makes_a_file_of_its_own(tmp_path: Path) -> None:
    """Hostile names at every route that takes one, as they are and encoded twice, and as tenants' names."""
    data, asked = tmp_path / "place" / "data", 0
    data.parent.mkdir()
    with running_edge(data) as edge:
        assert edge.put("acme", MODULE.wasm, MODULE.digest).status == 201
        for method, path in PATHS:
            for name in NAMES:
                for spelled in (quote(name, safe=""), quote(quote(name, safe=""), safe="")):
                    headers = {"Content-Type": "application/json", "Idempotency-Key": quote(name)[:200]}
                    reply = edge.ask(method, path.format(spelled), "acme", b"{}", headers)
                    assert 400 <= reply.status < 500, (method, path, name, reply.status)
                    asked += 1
        made = {str(item.relative_to(data)) for item in data.rglob("*")}
        assert [name for name in made if not OURS.fullmatch(name)] == []
        assert " defect " not in edge.log.read_text()
    assert {item.name for item in data.parent.iterdir()} == {"data", "data.log"}
    print(f"N9: {asked} requests with {len(NAMES)} names, 0 files outside of the store")


@pytest.mark.promise("N9")
@pytest.mark.parametrize("name", [name for name in NAMES if "\0" not in name])
def test_a_hostile_name_is_no_tenants_name(tmp_path: Path, name: str) -> None:
    tenants = Tenants(Database(DataFolder(tmp_path / "data").database))
    with pytest.raises(Exception, match="tenant"):
        tenants.add(name)
    assert tenants.all() == []
