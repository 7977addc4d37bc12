"""A real edge in a process of its own, and a plain HTTP client that hides nothing of what it answers."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from lawow.device.edge_client import EdgeClient
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.policies import SCOPES
from lawow.edge.tenants import Tenants, TokenTerms
from tests.conftest import ROOT

__all__ = [
    "Reply",
    "RunningEdge",
    "call_outcomes",
    "issue_token",
    "processor_seconds",
    "running_edge",
    "until",
]

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers and body of an answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    is_head: bool = False

    @property
    def json(self) -> dict[str, object]:
        """The body as a JSON object."""
        document = json.loads(self.body)
        assert isinstance(document, dict)
        return document

    @property
    def code(self) -> str | None:
        """The error code."""
        return self.headers.get("Lawow-Error")

    def refused_with(self, status: int, code: str) -> bool:
        """Tell whether this is a well-formed problem with that status and code."""
        assert self.headers["Content-Type"] == "application/problem+json", self.headers
        assert (self.status, self.code) == (status, code), (self.status, self.code, self.body)
        if self.is_head:
            return not self.body
        document = self.json
        assert document["status"] == self.status
        assert document["type"] == f"urn:lawow:problem:{self.code}"
        assert document["title"]
        assert document["detail"]
        assert "Traceback" not in str(document)
        return True


@dataclass(slots=True)
class RunningEdge:
    """A running server."""

    process: subprocess.Popen[str]
    url: str
    data: Path
    log: Path
    tokens: dict[str, str] = field(default_factory=dict)
    announced: dict[str, str] = field(default_factory=dict)

    def token(self, tenant: str) -> str:
        """Return the tenant's token, made on first use."""
        if tenant not in self.tokens:
            self.tokens[tenant] = issue_token(self.data, tenant)
        return self.tokens[tenant]

    def client(self, tenant: str) -> EdgeClient:
        """Return the product's own client."""
        return EdgeClient(self.url, self.token(tenant))

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def ask(
        self,
        method: str,
        path: str,
        tenant: str | None = None,
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Make one request on a connection of its own."""
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        sent = dict(headers or {})
        if tenant is not None:
            sent["Authorization"] = f"Bearer {self.token(tenant)}"
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read(), method == "HEAD")
        finally:
            connection.close()

    def put(self, tenant: str, wasm: bytes, digest: str) -> Reply:
        """Upload a module."""
        return self.ask(
            "PUT", f"/v1/modules/sha256:{digest}", tenant, wasm, {"Content-Type": "application/wasm"}
        )

    def call(self, tenant: str, digest: str, export: str, *arguments: object, **more: object) -> Reply:
        """Call an export with JSON."""
        body = json.dumps({"arguments": list(arguments), **more}).encode()
        return self.ask("POST", f"/v1/modules/sha256:{digest}/exports/{export}/calls", tenant, body, JSON)

    def open_session(self, tenant: str, digest: str) -> str:
        """Open a session and return its name."""
        reply = self.ask("POST", f"/v1/modules/sha256:{digest}/sessions", tenant)
        assert reply.status == 201, reply.body
        return str(reply.json["session"])

    def call_in_session(
        self,
        tenant: str,
        session: str,
        export: str,
        *arguments: object,
        signature: str | None = None,
        **more: object,
    ) -> Reply:
        """Call an export in a session with JSON."""
        body = json.dumps({"arguments": list(arguments), **more}).encode()
        headers = JSON if signature is None else {**JSON, "Lawow-Signature": signature}
        return self.ask("POST", f"/v1/sessions/{session}/exports/{export}/calls", tenant, body, headers)

    def workers(self) -> dict[str, int]:
        """Return the process id of each tenant's worker, read from the log."""
        found: dict[str, int] = {}
        for line in self.log.read_text().splitlines():
            match = re.search(r" worker-(started|ended) tenant=(\S+) pid=(\d+)", line)
            if match and match[1] == "started":
                found[match[2]] = int(match[3])
            elif match and found.get(match[2]) == int(match[3]):
                del found[match[2]]
        return found

    def kill(self) -> None:
        """End the server as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End the server as an operator would; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextmanager
def running_edge(
    data: Path, *, command: list[str] | None = None, before: list[str] | None = None, **limits: float
) -> Iterator[RunningEdge]:
    """Run an edge on `data` with some limits changed, or any other command that prints its URL as JSON."""
    module = [sys.executable, "-m", "tests.server.small_edge", str(data), json.dumps(limits)]
    log = data.parent / f"{data.name}.log"
    with log.open("a") as stream:
        process = subprocess.Popen(
            [*(before or []), *(command or module)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            env={**os.environ, "SECRET_OF_THE_OPERATOR": "must not reach a worker"},
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, log.read_text()
        announced = json.loads(line)
        edge = RunningEdge(process, announced["url"], data, log, announced=announced)
        yield edge
        status = edge.stop() if process.poll() is None else process.returncode
        assert status in (0, -signal.SIGKILL), log.read_text()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def issue_token(data: Path, tenant: str, terms: TokenTerms | None = None) -> str:
    """Make a token in a data folder, whether a server runs on it or not."""
    database = Database(DataFolder(data).database)
    try:
        return Tenants(database).issue(tenant, terms).token
    finally:
        database.close()


def call_outcomes(edge: RunningEdge) -> Counter[str]:
    """Return how many calls of all tenants ended in which way, as the edge's metrics tell it."""
    if "operator" not in edge.tokens:
        edge.tokens["operator"] = issue_token(edge.data, "operator", TokenTerms(tuple(SCOPES)))
    metrics = edge.ask("GET", "/v1/metrics", "operator").body.decode()
    counted: Counter[str] = Counter()
    for outcome, count in re.findall(
        r'^lawow_calls_total\{.*?outcome="(.*?)".*?\} (\S+)', metrics, re.MULTILINE
    ):
        counted[outcome] += int(float(count))
    return counted


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def processor_seconds(process: int) -> float:
    """Return what a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
