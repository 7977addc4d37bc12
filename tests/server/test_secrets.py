"""After a full run no token and no private key is found in log, database, audit log, metrics or answers."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from lawow.edge.policies import SCOPES
from lawow.edge.tenants import TokenTerms
from tests.conftest import lawow
from tests.edge.builders import all_sorts, bundle_of, numbered
from tests.server.running import RunningEdge, issue_token, running_edge


def full_run(edge: RunningEdge) -> bytes:
    """Use every kind of request, rightly and wrongly; return all that was answered."""
    sorts, answers = all_sorts(), []
    for tenant in ("acme", "other", "wrong"):
        answers.append(edge.put(tenant, sorts.wasm, sorts.digest))
        answers.append(edge.call(tenant, sorts.digest, "nothing"))
        answers.append(edge.call(tenant, sorts.digest, "unreachable"))
        answers.append(edge.call(tenant, sorts.digest, edge.token("acme")))  # a token where none belongs
        answers.append(edge.ask("GET", f"/v1/modules/{edge.token(tenant)}", tenant))
        answers.append(edge.ask("GET", "/v1/metrics", tenant))
        answers.append(edge.ask("GET", "/v1/modules", headers={"Authorization": "Basic QWxhZGRpbg=="}))
    archive = {"Content-Type": "application/zip"}
    answers.append(edge.ask("POST", "/v1/bundles", "acme", bundle_of({"a.wasm": numbered(1)}), archive))
    session = edge.open_session("acme", sorts.digest)
    answers.append(edge.call_in_session("acme", session, "nothing"))
    return b"\n".join(
        answer.body + str(answer.headers).encode() for answer in answers if answer.code != "not-found"
    )


def secrets_of(pem: bytes) -> list[bytes]:
    """Return what would give a key away, in the forms in which it could stand somewhere."""
    key = load_pem_private_key(pem, None)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    number = key.private_numbers().private_value.to_bytes(32, "big")  # type: ignore[union-attr]
    return [der, number, number.hex().encode(), base64.b64encode(der)[20:], b"PRIVATE KEY"]


def test_no_secret_is_found_anywhere_after_a_full_run(tmp_path: Path) -> None:
    made = json.loads(lawow("certificate", "--out", tmp_path / "tls", "--host", "127.0.0.1", "--json").stdout)
    data = tmp_path / "data"
    serve = [sys.executable, "-m", "lawow", "serve", "--port", "0", "--json", "--data", str(data)]
    printed = ""
    with running_edge(data, command=[*serve, "--metrics-port", "0"]) as edge:
        edge.tokens["acme"] = issue_token(data, "acme", TokenTerms(tuple(SCOPES)))
        edge.tokens["wrong"] = "lawow_" + "A" * 43
        answers = full_run(edge)
        for command in (("token", "--list"), ("tenant", "list"), ("audit", "show"), ("audit", "verify")):
            printed += lawow(*command, "--data", data, "--json").stdout
        assert edge.stop() == 0
        log = edge.log.read_bytes()
    kept = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    secrets = [token.encode() for token in edge.tokens.values()]
    secrets += [secret.removeprefix(b"lawow_") for secret in secrets]
    secrets += secrets_of(Path(made["key"]).read_bytes())
    for secret in secrets:
        for place in (log, answers, kept, printed.encode()):
            assert secret not in place
    assert b"put_module" in printed.encode()
    assert b"tenant:other" in printed.encode()
